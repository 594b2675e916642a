"""The log of a training for TensorBoard, read back from its event files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.commands import CommandLine
from tests.laws import binary_data
from tests.training_process import run_training
from vaelab.errors import InputError
from vaelab.training import TensorBoardLog

Curve = list[tuple[int, float]]


def curves(folder: Path) -> dict[str, Curve]:
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    return {name: [(event.step, event.value) for event in events.Scalars(name)] for name in events.Tags()["scalars"]}


def expected(rows: list[dict[str, float]]) -> dict[str, Curve]:
    names = {name for row in rows for name in row} - {"step", "steps", "finished", "crc"}
    return {name: [(row["step"], np.float32(row[name])) for row in rows if name in row] for name in names}


def test_the_event_file_has_every_number_of_the_log(tmp_path: Path) -> None:
    run, _ = run_training(tmp_path / "run", TensorBoardLog(tmp_path / "log"))
    assert curves(tmp_path / "log") == expected(run.metrics())


def test_a_resumed_training_replaces_what_it_repeats(tmp_path: Path) -> None:
    rows = [{"step": step, "steps": 4, "train/bound": -float(step)} for step in (1, 2, 3, 4)]
    first, second = TensorBoardLog(tmp_path), TensorBoardLog(tmp_path)
    for row in rows[:3]:
        first(row)
    later = [{**row, "train/bound": 9.0} for row in rows[1:]]
    later[-1]["finished"] = True
    for row in later:
        second(row)
    assert curves(tmp_path) == expected([rows[0], *later])


def test_the_command_writes_the_log_of_its_run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    command = CommandLine(capsys, monkeypatch)
    x = binary_data().train.x
    np.save(tmp_path / "x.npy", x)
    words = ("train", "gaussian-vae", "--data", tmp_path / "x.npy", "latent_dim=2", "steps=20", "hidden_dims=[4]")
    assert command(*words, "--out", tmp_path / "r", "--tensorboard", tmp_path / "log").code == 0
    assert curves(tmp_path / "log")["val/bound"][-1][0] == 20
    sentence = command.refused(*words, "--out", tmp_path / "other", "--tensorboard", tmp_path / "x.npy")
    assert "is a file, which is kept" in sentence
    assert not (tmp_path / "other").exists()


def test_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("mine")
    with pytest.raises(InputError, match="expected a directory"):
        TensorBoardLog(tmp_path / "notes")

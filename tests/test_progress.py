"""Progress without a terminal: a bounded number of lines, the last validation among them."""

from __future__ import annotations

from vaelab.cli.progress import TrainingProgress


def test_a_long_training_prints_about_fifty_lines(capsys):
    with TrainingProgress() as progress:
        for step in range(20, 20_001, 20):
            progress.row("run", {"step": step, "steps": 20_000, "val/bound": -step, "finished": step == 20_000})
    lines = capsys.readouterr().err.splitlines()
    assert 40 <= len(lines) <= 60
    assert "step 20,000 of 20,000" in lines[-1]


def test_a_short_training_prints_every_validation(capsys):
    with TrainingProgress() as progress:
        for step in (10, 20, 30):
            progress.row("run", {"step": step, "steps": 30, "val/bound": -1.0})
            progress.row("run", {"step": step, "steps": 30, "train/bound": -1.0})
    assert len(capsys.readouterr().err.splitlines()) == 3

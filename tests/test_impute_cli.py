"""Room: cli. ``vaelab impute`` gives the user's own table back, filled."""

from __future__ import annotations

import csv
import sys

import numpy as np
import pytest

from vaelab import Dataset, fit, gaussian_vae
from vaelab.cli import main

HEADER = ["person", "tea", "colour", "member", "age"]


def survey(rows=80, gaps=0.15, seed=0):
    """Answers of two groups of people, with gaps, as cells of text."""
    generator = np.random.default_rng(seed)
    table = []
    for number in range(rows):
        group = generator.random() < 0.5
        cells = [
            "yes" if generator.random() < (0.9 if group else 0.1) else "no",
            str(generator.choice(["red", "green", "blue"], p=[0.8, 0.1, 0.1] if group else [0.1, 0.1, 0.8])),
            str(int(generator.random() < 0.5)),
            f"{(30 if group else 60) + generator.normal():.1f}",
        ]
        table.append([f"P{number:03}", *("" if generator.random() < gaps else cell for cell in cells)])
    return table


def write_rows(path, header, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def read_rows(path):
    with path.open(newline="") as file:
        return list(csv.reader(file))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A directory with survey.csv, and the run of a model that was trained on it."""
    folder = tmp_path_factory.mktemp("survey")
    write_rows(folder / "survey.csv", HEADER, survey())
    words = ["--data", str(folder / "survey.csv"), "--drop", "latent_dim=2", "hidden_dims=[8]", "steps=40"]
    assert run(["train", "gaussian-vae", *words, "--out", str(folder / "run")]) == 0
    return folder


def run(words):
    sys.argv = ["vaelab", *words]
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


@pytest.fixture(autouse=True)
def _arguments(monkeypatch):
    monkeypatch.setattr(sys, "argv", sys.argv)


def test_the_table_comes_back_with_its_gaps_filled_and_nothing_else_changed(folder, capfd):
    out = folder / "filled.csv"
    assert run(["impute", str(folder / "run"), "--out", str(out), "--samples", "20", "--draws", "2"]) == 0
    before = read_rows(folder / "survey.csv")
    gaps = sum(cell == "" for row in before for cell in row)
    assert f"{gaps} of {80 * 4} cells filled" in capfd.readouterr().err
    for name in ("filled.csv", "filled-draw-1.csv", "filled-draw-2.csv"):
        after = read_rows(folder / name)
        assert len(after) == len(before)
        assert after[0] == HEADER
        for old, new in zip(before[1:], after[1:], strict=True):
            for place, (was, now) in enumerate(zip(old, new, strict=True)):
                if was == "":
                    assert now in ({"yes", "no"}, {"red", "green", "blue"}, {"0", "1"}, {now})[place - 1]
                    assert place < 4 or 0 < float(now) < 100
                else:
                    assert now == was
    assert read_rows(folder / "filled-draw-1.csv") != read_rows(folder / "filled-draw-2.csv")


def test_another_file_of_the_same_form_is_filled_by_the_levels_of_the_training(folder, capfd):
    new = folder / "new.csv"
    write_rows(new, HEADER[1:], [["yes", "", "", "31.0"], ["no", "blue", "1", ""]])
    out = folder / "new-filled.csv"
    assert run(["impute", str(folder / "run"), "--data", str(new), "--out", str(out), "--samples", "20"]) == 0
    first, second = read_rows(out)[1:]
    assert first[0] == "yes"
    assert first[1] in {"red", "green", "blue"}
    assert first[2] in {"0", "1"}
    assert second[:3] == ["no", "blue", "1"]
    assert float(second[3])
    write_rows(new, HEADER[1:], [["perhaps", "", "", "31.0"]])
    assert run(["impute", str(folder / "run"), "--data", str(new), "--out", str(folder / "x.csv")]) == 2
    assert "expected the levels" in capfd.readouterr().err


def test_cells_that_are_there_stay_as_they_are_written(tmp_path):
    generator = np.random.default_rng(0)
    header = ["", "zip", "when", "income", "share", "tea"]
    rows = [
        [
            str(number),
            f"0{generator.integers(1000, 9999)}",
            str(1_700_000_000 + int(generator.integers(0, 10**7))),
            f"{generator.normal(50_000, 9_000):.6f}",
            f"{generator.random():.4e}",
            str(generator.choice(["yes", "no"])),
        ]
        for number in range(40)
    ]
    for number in range(0, 40, 5):
        rows[number][2 + number % 4] = ("NA", "?", "", "nan")[number % 4]
    write_rows(tmp_path / "x.csv", header, rows)
    (tmp_path / "kinds.yaml").write_text("zip: drop\nwhen: real\n")
    words = ["--data", str(tmp_path / "x.csv"), "--columns", str(tmp_path / "kinds.yaml"), "latent_dim=2", "steps=3"]
    assert run(["train", "gaussian-vae", *words, "--out", str(tmp_path / "run")]) == 0
    assert run(["impute", str(tmp_path / "run"), "--out", str(tmp_path / "y.csv"), "--samples", "5"]) == 0
    after = read_rows(tmp_path / "y.csv")
    assert after[0] == header
    for number, (was, now) in enumerate(zip(rows, after[1:], strict=True)):
        gap = 2 + number % 4 if number % 5 == 0 else None
        assert [cell for place, cell in enumerate(now) if place != gap] == [
            cell for place, cell in enumerate(was) if place != gap
        ]
        assert gap is None or now[gap] in ("yes", "no") or np.isfinite(float(now[gap]))


def test_arrays_are_written_for_programs(folder):
    out = folder / "filled.npz"
    assert run(["impute", str(folder / "run"), "--out", str(out), "--samples", "5", "--draws", "3"]) == 0
    with np.load(out) as arrays:
        assert {name: arrays[name].shape for name in arrays} == {
            "x": (80, 6),
            "observed": (80, 6),
            "effective_samples": (80,),
            "draws": (3, 80, 6),
        }
        assert not np.isnan(arrays["x"]).any()
        assert not arrays["observed"].all()


def test_a_saved_model_fills_a_file_that_is_named(tmp_path):
    generator = np.random.default_rng(0)
    x = generator.integers(0, 2, (30, 4)).astype(float)
    x[::4, 1] = np.nan
    data = Dataset.from_arrays(x, columns=list("abcd"))
    model = gaussian_vae(data, 2, [4], seed=0)
    fit(model, data, steps=5)
    model.save(tmp_path / "model")
    cells = [["" if value != value else str(int(value)) for value in row] for row in x]
    write_rows(tmp_path / "x.csv", list("abcd"), cells)
    words = ["--data", str(tmp_path / "x.csv"), "--out", str(tmp_path / "y.csv"), "--kind", "mode", "--samples", "5"]
    assert run(["impute", str(tmp_path / "model"), *words]) == 0
    after = read_rows(tmp_path / "y.csv")[1:]
    assert all(
        new in ("0", "1") and (old in ("", new))
        for a, b in zip(cells, after, strict=True)
        for old, new in zip(a, b, strict=True)
    )


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--out", "x.txt"], "expected a file ending in"),
        (["--out", "survey.csv"], "survey.csv"),
        (["--out", "x.csv", "--samples", "0"], "samples: expected"),
        (["--out", "x.csv", "--draws", "-1"], "draws: expected"),
        (["--out", "x.csv", "--data", "none.csv"], "there is no file"),
    ],
)
def test_what_cannot_be_filled_is_refused(folder, words, sentence, monkeypatch, capfd):
    monkeypatch.chdir(folder)
    assert run(["impute", "run", *words]) == 2
    assert sentence in capfd.readouterr().err

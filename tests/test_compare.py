"""The command line: runs over the same rows, over seeds, and as tables in files."""

import csv
import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.commands import CommandLine
from vaelab.runs import Run

TINY = ("latent_dim=2", "hidden_dims=[8]", "training.steps=6", "training.batch_size=20")


@pytest.fixture
def vaelab(capsys, monkeypatch):
    return CommandLine(capsys, monkeypatch)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path, rng = tmp_path_factory.mktemp("compared"), np.random.default_rng(0)
    np.save(path / "x.npy", ((rng.random((200, 1)) < 0.5) ^ (rng.random((200, 16)) < 0.1)).astype(np.uint8))
    return path


@pytest.fixture
def runs(folder, vaelab, tmp_path, monkeypatch):
    """Two seeds of one model, and another model; the working directory is theirs."""
    monkeypatch.chdir(tmp_path)
    made = {
        "a_1": ("gaussian-vae", *TINY),
        "a_2": ("gaussian-vae", *TINY, "--seed", 1),
        "b": ("sbn", "layers=[3]", *TINY[2:]),
    }
    for name, words in made.items():
        if not (folder / name).exists():
            assert vaelab("train", *words, "--data", folder / "x.npy", "--out", folder / name).code == 0
        shutil.copytree(folder / name, name)
    return list(made)


def bound_of(run, name="iwae-5"):
    (record,) = [record for record in Run(run).evaluations() if record.name == name]
    return Run(run).values(record).numpy()


def test_differences_are_paired_over_the_same_rows(vaelab, runs):
    found = json.loads(vaelab("compare", *runs, "--samples", 5, "--json").out)
    assert [(row["model"], row["other"], row["bound"]) for row in found["differences"]] == [
        ("a_2", "a_1", "iwae-5"),
        ("b", "a_1", "iwae-5"),
    ]
    for row in found["differences"]:
        difference = bound_of(row["model"]) - bound_of("a_1")
        assert math.isclose(row["value"], difference.mean())
        assert math.isclose(row["standard_error"], difference.std(ddof=1) / math.sqrt(20))
        assert (row["observations"], row["higher"]) == (20, int((difference > 0).sum()))


def test_runs_that_differ_in_their_seed_are_averaged(vaelab, runs):
    (row,) = json.loads(vaelab("compare", *runs, "--samples", 5, "--json").out)["replicates"]
    values = np.array([bound_of(run).mean() for run in ("a_1", "a_2")])
    assert row["models"] == ["a_1", "a_2"]
    assert math.isclose(row["value"], values.mean())
    assert math.isclose(row["standard_error"], values.std(ddof=1) / math.sqrt(2))
    assert math.isclose(row["deviation"], values.std(ddof=1))


def test_pairs_have_the_same_k_and_rows_and_stored_values(vaelab, runs):
    for run, samples, rows in (("a_1", 5, 20), ("b", 4, 20), ("a_1", 3, 6), ("b", 3, 6)):
        vaelab("evaluate", run, "--samples", samples, "--rows", rows, "--bound", "iwae", "--no-report")
    for run in ("a_1", "b"):
        vaelab("evaluate", run, "--samples", 9, "--bound", "elbo", "--no-report")
    (row,) = json.loads(vaelab("compare", "a_1", "b", "--json").out)["differences"]
    assert (row["bound"], row["observations"]) == ("iwae-3", 6)  # of all 20 rows the two have another K
    (Run("b").path / "values.safetensors").write_bytes(b"damaged")
    said = " ".join(vaelab("compare", "a_1", "b").out.split())
    assert "b - a_1: values of the rows are not stored; evaluate both alike" in said


@pytest.mark.parametrize("ending", ["md", "tex", "csv", "json"])
def test_the_table_is_written_in_the_format_of_the_file(vaelab, runs, ending):
    result = vaelab("compare", *runs, "--samples", 5, "--table", f"t.{ending}")
    assert result.code == 0
    text = Path(f"t.{ending}").read_text(encoding="utf-8")
    if ending == "json":
        assert len(json.loads(text)["runs"]) == 3
    elif ending == "csv":
        assert [row[0] for row in csv.reader(text.splitlines()) if row][:4] == ["model", *runs]
    elif ending == "tex":
        assert r"a\_1 & " in text
        assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 3
    else:
        assert text.startswith("| model |")
    assert "error: table: expected a new file" in vaelab.refused("compare", *runs, "--table", f"t.{ending}")
    assert "ending in" in vaelab.refused("compare", *runs, "--table", "t.xlsx")

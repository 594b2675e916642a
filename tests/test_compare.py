"""The command line: runs over the same rows, over seeds, and as tables in files."""

import csv
import dataclasses
import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.commands import CommandLine
from vaelab.evaluation import evaluate
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


def evaluated(vaelab, runs, *words):
    for run in runs:
        assert vaelab("evaluate", run, "--no-report", *words).code == 0


def test_numbers_of_another_k_are_refused_or_marked_everywhere(vaelab, runs):
    evaluated(vaelab, ["a_1"], "--samples", 5)
    evaluated(vaelab, ["b"], "--samples", 4)
    refused = vaelab.refused("compare", "a_1", "b")
    assert "the numbers of IWAE differ in bound (a_1: iwae-5; b: iwae-4) and the numbers of IWAE differ in" in refused
    assert "evaluate the runs alike (vaelab evaluate RUN --samples K), or --force" in refused
    files = [f"t.{ending}" for ending in ("md", "tex", "csv")]
    for file in files:
        result = vaelab("compare", "a_1", "b", "--force", "--bound", "iwae", "--table", file)
        text = Path(file).read_text(encoding="utf-8")
        for shown in (" ".join(result.out.split()), text):
            assert "Not comparable: the numbers of IWAE differ in bound" in shown
            assert shown.count("†") + shown.count(r"$\dagger$") == 4  # two cells, one difference, one note
    found = json.loads(vaelab("compare", "a_1", "b", "--force", "--bound", "iwae", "--json").out)
    assert found["mark"].startswith("Not comparable: the numbers of IWAE differ in bound")
    (row,) = found["differences"]
    assert row["bound"] == "iwae-4 - iwae-5"
    assert row["differs"] == ["bound (a_1: iwae-5; b: iwae-4)", "codes of a row (a_1: 5; b: 4)"]
    assert vaelab("compare", "a_1", "b", "--force", "--out", "c").code == 0
    page = Path("c/report.html").read_text(encoding="utf-8")
    assert page.count("†") >= 3
    assert "Not comparable: the numbers of IWAE differ in bound" in page


def test_a_bound_that_is_asked_for_is_the_one_compared(vaelab, runs):
    evaluated(vaelab, ["b"], "--bound", "exact", "--bound", "elbo")
    evaluated(vaelab, ["a_1"], "--bound", "quadrature", "--bound", "elbo")
    rows = json.loads(vaelab("compare", "a_1", "b", "--bound", "exact", "--bound", "elbo", "--json").out)["differences"]
    assert [row["bound"] for row in rows] == ["exact - quadrature", "elbo"]
    for row, one, other in zip(rows, ("exact", "elbo"), ("quadrature", "elbo"), strict=True):
        assert math.isclose(row["value"], (bound_of("b", one) - bound_of("a_1", other)).mean(), rel_tol=1e-6)
        assert row["differs"] == []
    (default,) = json.loads(vaelab("compare", "a_1", "b", "--json").out)["differences"]
    assert default == rows[0]
    assert "none has ais (vaelab evaluate RUN --bound ais makes one)" in vaelab.refused(
        "compare", "b", "--bound", "ais"
    )
    assert "did you mean 'exact'" in vaelab.refused("compare", "b", "--bound", "exat")
    evaluated(vaelab, ["b"], "--bound", "ais", "--temperatures", 3, "--chains", 2)
    said = " ".join(vaelab("compare", "a_1", "b", "--bound", "ais").out.split())
    assert "b - a_1: a_1 has no ais number of the test split" in said


def test_groups_of_seeds_differ_with_an_error_over_seeds_and_one_over_rows(vaelab, runs, folder):
    runs = [*runs, "b_2"]
    if not (folder / "b_2").exists():
        words = ("sbn", "layers=[3]", *TINY[2:], "--seed", 1, "--data", folder / "x.npy")
        assert vaelab("train", *words, "--out", folder / "b_2").code == 0
    shutil.copytree(folder / "b_2", "b_2")
    found = json.loads(vaelab("compare", *runs, "--samples", 5, "--json").out)
    (row,) = found["differences_over_seeds"]
    values = {run: bound_of(run) for run in runs}
    means = {run: value.mean() for run, value in values.items()}
    low, high = ([means[run] for run in group] for group in (runs[:2], runs[2:]))
    assert (row["others"], row["models"]) == (runs[:2], runs[2:])
    assert math.isclose(row["value"], np.mean(high) - np.mean(low))
    parts = [np.var(part, ddof=1) / 2 for part in (low, high)]
    assert math.isclose(row["standard_error_over_seeds"], math.sqrt(sum(parts)))
    assert math.isclose(row["degrees_of_freedom"], sum(parts) ** 2 / sum(part**2 for part in parts))
    each = (values["b"] + values["b_2"] - values["a_1"] - values["a_2"]) / 2
    assert math.isclose(row["standard_error_over_rows"], each.std(ddof=1) / math.sqrt(20), rel_tol=1e-6)
    shutil.copytree("a_1", "copy")
    found = json.loads(vaelab("compare", "a_1", "a_2", "copy", "--json").out)
    assert found["replicates"][0]["models"] == ["a_1", "a_2"]
    assert "copy has the settings and the seed of a_1, so it is no replicate of it" in found["sentences"]


def test_rows_with_weights_have_a_weighted_difference(vaelab, runs, folder):
    """Of whole weights: that of a split with each row as often as its weight."""
    from vaelab.report import ReportedRun
    from vaelab.report.paired import paired_differences

    weights = torch.arange(20) % 3
    members = []
    for run in ("a_1", "b"):
        member = ReportedRun(run, Run(run))
        split = dataclasses.replace(member.data.test, weights=weights.numpy())
        data = dataclasses.replace(member.data, splits={**member.data.splits, "test": split})
        member.__dict__["data"] = data
        member.keep(evaluate(member.model, data, samples=5).of_weights(member.loaded.weights))
        members.append(member)
    (row,), reasons = paired_differences(members)
    assert reasons == []
    repeated = np.repeat(bound_of("b") - bound_of("a_1"), weights.numpy())
    assert math.isclose(row.value, repeated.mean(), rel_tol=1e-6)
    assert math.isclose(row.standard_error, repeated.std(ddof=1) / math.sqrt(len(repeated)), rel_tol=1e-6)


def test_odd_input_is_said_in_a_sentence(vaelab, runs):
    assert "runs: expected different runs; 'a_1/../a_1' is given twice" in vaelab.refused(
        "compare", "a_1", "a_1/../a_1"
    )
    evaluated(vaelab, ["a_1", "b"], "--samples", 5)
    run = Run("b")
    values = torch.from_numpy(bound_of("b").copy())
    values[3] = math.nan
    record = next(record for record in run.evaluations() if record.name == "iwae-5")
    run.add_evaluations([record], record.weights, {"iwae-5": values})
    said = " ".join(vaelab("compare", "a_1", "b").out.split())
    assert "b - a_1: 1 of 20 rows have no finite iwae-5, so there is no mean difference" in said
    path = run.path / "evaluation.json"
    path.write_bytes(path.read_bytes()[:-20])
    assert "b/evaluation.json: expected readable JSON; it is damaged" in vaelab.refused("compare", "a_1", "b")


def test_an_interrupted_number_is_not_compared(vaelab, runs):
    evaluated(vaelab, ["a_1", "b"], "--samples", 5)
    run = Run("b")
    record = next(record for record in run.evaluations() if record.name == "iwae-5")
    partial = record.model_copy(update={"interrupted": True, "observations": 7, "samples": 50, "name": "iwae-50"})
    run.add_evaluations([partial], record.weights, {"iwae-50": torch.zeros(7)})
    (row,) = json.loads(vaelab("compare", "a_1", "b", "--json").out)["differences"]
    assert row["bound"] == "iwae-5"

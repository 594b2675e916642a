"""Room: suggestion. The models of a table tried within a time, compared row by row, and one recommended."""

import json
import math
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.commands import CommandLine
from vaelab.data import Dataset
from vaelab.errors import InputError
from vaelab.likelihood import BoundEstimate
from vaelab.runs import Run
from vaelab.studies import suggest, suggestion
from vaelab.studies.suggestion import CANDIDATES, Candidate, Tried
from vaelab.studies.suggestion import trial as trial_module
from vaelab.studies.suggestion.advice import recommend
from vaelab.studies.suggestion.result import compared
from vaelab.studies.suggestion.trial import Trials, codes_for

# Small models and short trainings, which do not depend on the time.
QUICK = {
    "hidden_dims": [8],
    "latent_dim": 5,
    "training.steps": 30,
    "training.log_every": 10,
    "training.validate_every": 10,
    "training.warmup": 0,
}
SMALL = (
    Candidate("independent", "independent"),
    Candidate("vae", "gaussian-vae", QUICK, deep=True),
    Candidate("vae-tree", "gaussian-vae", QUICK | {"likelihood": "tree"}, deep=True),
)
LONG = 600.0  # seconds: more than any of these trainings takes
ORDER = ["independent", "chow-liu", "vae", "vae-tree"]


def tried(name, validation, below=0.0, error=None, number="exact", cut=""):
    deep = name.startswith("vae")
    numbers = {"validation": validation, "below": below, "below_error": error}
    return Tried(name, name, deep=deep, number="iwae-100" if deep else number, cut=cut, seconds=1.0, **numbers)


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    return ((rng.random((120, 1)) < 0.5) ^ (rng.random((120, 5)) < 0.1)).astype(np.uint8)


@pytest.fixture(scope="module", autouse=True)
def small():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(suggestion, "CANDIDATES", SMALL)
        yield


@pytest.fixture(scope="module")
def trial(rows, small, tmp_path_factory):
    """Return the folder of a trial from a file, and what it printed as JSON."""
    folder = tmp_path_factory.mktemp("suggest")
    np.savetxt(folder / "bits.csv", rows, "%d", ",", header="a,b,c,d,e", comments="")
    return folder, suggest(folder / "bits.csv", seconds=LONG, out=folder / "out")


@pytest.fixture
def vaelab(capsys, monkeypatch):
    return CommandLine(capsys, monkeypatch)


# ---------------------------------------------------------------- the comparison and the recommendation


@pytest.mark.parametrize(
    ("rows", "name", "words"),
    [
        ([tried("vae", -6.0), tried("chow-liu", -6.1, 0.1, 0.06)], "chow-liu", "as good as the deep model vae"),
        (
            [tried("vae", -6.0), tried("chow-liu", -6.2, 0.2, 0.06)],
            "vae",
            "0.20 ± 0.06 nats a row better than chow-liu",
        ),
        ([tried("vae-tree", -6.0), tried("vae", -6.1, 0.1, 0.06)], "vae", "as good as the best model vae-tree"),
        ([tried("chow-liu", -6.0), tried("vae", -7.0, 1.0, 0.06)], "chow-liu", "may be a little better than shown"),
        ([tried("vae", -6.0), tried("independent", -6.1, 0.1, 0.1)], "independent", "no model found a dependence"),
        ([tried("vae", -6.0), tried("chow-liu", -6.1, 0.1, None)], "chow-liu", "as good as"),
        (
            [tried("vae", -6.0, cut="cut"), tried("vae-tree", -9.0, 3.0, 0.1, cut="cut")],
            "vae",
            "vae and vae-tree was cut",
        ),
        ([Tried("vae", "vae", failure="left out")], None, "none is recommended"),
    ],
)
def test_the_simplest_model_that_is_as_good_as_the_best(rows, name, words):
    chosen, sentences = recommend(rows, ORDER)
    assert chosen == name
    assert words in " ".join(sentences)
    moved = [replace(row, test=float(place)) for place, row in enumerate(rows)]
    assert recommend(moved, ORDER) == (chosen, sentences)  # the test split has no part in it


def test_what_is_gained_over_independent_columns():
    rows = [tried("vae", -6.0), tried("chow-liu", -6.5, 0.5, 0.1), tried("independent", -8.0, 2.0, 0.1)]
    said = " ".join(recommend(rows, ORDER)[1])
    assert "2.00 nats a row better than independent columns" in said
    assert "use chow-liu: it has 75% of that gain" in said


def test_differences_are_paired_and_weighted():
    generator = torch.Generator().manual_seed(0)
    hard = 10 * torch.randn(50, generator=generator).double()
    values = {"a": hard, "b": hard - 0.5 + 0.1 * torch.randn(50, generator=generator).double()}
    weights = torch.arange(50) % 3
    rows = [Tried(name, name, validation=BoundEstimate(of, weights=weights).mean) for name, of in values.items()]
    best, other = compared([rows[1], Tried("c", "c", failure="failed"), rows[0]], values, weights)[:2]
    repeated = (values["a"] - values["b"]).repeat_interleave(weights)
    assert best.name == "a"
    assert best.below == 0.0
    assert other.below == pytest.approx(float(repeated.mean()))
    assert other.below_error == pytest.approx(float(repeated.std()) / math.sqrt(len(repeated)))


@pytest.mark.parametrize(("number", "cell"), [("exact", "-6.00"), ("iwae-100", "≥-6.00"), ("ais-1000", "≈-6.00")])
def test_bounds_and_estimates_have_a_sign(number, cell):
    row = Tried("model", "rbm", number=number, validation=-6.0, below=0.0, test=-6.0, seconds=1.0)
    assert row.cells() == ["model", cell, "best", cell, "1.0"]


def test_the_page_names_every_candidate():
    page = (Path(__file__).parents[1] / "docs" / "suggest.md").read_text()
    assert [candidate.name for candidate in CANDIDATES if f"| `{candidate.name}` |" not in page] == []


def test_the_codes_of_a_bound_fit_into_the_time(rows):
    data = Dataset.from_arrays(rows)
    assert [codes_for(data, seconds) for seconds in (1, 10, 180)] == [100, 1000, 1000]


# ---------------------------------------------------------------- a trial


def test_a_trial_keeps_each_model_with_its_numbers(trial):
    folder, found = trial
    content = json.loads((folder / "out" / "suggest.json").read_text())
    assert content["recommended"] == found.recommended
    assert {row["name"] for row in content["rows"]} == {"independent", "vae", "vae-tree"}
    assert content["rows"] == json.loads(json.dumps(found.to_dict()))["rows"]
    assert {row.name: row.number for row in found.rows} == {
        "independent": "exact",
        "vae": "iwae-1000",
        "vae-tree": "iwae-1000",
    }
    for row in found.rows:
        assert (row.failure, row.cut) == (None, "")
        run = Run(folder / "out" / row.name)
        stored = {record.split: record for record in run.evaluations() if record.name == row.number}
        assert (stored["validation"].value, stored["test"].value) == (row.validation, row.test)
        assert run.load_data().sha256() == content["facts"]["sha256"]  # found again: it names the file
    best = max(found.rows, key=lambda row: row.validation)
    assert found.rows[0] == best
    assert found.model.sample(3, seed=0).shape == (3, 5)
    text = (folder / "out" / "suggest.md").read_text()
    assert all(part in text for part in (*found.sentences, *found.table()[1][0]))


def test_the_command_goes_on_where_it_was_stopped(trial, vaelab):
    folder, found = trial
    weights = {row.name: Run(folder / "out" / row.name).weights() for row in found.rows}
    words = ("suggest", folder / "bits.csv", "--out", folder / "out")
    assert "is not empty (--resume continues it)" in vaelab.refused(*words)
    result = vaelab(*words, "--resume")
    assert result.code == 0
    assert found.sentences[0] in result.out
    assert f"next: vaelab evaluate {folder / 'out' / found.recommended}" in result.err
    assert (
        json.loads(vaelab(*words, "--resume", "--json").out)["rows"] == json.loads(json.dumps(found.to_dict()))["rows"]
    )
    assert {row.name: Run(folder / "out" / row.name).weights() for row in found.rows} == weights
    assert "other data or another seed" in vaelab.refused(*words, "--resume", "--seed", 1)


def test_a_signal_keeps_what_is_done(rows, tmp_path):
    def watch(name, row):
        if name == "vae-tree" and row["step"] == 10:
            signal.raise_signal(signal.SIGTERM)

    found = suggest(Dataset.from_arrays(rows), seconds=LONG, out=tmp_path / "s", watch=watch)
    assert found.signal == signal.SIGTERM
    stored = json.loads((tmp_path / "s" / "suggest.json").read_text())["rows"]
    assert {row.name for row in found.rows} == {row["name"] for row in stored} == {"independent", "vae"}
    assert found.recommended in ("independent", "vae")


def test_a_training_is_cut_to_its_time(rows, monkeypatch):
    endless = QUICK | {"training.steps": 10_000_000}
    monkeypatch.setattr(suggestion, "CANDIDATES", (Candidate("endless", "gaussian-vae", endless, deep=True),))
    found = suggest(Dataset.from_arrays(rows), seconds=1.5)
    assert "of 10,000,000 steps" in found.rows[0].cut or "stopped after" in found.rows[0].cut
    assert "the training of endless was cut short" in found.sentences[-1]


def test_a_model_that_counts_keeps_its_best_pass_where_time_is_up(rows, monkeypatch, tmp_path):
    monkeypatch.setattr(suggestion, "CANDIDATES", (Candidate("mixture", "bernoulli-mixture"),))
    seen = []

    def watch(name, row):
        seen.append(row["val/log-likelihood"])
        if len(seen) == 5:
            raise trial_module._OutOfTime

    found = suggest(Dataset.from_arrays(rows), seconds=LONG, out=tmp_path / "s", watch=watch)
    assert len(seen) == 5
    assert found.rows[0].validation == pytest.approx(max(seen), abs=1e-5)
    assert "stopped after" in found.rows[0].cut
    assert not Run(tmp_path / "s" / "mixture").finished


def test_a_model_that_does_not_suit_the_data_is_left_out():
    numbers = np.random.default_rng(0).normal(size=(60, 3))
    found = suggest(Dataset.from_arrays(numbers, values="real"), seconds=LONG)
    reasons = {row.name: row.failure for row in found.rows}
    assert reasons["vae"] is None
    assert reasons["vae-tree"].startswith("left out (likelihood")
    assert "vae-tree: left out" in str(found)


@pytest.mark.parametrize("candidate", CANDIDATES, ids=lambda candidate: candidate.name)
def test_every_candidate_suits_a_table_of_bits(candidate, rows, tmp_path):
    trials = Trials(Dataset.from_arrays(rows), None, {"seed": 0, "device": "cpu"}, tmp_path, codes=10)
    assert trials.settings(candidate).model == candidate.model


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"data": [[0, 1]]}, "data: expected a data set, its name or a file"),
        ({"data": "nowhere.csv"}, "nowhere.csv"),
        ({"data": "mnist", "seconds": 0}, "seconds: expected a number of at least 1; got 0"),
        ({"data": Dataset.from_arrays(np.eye(20, dtype=np.uint8)), "resume": True}, "resume: expected out"),
        ({"data": "mnist", "label": "x"}, "label"),
    ],
)
def test_a_mistake_is_refused_in_a_sentence(arguments, words):
    with pytest.raises(InputError, match=words):
        suggest(**arguments)


def test_a_directory_of_others_is_kept(rows, tmp_path):
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(InputError, match="not from suggest; it is kept"):
        suggest(Dataset.from_arrays(rows), out=tmp_path, resume=True)
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]

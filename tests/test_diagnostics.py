"""Room: evaluation. Diagnostics: their numbers against second formulae, their words, their files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from tests.commands import CommandLine
from tests.golden.make import RUNS, data_of
from tests.laws import VARIATIONAL, binary_data, build
from vaelab.data import Dataset
from vaelab.errors import InputError
from vaelab.evaluation import DIAGNOSTICS, Diagnostics, active_units, diagnose
from vaelab.evaluation.advice import best_estimate
from vaelab.report import ReportedRun
from vaelab.report.diagnostics import DIAGNOSED
from vaelab.runs import Run, load

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="module")
def data():
    return binary_data(rows=(20, 20, 30))


@pytest.fixture
def run(tmp_path, monkeypatch):
    shutil.copytree(GOLDEN / "sbn" / "run", tmp_path / "run")
    monkeypatch.setattr(Run, "load_data", lambda self, *names: data_of("sbn"))
    return Run(tmp_path / "run")


@pytest.fixture
def vaelab(capsys, monkeypatch):
    return CommandLine(capsys, monkeypatch)


# ---------------------------------------------------------------- the framework


def test_every_diagnostic_has_a_section_of_the_report():
    assert [section.__name__ for section in DIAGNOSED] == list(DIAGNOSTICS)


@pytest.mark.parametrize("name", VARIATIONAL)
def test_a_model_is_diagnosed_and_left_as_it_was(name, data):
    model = build(name).train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    found = diagnose(model, data)
    assert [each.name for each in found] == [row.name for row in DIAGNOSTICS.values() if row.applies(model)]
    assert model.training
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    again = diagnose(model, data)
    assert again.to_dict() == found.to_dict()
    assert json.loads(json.dumps(found.to_dict())) == found.to_dict()
    assert "30 observations, test split" in str(found)


@pytest.mark.parametrize("kind", RUNS)
def test_every_kind_of_model_and_data_is_diagnosed(kind):
    """Also conditional models, convolutions, mixed columns with missing values, counts, auto-encoders."""
    model, data = load(GOLDEN / kind / "run"), data_of(kind)
    found = diagnose(model, data, rows=12)
    assert [each.name for each in found] == [row.name for row in DIAGNOSTICS.values() if row.applies(model)]
    for diagnosis in found:
        assert all(sentence.strip().endswith(".") for sentence in diagnosis.sentences)
        assert not any(array.isnan().any() for array in diagnosis.arrays.values() if array.is_floating_point())
        assert "nan" not in json.dumps(diagnosis.to_dict()).lower()


def test_rows_are_the_first_and_said(data):
    found = diagnose(build("gaussian"), data, rows=7, only=("units",))
    assert (found["units"].rows, found["units"].rows_of_split) == (7, 30)
    assert "the first 7 of 30 observations" in str(found)


def test_what_cannot_be_diagnosed_is_refused(data):
    model = build("gaussian")
    with pytest.raises(InputError, match="only: expected one of"):
        diagnose(model, data, only=("unit",))
    with pytest.raises(InputError, match="only: expected a list of names"):
        diagnose(model, data, only="units")
    with pytest.raises(InputError, match=r"only: expected one of units, .*, which apply to this model; got 'bits'"):
        diagnose(model, data, only=("bits",))
    with pytest.raises(InputError, match="rows: expected"):
        diagnose(model, data, rows=0)
    with pytest.raises(InputError, match="only: expected a list of names"):
        diagnose(model, data, only=3)
    with pytest.raises(InputError, match="objective: expected an objective such as ELBO"):
        diagnose(model, data, only=("units",), objective="elbo")
    with pytest.raises(InputError, match="history: expected a list of logged rows"):
        diagnose(model, data, only=("units",), history=None)
    with pytest.raises(InputError, match="seed: expected an integer"):
        diagnose(model, data, only=("units",), seed=None)


@pytest.mark.parametrize("name", ["units", "collapse", "bits"])
def test_a_single_row_does_not_show_whether_a_unit_changes(data, name):
    with pytest.raises(InputError, match=f"{name}: expected at least 2 rows"):
        diagnose(build("bits, learned prior"), data, rows=1, only=(name,))


def test_training_rows_are_not_compared_with_themselves(data):
    rows = Dataset("rows", {name: data.splits[name] for name in ("train", "test")}, "binary", 1)
    with pytest.raises(InputError, match="expected data with a validation split, or the test split"):
        diagnose(build("bits, learned prior"), rows, "train", only=("generalisation",))


def test_the_units_are_those_of_an_evaluation(data):
    model = build("bits, learned prior")
    of_evaluation = active_units(model, data.test.observations())
    numbers = diagnose(model, data, only=("units",))["units"].numbers
    assert (numbers["active_units"], numbers["units"]) == (of_evaluation["active_units"], of_evaluation["units"])


def test_a_run_keeps_its_diagnoses_and_their_arrays(run):
    loaded = run.load()
    found = diagnose(loaded.model, run.load_data(), rows=10)
    run.add_diagnoses(found, loaded.weights)
    kept = Diagnostics(tuple(run.diagnoses()))
    assert kept.to_dict() == found.of_weights(loaded.weights).to_dict()
    for one, other in zip(kept, found, strict=True):
        assert one.arrays.keys() == other.arrays.keys()
        assert all(torch.equal(one.arrays[key], other.arrays[key]) for key in one.arrays)
    run.add_diagnoses(diagnose(loaded.model, run.load_data(), split="train", rows=10, only=("units",)), loaded.weights)
    assert len(run.diagnoses()) == len(found)
    assert [each.name for each in run.diagnoses("train")] == ["units"]
    run.add_diagnoses(found[:1], "other weights")
    assert run.diagnoses() == []


def test_each_diagnosis_has_a_section_over_the_runs_that_have_it(run):
    member = ReportedRun("a network", run)
    assert [build([member]) for build in DIAGNOSED] == [None] * len(DIAGNOSED)
    found = diagnose(member.model, member.data, rows=10)
    advised = found["units"].model_copy(update={"advice": "Do this."})
    run.add_diagnoses([advised, *found[1:]], member.loaded.weights)
    shown = [section for build in DIAGNOSED if (section := build([member, ReportedRun("again", run)])) is not None]
    assert [section.title for section in shown] == [diagnosis.title for diagnosis in found]
    assert all(section.figure.startswith(b"\x89PNG") and section.guide for section in shown)
    assert shown[0].finding.splitlines()[1].startswith("again: ")
    assert shown[0].advice == "a network; again: Do this."


def test_the_command_prints_keeps_and_shows(vaelab, run):
    result = vaelab("diagnose", run.path, "--rows", 10, "--only", "units")
    assert result.code == 0, result.err
    assert "units are active" in result.out
    assert [each.name for each in run.diagnoses()] == ["units"]
    assert "diagnosis-units" in (run.path / "report.html").read_text()
    printed = json.loads(vaelab("diagnose", run.path, "--rows", 10, "--only", "units", "--json", "--no-report").out)
    assert printed["diagnoses"] == [each.to_dict() for each in run.diagnoses()]
    assert "only: expected one of" in vaelab.refused("diagnose", run.path, "--only", "unit")


def test_the_gap_and_an_evaluation_name_the_same_estimate():
    model, rows = load(GOLDEN / "deep-gaussian-vae" / "saved"), data_of("deep-gaussian-vae")
    (gap,) = diagnose(model, rows, only=("inference-gap",))
    assert gap.advice == f"Quote {best_estimate(model)} as the likelihood, not the ELBO."

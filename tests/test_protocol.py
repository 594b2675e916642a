"""Room: evaluation. What a number depends on: stored with it, in words, and what a difference means."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.laws import binary_data, build
from tests.training_process import run_training
from vaelab import __version__
from vaelab.errors import InputError
from vaelab.evaluation import PROTOCOL, EvaluationRecord, evaluate
from vaelab.evaluation.protocol import Fact, differences, in_short, in_words, replaces
from vaelab.runs.results import Results
from vaelab.storage import seal
from vaelab.storage.tensors import save_tensors

NEW = EvaluationRecord(
    name="iwae-5",
    samples=5,
    value=-1.0,
    observations=10,
    rows_of_split=30,
    rows_of_model=True,
    split="test",
    binarisation="dynamic",
    data="x",
    seed=0,
    temperatures=9,
    start="posterior",
    kernel="hmc",
    data_sha256="a" * 64,
    row_weights="none",
    observed_cells=2.5,
    row_cells=4,
    binarisation_seed=777,
    trained_binarisation="static",
    ex_post_prior="flow, trained for 9 steps",
    likelihood="bernoulli",
    likelihood_measure="probability",
    condition="none",
    weights="b" * 64,
    weights_step=40,
    precision="float32",
    device="cpu",
    versions={"vaelab": "1", "torch": "2"},
    seconds=1.5,
)
OLD = EvaluationRecord(name="iwae-5", samples=5, value=-1.0, split="test", binarisation="dynamic", data="x", seed=0)
FACTS = pytest.mark.parametrize("fact", PROTOCOL, ids=lambda fact: fact.name)


def changed(fact: Fact) -> EvaluationRecord:
    """Return the record with another value of a fact."""
    value = getattr(NEW, fact.name)
    if isinstance(value, bool):
        return NEW.model_copy(update={fact.name: not value})
    other: Any = {"vaelab": "3"} if isinstance(value, dict) else f"{value}x" if isinstance(value, str) else value + 1
    return NEW.model_copy(update={fact.name: other})


@FACTS
def test_a_difference_forbids_a_comparison_or_is_only_shown(fact: Fact) -> None:
    found = differences({"a": dict(NEW), "b": dict(changed(fact))})
    assert (len(found) == 1) is (fact.role in ("rows", "compared"))
    if found:
        assert found[0].startswith(f"{fact.title} (a: ")
    assert differences({"a": dict(NEW), "b": dict(NEW)}) == []


@FACTS
def test_a_run_keeps_numbers_that_differ_in_what_identifies_them(fact: Fact, tmp_path: Path) -> None:
    kept, results = fact.role != "shown" or fact.name in ("data",), Results(tmp_path)
    for number, record in enumerate((NEW, changed(fact))):
        results.add_evaluations([record], record.weights or "", {record.name: torch.tensor([float(number)])})
    found = results.evaluations()
    assert len(found) == 1 + kept
    assert [results.values(record).item() for record in found] == [0.0, 1.0][-len(found) :]  # type: ignore[union-attr]


@FACTS
def test_what_is_not_recorded_agrees_and_is_said(fact: Fact) -> None:
    old = NEW.model_copy(update={fact.name: None})
    if fact.absent:
        assert dict(in_words(old))[fact.title] == fact.absent
    assert dict(in_words(NEW))[fact.title] not in ("", fact.absent)
    assert differences({"a": dict(NEW), "b": dict(old)}) == []


def test_two_ways_to_log_p_itself_compare_and_codes_of_an_elbo_do_not_matter() -> None:
    for one, other in ((("exact", None), ("quadrature", None)), (("elbo", 10), ("elbo", 3))):
        numbers = [dict(NEW) | {"name": name, "samples": samples} for name, samples in (one, other)]
        assert differences(dict(zip("ab", numbers, strict=True))) == []
    assert differences({"a": dict(NEW), "b": dict(NEW) | {"samples": 6}}) == ["codes of a row (a: 5; b: 6)"]


def test_a_file_without_the_new_facts_is_read_and_its_numbers_are_replaced(tmp_path: Path) -> None:
    results = Results(tmp_path)
    values = {"iwae-5": torch.tensor([1.0])}
    results.add_evaluations([OLD], "w", values)
    content = json.loads((tmp_path / "evaluation.json").read_text())["records"]
    assert set(content[0]) <= {"name", "samples", "value", "standard_error", "observations", "weights"} | {
        *("split", "binarisation", "data", "seed")
    }
    (old,) = results.evaluations()
    assert torch.equal(results.values(old), values["iwae-5"])  # type: ignore[arg-type]
    assert "float32" not in in_short(old)
    new = OLD.model_copy(update={"precision": "float32", "versions": {"vaelab": "1"}})
    results.add_evaluations([new], "w")
    assert [record.precision for record in results.evaluations()] == ["float32"]
    assert not replaces(dict(new), dict(new) | {"precision": "bfloat16"})


def test_the_values_of_an_earlier_version_are_found(tmp_path: Path) -> None:
    """There the name of the values has nine parts."""
    key = ["iwae-5", 5, "test", "dynamic", "x", 0, "w", None, None]
    save_tensors(tmp_path / "values.safetensors", {json.dumps(key): torch.tensor([1.0])})
    (tmp_path / "evaluation.json").write_text(seal({"records": [OLD.to_dict() | {"weights": "w"}]}))
    results = Results(tmp_path)
    (old,) = results.evaluations()
    assert results.values(old).tolist() == [1.0]  # type: ignore[union-attr]
    results.add_evaluations([NEW], "w")
    assert results.values(old).tolist() == [1.0]  # type: ignore[union-attr]


def test_the_step_of_the_selected_weights_is_stored_with_them(tmp_path: Path) -> None:
    run, fitted = run_training(tmp_path / "run")
    bounds = {row["step"]: row["val/bound"] for row in fitted.history if "val/bound" in row}
    assert run.load().step == max(bounds, key=lambda step: bounds[step])
    path = run.path / "model.safetensors"
    content = path.read_bytes()
    path.write_bytes(content.replace(f'"step":"{run.load().step}"'.encode(), b'"step":"11"'))
    with pytest.raises(InputError, match="the step of the weights does not match its checksum"):
        run.load()


def test_an_evaluation_records_its_protocol() -> None:
    model, data = build("gaussian"), binary_data()
    record = evaluate(model, data, samples=3)["elbo"]
    assert (record.data_sha256, record.binarisation_seed, record.row_weights) == (data.sha256(), None, "none")
    assert (record.likelihood, record.likelihood_measure, record.condition) == ("bernoulli", "probability", "none")
    assert (record.precision, record.device) == (str(model.any_weight.dtype)[6:], "cpu")
    assert record.versions == {"vaelab": __version__, "torch": torch.__version__}
    assert "bernoulli likelihood" in in_short(record)


def test_a_damaged_record_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "evaluation.json").write_text(seal({"records": [dict(OLD) | {"weights_step": "ten"}]}))
    with pytest.raises(ValueError, match=r"evaluation\.json: records\.0\.weights_step: .*; it is damaged") as refused:
        Results(tmp_path).evaluations()
    assert "\n" not in str(refused.value)

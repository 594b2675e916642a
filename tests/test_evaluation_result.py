"""The result of an evaluation: a table to read, a dictionary, a data frame, and records that files keep exactly."""

from __future__ import annotations

import json
import sys

import pytest
import torch

from tests.laws import binary_data, build
from vaelab import __version__
from vaelab.errors import InputError
from vaelab.evaluation import Evaluation, EvaluationRecord, evaluate
from vaelab.likelihood import elbo

ROWS = 30


@pytest.fixture(scope="module", params=["gaussian", "bits, learned prior", "two layers of bits", "autoencoder"])
def result(request: pytest.FixtureRequest) -> Evaluation:
    return evaluate(build(request.param), binary_data(rows=(20, 20, ROWS)), samples=7)


def test_the_table_has_every_number_on_a_line_and_the_protocol(result: Evaluation) -> None:
    text = str(result).splitlines()
    lines, below = text[: len(result)], " ".join(line.strip() for line in text[len(result) :])
    assert below.startswith("(nats per observation; 30 observations, test split of patterns, SHA-256 ")
    assert f"float64 on cpu, vaelab {__version__}, torch {torch.__version__})" in below
    assert below.endswith(" ".join(result.advice()))
    assert max(map(len, text)) <= 100
    assert len({line.index(record.cells()[1]) for line, record in zip(lines, result, strict=True)}) == 1, "one column"
    for line, record in zip(lines, result, strict=True):
        assert line.startswith(record.name)
        if isinstance(record.value, float):
            assert f"{record.value:.3f} ± {record.standard_error:.3f}" in line
    assert repr(result) == str(result)


def test_html_has_the_cells_of_the_table(result: Evaluation) -> None:
    html = result._repr_html_()
    assert html.count("<tr>") == len(result)
    assert all(f"<td>{record.cells()[1]}</td>" in html for record in result)
    odd = result.records[0].model_copy(update={"data": "<b>"})
    assert "&lt;b&gt;" in Evaluation((odd,))._repr_html_()
    assert all(f"<p>{sentence}</p>" in html for sentence in result.advice())


def test_on_a_narrow_terminal_values_stand_below_their_names(
    result: Evaluation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "24")
    lines = str(result).splitlines()
    assert lines[: 2 * len(result) : 2] == [record.cells()[0] for record in result]
    assert [line.strip() for line in lines[1 : 2 * len(result) : 2]] == [record.cells()[1] for record in result]
    assert max(map(len, lines[2 * len(result) :])) <= 24


def test_a_record_is_read_back_from_json_exactly(result: Evaluation) -> None:
    text = json.dumps([record.to_dict() for record in result])
    assert tuple(EvaluationRecord.model_validate(content) for content in json.loads(text)) == result.records


def test_to_dict_has_the_records_by_name(result: Evaluation) -> None:
    assert list(result.to_dict()) == [record.name for record in result]
    for record in result:
        content = result.to_dict()[record.name]
        assert content["value"] == record.value
        assert {"samples", "standard_error", "observations"} <= set(content), "null where it does not apply"
        assert "units" not in content or record.units is not None


def test_values_of_the_observations_average_to_the_record(result: Evaluation) -> None:
    assert set(result.values) == {record.name for record in result} - {"active-units"}
    for name, values in result.values.items():
        assert values.shape == (ROWS,)
        assert float(values.double().mean()) == result[name].value


def test_values_are_those_of_the_bound() -> None:
    model, data = build("gaussian"), binary_data(rows=(20, 20, ROWS))
    result = evaluate(model, data, samples=7)
    x = torch.from_numpy(data.split("test").x)
    assert torch.equal(result.values["elbo"], elbo(model, x, 7).values)


def test_a_record_is_found_by_its_name() -> None:
    result = evaluate(build("gaussian"), binary_data(), samples=7)
    assert result["iwae"] is result["iwae-7"] is result[3]
    assert list(result[:2]) == [result["elbo"], result["reconstruction"]]
    with pytest.raises(InputError, match=r"name: expected one of elbo, .*; got 'ielbo' \(did you mean 'elbo'\?\)"):
        result["ielbo"]


def test_the_largest_k_is_found() -> None:
    one = evaluate(build("gaussian"), binary_data(), bounds=("iwae",), samples=2)["iwae"]
    two = one.model_copy(update={"name": "iwae-9", "samples": 9})
    assert Evaluation((one, two, one))["iwae"] is two


def test_a_frame_has_a_row_for_each_record(result: Evaluation) -> None:
    frame = result.to_frame()
    assert list(frame.index) == [record.name for record in result]
    assert list(frame["value"]) == [record.value for record in result]


def test_a_frame_without_pandas_is_refused_in_a_sentence(result: Evaluation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(InputError, match=r"expected pandas to be installed \(pip install pandas\); to_dict\(\) works"):
        result.to_frame()


def test_no_record_prints_as_nothing() -> None:
    assert str(Evaluation(())) == ""


def test_bounds_given_as_a_word_are_refused() -> None:
    with pytest.raises(InputError, match=r"bounds: expected a list of names, such as bounds=\('elbo',\); got 'elbo'"):
        evaluate(build("gaussian"), binary_data(), bounds="elbo")  # type: ignore[arg-type]

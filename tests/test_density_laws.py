"""The laws of every density model, against all rows, enumerated in float64. A new model is a row of ``CASES``."""

from __future__ import annotations

import copy
import dataclasses
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import vaelab
from tests.laws import binary_data
from vaelab.data import Dataset, Split
from vaelab.distributions import given_observed
from vaelab.models import MODELS, DensityModel
from vaelab.settings import resolve
from vaelab.training import train

X = 5
ROWS = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=torch.float64)] * X)  # (32, 5)
PARTLY = torch.tensor([[1.0, torch.nan, 0.0, torch.nan, 1.0], [torch.nan, 0.0, torch.nan, torch.nan, torch.nan]])


@dataclasses.dataclass(frozen=True)
class Case:
    """How a model of the table is built and fitted here.

    Attributes:
        options: of the builder.
        training: of the fit; none of a model that counts.
        has_marginals: whether values may be missing.
        is_exact: whether log p(x) is exact.
        rounding: by which log p(x) of two trainings on the same rows may differ: more where it grows over passes.
        has_mode: whether the most probable row is found; otherwise it is one of the more probable rows.
        mean_error: how far the mean may be from that of the enumeration.
    """

    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    training: dict[str, Any] = dataclasses.field(default_factory=dict)
    has_marginals: bool = True
    is_exact: bool = True
    rounding: float = 1e-6
    has_mode: bool = True
    mean_error: float = 1e-12


CASES = {
    "independent": Case(),
    "chow-liu": Case(),
    "rbm": Case(training={"steps": 60, "validate_every": 30, "learning_rate": 1e-2}),
    "bernoulli-mixture": Case({"components": 3, "smoothing": 1.0}, rounding=1e-4, has_mode=False),
    "tree-mixture": Case({"components": 2, "smoothing": 1.0}, rounding=1e-4, has_mode=False),
    "hidden-chow-liu": Case({"states": 2, "smoothing": 1.0}, rounding=1e-4, has_mode=False),
    "made": Case(
        {"hidden": 12, "orderings": 3}, {"steps": 60, "learning_rate": 0.02}, False, mean_error=0.1, has_mode=False
    ),
}
every = pytest.mark.parametrize("name", CASES)
with_marginals = pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.has_marginals])


def learned(name: str, data: Dataset, seed: int = 0) -> DensityModel:
    """Return a model of the table, fitted to data."""
    case = CASES[name]
    model = MODELS[name].build(data, **case.options, seed=seed)
    assert isinstance(model, DensityModel)
    vaelab.fit(model, data, seed=seed, device="cpu", **case.training)
    return model


@cache
def fitted(name: str) -> DensityModel:
    """Return a model fitted to the small data of the laws, in float64."""
    return learned(name, binary_data(dim=X)).double()


def probabilities(name: str) -> Tensor:
    """Return p(x) of all rows, (32,)."""
    with torch.no_grad():
        return fitted(name).log_prob(ROWS).exp()


def agrees(row: Tensor, other: Tensor) -> Tensor:
    """Return which rows have the observed values of a row, (32,)."""
    return ((other == row) | row.isnan()).all(1)


def test_every_density_model_of_the_table_has_its_laws() -> None:
    assert set(CASES) == {name for name, row in MODELS.items() if not row.has_codes}
    for name, case in CASES.items():
        model = fitted(name)
        assert (model.has_marginals, model.is_exact) == (case.has_marginals, case.is_exact)
        assert (MODELS[name].learns == "counts") == isinstance(model, vaelab.models.Counted)
        assert (MODELS[name].learns == "the likelihood") == isinstance(model, vaelab.models.Differentiable)


@every
def test_the_probabilities_of_all_rows_sum_to_one(name: str) -> None:
    assert float(probabilities(name).sum()) == pytest.approx(1, abs=1e-12)


@every
def test_mean_and_mode_are_those_of_the_enumeration(name: str) -> None:
    model, p = fitted(name), probabilities(name)
    mean, mode = model.sample(2, "mean"), model.sample(2, "mode")
    torch.testing.assert_close(mean, (p @ ROWS).expand(2, -1), rtol=0, atol=CASES[name].mean_error)
    best = float(model.log_prob(mode[:1]).detach().exp())
    if CASES[name].has_mode:
        assert best == pytest.approx(float(p.max()), rel=1e-12)
    else:
        assert best > float(p.mean())
    assert torch.equal(mode[0], mode[1])


@every
def test_draws_have_the_frequencies_of_the_enumeration(name: str) -> None:
    """50 000 draws, 32 cells within 5 standard errors: a false alarm in fewer than 2e-5 of the seeds."""
    p, count = probabilities(name), 50_000
    draws = fitted(name).sample(count, seed=1)
    found = (draws @ (2 ** torch.arange(X)).double()).long().bincount(minlength=32) / count
    places = (ROWS @ (2 ** torch.arange(X)).double()).long()
    assert ((found[places] - p).abs() / (p * (1 - p) / count).sqrt()).max() < 5
    assert torch.equal(fitted(name).sample(7, seed=1), fitted(name).sample(7, seed=1))
    assert not torch.equal(fitted(name).sample(7, seed=1), fitted(name).sample(7, seed=2))


@with_marginals
def test_the_density_of_observed_values_is_the_sum_over_the_others(name: str) -> None:
    model, p = copy.deepcopy(fitted(name)).allow_missing(), probabilities(name)
    nothing = torch.full((1, X), torch.nan, dtype=torch.float64)
    rows = torch.cat([PARTLY.double(), nothing])
    expected = torch.stack([p[agrees(row, ROWS)].sum().log() for row in rows])
    torch.testing.assert_close(model.log_prob(rows).detach(), expected, rtol=0, atol=1e-12)


@with_marginals
def test_missing_values_have_the_conditionals_of_the_enumeration(name: str) -> None:
    """20 000 draws of a row, 16 cells within 5 standard errors: a false alarm in fewer than 1e-5 of the seeds."""
    model, p = copy.deepcopy(fitted(name)).allow_missing(), probabilities(name)
    found = vaelab.impute(model, PARTLY.double(), n_draws=20_000)
    assert found.effective_samples is None
    assert found.draws is not None
    powers = (2 ** torch.arange(X)).double()
    for place, row in enumerate(PARTLY.double()):
        known = agrees(row, ROWS)
        conditional = torch.where(known, p, 0) / p[known].sum()
        torch.testing.assert_close(found.values[place], conditional @ ROWS, rtol=0, atol=1e-12)
        cells = (found.draws[:, place] @ powers).long().bincount(minlength=32)[(ROWS @ powers).long()] / 20_000
        spread = (conditional * (1 - conditional) / 20_000).sqrt()
        assert ((cells - conditional).abs() <= 5 * spread + 1e-12).all()
    assert given_observed(model(), PARTLY.double()).event_shape == (X,)


@every
def test_a_model_is_no_worse_than_independent_columns_on_its_training_rows(name: str) -> None:
    rows = binary_data(dim=X).train.observations()
    floor = fitted("independent").mean_log_prob(rows)
    assert fitted(name).mean_log_prob(rows) >= floor - 1e-9


@every
def test_the_same_seed_gives_the_same_model(name: str) -> None:
    data = binary_data(dim=X)
    one, other = learned(name, data, seed=3), learned(name, data, seed=3)
    assert all(torch.equal(*pair) for pair in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


@pytest.mark.parametrize("name", [name for name in CASES if MODELS[name].learns == "counts"])
def test_a_row_of_weight_two_is_two_rows(name: str) -> None:
    data = binary_data(dim=X)
    weights = torch.arange(len(data.train.x)) % 3

    def weighted(split: Split, counts: Tensor) -> Split:
        return dataclasses.replace(split, weights=counts.numpy().astype("float32"))

    repeated = Split(data.train.x.repeat(weights.numpy(), axis=0))
    kept = {part: data.splits[part] for part in ("validation", "test")}
    one = Dataset("weighted", {"train": weighted(data.train, weights), **kept}, "binary", 1)
    other = Dataset("repeated", {"train": repeated, **kept}, "binary", 1)
    pair = [learned(name, each).double().log_prob(ROWS).detach() for each in (one, other)]
    torch.testing.assert_close(*pair, rtol=0, atol=CASES[name].rounding)


@every
def test_a_saved_model_and_a_run_are_loaded_bit_for_bit(name: str, tmp_path: Path) -> None:
    case, data = CASES[name], binary_data(dim=X)
    layer = {**case.options, **({"training": case.training} if case.training else {})}
    run, result = train(resolve(name, layer), tmp_path / "run", data=data)
    model = run.load_model()
    assert isinstance(model, DensityModel)
    assert run.finished
    assert result.best_bound == pytest.approx(model.mean_log_prob(data.validation.observations()), abs=1e-5)
    model.save(tmp_path / "saved")
    for loaded in (vaelab.load(tmp_path / "saved"), vaelab.load(tmp_path / "run")):
        assert isinstance(loaded, DensityModel)
        assert torch.equal(loaded.log_prob(ROWS.float()), model.log_prob(ROWS.float()))
        assert torch.equal(loaded.sample(9, seed=0), model.sample(9, seed=0))
    assert model.built_with is not None
    assert model.built_with.name == name


@every
def test_an_evaluation_is_exact(name: str) -> None:
    data = binary_data(dim=X)
    result = vaelab.evaluate(fitted(name), data)
    assert [record.name for record in result] == ["exact"]
    expected = fitted(name).log_prob(data.test.observations().bits(slice(None)).double()).detach()
    torch.testing.assert_close(result.values["exact"], expected, rtol=0, atol=1e-12)
    assert result["exact"].value == pytest.approx(float(expected.mean()))
    assert "codes" not in result.protocol()
    for bound in ("elbo", "iwae", "quadrature", "prior", "ais-gap"):
        with pytest.raises(vaelab.errors.InputError, match=f"bound: expected exact, as {name} has no codes"):
            vaelab.evaluate(fitted(name), data, bounds=(bound,))


@every
def test_a_refusal_while_it_is_built_names_its_row(name: str) -> None:
    data = binary_data(dim=X).with_condition("labels")
    with pytest.raises(vaelab.errors.InputError, match=f"condition: expected None, as {name} is not conditional"):
        MODELS[name].build(data, **CASES[name].options)

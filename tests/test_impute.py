"""Room: evaluation. Missing values filled: against enumeration, what is kept, draws, what is refused."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from tests.laws.models import BITS, LAYERED, VARIATIONAL, B, X, binary_data, build, incomplete, observations_of
from vaelab import Dataset, DataSpec, fit, gaussian_vae, impute
from vaelab.errors import InputError

NAN = float("nan")


def conditional_means(model, x):
    """E[x_missing | x_observed] = sum_z p(z | x_observed) E[x_missing | z], enumerated."""
    codes = torch.cartesian_prod(*[torch.tensor([0.0, 1.0]).double()] * model.latent_dim).view(-1, model.latent_dim)
    log_joint = torch.stack(
        [
            torch.stack([model.allow_missing().log_joint(row[None], code.view(1, 1, -1))[0, 0] for code in codes])
            for row in x
        ]
    )  # (N, S)
    means = log_joint.softmax(1) @ model.likelihood(codes).mean
    return torch.where(x.isnan(), means, x)


@pytest.mark.parametrize("name", [*BITS, LAYERED[0]])
def test_the_filled_mean_is_the_enumerated_conditional_mean(name):
    """20 000 codes: 5 standard errors of a mean of numbers in [0, 1] with few effective samples are below 0.03."""
    model, x = build(name), incomplete(observations_of(4))
    found = impute(model, x, samples=20_000)
    exact = conditional_means(model, x).detach()
    assert torch.allclose(found.values, exact, rtol=0, atol=0.03)
    assert torch.equal(found.observed, ~x.isnan())
    assert (found.effective_samples > 500).all()


def test_draws_have_the_conditional_mean_and_are_draws():
    model, x = build(BITS[0]), incomplete(observations_of(4))
    found = impute(model, x, samples=4000, n_draws=4000)
    assert found.draws.shape == (4000, 4, X)
    assert set(found.draws[:, x.isnan()].unique().tolist()) == {0.0, 1.0}
    assert (found.draws[:, ~x.isnan()] == x[~x.isnan()]).all()
    # 5 standard errors of a mean of 4000 bits, and of the weights: a false alarm in less than 1 of 10^5 runs
    assert torch.allclose(found.draws.mean(0), conditional_means(model, x).detach(), rtol=0, atol=0.06)


@pytest.mark.parametrize("name", VARIATIONAL)
def test_what_is_observed_stays_and_a_seed_repeats_the_rest(name):
    model, x = build(name), incomplete(observations_of(3)).float().double()
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first, second, other = (impute(model, x, samples=20, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(first.values, second.values)
    assert not torch.equal(first.values, other.values)
    assert torch.equal(first.values[~x.isnan()], x[~x.isnan()])
    assert ((first.values >= 0) & (first.values <= 1)).all()
    modes = impute(model, x, samples=20, kind="mode", seed=1)
    assert torch.equal(modes.values[x.isnan()], (first.values[x.isnan()] > 0.5).double())


def test_codes_decoded_in_chunks_give_the_same_mean(monkeypatch):
    module = sys.modules["vaelab.evaluation.impute"]
    model, x = build(BITS[0]), incomplete(observations_of(4))
    monkeypatch.setattr(module, "_ELEMENTS", 70_000)
    assert list(module._chunks(20_000, x)) == [3500] * 5 + [2500]
    found = impute(model, x, samples=20_000)
    assert torch.allclose(found.values, conditional_means(model, x).detach(), rtol=0, atol=0.03)


def test_imputation_beats_the_mean_of_the_column_where_columns_depend_on_each_other():
    data = binary_data((400, 100, 100), dim=10)
    model = gaussian_vae(data, 2, [32], seed=0)
    fit(model, data, steps=400, learning_rate=1e-2)
    x = torch.from_numpy(data.test.x).float()
    gaps = torch.rand(x.shape, generator=torch.Generator().manual_seed(0)) < 0.3
    found = impute(model, torch.where(gaps, NAN, x), samples=100)
    error = (found.values - x)[gaps].square().mean()
    of_columns = (data.spec.mean.expand_as(x) - x)[gaps].square().mean()
    assert error < 0.7 * of_columns


def test_the_spec_says_which_columns_are_one_variable():
    from vaelab.data.variables import Column

    columns = (Column("a", "binary", (0, 1), "int64"), Column("c", "categorical", ("x", "y", "z"), "str"))
    model = gaussian_vae(DataSpec((4,), variables=columns, kind="mixed", may_be_missing=True), 2, [8], seed=0)
    found = impute(model, torch.tensor([[1.0, NAN, NAN, NAN], [NAN, 0.0, 1.0, 0.0]]), samples=10, kind="mode")
    assert found.values[0, 1:].sum() == 1
    assert found.values[1, 1:].tolist() == [0.0, 1.0, 0.0]
    means = impute(model, torch.tensor([[1.0, NAN, 0.0, NAN]]), samples=10)
    assert abs(float(means.values[0, 1:].sum()) - 1) < 1e-5


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"samples": 0}, "samples: expected"),
        ({"n_draws": -1}, "n_draws: expected"),
        ({"kind": "median"}, "kind: expected"),
        ({"x": [[1.0]]}, "x: expected a tensor or an array"),
        ({"model": build("autoencoder")}, "a deterministic auto-encoder has no likelihood"),
    ],
)
def test_what_cannot_be_imputed_is_refused(arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        impute(**{"model": build("gaussian"), "x": incomplete(observations_of(B)), **arguments})


def test_a_split_with_gaps_is_imputed_and_described():
    x = np.random.default_rng(0).integers(0, 2, (40, 5)).astype(float)
    x[::3, 1] = np.nan
    data = Dataset.from_arrays(x)
    found = impute(gaussian_vae(data, 2, [4], seed=0), data.test.observations(), samples=5)
    assert found.values.shape == (4, 5)
    assert "rows of 5" in repr(found)

"""Numerical integration over a small code: normalised, equal to scipy's, above every bound, refused elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import norm

from vaelab.data import Dataset, Split
from vaelab.data.observations import Resident
from vaelab.distributions import all_codes
from vaelab.errors import InputError
from vaelab.evaluation import evaluate
from vaelab.likelihood import importance_weighted, quadrature
from vaelab.models import autoencoder, bernoulli_vae, deep_gaussian_vae, gaussian_vae


def every_observation(size: int) -> Resident:
    return Resident(all_codes(size, torch.zeros(())).to(torch.uint8), 1, redraw=False)


def steep(latent_dim: int) -> torch.nn.Module:
    """A model whose p(x|z) varies a lot with z."""
    torch.manual_seed(0)
    model = gaussian_vae(6, latent_dim, hidden_dims=[16], activation="tanh")
    with torch.no_grad():
        for weight in model.likelihood.parameters():
            weight.mul_(4)
    return model


@pytest.mark.parametrize("latent_dim", [1, 2])
def test_probabilities_of_all_observations_sum_to_one(latent_dim):
    values = quadrature(steep(latent_dim), every_observation(6)).values
    assert float(values.exp().sum()) == pytest.approx(1, abs=1e-5)


def test_one_dimension_agrees_with_scipy():
    model = steep(1).double()
    found = quadrature(model, every_observation(6)).values[:8]

    def integrand(z: float, x: torch.Tensor) -> float:
        with torch.no_grad():
            log_likelihood = model.likelihood(torch.tensor([[z]], dtype=torch.float64)).log_prob(x)
        return float(log_likelihood.exp()) * float(norm.pdf(z))

    rows = all_codes(6, torch.zeros((), dtype=torch.float64))[:8]
    expected = [np.log(quad(integrand, -7, 7, args=(x,), limit=400)[0]) for x in rows]
    np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize("latent_dim", [1, 2])
def test_no_importance_weighted_bound_lies_above(latent_dim):
    model, observed = steep(latent_dim), every_observation(6)
    bound = importance_weighted(model, observed, 20_000)
    truth = quadrature(model, observed)
    # 64 observations: by chance the mean of log-averages of 20,000 weights exceeds the truth by less than this.
    assert bound.mean < truth.mean + 0.01


def test_change_says_how_much_the_last_halving_mattered():
    assert float(quadrature(steep(2), every_observation(6)).diagnostics["change"].abs().mean()) < 0.05


@pytest.mark.parametrize(
    "model",
    [gaussian_vae(6, 3), bernoulli_vae(6, 2), autoencoder(6, 2), deep_gaussian_vae(6, [2, 2], [[4], [4]])],
    ids=["three numbers", "bits", "no likelihood", "two layers"],
)
def test_other_codes_are_refused(model):
    with pytest.raises(InputError, match=r"expected a code of 1 or 2|no likelihood"):
        quadrature(model, every_observation(6))


def test_evaluate_gives_the_integral_beside_the_bounds():
    rows = all_codes(6, torch.zeros(())).numpy().astype(np.uint8)
    data = Dataset("all", {name: Split(rows) for name in ("train", "validation", "test")}, "binary", 1)
    seen = []
    result = evaluate(
        steep(2), data, bounds=("elbo", "iwae", "quadrature"), samples=3, callback=lambda *now: seen.append(now)
    )
    assert result["elbo"].value < result["iwae-3"].value < result["quadrature"].value
    assert "integrated on a grid" in result["quadrature"].note
    shares = [done / total for done, total in seen]
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_evaluate_refuses_a_code_that_is_too_large_before_it_computes():
    rows = np.eye(6, dtype=np.uint8)
    data = Dataset("few", {name: Split(rows) for name in ("train", "validation", "test")}, "binary", 1)
    with pytest.raises(InputError, match="got 3 of kind 'real'"):
        evaluate(gaussian_vae(6, 3), data, bounds=("elbo", "quadrature"), callback=lambda *_: pytest.fail("computed"))

"""Numerical integration over a small code: normalised, equal to scipy's, above every bound, refused elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import norm
from torch import nn
from torch.distributions import Categorical, Independent, MixtureSameFamily, MultivariateNormal, Normal, StudentT

from tests.laws import observations_of
from vaelab.data import Condition, Dataset, DataSpec, Split
from vaelab.data.observations import Resident
from vaelab.distributions import all_codes
from vaelab.errors import InputError
from vaelab.evaluation import evaluate
from vaelab.likelihood import importance_weighted, quadrature, scattered
from vaelab.models import LatentVariableModel, autoencoder, bernoulli_vae, deep_gaussian_vae, gaussian_vae
from vaelab.runs import Run


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
    [gaussian_vae(6, 5), bernoulli_vae(6, 2), autoencoder(6, 2), deep_gaussian_vae(6, [3, 2], [[4], [4]])],
    ids=["five numbers", "bits", "no likelihood", "two layers of five"],
)
def test_other_codes_are_refused(model):
    with pytest.raises(InputError, match=r"expected a code of 1 to 4|no likelihood"):
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
    with pytest.raises(InputError, match="got 5 of kind 'real'"):
        evaluate(gaussian_vae(6, 5), data, bounds=("elbo", "quadrature"), callback=lambda *_: pytest.fail("computed"))


def principal_components(latent_dim):
    """A linear model with Gaussian noise, 8 rows of it, and their densities log N(x; b, W W' + s^2 I)."""
    spec = DataSpec((5,), kind="real")
    model = gaussian_vae(spec, latent_dim, hidden_dims=[], likelihood="gaussian", seed=0).double()
    with torch.no_grad():
        p = model.likelihood(torch.zeros(1, latent_dim).double())
        weight = model.likelihood.network.layers[0].weight[:5].mul_(2)
        covariance = weight @ weight.T + torch.diag(p.variance[0])
    return model, model.sample(8, seed=0), p.mean[0].detach(), covariance.detach()


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("latent_dim", [1, 2, 3, 4])
def test_it_is_the_density_of_principal_components(latent_dim, missing):
    """Tipping & Bishop (1999): in closed form, also for the columns that are observed."""
    model, x, mean, covariance = principal_components(latent_dim)
    seen = torch.ones(5, dtype=torch.bool)
    if missing:
        model.allow_missing()
        seen[1:3] = False
        x[:, ~seen] = torch.nan
    truth = MultivariateNormal(mean[seen], covariance[seen][:, seen]).log_prob(x[:, seen])
    found = quadrature(model, x)
    error = found.diagnostics.get("error", torch.full((8,), 1e-7).double())
    assert ((found.values - truth).abs() < 5 * error + 1e-9).all()
    assert abs(found.mean - float(truth.mean())) < 4 * found.details.get("error", 1e-7)
    assert found.details.get("error", 0) < 0.02
    assert "log p(x) itself" in found.note


@pytest.mark.parametrize("latent_dim", [1, 2])
def test_points_over_the_prior_give_what_the_grid_gives(latent_dim):
    model, observed = steep(latent_dim), every_observation(6)
    with torch.no_grad():
        points, grid = scattered.integrate_scattered(model, observed, 3, None), quadrature(model, observed)
    assert ((points.values - grid.values).abs() < 5 * points.diagnostics["error"] + 1e-5).all()
    assert abs(points.mean - grid.mean) < 4 * points.details["error"]
    assert abs(float(points.values.exp().sum()) - 1) < 1e-3


def test_the_error_is_as_large_as_the_distance_and_falls_faster_than_that_of_random_points(monkeypatch):
    """Over 8 seeds, each distance is an error; four times the points make it less than half as large."""
    model, x, mean, covariance = principal_components(3)
    truth = float(MultivariateNormal(mean, covariance).log_prob(x).mean())
    errors = []
    for points in (256, 1024):
        monkeypatch.setattr(scattered, "_SMALLEST", points)
        monkeypatch.setattr(scattered, "_LARGEST", points)
        found = [quadrature(model, x, seed=seed) for seed in range(8)]
        z = torch.tensor([(each.mean - truth) / each.details["error"] for each in found])
        assert 0.4 < z.square().mean().sqrt() < 1.5
        assert z.abs().max() < 4
        errors.append(np.mean([each.details["error"] for each in found]))
    assert errors[1] < 0.4 * errors[0]
    assert not torch.equal(found[0].values, found[1].values)
    assert torch.equal(found[1].values, quadrature(model, x, seed=1).values)


def test_a_chain_of_layers_is_integrated_over_all_of_them():
    torch.manual_seed(0)
    model = deep_gaussian_vae(3, [2, 1], [[4], [4]]).double()
    rows = all_codes(3, torch.zeros(()).double())
    found = quadrature(model, rows)
    assert abs(float(found.values.exp().sum()) - 1) < 1e-3
    drawn = model.prior().sample((40_000,))[:, None]
    with torch.no_grad():
        densities = model.log_likelihood(rows, drawn).exp()  # (K, B)
    assert ((found.values.exp() - densities.mean(0)).abs() < 5 * densities.std(0) / 200).all()


@pytest.mark.parametrize("latent_dim", [1, 3])
def test_each_row_of_a_conditional_model_is_integrated_with_what_it_is_given(latent_dim):
    spec = DataSpec((4,), condition=Condition("labels", ("a", "b")))
    model = gaussian_vae(spec, latent_dim, hidden_dims=[4], activation="tanh", seed=0).double()
    x, y = all_codes(4, torch.zeros(()).double()), spec.condition.rows(["a", "b"], 2).double()
    rows = torch.cat([x.repeat_interleave(2, 0), y.repeat(16, 1)], 1)  # in turn a and b
    values = quadrature(model, rows).values
    for label in (0, 1):
        assert abs(float(values[label::2].exp().sum()) - 1) < 1e-3
        assert torch.allclose(values[label::2], quadrature(model, rows[label::2]).values, atol=1e-9)
    assert (values[::2] - values[1::2]).abs().max() > 1e-3


class Fixed(nn.Module):
    """A prior that is always the same distribution."""

    def __init__(self, law):
        super().__init__()
        self.law = law

    def forward(self):
        return self.law


def of_prior(law):
    plain = gaussian_vae(5, int(law.event_shape[0]), hidden_dims=[4], seed=0).double()
    return LatentVariableModel(Fixed(law), plain.likelihood, plain.posterior)


def two_normals(latent_dim):
    means = torch.tensor([[-2.0], [2.0]]).double().expand(2, latent_dim)
    return MixtureSameFamily(Categorical(logits=torch.zeros(2).double()), Independent(Normal(means, 0.5), 1))


@pytest.mark.parametrize(
    "law",
    [two_normals(1), two_normals(2), Independent(Normal(torch.full((2,), 9.0).double(), 2.0), 1)],
    ids=["mixture of one number", "mixture of two numbers", "far from zero"],
)
def test_other_priors_are_integrated_to_one(law):
    values = quadrature(of_prior(law), all_codes(5, torch.zeros(()).double())).values
    assert float(values.exp().sum()) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(
    "law",
    [two_normals(3), Independent(StudentT(torch.full((2,), 1.5).double()), 1)],
    ids=["mixture of three numbers", "infinite variance"],
)
def test_priors_that_no_method_holds_are_refused(law):
    with pytest.raises(InputError, match=r"expected a prior of independent normal numbers.*--bound ais"):
        quadrature(of_prior(law), observations_of(2))


def test_an_error_that_is_too_large_is_said_in_words(monkeypatch):
    data = Dataset(
        "eyes", {name: Split(np.eye(30, dtype=np.uint8)) for name in ("train", "validation", "test")}, "binary", 1
    )
    model = gaussian_vae(data, 4, hidden_dims=[], seed=0)
    with torch.no_grad():
        model.likelihood.network.layers[0].weight.mul_(200)  # a code explains few observations
    monkeypatch.setattr(scattered, "_LARGEST", scattered._SMALLEST)
    result = evaluate(model, data, bounds=("quadrature",))
    record = result["quadrature"]
    assert record.error > 0.1
    assert record.points == 16 * scattered._SMALLEST
    assert f"its error is {record.error:.1g} nat" in record.note
    assert f"quadrature: do not quote it: few of its {record.points:,} points explain a row" in result.advice()[0]


def test_the_trained_model_of_two_numbers_has_the_same_density_by_both_methods():
    run = Run("tests/golden/gaussian-vae/run")
    model, observed = run.load().model, Resident(observations_of(20, run.spec.dim), 1, redraw=False)
    assert model.latent_dim <= 2
    with torch.no_grad():
        points, grid = scattered.integrate_scattered(model, observed, 0, None), quadrature(model, observed)
    assert abs(points.mean - grid.mean) < 4 * points.details["error"] + 1e-4

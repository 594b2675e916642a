"""Room: posteriors. Every posterior of real codes that has a name: its density, draws, gradients, and its use."""

import math
import sys

import numpy as np
import pytest
import torch
from torch.distributions import MultivariateNormal, kl_divergence

import vaelab
from tests.laws.exact import gradients_of_parts, log_likelihood
from tests.laws.models import X, binary_data, incomplete, observations_of
from vaelab.distributions import DiagonalNormal, FlowedNormal, FullNormal, by_unit, detached
from vaelab.errors import InputError
from vaelab.estimators import ESTIMATORS, Expectation
from vaelab.evaluation.diagnostics import diagnose
from vaelab.evaluation.diagnostics.best_posterior import best_posterior, bound_of
from vaelab.explorer.parts import describe
from vaelab.explorer.tensors import Tensors
from vaelab.likelihood import annealed_importance, quadrature
from vaelab.objectives import ELBO, IWAE, TVO
from vaelab.posteriors import REAL_POSTERIORS
from vaelab.priors import REAL_PRIORS, FlowPrior
from vaelab.seeds import seeded

NAMES = list(REAL_POSTERIORS)
EVERY = pytest.mark.parametrize("name", NAMES)
CORRELATED = pytest.mark.parametrize("name", ["full", "flow"])
FEW = {"mixture": {"prior_components": 3}, "vamp": {"prior_components": 3}}


def model_of(name, dim=2, std=0.4, data=X, **options):
    """A small float64 model whose weights are not where they start; a flow has many, so that less makes it uneven."""
    model = vaelab.gaussian_vae(data, dim, [4], "tanh", posterior=name, seed=0, **options).double()
    with seeded(5, name), torch.no_grad():
        for key, weight in model.named_parameters():
            weight.add_((0.15 if "flow" in key else std) * torch.randn_like(weight))
    return model.eval()


def grid(q, points=61, reach=7.5):
    """Points of a grid in the plane, (G, B, 2), around each mean, and the volume of a cell, (B,)."""
    axis = torch.linspace(-reach, reach, points, dtype=torch.float64)
    nodes = torch.cartesian_prod(axis, axis).unsqueeze(1)
    return (q.mean + q.stddev * nodes).detach(), (q.stddev.prod(-1) * (axis[1] - axis[0]).square()).detach()


# ---------------------------------------------------------------- the distribution


@EVERY
def test_the_density_is_normalised(name):
    with torch.no_grad():
        q = model_of(name).posterior(observations_of(3))
        z, volume = grid(q)
        assert torch.allclose((q.log_prob(z).exp() * volume).sum(0), torch.ones(3).double(), rtol=0, atol=1e-6)


@EVERY
@pytest.mark.parametrize("dim", [1, 3, 4])
def test_a_draw_has_the_density_of_its_noise_over_the_volume_that_it_takes(name, dim):
    """`log q(z(e)) = log N(e; 0, I) - log |det dz/de|`, the determinant by automatic differentiation."""
    q = model_of(name, dim).posterior(observations_of(3))
    with seeded(1):
        noise = torch.randn(5, 3, dim).double().requires_grad_()
    z = q.from_noise(noise)
    rows = [torch.autograd.grad(z[..., unit].sum(), noise, retain_graph=True)[0] for unit in range(dim)]
    expected = -0.5 * (noise.square() + math.log(2 * math.pi)).sum(-1) - torch.stack(rows, -2).logdet()
    assert torch.allclose(q.log_prob(z), expected, atol=1e-9)
    with seeded(2):
        drawn = q.rsample((4,))
    with seeded(2):
        assert torch.equal(drawn, q.from_noise(torch.randn(4, 3, dim, dtype=torch.float64)))


@EVERY
def test_the_mean_and_the_deviation_are_those_of_the_density(name):
    with torch.no_grad():
        q = model_of(name).posterior(observations_of(3))
        z, volume = grid(q)
        mass = (q.log_prob(z).exp() * volume).unsqueeze(-1)
        mean = (mass * z).sum(0)
        deviation = (mass * (z - mean).square()).sum(0).sqrt()
    exact = name != "flow"  # whose moments are estimated from 512 points
    assert torch.allclose(q.mean, mean, atol=1e-5 if exact else 0.01)
    assert torch.allclose(q.stddev, deviation, rtol=1e-4 if exact else 0.01)
    assert torch.equal(q.mean, model_of(name).posterior(observations_of(3)).mean)


class Sheared(torch.nn.Module):
    """`f^-1(e) = A e` with a lower triangular A."""

    def __init__(self, factor):
        super().__init__()
        self.factor = torch.nn.Parameter(factor)

    def forward(self, u, context, inverse=False):
        return u @ (self.factor if inverse else self.factor.inverse()).T, None if inverse else u.new_zeros(u.shape[:-1])


@pytest.mark.parametrize("dim", [2, 5, 40])
def test_the_moments_of_a_linear_flow_are_exact_and_have_no_gradient_of_it(dim):
    factor = torch.ones(dim, dim).tril().double()
    loc, log_scale = torch.zeros(3, dim).double().requires_grad_(), torch.full((3, dim), 0.5).double()
    q = FlowedNormal(loc, log_scale, torch.zeros(3, 1).double(), Sheared(factor))
    assert torch.allclose(q.variance, math.e * factor.square().sum(-1).expand(3, dim), rtol=1e-10)
    assert torch.allclose(q.mean, loc, atol=1e-10)
    assert not q.variance.requires_grad
    assert torch.equal(torch.autograd.grad(q.mean.sum(), loc)[0], torch.ones_like(loc))


def test_a_full_normal_is_that_of_torch():
    with seeded(3):
        loc, log_scale, below = (torch.randn(4, size).double() for size in (3, 3, 3))
        z, other = torch.randn(7, 4, 3).double(), DiagonalNormal(torch.randn(3).double(), torch.randn(3).double())
    q = FullNormal(loc, log_scale, below)
    expected = MultivariateNormal(loc, scale_tril=log_scale.exp().unsqueeze(-1) * q.factor)
    diagonal = MultivariateNormal(other.loc, scale_tril=other.stddev.diag())
    assert q.factor[0, 2, 1] == below[0, 2]
    assert torch.allclose(q.log_prob(z), expected.log_prob(z), rtol=1e-12)
    assert torch.allclose(q.entropy(), expected.entropy(), rtol=1e-12)
    assert torch.allclose(q.variance, expected.variance, rtol=1e-12)
    assert torch.allclose(by_unit(q).variance, expected.variance, rtol=1e-12)
    assert torch.allclose(kl_divergence(q, other), kl_divergence(expected, diagonal), rtol=1e-12)
    wide = q.map_parameters(lambda parameter: parameter.unsqueeze(-2))  # (4, 1), as the components of a mixture
    assert torch.allclose(wide.log_prob(z[:, 0]), expected.expand((7, 4)).log_prob(z[:, :1].expand(7, 4, 3)).T)
    with pytest.raises(InputError, match="below: expected 3 columns for D = 3; got 2"):
        FullNormal(loc, log_scale, below[:, :2])
    with pytest.raises(InputError, match=r"loc, below: expected at least one axis; got shapes \(4, 3\) and \(\)"):
        FullNormal(loc, log_scale, below[0, 0])
    half = q.map_parameters(torch.Tensor.bfloat16).log_prob(torch.zeros(4, 3).bfloat16())
    assert half.dtype == torch.bfloat16
    assert torch.allclose(half.double(), q.log_prob(torch.zeros(4, 3).double()), rtol=0.1, atol=0.1)


@EVERY
def test_a_detached_posterior_has_the_same_density_and_no_gradient(name):
    model, x = model_of(name, 3), observations_of(3)
    q, z = model.posterior(x), torch.randn(4, 3, 3).double().requires_grad_()
    held = detached(q)
    assert torch.allclose(held.log_prob(z), q.log_prob(z), rtol=1e-12)
    weights = list(model.posterior.parameters())
    found = torch.autograd.grad(held.log_prob(z).sum(), [z, *weights], allow_unused=True)
    assert all(gradient is None for gradient in found[1:])
    assert torch.allclose(found[0], torch.autograd.grad(q.log_prob(z).sum(), z)[0], rtol=1e-9)


# ---------------------------------------------------------------- gradients, by quadrature


LAWS = ["pathwise", "sticking-the-landing", "doubly-reparameterised", "exact"]


@EVERY
@pytest.mark.parametrize("estimator", LAWS)
def test_the_expected_gradient_is_that_of_the_bound(name, estimator):
    """Over Gauss-Hermite nodes of the noise, against the ELBO integrated on a grid of codes."""
    model, x = model_of(name), observations_of(2)
    with torch.no_grad():
        model.posterior.network.layers[-1].bias[2:4] -= 1.5  # log sigma: so narrow that few nodes are exact
    goal = IWAE() if estimator == "doubly-reparameterised" else ELBO(beta=0.7)  # the IWAE of one code is the ELBO
    chosen = ESTIMATORS[estimator](model, **({"nodes": 12} if estimator == "exact" else {}))
    if estimator == "exact":
        surrogate = chosen(model, goal, x).surrogate.sum()
    else:
        points, weights = (torch.tensor(part) for part in np.polynomial.hermite_e.hermegauss(12))
        noise, weight = torch.cartesian_prod(points, points), torch.cartesian_prod(weights, weights).prod(-1)
        rows = x.repeat_interleave(len(noise), 0)
        q = model.posterior(rows)
        estimate = chosen.score(Expectation(model, goal, rows, q), q.from_noise(noise.repeat(2, 1)).unsqueeze(0))
        surrogate = (weight.repeat(2) * estimate.surrogate).sum() / (2 * math.pi)
    ours, q = gradients_of_parts(model, surrogate), model.posterior(x)
    z, volume = grid(q)
    log_w = log_likelihood(model, x, z) - getattr(goal, "beta", 1.0) * (q.log_prob(z) - model.prior().log_prob(z))
    for part, gradient in gradients_of_parts(model, (q.log_prob(z).exp() * volume * log_w).sum()).items():
        assert torch.allclose(ours[part], gradient, rtol=0, atol=1e-4 if name == "flow" else 1e-6), part


# ---------------------------------------------------------------- use


@CORRELATED
@pytest.mark.parametrize("prior", list(REAL_PRIORS))
def test_a_model_is_trained_evaluated_and_saved(name, prior, tmp_path):
    data = binary_data()
    model = vaelab.gaussian_vae(data, 3, [4], posterior=name, prior=prior, **FEW.get(prior, {}), seed=0)
    before = [weight.detach().clone() for weight in model.posterior.parameters()]
    vaelab.fit(model, data, steps=3, seed=0, device="cpu")
    assert all(
        not torch.equal(*pair) for pair in zip(before[-2:], list(model.posterior.parameters())[-2:], strict=True)
    )
    result = vaelab.evaluate(model, data, samples=5, bounds=("elbo", "iwae"))
    assert result["elbo"].value < result["iwae"].value < 0
    model.save(tmp_path / "saved")
    again, x = vaelab.load(tmp_path / "saved"), data.test.batch(4)
    assert torch.equal(again.encode(x), model.encode(x))
    assert torch.equal(again.sample(4, seed=1), model.sample(4, seed=1))


@EVERY
def test_with_a_seed_everything_but_the_posterior_starts_the_same(name):
    plain, other = (vaelab.gaussian_vae(X, 3, [4], posterior=kind, seed=4) for kind in ("diagonal", name))
    for one, two in zip(plain.likelihood.parameters(), other.likelihood.parameters(), strict=True):
        assert torch.equal(one, two)


def test_a_flow_starts_as_the_normal_distribution_of_independent_units():
    q = vaelab.gaussian_vae(X, 3, [4], posterior="flow", seed=0).posterior(observations_of(3).float())
    z = torch.randn(4, 3, 3)
    assert torch.allclose(q.log_prob(z), DiagonalNormal(q.loc, q.log_scale).log_prob(z), atol=1e-5)
    assert torch.allclose(q.mean, q.loc, atol=1e-6)


@EVERY
def test_annealing_starts_at_it_and_finds_the_likelihood(name):
    """Within 0.5 nat of the integral on a grid: of six seeds of the flow the largest difference is 0.29."""
    model, x = model_of(name), observations_of(3)
    found = annealed_importance(model, x, samples=192, temperatures=12, seed=0)
    assert torch.allclose(found.values, quadrature(model, x).values, atol=0.5)


@EVERY
@pytest.mark.parametrize("prior", [None, "flow"])
def test_no_rows_have_no_bounds(name, prior):
    model, none = model_of(name), torch.zeros(0, X).double()
    if prior is not None:
        model.prior = FlowPrior(2).double()
    assert model.encode(none).shape == model.posterior(none).sample().shape == (0, 2)
    for objective in (ELBO(kl="sampled"), IWAE(), TVO()):
        assert model.bound(none, 3, objective).shape == (0,)
        surrogate = ESTIMATORS["pathwise"](model, 2)(model, objective, none).surrogate
        assert surrogate.shape == (0,)
        surrogate.sum().backward()


@EVERY
def test_values_may_be_missing(name):
    model, x = model_of(name, 3).allow_missing(), incomplete(observations_of(3))
    assert model.bound(x, samples=3).isfinite().all()
    assert model.bound(x, samples=3, objective=IWAE()).isfinite().all()


@EVERY
def test_the_best_posterior_of_the_family_is_no_worse_than_the_encoders(name):
    model, x = model_of(name, 3), observations_of(4)
    q = detached(model.posterior(x))
    best = best_posterior(model, x, q, seed=0).q
    assert type(best) is type(q)
    gain = bound_of(model, x, best, 500, seed=1) - bound_of(model, x, q, 500, seed=1)
    assert gain.mean() > 0.1
    assert gain.min() > -0.05


@CORRELATED
def test_diagnostics_know_what_has_a_formula(name):
    data = binary_data(rows=(240, 60, 6))
    model = vaelab.gaussian_vae(data, 3, [4], posterior=name, seed=0)
    found = diagnose(model, data, only=("units", "inference-gap", "aggregate"))
    units = next(each for each in found if each.name == "units")
    assert ("kl" in units.numbers) == (name == "full")
    gap = next(each for each in found if each.name == "inference-gap")
    assert "amortisation_gap" in gap.numbers
    words = {"full": "normal distributions with correlated units", "flow": "the flow, with its weights as they are"}
    assert words[name] in " ".join(gap.sentences)


# ---------------------------------------------------------------- options


@CORRELATED
def test_free_bits_are_refused(name):
    model, x = model_of(name, 3), observations_of(3)
    with pytest.raises(InputError, match="free_bits: expected 0 where the KL of each unit has no closed form"):
        ESTIMATORS["pathwise"](model)(model, ELBO(free_bits=0.1), x)


def test_an_unknown_posterior_is_refused():
    with pytest.raises(InputError, match="posterior: expected one of diagonal, full, flow; got 'normal'"):
        vaelab.gaussian_vae(6, 2, posterior="normal")


def test_a_flow_without_zuko_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "zuko.flows", None)
    with pytest.raises(InputError, match="posterior: flow needs the package zuko"):
        vaelab.gaussian_vae(6, 2, posterior="flow")


def test_the_explorer_refuses_a_mixture_of_flows_in_a_sentence():
    model = vaelab.gaussian_vae(X, 2, [4], posterior="flow", prior="vamp", prior_components=2, seed=0)
    with pytest.raises(InputError, match="cannot compute prior=vamp with posterior=flow; it computes prior=vamp with"):
        describe(model.eval(), Tensors(), observations_of(3).float())


def test_it_is_an_argument_of_the_scikit_learn_estimator():
    rows = (np.random.default_rng(0).random((60, 6)) < 0.3).astype(int)
    fitted = vaelab.sklearn.GaussianVAE(2, (4,), posterior="full", steps=2, bound_samples=3, random_state=0).fit(rows)
    assert isinstance(fitted.model_.posterior(torch.zeros(1, 6)), FullNormal)


@pytest.mark.parametrize("prior", list(REAL_PRIORS))
@pytest.mark.parametrize("layers", [[3], [3, 2]])
def test_the_top_layer_of_several_has_every_prior(prior, layers, tmp_path):
    data = binary_data()
    widths = [[4]] * len(layers)
    options = {"prior": prior, **FEW.get(prior, {})}
    model = vaelab.deep_gaussian_vae(data, layers, widths, seed=0, **options)
    plain = vaelab.deep_gaussian_vae(data, layers, widths, seed=0)
    for key, weight in plain.state_dict().items():
        assert torch.equal(weight, model.state_dict()[key]), key
    vaelab.fit(model, data, steps=3, seed=0, device="cpu")
    assert vaelab.evaluate(model, data, samples=5, bounds=("iwae",))["iwae"].value < 0
    model.save(tmp_path / "saved")
    again, z = vaelab.load(tmp_path / "saved"), model.prior().sample((5,))
    assert torch.equal(again.prior().log_prob(z), model.prior().log_prob(z))
    if prior == "vamp":
        assert model.prior.top.inputs.shape == (3, X if len(layers) == 1 else layers[-2])
        assert model.prior_has_posterior

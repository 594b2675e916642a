"""Room: objectives. Combinations of log-weights, and the order of the bounds on log p(x)."""

import math
from itertools import pairwise

import pytest
import torch

from tests.laws import (
    BITS,
    MODELS,
    build,
    code_tuples,
    divergence_of,
    enumerate_bits,
    gradients,
    log_bernoulli,
    observations_of,
)
from vaelab.errors import InputError
from vaelab.estimators import Pathwise, ScoreFunction
from vaelab.objectives import ELBO, IWAE, Reconstruction, check_objective, log_weights


def values(samples=3, batch=4):
    return 3 * torch.randn(samples, batch, dtype=torch.float64)


def test_combinations_of_values():
    v = values()
    assert torch.allclose(ELBO()(v), sum(v) / 3)
    assert torch.allclose(Reconstruction()(v), sum(v) / 3)
    assert torch.allclose(IWAE()(v), (v.exp().sum(0) / 3).log(), rtol=1e-12)
    assert torch.allclose(IWAE()(v[:1]), v[0], rtol=1e-15)
    assert torch.isfinite(IWAE()(v - 5000)).all()


@pytest.mark.parametrize("name", MODELS)
def test_terms_are_the_parts_of_the_log_weight(name):
    model, x = build(name), observations_of(4)
    q = model.posterior(x)
    z = q.sample((3,))
    log_likelihood = model.likelihood(z).log_prob(x)
    if name == "autoencoder":
        terms = Reconstruction().terms(model, x, q, z)
        assert torch.equal(terms.log_likelihood, log_likelihood)
        assert terms.kl.eq(0).all()
        return
    terms = IWAE().terms(model, x, q, z)
    assert torch.equal(terms.log_weights, log_weights(model, x, q, z))
    joint = model.prior().log_prob(z) + log_likelihood
    assert torch.allclose(terms.log_weights, joint - q.log_prob(z), rtol=1e-12)
    closed = ELBO().terms(model, x, q, z)
    assert torch.equal(closed.log_likelihood, log_likelihood)
    assert torch.allclose(closed.kl, divergence_of(model, q, z))


def test_beta_scales_the_kl_of_what_is_maximised_and_not_of_the_bound():
    model, x = build("gaussian"), observations_of(4)
    q = model.posterior(x)
    terms = ELBO(beta=0.3).terms(model, x, q, q.sample((2,)))
    assert torch.allclose(ELBO(0.3)(terms.log_weights), terms.log_likelihood.mean(0) - 0.3 * terms.kl)
    assert torch.equal(ELBO(0.3).bound(terms), terms.log_likelihood.sub(terms.kl).mean(0))


@pytest.mark.parametrize("name", BITS)
def test_the_bounds_are_in_order_and_reach_for_log_p(name):
    """Exact by enumeration: ELBO = IWAE-1 < IWAE-2 < IWAE-3 < log p(x), and each is strictly below the next."""
    model, x = build(name), observations_of(4)
    chain = [enumerate_bits(model, x, 1, "elbo")]
    chain += [enumerate_bits(model, x, samples, "iwae") for samples in (1, 2, 3)]
    chain.append(enumerate_bits(model, x, 1, "exact"))
    assert torch.allclose(chain[0], chain[1], atol=1e-12)
    for below, above in pairwise(chain[1:]):
        assert (above - below).min() > 1e-6


@pytest.mark.parametrize("name", BITS)
def test_the_gap_of_the_elbo_is_the_kl_to_the_true_posterior(name):
    model, x = build(name), observations_of(4)
    z = code_tuples(3, 1).transpose(0, 1)[0].unsqueeze(1)  # (8, 1, D)
    log_q = log_bernoulli(model.posterior(x).logits, z)
    log_joint = model.log_joint(x, z.expand(-1, 4, -1))
    gap = (log_q.exp() * (log_q - log_joint + log_joint.logsumexp(0))).sum(0)
    expected = enumerate_bits(model, x, 1, "exact") - enumerate_bits(model, x, 1, "elbo")
    assert torch.allclose(gap, expected, atol=1e-12)


@pytest.mark.parametrize("beta", [-0.1, math.nan, math.inf, "1", True])
def test_a_beta_that_is_no_weight_is_refused(beta):
    with pytest.raises(InputError, match=r"objective\.beta: expected a number of at least 0"):
        ELBO(beta)


@pytest.mark.parametrize(
    ("name", "objective", "good"),
    [
        (name, kind(), (kind is Reconstruction) == (name == "autoencoder"))
        for name in MODELS
        for kind in (ELBO, IWAE, Reconstruction)
    ],
)
def test_an_objective_goes_with_a_model_or_is_refused(name, objective, good):
    model = build(name)
    if good:
        assert check_objective(model, objective) is None
        return
    with pytest.raises(InputError, match=r"objective: expected .* for codes of kind"):
        check_objective(model, objective)


def test_weights_lost_in_rounding_are_left_out_of_the_importance_weighted_bound():
    """No denormal gradients, which would make the products after them several times slower; the bound is the same."""
    values = torch.tensor([[-100.0], [-101.0], [-145.9], [-146.1], [-190.0]], requires_grad=True)
    bound = IWAE()(values)
    (gradient,) = torch.autograd.grad(bound.sum(), values)
    assert torch.equal(gradient[3:], torch.zeros(2, 1))
    assert (gradient[:3] > 0).all()
    exact = values.detach().double()
    plain = torch.logsumexp(exact, 0) - math.log(5)
    assert torch.allclose(IWAE()(exact), plain, rtol=0, atol=1e-15)
    assert torch.allclose(gradient.double(), torch.softmax(exact, 0), atol=1e-7)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_the_importance_weighted_bound_keeps_the_largest_weight_whatever_its_size(dtype):
    """Rounding may take 46 from a large number and leave it as it is; a bound is then still that number."""
    most = torch.finfo(dtype).max
    for value in (-most, -2e9, -1e5, 0.0, 1e5, 2e9, most):
        for samples in (1, 2, 5):
            values = torch.full((samples, 1), value, dtype=dtype, requires_grad=True)
            bound = IWAE()(values)
            assert torch.allclose(bound, values[0], rtol=0.01, atol=0.02), (value, samples)
            (gradient,) = torch.autograd.grad(bound.sum(), values)
            assert torch.allclose(gradient, torch.full_like(gradient, 1 / samples), rtol=0.01)


def test_weights_of_zero_infinity_and_nan():
    """log 0 adds nothing, and its gradient is zero; what is no number stays none."""
    values = torch.tensor([[-math.inf, -math.inf, 1.0, math.nan], [2.0, -math.inf, math.inf, 3.0]], requires_grad=True)
    bound = IWAE()(values)
    assert torch.allclose(bound[:3], torch.tensor([2 - math.log(2), -math.inf, math.inf]))
    assert bound[3].isnan()
    (gradient,) = torch.autograd.grad(bound[:2].sum(), values)
    assert torch.equal(gradient[:, :2], torch.tensor([[0.0, 0.0], [1.0, 0.0]]))


@pytest.mark.parametrize("log_scale", [-1000.0, -89.0, -50.0, 0.0, 50.0, 89.0, 1000.0])
def test_bounds_of_a_posterior_of_any_width_are_numbers(log_scale):
    model, x = build("gaussian").float(), observations_of().float()
    with torch.no_grad():
        model.posterior.network.layers[-1].weight[3:] = 0
        model.posterior.network.layers[-1].bias[3:] = log_scale
    for objective, samples in ((ELBO(), 1), (IWAE(), 1), (IWAE(), 5)):
        for estimator in (Pathwise(model, samples), ScoreFunction(model, samples, "none")):
            estimate = estimator(model, objective, x)
            assert estimate.bound.isfinite().all()
            assert all(part.isfinite().all() for part in gradients(model, estimate.surrogate.sum()).values())

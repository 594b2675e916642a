"""The density of the observed values of a vector: sums, marginals by enumeration or quadrature, gradients, refusals."""

import math

import pytest
import torch
from torch.distributions import Beta, Categorical, Independent, Laplace, MixtureSameFamily, MultivariateNormal, Poisson

from vaelab.distributions import Bernoulli, Chain, Delta, DiagonalNormal, all_codes, observed_log_prob
from vaelab.errors import InputError

NAN = math.nan
WIDE = torch.linspace(-60, 60, 6001, dtype=torch.float64)


def normal(*shape):
    return torch.randn(shape, dtype=torch.float64)


def mixture(component):
    return MixtureSameFamily(Categorical(logits=normal(5, 3)), component, validate_args=False)


# name: parameters -> distribution, shapes of the parameters, a value without gaps
FAMILIES = {
    "bernoulli": (Bernoulli, [(5, 4)], lambda: torch.randint(0, 2, (5, 4)).double()),
    "normal": (DiagonalNormal, [(5, 4), (5, 4)], lambda: normal(5, 4)),
    "laplace": (lambda a, b: Independent(Laplace(a, b.exp()), 1), [(5, 4), (5, 4)], lambda: normal(5, 4)),
    "poisson": (lambda a: Independent(Poisson(a.exp()), 1), [(5, 4)], lambda: torch.randint(0, 5, (5, 4)).double()),
    "beta": (lambda a, b: Independent(Beta(a.exp(), b.exp()), 1), [(5, 4), (5, 4)], lambda: normal(5, 4).sigmoid()),
    "bits-mixture": (lambda a: mixture(Bernoulli(a)), [(5, 3, 4)], lambda: torch.randint(0, 2, (5, 4)).double()),
    "normal-mixture": (lambda a: mixture(DiagonalNormal(a, a)), [(5, 3, 4)], lambda: normal(5, 4)),
}


@pytest.fixture(params=FAMILIES)
def family(request):
    build, shapes, value = FAMILIES[request.param]
    return build, [normal(*shape).requires_grad_() for shape in shapes], value()


def test_without_gaps_it_is_log_prob(family):
    build, parameters, x = family
    torch.manual_seed(0)  # the weights of a mixture
    distribution = build(*parameters)
    assert torch.allclose(observed_log_prob(distribution, x), distribution.log_prob(x), rtol=1e-12, atol=0)


def test_a_row_without_any_value_has_log_density_zero(family):
    build, parameters, x = family
    assert torch.allclose(observed_log_prob(build(*parameters), x * NAN), torch.zeros(5).double(), atol=1e-15)


def test_gradients_are_finite_and_zero_for_columns_that_are_missing(family):
    build, parameters, x = family
    x[:, 2] = NAN
    x[3] = NAN
    for gradient in torch.autograd.grad(observed_log_prob(build(*parameters), x).sum(), parameters):
        assert gradient.isfinite().all()
        assert gradient[..., :2].any()
        assert not gradient[..., 2].any()
        assert not gradient[3].any()


@pytest.mark.parametrize("name", ["bernoulli", "bits-mixture"])
def test_it_is_the_sum_over_the_values_of_missing_bits(name):
    build, (shape,), _ = FAMILIES[name]
    distribution = build(normal(*shape))
    x = torch.tensor([1.0, NAN, 0.0, NAN], dtype=torch.float64)
    bits = all_codes(2, x)
    filled = torch.stack([torch.tensor([1, a, 0, b]).double() for a, b in bits])  # (4, X)
    every = torch.stack([distribution.log_prob(row.expand(5, 4)) for row in filled])
    assert torch.allclose(observed_log_prob(distribution, x.expand(5, 4)), every.logsumexp(0), rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", ["normal", "laplace", "normal-mixture"])
def test_it_is_the_integral_over_a_missing_number(name):
    build, shapes, _ = FAMILIES[name]
    distribution = build(*(0.5 * normal(*shape) for shape in shapes))
    x = normal(5, 4)
    rows = x.expand(len(WIDE), 5, 4).clone()
    rows[..., 1] = WIDE[:, None]
    x[:, 1] = NAN
    integral = distribution.log_prob(rows).exp().sum(0) * (WIDE[1] - WIDE[0])
    tolerance = 1e-3 if name == "laplace" else 1e-8  # a kink
    assert torch.allclose(observed_log_prob(distribution, x), integral.log(), rtol=0, atol=tolerance)


@pytest.mark.parametrize("logits", [(2, 5, 4), (2, 1, 4), (5, 4), (4,)])
def test_the_value_may_lack_axes_of_the_distribution(logits):
    distribution, x = Bernoulli(normal(*logits)), torch.randint(0, 2, (5, 4)).double()
    x[1, 2] = NAN
    expected = torch.where(x.isnan(), 0, distribution.log_prob_of_entries(x.nan_to_num()))
    assert torch.allclose(observed_log_prob(distribution, x), expected.sum(-1), rtol=1e-12, atol=0)


@pytest.mark.parametrize("logit", [math.inf, -math.inf, 1e30])
def test_bits_of_any_logit_have_a_finite_density(logit):
    logits = torch.tensor([logit, 0.0]).requires_grad_()
    density = observed_log_prob(Bernoulli(logits), torch.tensor([NAN, 1.0]))
    density.backward()
    assert float(density.detach()) == pytest.approx(-math.log(2))
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize(
    "distribution",
    [
        MultivariateNormal(torch.zeros(2), torch.eye(2)),
        Delta(torch.zeros(2)),
        Chain(Bernoulli(torch.zeros(1)), [lambda y: Bernoulli(y)], (1, 1)),
        Independent(MultivariateNormal(torch.zeros(3, 2), torch.eye(2)), 1),
    ],
    ids=lambda distribution: type(distribution).__name__,
)
def test_columns_that_depend_on_each_other_are_refused(distribution):
    with pytest.raises(InputError, match=r"likelihood: expected a distribution of independent (columns|entries)"):
        observed_log_prob(distribution, torch.tensor([NAN, 1.0]))

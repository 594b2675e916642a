"""The laws of every distribution of observations, over one table: sums and integrals over all values.

Each family has nodes and weights: a sum over them is a sum over all its values, or an integral over them. So a law is
written once: the density is normalised, the mean is an expectation, the mode has the highest density, and so on.
"""

import math
from itertools import product as pairs

import mpmath
import numpy as np
import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck
from torch.nn.functional import one_hot

from vaelab.distributions import (
    Autoregressive,
    Bernoulli,
    ContinuousBernoulli,
    DiagonalNormal,
    Mixture,
    Multinomial,
    OneHotCategorical,
    Product,
    Stacked,
    Tree,
    all_codes,
    observed_log_prob,
)
from vaelab.distributions.continuous_bernoulli import _log_density as plain_density
from vaelab.errors import InputError

DOUBLE = torch.zeros((), dtype=torch.float64)
B = 3  # batch


def bits(dim):
    codes = all_codes(dim, DOUBLE)
    return codes, torch.ones(len(codes)).double()


def levels(*sizes):
    groups = [one_hot(torch.arange(size), size).double() for size in sizes]
    return grid([(group, torch.ones(len(group))) for group in groups])


def counts(total, dim):
    rows = [row for row in pairs(range(total + 1), repeat=dim) if sum(row) == total]
    return torch.tensor(rows).double(), torch.ones(len(rows)).double()


def interval(dim, low, high, number):
    x, w = map(torch.tensor, np.polynomial.legendre.leggauss(number))
    return grid([((high + low) / 2 + (high - low) / 2 * x.unsqueeze(1), (high - low) / 2 * w)] * dim)


def grid(parts):
    """Return the nodes and weights of a product of groups of columns."""
    rows = [torch.cat(row) for row in pairs(*(nodes for nodes, _ in parts))]
    weights = [math.prod(map(float, row)) for row in pairs(*(weights for _, weights in parts))]
    return torch.stack(rows), torch.tensor(weights, dtype=torch.float64)


PRODUCT_COLUMNS = (torch.tensor([3, 0]), torch.tensor([1, 4]), torch.tensor([2]))


def mixed(a, b, c):
    return Product([OneHotCategorical(a, (2,)), Bernoulli(b), ContinuousBernoulli(c)], PRODUCT_COLUMNS)


def mixed_nodes():
    nodes, weights = grid([levels(2), bits(2), interval(1, 0, 1, 40)])
    return nodes[:, torch.cat(PRODUCT_COLUMNS).argsort()], weights


def mixture_of_products(w, a):
    return Mixture(w, mixed(*a.unflatten(-1, (3, 5)).split([2, 2, 1], -1)))


FORESTS = [2, 0, -1], [-1, 0, 1], [-1, -1, 1]


def mixture_of_trees(w, a, b):
    tables = (part.unflatten(-1, (3, 3)).unbind(-2) for part in (a, b))
    return Mixture(w, Stacked([Tree(*parts) for parts in zip(*tables, FORESTS, strict=True)]))


MATRICES = torch.randn(3, 5, 5, generator=torch.Generator().manual_seed(1)).double()

# name -> (build from parameters of shapes (B, ...), the widths of the parameters, nodes (N, X) and weights (N,))
FAMILIES = {
    "autoregressive": (lambda a, b: Autoregressive(a, b, *MATRICES.to(a)), [5, 5], lambda: bits(5)),
    "bernoulli": (Bernoulli, [4], lambda: bits(4)),
    "categorical": (lambda a: OneHotCategorical(a, (2, 3, 2, 4)), [11], lambda: levels(2, 3, 2, 4)),
    "categorical-same-size": (lambda a: OneHotCategorical(a, (3, 3)), [6], lambda: levels(3, 3)),
    "continuous-bernoulli": (ContinuousBernoulli, [2], lambda: interval(2, 0, 1, 40)),
    "gaussian": (lambda a, b: DiagonalNormal(a, 0.2 * b), [2, 2], lambda: interval(2, -18, 18, 200)),
    "mixture": (lambda w, a: Mixture(w, Bernoulli(a.unflatten(-1, (2, 4)))), [2, 8], lambda: bits(4)),
    "mixture-of-products": (mixture_of_products, [3, 15], mixed_nodes),
    "mixture-of-trees": (mixture_of_trees, [3, 9, 9], lambda: bits(3)),
    "multinomial": (lambda a: Multinomial(a, 6), [4], lambda: counts(6, 4)),
    "product": (mixed, [2, 2, 1], mixed_nodes),
    "tree": (lambda a, b: Tree(a, b, [2, 0, -1, 0, 2]), [5, 5], lambda: bits(5)),
    "trees": (lambda a, b: Tree(a, b, [-1, 2, -1, 2]), [4, 4], lambda: bits(4)),
}
MIXTURES = ("mixture", "mixture-of-products", "mixture-of-trees")
DEPENDENT = ("autoregressive", "multinomial", "tree", "trees", *MIXTURES)
INDEPENDENT = [name for name in FAMILIES if name not in DEPENDENT]
WITHOUT_ENTROPY = ("autoregressive", "multinomial", *MIXTURES)


class Case:
    def __init__(self, name):
        self.name = name
        self.build, self.widths, nodes = FAMILIES[name]
        self.nodes, self.weights = nodes()  # (N, X), (N,)
        generator = torch.Generator().manual_seed(3)
        self.parameters = [1.5 * torch.randn(B, width, generator=generator).double() for width in self.widths]
        self.p = self.build(*self.parameters)
        self.masses = self.p.log_prob(self.nodes.unsqueeze(1)).exp() * self.weights.unsqueeze(1)  # (N, B)

    def expectation(self, values):
        """Return the expectation of values (N, ...) at the nodes: (B, ...)."""
        return torch.einsum("nb,n...->b...", self.masses, values)

    def draws(self, number):
        torch.manual_seed(7)
        return self.p.sample((number,))


@pytest.fixture(params=FAMILIES, scope="module")
def case(request):
    return Case(request.param)


@pytest.fixture(params=INDEPENDENT, scope="module")
def independent(request):
    return Case(request.param)


def test_the_density_is_normalised(case):
    assert torch.allclose(case.masses.sum(0), torch.ones(B).double(), rtol=0, atol=1e-9)


def test_the_mean_and_the_variance_are_expectations(case):
    if case.name == "autoregressive":  # an average over 64 draws, whose noise is fixed
        assert torch.allclose(case.p.mean, case.expectation(case.nodes), rtol=0, atol=0.06)
        assert torch.equal(case.p.variance, case.p.mean * (1 - case.p.mean))
        return
    assert torch.allclose(case.p.mean, case.expectation(case.nodes), rtol=0, atol=1e-8)
    second = case.expectation(case.nodes.square())
    assert torch.allclose(case.p.variance, second - case.p.mean.square(), rtol=0, atol=1e-7)


def test_the_entropy_is_an_expectation(case):
    log_prob = case.p.log_prob(case.nodes.unsqueeze(1))
    if case.name in WITHOUT_ENTROPY:
        with pytest.raises(NotImplementedError):
            case.p.entropy()
    else:
        assert torch.allclose(case.p.entropy(), -(case.masses * log_prob).sum(0), rtol=0, atol=1e-8)


def test_no_value_has_a_higher_density_than_the_mode(case):
    assert case.p.support.check(case.p.mode).all()
    if case.name == "autoregressive":  # column by column
        assert torch.equal(case.p.mode, (case.p.conditional_logits(case.p.mode) > 0).double())
        return
    if case.name in MIXTURES:  # of the modes of the components
        modes = case.p.components.mode.movedim(-2, 0)  # (C, B, X)
        assert torch.equal(case.p.log_prob(case.p.mode), case.p.log_prob(modes).amax(0))
        return
    assert (case.p.log_prob(case.p.mode) >= case.p.log_prob(case.nodes.unsqueeze(1)).amax(0) - 1e-12).all()


def test_gradients_are_finite_differences(case):
    parameters = [p.clone().requires_grad_() for p in case.parameters]
    x = case.draws(2)
    assert gradcheck(lambda *p: case.build(*p).log_prob(x), parameters)
    assert gradgradcheck(lambda *p: case.build(*p).log_prob(x), parameters, fast_mode=True)


def test_draws_have_the_mean_and_the_second_moments(case):
    """False alarms: below 1e-5 in all families, for about 140 normal statistics beyond 5.5 standard errors."""
    draws = case.draws(20_000)  # (S, B, X)
    assert case.p.support.check(draws).all()
    for f in (lambda x: x, lambda x: x.unsqueeze(-1) * x.unsqueeze(-2)):
        drawn, expected = f(draws), case.expectation(f(case.nodes))
        error = drawn.std(0) / len(drawn) ** 0.5
        assert ((drawn.mean(0) - expected).abs() <= 5.5 * error + 1e-9).all()


def test_entries_sum_to_the_log_density(independent):
    x = independent.draws(5)
    entries = independent.p.log_prob_of_entries(x)
    assert torch.allclose(entries.sum(-1), independent.p.log_prob(x), rtol=1e-12, atol=1e-12)
    assert independent.p.observed_entries(~x.isnan()).shape == entries.shape


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_what_is_observed_and_what_is_missing_are_independent_parts_of_a_row(independent, share):
    x = independent.draws(30)
    all_but = ~torch.eye(x.shape[-1], dtype=torch.bool)
    groups = ~independent.p.observed_entries(all_but)  # (X, entries): the entry of each column
    hidden = torch.rand(x.shape[:-1] + groups.shape[-1:]) < share
    missing = (hidden.unsqueeze(-2) & groups).any(-1)  # the columns of the hidden entries
    seen, unseen = (observed_log_prob(independent.p, x.masked_fill(mask, math.nan)) for mask in (missing, ~missing))
    assert torch.allclose(seen + unseen, independent.p.log_prob(x), rtol=1e-12, atol=1e-12)
    entries = independent.p.log_prob_of_entries(x)
    assert torch.allclose(unseen, torch.where(hidden, entries, 0).sum(-1), rtol=1e-12, atol=1e-12)


def test_a_categorical_variable_is_missing_if_any_of_its_columns_is():
    p = OneHotCategorical(torch.tensor([0.3, -1.0, 2.0, 0.0, 0.5]), (2, 3))
    whole = observed_log_prob(p, torch.tensor([1.0, 0.0, math.nan, math.nan, math.nan]))
    part = observed_log_prob(p, torch.tensor([1.0, 0.0, 0.0, math.nan, 1.0]))
    assert whole == part
    assert float(whole.exp()) == pytest.approx(1 / (1 + math.exp(-1.3)), rel=1e-6)


def test_columns_that_depend_on_each_other_are_refused_where_values_are_missing():
    for p in (Multinomial(torch.zeros(3), 5), Product([Multinomial(torch.zeros(2), 5)], [torch.arange(2)])):
        with pytest.raises(InputError, match="Multinomial has no density of some of its columns"):
            observed_log_prob(p, torch.tensor([1.0, math.nan, 0.0])[: p.event_shape[0]])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("parameter", [0.0, 1e-30, 1e-4, -1e-4, 0.999999, 1.0, 50.0, -1e6, 1e30, math.inf, -math.inf])
def test_extreme_parameters_have_finite_densities_moments_and_gradients(case, parameter, dtype):
    p = case.build(*(torch.full((1, width), parameter, dtype=dtype) for width in case.widths))
    if case.name == "gaussian":  # an infinite mean is none; scales are tested with the distribution
        loc = torch.full((1, 2), max(-1e30, min(1e30, parameter)), dtype=dtype)
        p = DiagonalNormal(loc, torch.zeros_like(loc))
    parameters = [torch.full((1, width), parameter, dtype=dtype, requires_grad=True) for width in case.widths]
    assert p.support.check(p.sample((100,))).all()
    assert p.support.check(p.mode).all()
    for moment in (p.mean, p.variance):
        assert moment.isfinite().all()
        assert (moment.abs() <= 6 if case.name != "gaussian" else moment.isfinite()).all()
    if case.name == "gaussian":
        return
    log_prob = case.build(*parameters).log_prob(case.nodes[::7].to(dtype).unsqueeze(1))
    assert not log_prob.isnan().any()
    if abs(parameter) < 1e20:
        assert log_prob.isfinite().all()
    for gradient in torch.autograd.grad(log_prob.clamp_min(-1e30).sum(), parameters):
        assert gradient.isfinite().all()


@pytest.mark.parametrize("name", ["bernoulli", "categorical", "multinomial", "tree"])
def test_codes_that_all_rows_share_are_multiplied_as_matrices(name):
    build, widths, nodes = FAMILIES[name]
    x = nodes()[0][::3]
    logits = [torch.randn(5, 1, width).double() for width in widths]
    shared, copied = build(*logits), build(*(part.expand(5, len(x), -1) for part in logits))
    assert torch.allclose(shared.log_prob(x), copied.log_prob(x), rtol=1e-12, atol=1e-12)


def test_the_categorical_density_is_torchs_for_every_group():
    sizes = [2, 5, 3, 2, 5]
    logits = torch.randn(4, sum(sizes)).double()
    p = OneHotCategorical(logits, sizes)
    x = p.sample()
    theirs = [
        torch.distributions.OneHotCategorical(logits=of_group).log_prob(value)
        for of_group, value in zip(logits.split(sizes, -1), x.split(sizes, -1), strict=True)
    ]
    assert torch.allclose(p.log_prob_of_entries(x), torch.stack(theirs, -1), rtol=1e-12)


def test_the_multinomial_density_is_torchs_for_rows_of_every_total():
    logits, x = torch.randn(4, 3).double(), torch.tensor([[0, 0, 0], [1, 0, 0], [2, 3, 4], [100, 0, 20]]).double()
    theirs = [
        torch.distributions.Multinomial(int(row.sum()), logits=of_row).log_prob(row)
        for of_row, row in zip(logits, x, strict=True)
    ]
    assert torch.allclose(Multinomial(logits).log_prob(x), torch.stack(theirs), rtol=1e-12)
    with pytest.raises(InputError, match="total: expected the number of counts of a row"):
        Multinomial(logits).sample()


@pytest.mark.parametrize("total", [1, 2, 7, 50])
def test_the_mode_of_counts_is_that_of_the_enumeration(total):
    logits = torch.cat([2 * torch.randn(20, 3), torch.zeros(1, 3), torch.tensor([[0.0, 0.0, -50.0]])]).double()
    p, (nodes, _) = Multinomial(logits, total), counts(total, 3)
    assert torch.equal(p.mode.sum(-1), torch.full((22,), float(total)).double())
    best = Multinomial(logits.unsqueeze(1)).log_prob(nodes).amax(-1)
    assert torch.allclose(p.log_prob(p.mode), best, rtol=1e-12, atol=1e-12)


# ---------------------------------------------------------------- the continuous Bernoulli against 150 digits


def exact(logit, x):
    """Return log p(x), mean and variance for a logit, from 150 digits."""
    with mpmath.workdps(150):
        l = mpmath.mpf(logit)  # noqa: E741 - the letter of the formula
        if l == 0:
            return 0.0, 0.5, 1 / 12
        log_prob = l * mpmath.mpf(x) - mpmath.log((mpmath.exp(l) - 1) / l)
        mean = 1 / (1 - mpmath.exp(-l)) - 1 / l
        return float(log_prob), float(mean), float(1 / l**2 - mpmath.exp(l) / (mpmath.exp(l) - 1) ** 2)


LOGITS = [0.0, 1e-30, 1e-12, 1e-6, 1e-3, 0.1, 0.5, 0.9, 0.9999999, 1.0, 1.0000001, 1.5, 3.0, 10.0, 90.0, 1e4]


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 3e-15), (torch.float32, 1e-6)])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("compiling", [False, True], ids=["plain", "compiled"])
def test_the_continuous_bernoulli_has_all_digits_of_its_type(dtype, tolerance, sign, compiling):
    """Also the plain operations that a compiler gets."""
    x = torch.tensor([0.0, 0.3, 0.5, 1.0], dtype=dtype)
    for logit in LOGITS:
        l = torch.tensor(sign * logit, dtype=dtype).requires_grad_()  # noqa: E741
        for value in x:
            p = ContinuousBernoulli(l.expand(1))
            log_prob, mean, variance = exact(float(l.detach()), float(value))
            ours = plain_density(p.logits, value).sum() if compiling else p.log_prob(value.expand(1))
            assert float(ours.detach()) == pytest.approx(log_prob, rel=tolerance, abs=tolerance)
            (slope,) = torch.autograd.grad(ours, l, create_graph=True)
            assert float(slope.detach()) == pytest.approx(float(value) - mean, rel=tolerance, abs=tolerance)
            (curvature,) = torch.autograd.grad(slope, l)
            assert float(curvature) == pytest.approx(-variance, rel=30 * tolerance, abs=tolerance)
        assert float(p.mean.detach()) == pytest.approx(mean, rel=tolerance)
        assert float(p.variance.detach()) == pytest.approx(variance, rel=30 * tolerance)


def test_the_continuous_bernoulli_is_torchs_away_from_one_half():
    logits, x = torch.tensor([-5.0, -1.2, 0.7, 4.0]).double(), torch.tensor([0.1, 0.9, 0.4, 0.2]).double()
    theirs = torch.distributions.ContinuousBernoulli(logits=logits)
    assert torch.allclose(ContinuousBernoulli(logits).log_prob_of_entries(x), theirs.log_prob(x), rtol=1e-10)
    assert torch.allclose(ContinuousBernoulli(logits).mean, theirs.mean, rtol=1e-10)


@pytest.mark.parametrize("logit", [-200.0, -3.0, -1e-9, 0.0, 0.4, 3.0, 200.0])
def test_draws_of_the_continuous_bernoulli_follow_its_distribution_function(logit):
    """False alarm of a seed: 1e-6 for each logit, by the bound of Massart (1990) on the largest deviation."""
    torch.manual_seed(1)
    draws = ContinuousBernoulli(torch.tensor([logit]).double()).sample((20_000,)).squeeze(1).sort().values
    x = draws.numpy()
    function = x if abs(logit) < 1e-8 else np.expm1(logit * x) / np.expm1(logit)
    if logit > 100:
        function = np.exp(logit * (x - 1))
    empirical = (np.arange(len(x)) + 0.5) / len(x)
    assert abs(function - empirical).max() < math.sqrt(math.log(2e6) / (2 * len(x)))

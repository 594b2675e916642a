"""Mixtures: the distribution by enumeration, and how it is learned."""

import math
from itertools import product

import pytest
import torch
from torch.distributions import Categorical, MixtureSameFamily

from vaelab.distributions import (
    Bernoulli,
    Mixture,
    OneHotCategorical,
    Product,
    Stacked,
    Tree,
    all_codes,
    given_observed,
    observed_log_prob,
)
from vaelab.errors import InputError

NAN = math.nan
BITS = all_codes(4, torch.zeros(()).double())  # (16, 4)


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).double()


def trees(batch=()):
    parents = [-1, 0, 1, 2], [1, -1, 1, -1], [-1, 3, 0, 0]
    return Stacked([Tree(*2 * normal(2, *batch, 4, seed=number), edges) for number, edges in enumerate(parents)])


COMPONENTS = {
    "bits": lambda batch: Bernoulli(2 * normal(*batch, 3, 4)),
    "trees": trees,
    "trees of one form": lambda batch: Tree(*2 * normal(2, *batch, 3, 4), [1, -1, 1, 2]),
    "products": lambda batch: Product(
        [Bernoulli(normal(*batch, 3, 2)), Bernoulli(normal(*batch, 3, 2))], [torch.tensor([3, 0]), torch.tensor([1, 2])]
    ),
}


@pytest.fixture(params=[(), (5,)], ids=["one", "batch"])
def batch(request):
    return request.param


@pytest.fixture(params=COMPONENTS)
def mixture(request, batch):
    return Mixture(normal(*batch, 3, seed=9), COMPONENTS[request.param](batch))


@pytest.mark.parametrize("hidden", list(product([False, True], repeat=4))[1:-1:2])
def test_what_is_observed_has_its_marginal_and_the_rest_its_conditional(mixture, hidden):
    hidden = torch.tensor(hidden)
    every = torch.stack([mixture.log_prob(row) for row in BITS])  # (16, *batch)
    for row in BITS[~(BITS[:, hidden] > 0).any(1)]:
        gaps = row.masked_fill(hidden, NAN)
        same = (gaps == BITS).logical_or(hidden).all(1)
        assert torch.allclose(observed_log_prob(mixture, gaps), every[same].logsumexp(0), rtol=1e-12)
        weights = every[same].softmax(0)
        expected = torch.einsum("s...,sx->...x", weights, BITS[same])
        assert torch.allclose(given_observed(mixture, gaps).mean[..., hidden], expected[..., hidden], rtol=1e-9)


def test_all_rows_at_once_are_each_row_alone(mixture, batch):
    x = BITS[torch.randint(0, 16, (7, *(batch or (5,))), generator=torch.Generator().manual_seed(1))]  # (7, 5, X)
    gaps = x.masked_fill(torch.rand(x.shape, generator=torch.Generator().manual_seed(2)) < 0.4, NAN)
    for rows, density in ((x, mixture.log_prob), (gaps, mixture.log_prob_of_observed)):
        alone = torch.stack([density(row) for row in rows])
        assert torch.allclose(density(rows), alone, rtol=1e-12)
    given = given_observed(mixture, gaps)
    assert given.batch_shape == gaps.shape[:-1]
    assert given.sample((2,)).shape == (2, *gaps.shape)
    assert torch.allclose(given.mean[3], given_observed(mixture, gaps[3]).mean, rtol=1e-9)


def test_it_is_torchs_mixture_of_bits():
    weights, logits = normal(3, seed=4), normal(3, 4)
    theirs = MixtureSameFamily(Categorical(logits=weights), Bernoulli(logits), validate_args=False)
    ours = Mixture(weights, Bernoulli(logits))
    assert torch.allclose(ours.log_prob(BITS), theirs.log_prob(BITS), rtol=1e-12)
    assert torch.allclose(ours.mean, theirs.mean, rtol=1e-12)
    assert torch.allclose(ours.variance, theirs.variance, rtol=1e-12)


def test_draws_are_as_frequent_as_they_are_probable(mixture):
    """False alarms: below 1e-5 in all cases, for 16 counts of at most 6 distributions beyond 5.5 standard errors."""
    torch.manual_seed(3)
    draws, number = mixture.sample((4000,)).reshape(4000, -1, 4), 4000
    found = (draws.unsqueeze(0) == BITS[:, None, None]).all(-1).double().mean(1)  # (16, B)
    expected = torch.stack([mixture.log_prob(row) for row in BITS]).exp().reshape(16, -1)
    error = (expected * (1 - expected) / number).sqrt()
    assert ((found - expected).abs() <= 5.5 * error + 5 / number).all()


def test_a_component_of_weight_zero_is_never_drawn():
    weights = torch.tensor([0.0, -math.inf])
    p = Mixture(weights, Bernoulli(torch.tensor([[9.0] * 3, [-9.0] * 3])))
    assert p.sample((500,)).mean() > 0.9
    assert p.log_prob(torch.zeros(3)) == pytest.approx(-27.0, abs=0.01)


def test_levels_are_mixed_as_bits_are():
    p = Mixture(normal(3), OneHotCategorical(normal(3, 5), (2, 3)))
    x = p.sample((50,))
    joint = torch.stack([OneHotCategorical(part, (2, 3)).log_prob(x) for part in p.components.logits], -1)
    assert torch.allclose(p.log_joint(x), joint + normal(3).log_softmax(-1), rtol=1e-12)


def test_parts_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="components: expected a distribution whose batch shape ends in 2"):
        Mixture(torch.zeros(2), Bernoulli(torch.zeros(3, 4)))
    with pytest.raises(InputError, match="parts: expected distributions of one shape; got 2 shapes"):
        Stacked([Bernoulli(torch.zeros(3)), Bernoulli(torch.zeros(4))])
    with pytest.raises(InputError, match="batch_shape: expected one that ends in 3"):
        trees().expand((2,))

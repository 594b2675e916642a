"""Restricted Boltzmann machines: exact sums against the enumeration of both sides, and annealed sampling."""

from __future__ import annotations

import math

import pytest
import torch

from vaelab.distributions import RestrictedBoltzmann, all_codes, given_observed, observed_log_prob
from vaelab.distributions import boltzmann as room
from vaelab.errors import InputError

SIDES = {"hidden": (6, 3), "columns": (4, 7)}  # which side is the smaller: columns, hidden units


def machine(columns, hidden, scale=1.0, seed=0, **options):
    generator = torch.Generator().manual_seed(seed)
    visible, inputs, base = (
        scale * torch.randn(size, generator=generator).double() for size in (columns, hidden, columns)
    )
    weights = scale * torch.randn(columns, hidden, generator=generator).double()
    return RestrictedBoltzmann(visible, inputs, weights, base, **options)


def joint(p):
    """Return all x, and p(x) by the sum over every pair of x and h, in which no formula is used."""
    x, h = all_codes(len(p.visible), p.visible), all_codes(len(p.hidden), p.hidden)
    density = torch.exp((x @ p.visible).unsqueeze(1) + h @ p.hidden + x @ p.weights @ h.T)
    return x, density.sum(1) / density.sum()


@pytest.fixture(params=SIDES)
def exact(request):
    p = machine(*SIDES[request.param])
    return p, *joint(p)


def with_gaps(x):
    missing = torch.rand(x.shape, generator=torch.Generator().manual_seed(1)) < 0.5
    missing[0], missing[1] = True, False
    return x.masked_fill(missing, torch.nan)


def agreement(rows, value):
    """Return which rows (N, X) have the values (B, X) that are not NaN, (B, N)."""
    return ((rows == value.unsqueeze(1)) | value.isnan().unsqueeze(1)).all(-1)


def test_the_density_is_the_sum_over_hidden_units(exact):
    p, x, probability = exact
    assert torch.allclose(p.log_prob(x).exp(), probability, rtol=1e-12)
    assert torch.allclose(p.mean, probability @ x, rtol=1e-12)
    assert torch.allclose(p.variance, (probability @ x) * (1 - probability @ x), rtol=1e-12)
    assert torch.equal(p.mode, x[probability.argmax()])
    assert torch.allclose(p.entropy(), -(probability * probability.log()).sum(), rtol=1e-12)


def test_what_is_observed_has_the_enumerated_marginal(exact):
    p, x, probability = exact
    value = with_gaps(x)
    expected = (agreement(x, value) * probability).sum(1)
    assert torch.allclose(observed_log_prob(p, value).exp(), expected, rtol=1e-12)


def test_what_is_missing_has_the_enumerated_conditional(exact):
    p, x, probability = exact
    value = with_gaps(x)
    joint = agreement(x, value) * probability  # (B, N)
    conditional, expected = given_observed(p, value), joint / joint.sum(1, keepdim=True)
    assert conditional.batch_shape == (len(x),)
    assert torch.allclose(conditional.log_prob(x.unsqueeze(1)).exp().T, expected, rtol=1e-12)
    assert torch.allclose(conditional.mean, expected @ x, rtol=1e-12)
    assert torch.equal(conditional.mode, x[expected.argmax(1)])
    assert torch.allclose(conditional.entropy(), -torch.xlogy(expected, expected).sum(1), rtol=1e-12)
    further = torch.full_like(value, torch.nan)
    further[:, 0] = x[:, 0]
    twice = conditional.given_observed(further)
    at_once = p.given_observed(torch.where(value.isnan(), further, value))
    assert torch.allclose(twice.log_normaliser, at_once.log_normaliser, rtol=1e-12)


@pytest.mark.parametrize("given", [False, True])
def test_draws_have_the_probabilities_of_the_rows(exact, given):
    """Of 64 counts none is off by more than 5 standard deviations: once in 25 000 seeds."""
    p, x, probability = exact
    count, value = 20_000, with_gaps(x)[4:5]
    if given:
        p = given_observed(p, value)
        probability = (agreement(x, value)[0] * probability) / (agreement(x, value)[0] * probability).sum()
    torch.manual_seed(3)
    drawn = p.sample((count,)).view(count, -1)
    found = torch.bincount((drawn @ (2.0 ** torch.arange(x.shape[1])).double()).long(), minlength=len(x)) / count
    assert ((found - probability).abs() <= 5 * (probability * (1 - probability) / count).sqrt()).all()


def test_chunks_of_states_change_nothing(exact, monkeypatch):
    p, x, _ = exact
    value = with_gaps(x)
    expected, mean = p.log_prob_of_observed(value), p.given_observed(value).mean
    monkeypatch.setattr(room, "_ELEMENTS", 3 * len(x))
    monkeypatch.setattr(room, "_PROBABILITIES", 1)
    again = machine(*p.weights.shape)
    assert torch.allclose(again.log_prob_of_observed(value), expected, rtol=1e-12)
    assert torch.allclose(again.given_observed(value).mean, mean, rtol=1e-12)
    assert again.sample((2, 3)).shape == (2, 3, x.shape[1])


def test_the_gradient_of_the_marginal_is_that_of_the_enumeration(exact):
    p = exact[0]
    parts = [part.requires_grad_() for part in (p.visible, p.hidden, p.weights)]
    x, probability = joint(p)
    value = with_gaps(x)
    expected = torch.autograd.grad((agreement(x, value) * probability).sum(1).log().sum(), parts)
    found = torch.autograd.grad(p.log_prob_of_observed(value).sum(), parts)
    assert all(torch.allclose(*pair, rtol=1e-10, atol=1e-10) for pair in zip(found, expected, strict=True))


# ---------------------------------------------------------------- annealed sampling


def walked(p, temperatures):
    """Return all x, and the probability that a walk forwards ends there: the start times a matrix for each move."""
    x, h = all_codes(len(p.visible), p.visible), all_codes(len(p.hidden), p.hidden)
    ends = torch.exp(x @ p.base) / torch.exp(x @ p.base).sum()
    for t in (step / temperatures for step in range(1, temperatures + 1)):
        of_x = x @ torch.lerp(p.base, p.visible, t)
        density = torch.exp(of_x.unsqueeze(1) + t * (h @ p.hidden) + t * (x @ p.weights @ h.T))
        up, down = density / density.sum(1, keepdim=True), density / density.sum(0)  # p(h|x) and p(x|h)
        ends = ends @ up @ down.T
    return x, ends


def test_the_walk_forwards_has_the_mean_z_and_the_rows_that_the_moves_give():
    """Mean weight and probabilities of the last rows within 5 standard errors: once in 100 000 seeds."""
    p, temperatures, chains = machine(4, 3, scale=1.5), 4, 20_000
    _, ends = walked(p, temperatures)
    torch.manual_seed(0)
    drawn, log_weights = p.path.forwards(chains, temperatures)
    weights = (log_weights - p.log_normaliser).exp()
    assert abs(weights.mean() - 1) < 5 * weights.std() / math.sqrt(chains)
    found = torch.bincount((drawn @ (2.0 ** torch.arange(4)).double()).long(), minlength=16) / chains
    assert ((found - ends).abs() <= 5 * (ends / chains).sqrt()).all()


def test_the_walk_backwards_has_the_mean_of_the_probability_that_a_walk_forwards_ends_there():
    p, temperatures, chains = machine(4, 3, scale=1.5), 4, 5_000
    x, ends = walked(p, temperatures)
    torch.manual_seed(0)
    log_weights = p.path.backwards(x.repeat(chains, 1), temperatures).view(chains, -1)
    ratio = log_weights.exp() / ends  # (chains, 16)
    assert ((ratio.mean(0) - 1).abs() < 5 * ratio.std(0) / math.sqrt(chains)).all()
    assert (log_weights.mean(0) < ends.log()).all()  # a lower bound, by Jensen's inequality


def test_with_many_temperatures_both_walks_give_log_p():
    p = machine(8, 5)
    torch.manual_seed(0)
    _, log_weights = p.path.forwards(50, 500)
    assert abs(log_weights.logsumexp(0) - math.log(50) - p.log_normaliser) < 0.05
    x = p.sample((200,))
    assert abs((p.path.backwards(x, 500) - p.log_prob(x)).mean()) < 0.05


# ---------------------------------------------------------------- both sides large


def large(**options):
    return machine(24, 22, scale=0.3, **options)


@pytest.fixture
def fewer(monkeypatch):
    monkeypatch.setattr(room, "_TEMPERATURES", 30)


@pytest.mark.usefixtures("fewer")
def test_a_large_one_takes_log_z_as_a_number_or_a_function_that_is_called_once():
    calls = []
    log_z = torch.tensor(30.0).double()
    p, lazy = large(log_partition=log_z), large(log_partition=lambda: calls.append(1) or log_z)
    x = p.sample((5,))
    assert not calls
    assert torch.equal(p.log_prob(x), lazy.log_prob(x))
    assert torch.equal(lazy.log_prob_of_observed(x), lazy.log_prob(x))
    assert calls == [1]
    assert p.map_parameters(torch.Tensor.float).log_prob(x.float()).dtype == torch.float32


@pytest.mark.usefixtures("fewer")
def test_the_mode_of_a_large_one_is_no_worse_than_draws_and_its_mean_is_that_of_draws():
    torch.manual_seed(0)
    p = large(log_partition=torch.zeros(()).double())
    drawn = p.sample((2000,))
    assert p.log_prob(p.mode) >= p.log_prob(drawn).max()
    assert (p.mean - drawn.mean(0)).abs().max() < 0.08  # 5 standard errors of 1 000 and 2 000 draws


@pytest.mark.parametrize(
    "use",
    [
        lambda p, x: p.log_prob_of_observed(x),
        lambda p, x: p.given_observed(x).mean,
        lambda p, x: p.given_observed(x).sample(),
        lambda p, x: large().log_prob(torch.zeros(24).double()),
    ],
)
def test_sums_over_more_states_are_refused(use):
    x = torch.zeros(24).double()
    x[0] = torch.nan
    with pytest.raises(InputError, match=r"expected at most 20 hidden units or 20 columns.*got 22 and 24"):
        use(large(log_partition=torch.tensor(0.0).double()), x)


def test_the_entropy_of_many_columns_is_not_known():
    with pytest.raises(NotImplementedError, match="more than 20 columns"):
        machine(21, 2).entropy()


def test_grey_levels_cannot_be_summed_over_rows_of_bits():
    x = torch.tensor([0.5, torch.nan, 0.0, 1.0]).double()
    with pytest.raises(InputError, match="expected bits"):
        machine(4, 7).log_prob_of_observed(x)

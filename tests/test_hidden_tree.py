"""Hidden trees: the distribution by enumeration of its states, and how the model learns."""

import math
from importlib import import_module
from itertools import pairwise, product

import pytest
import torch

from tests.test_mixtures import learned, rows
from vaelab.data import DataSpec, Resident
from vaelab.distributions import Bernoulli, HiddenTree, Mixture, Tree, all_codes, given_observed, observed_log_prob
from vaelab.errors import InputError
from vaelab.models import chow_liu, hidden_chow_liu
from vaelab.seeds import seeded

NAN = math.nan
X, C = 5, 3
BITS = all_codes(X, torch.zeros(()).double())  # (32, X)
STATES = torch.tensor(list(product(range(C), repeat=X)))  # (243, X)
FORESTS = {"two trees": [1, -1, 1, 2, -1], "a chain": [1, 2, 3, 4, -1], "a star": [-1, 0, 0, 0, 0], "roots": [-1] * 5}


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).double()


@pytest.fixture(params=FORESTS)
def tree(request):
    return HiddenTree(2 * normal(X, C, C), 2 * normal(X, C, seed=1), FORESTS[request.param])


def of_states(tree):
    """Return log p(h) of all states, (243,)."""
    tables, columns = tree.transitions.log_softmax(-1), torch.arange(X)
    parents = tree.forest.parents
    of_parents = torch.where(parents < 0, 0, STATES[:, parents.clamp_min(0)])
    return tables[columns, of_parents, STATES].sum(1)


def joint(tree):
    """Return log p(h, x) of all states and bits, (243, 32)."""
    logits = tree.emissions[torch.arange(X), STATES].unsqueeze(1)  # (243, 1, X)
    return of_states(tree).unsqueeze(1) + Bernoulli(logits).log_prob(BITS)


def agrees(row):
    return ((row == BITS) | row.isnan()).all(1)


def test_the_density_is_the_sum_over_all_states(tree):
    expected = joint(tree).logsumexp(0)
    assert torch.allclose(tree.log_prob(BITS), expected, rtol=0, atol=1e-12)
    assert torch.allclose(tree.mean, expected.exp() @ BITS, rtol=0, atol=1e-12)
    assert torch.allclose(tree.variance, tree.mean * (1 - tree.mean))


def test_the_mode_is_that_of_bits_and_states_together(tree):
    assert torch.equal(tree.mode, BITS[joint(tree).amax(0).argmax()])
    given = tree.given_observed(torch.full((2, X), NAN).double())
    assert torch.equal(given.mode, tree.mode.expand(2, -1))


@pytest.mark.parametrize("hidden", list(product([False, True], repeat=X))[1:-1:3])
def test_what_is_observed_has_its_marginal_and_the_rest_its_conditional(tree, hidden):
    hidden, p = torch.tensor(hidden), joint(tree).logsumexp(0).exp()
    some = BITS[[0, 9, 22, 31]].masked_fill(hidden, NAN)
    given = given_observed(tree, some)
    for place, row in enumerate(some):
        known = agrees(row)
        assert torch.allclose(observed_log_prob(tree, row), p[known].sum().log(), rtol=1e-12)
        conditional = torch.where(known, p, 0) / p[known].sum()
        alone = given_observed(tree, row)
        for mean in (given.mean[place], alone.mean):
            assert torch.allclose(mean[hidden], (conditional @ BITS)[hidden], rtol=0, atol=1e-12)
        rest = torch.where(hidden, 1.0, NAN).double()
        found = alone.log_prob_of_observed(rest).exp()
        assert torch.allclose(found, conditional[agrees(rest)].sum(), rtol=0, atol=1e-12)


def test_what_is_given_in_two_parts_is_given_at_once(tree):
    row = torch.tensor([1.0, NAN, 0.0, NAN, NAN]).double()
    more = torch.tensor([NAN, NAN, NAN, 1.0, NAN]).double()
    both = torch.where(row.isnan(), more, row)
    twice = tree.given_observed(row).given_observed(more)
    assert torch.allclose(twice.mean[[1, 4]], tree.given_observed(both).mean[[1, 4]], rtol=1e-12)


def test_draws_are_as_frequent_as_they_are_probable(tree):
    """20 000 draws of p(x), and of a conditional: 36 cells within 5.5 standard errors, 4e-8 false alarms each."""
    torch.manual_seed(3)
    p, count = joint(tree).logsumexp(0).exp(), 20_000
    row = torch.tensor([1.0, NAN, 0.0, NAN, 1.0]).double()
    conditional = torch.where(agrees(row), p, 0) / p[agrees(row)].sum()
    draws = tree.given_observed(row.expand(2, -1)).sample((count,))[:, 1]
    for values, expected in ((tree.sample((count,)), p), (torch.where(row.isnan(), draws, row), conditional)):
        found = (values.unsqueeze(1) == BITS).all(-1).double().mean(0)
        error = (expected * (1 - expected) / count).sqrt()
        assert ((found - expected).abs() <= 5.5 * error + 5 / count).all()


def test_expected_counts_are_those_of_the_enumeration(tree):
    value, weights = BITS[[3, 7, 22]].clone(), torch.tensor([1.0, 2.0, 0.5]).double()
    value[0, 1] = value[2, 4] = NAN
    counts = tree.expected_counts(value, weights)
    transitions, ones, observed = (torch.zeros_like(part) for part in counts[:3])
    for row, weight in zip(value, weights, strict=True):
        shares = (joint(tree)[:, agrees(row)].logsumexp(1)).softmax(0) * weight  # of the states, (243,)
        for j in range(X):
            parent = int(tree.forest.parents[j])
            first = torch.zeros(len(STATES), dtype=torch.int64) if parent < 0 else STATES[:, parent]
            transitions[j].index_put_((first, STATES[:, j]), shares, accumulate=True)
            if not row[j].isnan():
                observed[j].index_add_(0, STATES[:, j], shares)
                ones[j].index_add_(0, STATES[:, j], shares * row[j])
    for found, expected in zip(counts[:3], (transitions, ones, observed), strict=True):
        assert torch.allclose(found, expected, rtol=0, atol=1e-12)
    assert torch.allclose(counts.log_prob, tree.log_prob_of_observed(value), rtol=1e-12)


def test_states_that_are_the_bits_make_a_tree_and_states_that_are_alike_a_mixture():
    off, on, edges = normal(X), normal(X, seed=1), [1, -1, 1, 2, 0]
    logits = torch.stack([torch.stack([-off, off], -1), torch.stack([-on, on], -1)], 1) / 2
    certain = torch.tensor([-1e4, 1e4]).double().expand(X, 2)
    assert torch.allclose(HiddenTree(logits, certain, edges).log_prob(BITS), Tree(off, on, edges).log_prob(BITS))
    weights, of_states = normal(C, seed=2), normal(X, C, seed=3)
    same = 1e4 * torch.eye(C).double().repeat(X, 1, 1)
    same[1] = weights  # the root
    mixture = Mixture(weights, Bernoulli(of_states.T))
    assert torch.allclose(HiddenTree(same, of_states, edges).log_prob(BITS), mixture.log_prob(BITS))


@pytest.mark.parametrize("parents", [[-1, *range(399)], [-1, *[0] * 399]], ids=["chain", "star"])
def test_many_columns_have_finite_densities_and_gradients(parents):
    """A density of 400 columns that disagree with their states, beyond the range of float32, as in float64."""
    transitions, emissions = 5 * normal(400, 4, 4).float(), 30 * normal(400, 4, seed=1).float()
    transitions.requires_grad_()
    x = (normal(3, 400, seed=2) > 0).float()
    x[0, :50] = NAN
    found = HiddenTree(transitions, emissions, parents).log_prob_of_observed(x)
    exact = HiddenTree(transitions.double(), emissions.double(), parents).log_prob_of_observed(x.double())
    assert float(exact.detach().max()) < -500
    assert torch.allclose(found.double(), exact, rtol=1e-5)
    found.sum().backward()
    assert transitions.grad.isfinite().all()
    given = HiddenTree(transitions.detach(), emissions, parents).given_observed(x)
    assert given.mean.isfinite().all()
    assert given.sample((2,)).isfinite().all()
    counts = HiddenTree(transitions.detach(), emissions, parents).expected_counts(x, torch.ones(3))
    assert torch.allclose(counts.transitions.sum((1, 2)), torch.full((400,), 3.0), rtol=1e-3)


@pytest.mark.parametrize("count", [0, 1, 7])
def test_rows_that_are_drawn_in_parts_are_those_that_are_drawn_at_once(tree, count, monkeypatch):
    given = tree.given_observed(torch.tensor([[1.0, NAN, NAN, NAN, NAN], [NAN, 0.0, NAN, NAN, NAN]]).double())
    drawn = []
    for elements in (1_000_000, 3 * X * C):
        monkeypatch.setattr("vaelab.distributions.hidden_tree._ELEMENTS", elements)
        with seeded(0, "sample"):
            drawn.append([each.sample((count,)) for each in (tree, given)])
    assert all(torch.equal(*pair) for pair in zip(*drawn, strict=True))


def test_leading_axes_of_values_and_of_what_is_given_fit_together(tree):
    given = tree.given_observed(torch.tensor([[1.0, NAN, NAN, NAN, NAN], [NAN, 0.0, NAN, NAN, NAN]]).double())
    assert (given.batch_shape, given.event_shape) == ((2,), (X,))
    assert given.log_prob(BITS[:4].unsqueeze(1)).shape == (4, 2)
    assert given.sample((6,)).shape == (6, 2, X)
    assert given.expand((3, 2)).mean.shape == (3, 2, X)
    assert torch.allclose(tree.expand((4,)).log_prob(BITS[:4]), tree.log_prob(BITS[:4]), rtol=1e-12)
    assert not given.map_parameters(torch.Tensor.detach).mean.requires_grad
    assert repr(given) == "HiddenTree(transitions: (5, 3, 3), emissions: (5, 3), batch: (2,))"


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: HiddenTree(torch.zeros(2, 3, 2), torch.zeros(2, 3), [-1, 0]), "transitions: expected shape"),
        (lambda: HiddenTree(torch.zeros(2, 3, 3), torch.zeros(2, 3), [-1]), "forest: expected the parents of 2"),
        (
            lambda: HiddenTree(torch.zeros(2, 3, 3), torch.zeros(2, 3), [-1, 0], torch.ones(2, 2)),
            "evidence: expected a shape that ends in",
        ),
        (lambda: hidden_chow_liu(6, states=0), "states: expected"),
        (lambda: hidden_chow_liu(6, states="many"), "states: expected"),
        (lambda: hidden_chow_liu(6, smoothing=0), "smoothing: expected a number above 0"),
        (lambda: hidden_chow_liu(6, restarts=0), "restarts: expected"),
        (lambda: hidden_chow_liu(5001), "data: hidden-chow-liu is for at most 5,000 columns"),
        (lambda: hidden_chow_liu(DataSpec((3,), kind="real")), "is for bits, and the data have real numbers"),
    ],
)
def test_what_does_not_fit_is_refused(build, sentence):
    with pytest.raises(InputError, match=sentence):
        build()


# ---------------------------------------------------------------- expectation maximisation


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_no_pass_lowers_the_likelihood_of_rows_that_are_one_block(missing):
    """With the prior of the smoothing, which each pass maximises too."""
    model, train = hidden_chow_liu(6, states=3), Resident(rows(300, missing=missing)[0], 1, False)
    model.may_be_missing = missing > 0
    with torch.no_grad():
        passes = model.passes(train, torch.tensor([1, -1, 1, 2, 3, 4]), 3, 1e-3, torch.Generator().manual_seed(0))
        values = [value for _, (_, value) in zip(range(12), passes, strict=False)]
    assert all(after >= before - 1e-4 for before, after in pairwise(values))
    assert values[-1] > values[0]


def test_it_is_better_than_a_tree_where_a_class_is_not_observed():
    train, validation = rows(300)[0], rows(100, seed=1)[0]
    hidden, _ = learned(hidden_chow_liu(6, states=2, smoothing=1.0), train, validation)
    tree, _ = learned(chow_liu(6), train, validation)
    held_out = Resident(rows(1000, seed=2)[0], 1, False)
    assert hidden.mean_log_prob(held_out) > tree.mean_log_prob(held_out) + 0.1


def test_the_number_of_states_is_chosen_on_the_validation_rows_and_kept(tmp_path):
    train, validation = rows(300)[0], rows(80, seed=1)[0]
    model, passes = learned(hidden_chow_liu(6, smoothing=1.0), train, validation)
    best = max(done.validation for done in passes)
    assert model.emissions.shape[1] in model.numbers_of_states
    assert len(passes) == passes[-1].of < passes[0].of
    assert all(after.of <= before.of for before, after in pairwise(passes))
    assert model.mean_log_prob(Resident(validation, 1, False)) == pytest.approx(best, abs=1e-5)
    fresh = hidden_chow_liu(6)
    fresh.load_state_dict(model.state_dict())
    assert torch.equal(fresh.log_prob(train), model.log_prob(train))
    with pytest.raises(RuntimeError, match="size mismatch"):
        hidden_chow_liu(7).load_state_dict(model.state_dict())


@pytest.mark.parametrize(("count", "most"), [(60, 15), (6, 1)])
def test_each_state_has_enough_training_rows_where_the_number_is_chosen(count, most):
    model, _ = learned(hidden_chow_liu(6), rows(count)[0], rows(30, seed=1)[0])
    assert model.emissions.shape[1] <= most


def test_the_rows_of_a_validation_are_as_many_as_the_state_that_is_scored_allows(monkeypatch):
    model, sizes = hidden_chow_liu(6, states=2), []
    state = {**model._learned_state, "transitions": torch.zeros(6, 8, 8), "emissions": torch.zeros(6, 8)}
    inner = model.log_density
    monkeypatch.setattr(model, "log_density", lambda p, x: (sizes.append(len(x)), inner(p, x))[1])
    monkeypatch.setattr(import_module("vaelab.models.hidden_chow_liu"), "_ELEMENTS", 20 * 6 * 8)
    model.mean_of(state, Resident(rows(50)[0], 1, False))
    assert sizes == [20, 20, 10]
    assert model.rows_at_once == 80

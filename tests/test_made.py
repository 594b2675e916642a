"""Masked autoregressive networks: what each column depends on, the mixture of orders, dropout, what is refused."""

import numpy as np
import pytest
import torch
from torch.nn.utils import parameters_to_vector

import vaelab
from tests.laws import binary_data
from vaelab.data import Dataset, Split
from vaelab.distributions import Autoregressive, all_codes
from vaelab.errors import InputError
from vaelab.networks import dropped
from vaelab.sklearn import MADE

X = 5
ALL = all_codes(X, torch.zeros(()).double())


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double()


def autoregressive(units, order=None, columns=X, batch=()):
    parts = (normal(*batch, columns), normal(*batch, units, seed=1), normal(columns, columns, seed=2))
    return Autoregressive(*parts, normal(units, columns, seed=3), normal(columns, units, seed=4), order)


def trained(**options):
    """Return a model whose weights are far from their start, in float64."""
    model = vaelab.made(X, **{"hidden": 7, "orderings": 3, "seed": 0, **options}).double()
    for number, weight in enumerate(model.parameters()):
        weight.data = normal(*weight.shape, seed=number)
    return model


# ---------------------------------------------------------------- one order


@pytest.mark.parametrize("units", [2, 5, 13])
@pytest.mark.parametrize("order", [None, [3, 0, 4, 2, 1]])
def test_a_column_depends_on_those_before_it_in_the_order_and_on_no_other(units, order):
    p = autoregressive(units, None if order is None else torch.tensor(order))
    p.shifts = p.shifts + 50  # no hidden unit is off
    slopes = torch.autograd.functional.jacobian(p.conditional_logits, torch.rand(X).double())
    order = list(range(X)) if order is None else order
    slopes = slopes[order][:, order]
    assert not slopes.triu().any()
    assert slopes[torch.ones(X, X).tril(-1) > 0].abs().min() > 1e-3


def test_a_unit_reads_the_first_columns_and_counts_in_the_others():
    p = autoregressive(10, torch.tensor([3, 0, 4, 2, 1]))
    reads = (p.inward[:, [3, 0, 4, 2, 1]] != 0).sum(1)
    assert reads.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert (p.outward[[3, 0, 4, 2, 1]] != 0).sum(0).tolist() == (X - reads).tolist()


@pytest.mark.parametrize("units", [2, 13])
@pytest.mark.parametrize("columns", [X, 70])
def test_draws_and_their_probabilities_are_those_of_the_density(units, columns):
    """With more columns than a block, and hidden units of several columns or several of a column."""
    p = autoregressive(units, torch.randperm(columns, generator=torch.Generator().manual_seed(5)), columns, (2,))
    p = p.map_parameters(lambda part: part / 3)
    noise = torch.rand(4, 2, columns, generator=torch.Generator().manual_seed(6)).double()
    x, found = p._in_turn(noise)
    torch.testing.assert_close(found, torch.sigmoid(p.conditional_logits(x)), rtol=0, atol=1e-12)
    assert torch.equal(x, (noise < found).double())
    assert 0.2 < float(x.mean()) < 0.8


def test_centred_inputs_are_the_same_density_with_other_parameters():
    p, centre = autoregressive(7), torch.rand(X).double()
    x = ALL[:9]
    torch.testing.assert_close(p.around(centre).conditional_logits(x + centre), p.conditional_logits(x))
    assert torch.equal(p.around(torch.zeros(X).double()).conditional_logits(x), p.conditional_logits(x))


# ---------------------------------------------------------------- several orders


def test_the_density_is_the_mean_of_those_of_the_networks_each_with_its_order():
    model = trained()
    each = torch.stack([p.log_prob(ALL).exp() for p in model.networks()])
    torch.testing.assert_close(model.log_prob(ALL).exp(), each.mean(0), rtol=1e-10, atol=0)
    torch.testing.assert_close(each.sum(1), torch.ones(3).double(), rtol=0, atol=1e-12)
    orders = model.orders.tolist()
    assert orders[0] == list(range(X))
    assert all(sorted(order) == orders[0] for order in orders)
    assert len(set(map(tuple, orders))) == 3
    assert isinstance(trained(orderings=1)(), Autoregressive)


def test_a_model_starts_as_independent_bits_at_the_means_of_the_data():
    data = binary_data(dim=X)
    start, floor = vaelab.made(data, hidden=4, seed=0), vaelab.independent(data)
    x = data.test.batch(9)
    torch.testing.assert_close(start.log_prob(x), floor.log_prob(x), rtol=1e-4, atol=1e-4)


def test_without_dropout_the_gradient_is_that_of_the_log_density_of_each_network():
    model = trained(dropout=0, input_dropout=0)
    estimate = model.estimate(ALL)
    torch.testing.assert_close(estimate.bound, model.log_prob(ALL).detach(), rtol=1e-12, atol=0)
    exact = sum(p.log_prob(ALL) for p in model.networks())
    gradients = [
        parameters_to_vector(torch.autograd.grad(value.sum(), list(model.parameters()), retain_graph=True))
        for value in (estimate.surrogate, exact)
    ]
    torch.testing.assert_close(*gradients, rtol=1e-12, atol=1e-12)


def test_dropout_leaves_out_its_share_and_keeps_the_mean():
    """20 000 draws of 5 inputs and 7 units of shares 0.3 and 0.5: 5 standard errors, a false alarm below 1e-5."""
    torch.manual_seed(0)
    for rate in (0.3, 0.5):
        found = dropped(torch.ones(20_000, 7).double(), torch.tensor(rate))
        assert abs(float((found == 0).double().mean()) - rate) < 5 * (rate * (1 - rate) / 140_000) ** 0.5
        assert abs(float(found.mean()) - 1) < 5 * (rate / (1 - rate) / 140_000) ** 0.5
    noisy = trained(dropout=0.5, input_dropout=0.2)
    assert not torch.equal(noisy.estimate(ALL).bound, noisy.estimate(ALL).bound)
    assert torch.equal(noisy.log_prob(ALL), noisy.log_prob(ALL))  # only steps of a training drop anything


def test_the_shares_of_dropout_depend_on_the_rows_unless_they_are_given(tmp_path):
    few, many = (Split(np.tile(binary_data(dim=X).train.x[:1], (count, 1))) for count in (4_999, 5_000))
    data = [Dataset("rows", {"train": rows, "validation": rows, "test": rows}, "binary", 1) for rows in (few, many)]
    rates = [vaelab.made(each, hidden=2, orderings=1).rates.tolist() for each in data]
    assert rates == [pytest.approx([0.5, 0.2]), pytest.approx([0.2, 0])]
    model = vaelab.made(data[0], hidden=2, orderings=1, dropout=0.1)
    assert model.rates.tolist() == pytest.approx([0.1, 0.2])
    model.save(tmp_path / "model")
    assert torch.equal(vaelab.load(tmp_path / "model").rates, model.rates)


# ---------------------------------------------------------------- what is refused


def test_missing_values_are_refused_at_every_door():
    data = binary_data(dim=X)
    gaps = data.train.x[:60].astype(np.float32)
    gaps[3, 2] = np.nan
    incomplete, model = Dataset.from_arrays(gaps, values="bits"), vaelab.made(data, hidden=3)
    sentence = r"^model: expected one with a density of the observed .*; [Mm]ade has no density of some of its columns"
    for use in (
        lambda: vaelab.made(incomplete),
        lambda: vaelab.fit(model, incomplete, steps=1),
        lambda: vaelab.evaluate(model, incomplete),
        lambda: vaelab.impute(model, gaps),
    ):
        with pytest.raises(InputError, match=sentence):
            use()
    with pytest.raises(InputError, match=r"x: .*(NaN|missing)"):
        model.log_prob(gaps)
    with pytest.raises(InputError, match="no density of some of its columns"):
        autoregressive(3).given_observed(torch.tensor([1.0, np.nan, 0.0, 0.0, 1.0]))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"hidden": 0}, "hidden: expected "),
        ({"orderings": 1.5}, "orderings: expected "),
        ({"dropout": 1}, "dropout: expected a share of at least 0 and below 1; got 1"),
        ({"input_dropout": -0.1}, "input_dropout: expected "),
        ({"data": vaelab.DataSpec((3,), kind="real")}, r"data: made is for bits, and the data have real numbers"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, sentence):
    with pytest.raises(InputError, match=sentence):
        vaelab.made(**{"data": X, **options})


def test_the_estimator_of_scikit_learn_scores_exactly_is_saved_and_refuses_gaps(tmp_path):
    x = binary_data(dim=X).train.x
    network = MADE(hidden=6, orderings=2, steps=4, random_state=0).fit(x)
    every = network.score_samples(ALL.numpy().astype(np.uint8))
    assert np.exp(every).sum() == pytest.approx(1, abs=1e-12)
    assert np.array_equal(network.sample(5), MADE(hidden=6, orderings=2, steps=4, random_state=0).fit(x).sample(5))
    network.save(tmp_path / "made")
    assert np.array_equal(MADE.load(tmp_path / "made").score_samples(x), network.score_samples(x))
    gaps = x.astype(float)
    gaps[3, 2] = np.nan
    for use in (MADE(steps=1).fit, network.score_samples):
        with pytest.raises(InputError, match="no density of some of its columns"):
            use(gaps)

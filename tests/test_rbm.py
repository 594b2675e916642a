"""Restricted Boltzmann machines as models: their gradient, their chains, log Z, and what an evaluation says of it."""

from __future__ import annotations

import copy
import importlib
import math
import os
import signal

import numpy as np
import pytest
import torch

import vaelab
from tests.laws import binary_data
from vaelab.distributed import Ranks, sharing
from vaelab.distributions import all_codes
from vaelab.distributions import boltzmann as room_of_distribution
from vaelab.errors import InputError
from vaelab.models import rbm
from vaelab.models.rbm import RestrictedBoltzmannMachine
from vaelab.settings import resolve
from vaelab.sklearn import RBM
from vaelab.training import train

room_of_model = importlib.import_module("vaelab.models.rbm")  # the package has a function of that name


def machine(columns=4, hidden=3, scale=1.0, seed=0):
    """Return a small machine in float64, whose weights are not small."""
    model = rbm(columns, hidden=hidden, seed=seed).double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(scale * torch.randn(weight.shape, generator=generator))
    return model


def gradients(model, value):
    return torch.autograd.grad(value, list(model.parameters()))


@pytest.mark.parametrize("may_be_missing", [False, True])
def test_with_chains_from_p_the_gradient_is_that_of_log_p(may_be_missing):
    """Chains that are all rows, weighted by p(x), and stay where they are: what is left is the exact gradient."""
    model = machine()
    x = torch.tensor([[1.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 0.0]]).double()
    if may_be_missing:
        model.allow_missing()
        x[0, 1] = x[1, 3] = torch.nan
    rows, p = all_codes(4, x), model.distribution()
    model._moved_chains = lambda _: (rows, p.log_prob(rows).exp().detach())
    model.chain_densities = torch.zeros(16).double()
    found = gradients(model, model.estimate(x).surrogate.mean())
    expected = gradients(model, model.log_prob(x).mean())
    assert all(torch.allclose(*pair, rtol=1e-9, atol=1e-12) for pair in zip(found, expected, strict=True))


def test_a_row_of_weight_two_is_two_rows_in_a_step():
    model = machine()
    x = torch.tensor([[1.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 0.0]]).double()
    weights = torch.tensor([4 / 3, 2 / 3], dtype=torch.float64)
    found = []
    for rows, of_rows in ((x, weights), (x[[0, 0, 1]], None)):
        torch.manual_seed(0)
        step = copy.deepcopy(model)
        step._moved_chains = lambda p: (torch.ones(2, 4).double(), torch.full((2,), 0.5).double())
        step.chain_densities = torch.zeros(2).double()
        found.append(gradients(step, step.estimate(rows).loss(of_rows)))
    assert all(torch.allclose(*pair, rtol=1e-12) for pair in zip(*found, strict=True))


def test_the_weighted_chains_have_the_means_of_p_after_the_weights_have_changed():
    """20 000 chains of the first weights, weighted for the second: within 6 standard errors of every mean."""
    torch.manual_seed(0)
    model, count = machine(scale=0.5), 20_000
    model.chains = model.sample(count, seed=1)
    model.chain_densities = model.distribution().log_factor(model.chains).detach()
    model.chain_weights = torch.zeros(count).double()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
        p = model.distribution()
        chains, weights = model._moved_chains(p)
    spread = (weights.unsqueeze(1) * (chains - p.mean)).square().sum(0).sqrt()
    assert float(weights.sum()) == pytest.approx(1)
    assert ((weights @ chains - p.mean).abs() < 6 * spread).all()


def test_chains_are_drawn_anew_by_their_weights_where_few_count():
    model = machine()
    torch.manual_seed(0)
    with torch.no_grad():
        model.chain_densities.copy_(model.distribution().log_factor(model.chains))
        model.chain_weights.zero_()
        model.chain_weights[7] = 60.0
        model.moves = 0
        chains, weights = model._moved_chains(model.distribution())
    assert torch.equal(chains, model.chains[:1].expand_as(chains))
    assert torch.allclose(weights, torch.full_like(weights, 1 / len(weights)))


def test_the_pseudo_likelihood_of_a_step_has_the_mean_of_the_conditionals():
    """10 000 columns drawn for a row: within 5 standard errors of the sum over columns of log p(x_j|the others)."""
    model, row = machine(), torch.tensor([1.0, 0.0, 1.0, 1.0]).double()
    flipped = torch.where(torch.eye(4).bool(), 1 - row, row)
    log_p = model.log_prob(torch.cat([row.unsqueeze(0), flipped])).detach()
    expected = (log_p[0] - torch.logaddexp(log_p[0], log_p[1:])).sum()
    torch.manual_seed(0)
    found = model.estimate(row.expand(10_000, 4)).bound
    assert abs(found.mean() - expected) < 5 * found.std() / 100


def test_log_z_is_kept_with_the_weights_and_computed_again_when_they_change(monkeypatch, tmp_path):
    for room in (room_of_distribution, room_of_model):
        monkeypatch.setattr(room, "_TEMPERATURES", 20)
    calls = []
    estimate = RestrictedBoltzmannMachine._estimated
    monkeypatch.setattr(RestrictedBoltzmannMachine, "_estimated", lambda *args: calls.append(1) or estimate(*args))
    model = rbm(21, hidden=22, seed=0)
    assert not model.is_exact
    x = model.sample(3, seed=0)
    first = model.log_prob(x).detach()
    assert torch.equal(model.log_prob(x), first)
    model.save(tmp_path / "saved")
    assert torch.equal(vaelab.load(tmp_path / "saved").log_prob(x), first)
    assert len(calls) == 1
    with torch.no_grad():
        model.hidden.add_(1)
    assert not torch.allclose(model.log_prob(x), first)
    assert len(calls) == 2


def test_weights_that_were_never_validated_say_so_once(monkeypatch, caplog):
    monkeypatch.setattr(room_of_model, "_TEMPERATURES", 5)
    model = rbm(21, hidden=22, seed=0)
    rows = torch.ones(2, 21)
    model.log_prob(rows)
    assert [record.message for record in caplog.records] == [room_of_model._UNVALIDATED]
    model.log_prob(rows)
    with torch.no_grad():
        model.hidden.add_(1)
    model.validation_score(rows)
    model.log_prob(rows)
    rbm(5, hidden=3, seed=0).log_prob(rows[:, :5])  # a sum
    assert len(caplog.records) == 1


def test_chains_that_stay_behind_do_not_raise_the_validation(monkeypatch):
    """Two modes, of which the chains sit in the one that is exp(21) times less probable."""
    monkeypatch.setattr(room_of_model, "_TEMPERATURES", 50)
    model = rbm(21, hidden=22, seed=0)
    with torch.no_grad():
        model.weights.fill_(1)
        model.visible.add_(1)
        model.chains.zero_()
        rows = torch.ones(5, 21)
        assert model.log_prob(rows).mean() > 0  # of bits, which is impossible
        model.partition_of.zero_()
        assert model.validation_score(rows).mean() < 0
        assert torch.equal(model.log_prob(rows), model.validation_score(rows))  # log Z is kept


def large(data):
    """Return a machine of which both sides are said to be large, and whose log p(x) is known all the same."""
    model = rbm(data, hidden=6, seed=0)
    vaelab.fit(model, data, steps=60, validate_every=60, learning_rate=2e-2, device="cpu")
    known = model.log_prob(data.test.observations().bits(slice(None))).detach().double()
    model.is_exact = model.has_marginals = False
    model.partition_of.zero_()
    return model, known


def test_an_evaluation_names_ais_and_states_log_z_both_ways_with_its_error():
    data = binary_data(dim=9)
    model, known = large(data)
    result = vaelab.evaluate(model, data, temperatures=200, chains=16)
    assert [record.name for record in result] == ["ais-200"]
    record, values = result["ais-200"], result.values["ais-200"]
    assert (values - known).std() < 1e-5  # only a constant is estimated
    off = float((known - values).mean())
    assert abs(off) < 0.02 + 5 * record.log_partition_standard_error
    assert record.log_partition == pytest.approx(record.log_partition_forwards, abs=0.1)
    assert "walks backwards" in record.note
    assert "walks from seed 0" in result.protocol()
    for bound in ("exact", "iwae", "ais-gap"):
        with pytest.raises(InputError, match="bound: expected ais, as rbm has no codes"):
            vaelab.evaluate(model, data, bounds=(bound,))
    again = model.log_prob(data.test.observations().bits(slice(None))).detach()  # from the chains
    assert abs(float((again - known).mean())) < 0.1


def test_missing_values_need_few_hidden_units():
    with pytest.raises(InputError, match=r"hidden: expected at most 20 hidden units.*got 40"):
        rbm(30, hidden=40).allow_missing()
    spec = vaelab.DataSpec((30,), may_be_missing=True)
    assert len(rbm(spec).hidden) == 10
    assert rbm(spec).log_prob(torch.full((1, 30), math.nan)).item() == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize(("option", "value"), [("hidden", 0), ("hidden", 2.5), ("moves", 0)])
def test_sizes_are_whole_numbers(option, value):
    with pytest.raises(InputError, match=f"{option}: expected"):
        rbm(5, **{option: value})


def test_an_estimator_of_scikit_learn_scores_as_the_model_does_with_one_log_z():
    generator = np.random.default_rng(0)
    X = (generator.random((60, 22)) < 0.3).astype(int)
    machine = RBM(hidden=21, steps=4, random_state=0).fit(X)
    scores = machine.score_samples(X)
    assert scores == pytest.approx(machine.model_.log_prob(X.astype("float32")).detach().numpy(), abs=1e-4)
    assert machine.score(X) == pytest.approx(scores.mean())
    assert [number > 0 for number in map(float, machine.model_.log_partition())] == [True, True]
    assert machine.sample(2).shape == (2, 22)


def test_ranks_move_the_same_chains_and_share_the_rows():
    """Two ranks with half of the batch each: the mean of their gradients is that of one process."""
    x = (torch.rand(8, 4, generator=torch.Generator().manual_seed(0)) < 0.5).double()

    def step(ranks):
        model = machine()
        torch.manual_seed(1)
        with sharing(ranks):
            estimate = model.estimate(ranks.share(x))
        return gradients(model, estimate.loss()), model.chains, estimate.bound

    whole, halves = step(Ranks()), [step(Ranks(rank, 2)) for rank in range(2)]
    assert all(torch.equal(half[1], whole[1]) for half in halves)
    assert torch.equal(torch.cat([half[2] for half in halves]), whole[2])
    means = [(one + other) / 2 for one, other in zip(halves[0][0], halves[1][0], strict=True)]
    assert all(torch.allclose(*pair, rtol=1e-9) for pair in zip(means, whole[0], strict=True))


def test_a_training_that_was_stopped_goes_on_with_its_chains(tmp_path):
    data = binary_data(dim=9)
    layer = {"hidden": 4, "training": {"steps": 12, "validate_every": 6, "learning_rate": 0.01, "log_every": 3}}
    settings = resolve("rbm", layer | {"device": "cpu"})
    whole, _ = train(settings, tmp_path / "whole", data=data)

    def stop(row):
        if row["step"] == 6:
            os.kill(os.getpid(), signal.SIGINT)

    _, stopped = train(settings, tmp_path / "parts", data=data, callback=stop)
    parts, _ = train(settings, tmp_path / "parts", data=data, resume=True)
    assert stopped.stop_reason == "interrupted"
    states = [run.load_model().state_dict() for run in (whole, parts)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def clusters(rows, columns, seed=0):
    """Return a data set of two kinds of rows that differ in half of the columns, a twentieth of each row flipped."""
    rng = np.random.default_rng(seed)
    kinds = rng.integers(0, 2, (2, columns))
    x = (kinds[rng.integers(0, 2, rows)] ^ (rng.random((rows, columns)) < 0.05)).astype(np.uint8)
    return vaelab.Dataset.from_arrays(x[rows // 4 :], validation=x[: rows // 4])


def test_the_largest_rate_is_that_of_the_largest_eigenvalue():
    data = clusters(90, 30)
    x = data.train.observations().bits(slice(None)).double()
    eigenvalue = float(torch.linalg.eigvalsh(torch.cov(x.T, correction=0))[-1])
    assert room_of_model.largest_rate(data, {"hidden": 5}) == pytest.approx(8000 / (5 * 30 * eigenvalue), rel=1e-3)
    assert room_of_model.largest_rate(data, {}) == pytest.approx(8000 / (60 * 30 * eigenvalue), rel=1e-3)
    weights, rows = 1 + np.arange(len(x)) % 2, x.numpy()
    weighted = vaelab.Dataset.from_arrays(rows, sample_weight=weights, validation=rows)
    repeated = vaelab.Dataset.from_arrays(rows.repeat(weights, 0), validation=rows)
    rates = [room_of_model.largest_rate(each, {"hidden": 5}) for each in (weighted, repeated)]
    assert rates[0] == pytest.approx(rates[1], rel=1e-3)


def test_columns_that_do_not_vary_and_missing_values_have_a_largest_rate():
    constant = np.ones((20, 3), np.uint8)
    assert room_of_model.largest_rate(vaelab.Dataset.from_arrays(constant, validation=constant), {}) == math.inf
    gaps = np.array([[1.0, 0, np.nan], [0, np.nan, 1], [1, 1, 0]]).repeat(8, 0)
    assert 0 < room_of_model.largest_rate(vaelab.Dataset.from_arrays(gaps, validation=gaps), {}) < math.inf


def test_a_default_rate_is_limited_and_one_that_is_given_is_not(tmp_path):
    data = clusters(90, 600)
    largest = room_of_model.largest_rate(data, {"hidden": 100})
    assert largest < 5e-3
    layer = {"hidden": 100, "training": {"steps": 1, "warmup": 0, "schedule": "constant"}, "device": "cpu"}
    run, result = train(resolve("rbm", layer), tmp_path / "run", data=data)
    assert result.history[-1]["lr"] == pytest.approx(largest)
    assert run.settings.training.learning_rate == pytest.approx(largest)
    given = vaelab.fit(rbm(data, hidden=4), data, steps=1, warmup=0, schedule="constant", learning_rate=1, device="cpu")
    assert given.history[-1]["lr"] == 1
    built = room_of_model.RestrictedBoltzmannMachine(data, hidden=50)  # by its class
    rate = vaelab.fit(built, data, steps=1, warmup=0, schedule="constant", device="cpu").history[-1]["lr"]
    assert rate == pytest.approx(2 * largest)
    assert rate < 5e-3
    small = vaelab.fit(rbm(data, hidden=4), data, steps=1, warmup=0, schedule="constant", device="cpu")
    assert small.history[-1]["lr"] == 5e-3

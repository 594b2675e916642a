"""Mixtures: the distribution by enumeration, and how it is learned."""

import math
from itertools import pairwise, product

import numpy as np
import pytest
import torch
from torch.distributions import Categorical, MixtureSameFamily

import vaelab
from tests.laws import binary_data
from vaelab.data import Column, DataSpec, Resident
from vaelab.data.weights import Weighted
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
from vaelab.distributions import mixture as room
from vaelab.errors import InputError
from vaelab.likelihoods.chow_liu import PairCounts
from vaelab.models import BernoulliMixture as BernoulliMixtureModel
from vaelab.models import TreeMixture as TreeMixtureModel
from vaelab.models import bernoulli_mixture, chow_liu, tree_mixture
from vaelab.sklearn import BernoulliMixture, TreeMixture

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


def test_without_a_gradient_rows_are_taken_in_parts(mixture, batch, monkeypatch):
    """The most log-densities of components at once are as many as the limit, and the sum is the same."""
    x = BITS[torch.randint(0, 16, (7, *(batch or (5,))), generator=torch.Generator().manual_seed(1))]
    gaps = x.masked_fill(torch.rand(x.shape, generator=torch.Generator().manual_seed(2)) < 0.4, NAN)
    expected, sizes, whole = (mixture.log_prob(x), mixture.log_prob_of_observed(gaps)), [], Mixture.log_joint

    def log_joint(self, value, observed=False):
        sizes.append(value[..., 0].numel() * 3)
        return whole(self, value, observed)

    monkeypatch.setattr(room, "_AT_ONCE", 12)
    monkeypatch.setattr(Mixture, "log_joint", log_joint)
    with torch.no_grad():
        found = mixture.log_prob(x), mixture.log_prob_of_observed(gaps)
    for one, other in zip(found, expected, strict=True):
        assert torch.allclose(one, other, rtol=1e-12)
    assert max(sizes) <= 12 or batch  # a mixture for each row has no fewer


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


# ---------------------------------------------------------------- expectation maximisation

TWO = torch.tensor([[0.9, 0.9, 0.9, 0.1, 0.1, 0.1], [0.1, 0.1, 0.1, 0.9, 0.9, 0.9]])


def rows(number, seed=0, missing=0.0):
    """Return rows of two classes whose bits are mostly ones in one half."""
    generator = torch.Generator().manual_seed(seed)
    classes = torch.randint(0, 2, (number,), generator=generator)
    x = (torch.rand(number, 6, generator=generator) < TWO[classes]).float()
    return x.masked_fill(torch.rand(x.shape, generator=generator) < missing, NAN), classes


def learned(model, train, validation, seed=0):
    with torch.no_grad():
        passes = list(model.learn(Resident(train, 1, False), Resident(validation, 1, False), seed))
    return model, passes


@pytest.mark.parametrize("missing", [0.0, 0.3])
@pytest.mark.parametrize("build", [bernoulli_mixture, tree_mixture])
def test_two_classes_are_found_again(build, missing):
    train, classes = rows(300, missing=missing)
    model = build(6, components=2, smoothing=1.0)
    model.may_be_missing = missing > 0
    learned(model, train, rows(80, seed=1, missing=missing)[0])
    found = model.responsibilities(train).argmax(1)
    assert max(float((found == classes).float().mean()), float((found != classes).float().mean())) > 0.9
    if build is bernoulli_mixture:
        means = model().components.mean
        means = means if means[0, 0] > 0.5 else means.flip(0)
        assert torch.allclose(means, TWO, atol=0.15)


@pytest.mark.parametrize("build", [bernoulli_mixture, tree_mixture])
def test_no_pass_lowers_the_likelihood_of_rows_that_are_one_block(build):
    """With the prior of the smoothing, which each pass maximises too."""
    model = build(6, components=3)
    train = Resident(rows(300)[0], 1, False)
    with torch.no_grad():
        passes = model.starts(train)(3, 1e-3, torch.Generator().manual_seed(0))
        values = [value for _, (_, value) in zip(range(12), passes, strict=False)]
    assert all(after >= before - 1e-4 for before, after in pairwise(values[1:]))
    assert values[-1] > values[0]


def test_one_component_is_independent_columns_and_one_tree_is_that_of_chow_and_liu():
    train, validation = rows(300)[0], rows(100, seed=1)[0]
    alone, _ = learned(bernoulli_mixture(6, components=1, smoothing=1e-6), train, validation)
    assert torch.allclose(alone().mean, train.mean(0), atol=1e-5)
    tree, _ = learned(tree_mixture(6, components=1, smoothing=1e7), train, validation)
    theirs, _ = learned(chow_liu(6), train, validation)
    x = all_codes(6, torch.zeros(()))
    assert torch.allclose(tree.log_prob(x), theirs.log_prob(x), atol=1e-3)


def test_the_number_of_components_is_chosen_on_the_validation_rows():
    train, validation = rows(120)[0], rows(80, seed=1)[0]
    model, passes = learned(bernoulli_mixture(6), train, validation)
    assert len(model.log_weights) > 1
    held_out = Resident(validation, 1, False)
    assert model.mean_log_prob(held_out) == pytest.approx(max(done.validation for done in passes), abs=1e-5)
    only, _ = learned(bernoulli_mixture(6, components=1), train, validation)
    assert model.mean_log_prob(held_out) > only.mean_log_prob(held_out) + 0.5


def numbers_learned(model):
    """Return how many numbers are learned: parameters, but one of the weights, and of a root one instead of two."""
    roots = int((model.parents < 0).sum()) if isinstance(model, TreeMixtureModel) else 0
    return sum(value.numel() for value in model.parameters()) - roots - 1


@pytest.mark.parametrize("build", [bernoulli_mixture, tree_mixture])
def test_the_criterion_is_that_of_schwarz(build):
    train = rows(300)[0]
    model, _ = learned(build(6, components=3, selection="bic"), train, train[:50])
    state = {name: getattr(model, name) for name in model.learned}
    with torch.no_grad():
        expected = float(model.log_prob(train).mean()) - numbers_learned(model) * math.log(300) / 600
        assert model.bic(state, Resident(train, 1, False)) == pytest.approx(expected, abs=1e-5)
        twice = Weighted(Resident(train, 1, False), torch.full((300,), 2.0))  # as 600 rows
        expected += numbers_learned(model) * (math.log(300) / 600 - math.log(600) / 1200)
        assert model.bic(state, twice) == pytest.approx(expected, abs=1e-5)


def test_the_criterion_of_weights_that_sum_to_one_is_refused():
    train = rows(40)[0]
    model = bernoulli_mixture(6, components=2, selection="bic")
    shares = Weighted(Resident(train, 1, False), torch.full((40,), 1 / 40))
    with torch.no_grad(), pytest.raises(InputError, match="selection: expected at least 2 training rows for 'bic'"):
        list(model.learn(shares, shares, 0))


def test_levels_of_a_variable_sum_to_one_in_the_criterion():
    columns = Column("colour", "categorical", ("blue", "green", "red")), Column("answer", "binary")
    model = bernoulli_mixture(DataSpec((4,), kind="mixed", variables=columns))
    assert [model.size(count) for count in (1, 2, 5)] == [3, 7, 19]


@pytest.mark.parametrize("build", [bernoulli_mixture, tree_mixture])
def test_the_criterion_needs_no_validation_rows_and_finds_the_classes(build, monkeypatch):
    for kind in (BernoulliMixtureModel, TreeMixtureModel):
        monkeypatch.setattr(kind, "numbers_of_components", (1, 2, 4))
        monkeypatch.setattr(kind, "rows_each", 4)
    train, other = rows(300)[0], rows(80, seed=1)[0]
    model, passes = learned(build(6, selection="bic"), train, other)
    same, _ = learned(build(6, selection="bic"), train, 1 - other.roll(1, 1))
    assert len(model.log_weights) == 2
    assert all(torch.equal(*pair) for pair in zip(model.parameters(), same.parameters(), strict=True))
    best = max(passes, key=lambda done: done.score)
    state = {name: getattr(model, name) for name in model.learned}
    with torch.no_grad():
        assert model.bic(state, Resident(train, 1, False)) == pytest.approx(best.score, abs=1e-6)
    assert model.mean_log_prob(Resident(other, 1, False)) == pytest.approx(best.validation, abs=1e-5)
    alone = torch.rand(300, 6, generator=torch.Generator().manual_seed(5)).round()
    assert len(learned(build(6, selection="bic"), alone, other)[0].log_weights) == 1


def test_the_result_of_a_fit_is_that_of_the_best_criterion():
    data = binary_data()
    model = bernoulli_mixture(data, components=2, selection="bic")
    result = vaelab.fit(model, data, device="cpu")
    assert result.best_bound == pytest.approx(model.mean_log_prob(data.validation.observations()), abs=1e-5)
    assert result.history[result.best_step - 1]["val/log-likelihood"] == result.best_bound


@pytest.mark.parametrize("build", [bernoulli_mixture, tree_mixture])
def test_the_total_of_the_passes_never_grows_and_is_reached(build):
    _, passes = learned(build(6), rows(120)[0], rows(80, seed=1)[0])
    totals = [done.of for done in passes]
    assert totals == sorted(totals, reverse=True)
    assert totals[-1] == len(passes)


def test_the_pairs_of_the_whole_table_are_counted_once(monkeypatch):
    wholes, of = [], PairCounts.of

    def counted(*args):
        wholes.extend([1] if len(args) == 2 else [])  # a start counts with the shares of its components too
        return of(*args)

    monkeypatch.setattr(PairCounts, "of", counted)
    learned(tree_mixture(6, components=2, restarts=3), rows(120)[0], rows(80, seed=1)[0])
    assert len(wholes) == 1


def test_columns_of_several_kinds_are_mixed():
    columns = Column("colour", "categorical", ("blue", "green", "red")), Column("answer", "binary")
    spec = DataSpec((4,), kind="mixed", variables=columns)
    level = torch.arange(400) % 3
    x = torch.cat([torch.nn.functional.one_hot(level, 3), (level == 0).unsqueeze(1)], 1).float()
    model, _ = learned(bernoulli_mixture(spec, components=3, smoothing=0.5), x, x[:90])
    assert float(model.log_prob(x).mean().detach()) == pytest.approx(-math.log(3), abs=0.1)
    answer = model.allow_missing().log_prob(torch.tensor([[NAN, NAN, NAN, 1.0]]))
    assert float(answer.exp().detach()) == pytest.approx(1 / 3, abs=0.05)


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: bernoulli_mixture(6, components=0), "components: expected an integer of at least 1 or 'auto'; got 0"),
        (lambda: bernoulli_mixture(6, components="many"), "components: expected an integer of at least 1 or 'auto'"),
        (lambda: tree_mixture(6, smoothing="many"), "smoothing: expected a number above 0 or 'auto', .*; got 'many'"),
        (lambda: tree_mixture(6, selection="aic"), "selection: expected one of validation, bic; got 'aic'"),
        (lambda: tree_mixture(6, smoothing=0), "smoothing: expected a number above 0"),
        (lambda: tree_mixture(6, restarts=0), "restarts: expected"),
        (lambda: tree_mixture(5001), "data: tree-mixture is for at most 5,000 columns"),
        (
            lambda: bernoulli_mixture(DataSpec((3,), kind="real")),
            "bernoulli-mixture is for bits or levels, and the data have real numbers",
        ),
    ],
)
def test_options_out_of_range_are_refused(build, sentence):
    with pytest.raises(InputError, match=sentence):
        build()


@pytest.mark.parametrize("estimator", [BernoulliMixture, TreeMixture])
def test_the_estimator_of_scikit_learn_gives_the_component_of_each_row(estimator, tmp_path):
    x, classes = (part.numpy() for part in rows(300))
    found = estimator(components=2, random_state=0).fit(x)
    same = (found.predict(x) == classes).mean()
    assert max(same, 1 - same) > 0.9
    assert found.predict_proba(x).sum(1) == pytest.approx(1.0)
    x[0, :3] = NAN
    assert not np.isnan(found.impute(x)).any()
    assert found.predict_proba(x[:1]).shape == (1, 2)
    found.save(tmp_path / "kept")
    assert estimator.load(tmp_path / "kept").score_samples(x) == pytest.approx(found.score_samples(x), abs=1e-5)

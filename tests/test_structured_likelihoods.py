"""Likelihoods whose columns depend on each other given z: trees and autoregressive ones.

The tree of Chow and Liu, marginals by enumeration, every door, files, refusals.
"""

import math
from itertools import combinations, product

import numpy as np
import pytest
import scipy.sparse
import torch
from torch.distributions import Categorical, MixtureSameFamily

import vaelab
from vaelab.data import Dataset, Split
from vaelab.distributions import Autoregressive, Bernoulli, Forest, Tree, all_codes, given_observed, observed_log_prob
from vaelab.errors import InputError
from vaelab.inference import Enumeration, complete
from vaelab.likelihoods import TreeLikelihood
from vaelab.likelihoods.chow_liu import Pairs, chow_liu_tree
from vaelab.sklearn import GaussianVAE

NAN = math.nan


def chained(count=200, columns=5, seed=0):
    """Return rows of bits that repeat the bit before them with probability 0.8, columns in another order."""
    rng = np.random.default_rng(seed)
    x = np.cumsum(rng.random((count, columns)) < np.linspace(0.1, 0.35, columns), 1) % 2
    return x[:, rng.permutation(columns)].astype(np.uint8)


def dataset(x=None, weights=None, **options):
    x = chained() if x is None else x
    held_out = {name: Split(x[:40]) for name in ("validation", "test")}
    return Dataset("chained", {"train": Split(x, weights=weights), **held_out}, "binary", 1, **options)


def edges(parents):
    return {frozenset((child, parent)) for child, parent in enumerate(parents.tolist()) if parent >= 0}


# ---------------------------------------------------------------- the tree of Chow and Liu


def trees_over(columns):
    """Yield the edges of every tree over some columns, from its Pruefer sequence."""
    for code in product(range(columns), repeat=columns - 2):
        degree = [1 + code.count(column) for column in range(columns)]
        tree = []
        for parent in code:
            leaf = degree.index(1)
            tree.append((leaf, parent))
            degree[leaf], degree[parent] = 0, degree[parent] - 1
        yield [*tree, tuple(column for column in range(columns) if degree[column] == 1)]


@pytest.mark.parametrize("seed", range(5))
def test_no_other_tree_has_more_mutual_information(seed):
    information = Pairs.of(dataset(chained(60, seed=seed))).mutual_information()
    sums = {frozenset(map(frozenset, tree)): sum(float(information[edge]) for edge in tree) for tree in trees_over(5)}
    assert len(sums) == 125  # Cayley: 5^3
    assert edges(chow_liu_tree(information)) == max(sums, key=sums.get)


def test_the_root_is_in_the_middle_of_the_longest_path():
    information = torch.zeros(7, 7)
    for column in range(6):
        information[column, column + 1] = information[column + 1, column] = 1
    assert chow_liu_tree(information).tolist() == [1, 2, 3, -1, 3, 4, 5]
    assert chow_liu_tree(torch.zeros(1, 1)).tolist() == [-1]


@pytest.mark.parametrize("missing", [0.0, 0.3])
@pytest.mark.parametrize("weighted", [False, True])
def test_pairs_are_counted_in_the_rows_in_which_both_are_observed(missing, weighted):
    rng = np.random.default_rng(1)
    x = chained(50, 4).astype(np.float32)
    x[rng.random(x.shape) < missing] = NAN
    weights = rng.integers(0, 4, 50).astype(np.float32) if weighted else np.ones(50, np.float32)
    pairs = Pairs.of(dataset(x, weights if weighted else None))
    for i, j in product(range(4), repeat=2):
        seen = ~np.isnan(x[:, [i, j]]).any(1)
        mean = [weights @ np.nan_to_num(x[:, k]) / (weights @ ~np.isnan(x[:, k])) for k in (i, j)]
        total = weights[seen].sum() + 10
        assert float(pairs.one[i, j]) == pytest.approx((weights[seen] @ x[seen, i] + 10 * mean[0]) / total, rel=1e-6)
        both = weights[seen] @ (x[seen, i] * x[seen, j]) + 10 * mean[0] * mean[1]
        assert float(pairs.both[i, j]) == pytest.approx(both / total, rel=1e-6)


def test_the_mutual_information_is_that_of_the_pairs_and_zero_where_nothing_is_observed_together():
    x = chained(50, 3).astype(np.float32)
    x[:25, 0] = NAN
    x[25:, 1] = NAN
    pairs = Pairs.of(dataset(x))
    information = pairs.mutual_information()
    assert abs(float(information[0, 1])) < 1e-12
    p = torch.tensor([[1 - pairs.one[1, 2] - pairs.one[2, 1] + pairs.both[1, 2], pairs.one[2, 1] - pairs.both[1, 2]],
                      [pairs.one[1, 2] - pairs.both[1, 2], pairs.both[1, 2]]])  # fmt: skip
    expected = (p * (p / (p.sum(1, keepdim=True) * p.sum(0))).log()).sum()
    assert float(information[1, 2]) == pytest.approx(float(expected), abs=1e-7)
    assert torch.allclose(information, information.T, rtol=0, atol=1e-12)


def test_weights_are_repeated_rows_and_sparse_rows_are_dense_ones():
    x, weights = chained(60), np.arange(60).astype(np.float32) % 3
    by_weight, repeated = Pairs.of(dataset(x, weights)), Pairs.of(dataset(np.repeat(x, weights.astype(int), 0)))
    assert torch.allclose(by_weight.both, repeated.both, rtol=1e-12)
    sparse = Pairs.of(dataset(scipy.sparse.csr_array(x)))
    assert torch.equal(sparse.both, Pairs.of(dataset(x)).both)


def test_without_any_influence_of_z_the_likelihood_is_the_tree_of_the_data():
    data = dataset()
    model = vaelab.gaussian_vae(data, latent_dim=2, hidden_dims=[], likelihood="tree")
    p, x = model.likelihood(torch.zeros(2)), torch.from_numpy(chained()).float()
    assert torch.allclose(p.mean, x.mean(0), atol=1e-5)
    for child, parent in combinations(range(5), 2):
        if frozenset((child, parent)) in edges(model.likelihood.parents):
            ours = (p.sample((20_000,))[:, [child, parent]].prod(1)).mean()
            assert float(ours) == pytest.approx(float(x[:, [child, parent]].prod(1).mean()), abs=0.03)
    independent = vaelab.gaussian_vae(data, latent_dim=2, hidden_dims=[]).likelihood(torch.zeros(2))
    information = Pairs.of(data).mutual_information()
    gained = sum(float(information[tuple(edge)]) for edge in edges(p.forest.parents))
    assert float((p.log_prob(x) - independent.log_prob(x)).mean().detach()) == pytest.approx(gained, rel=0.15)
    assert gained > 0.3


# ---------------------------------------------------------------- the distribution


def random_tree(batch=(3,), columns=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    off, on = (2 * torch.randn(*batch, columns, generator=generator).double() for _ in range(2))
    return Tree(off, on, [3, 0, 3, -1, 2, 0][:columns])


def test_a_tree_without_edges_is_independent_bits():
    p, x = random_tree(), all_codes(6, torch.zeros(()).double()).unsqueeze(1)
    bits, alone = Bernoulli(p.off), Tree(p.off, p.on, [-1] * 6)
    for name in ("mean", "mode", "variance"):
        assert torch.allclose(getattr(alone, name), getattr(bits, name), rtol=1e-12)
    assert torch.allclose(alone.log_prob(x), bits.log_prob(x), rtol=1e-12)
    assert torch.allclose(alone.entropy(), bits.entropy(), rtol=1e-12)
    x = x.masked_fill(torch.rand(x.shape) < 0.4, NAN)
    assert torch.allclose(observed_log_prob(alone, x), observed_log_prob(bits, x), rtol=1e-12)


@pytest.mark.parametrize("missing", list(product([False, True], repeat=4))[1:])
def test_the_density_of_what_is_observed_is_the_enumerated_marginal(missing):
    p, x = random_tree(), all_codes(6, torch.zeros(()).double())
    hidden = torch.tensor([*missing, missing[0], False])
    log_prob = p.log_prob(x.unsqueeze(1))  # (64, 3)
    for row in x[~(x[:, hidden] > 0).any(1)]:
        gaps = row.masked_fill(hidden, NAN)
        same = (x == gaps).logical_or(hidden).all(1)
        assert torch.allclose(observed_log_prob(p, gaps), log_prob[same].logsumexp(0), rtol=1e-12)
        given = given_observed(p, gaps)
        weights = log_prob[same].softmax(0)  # p(x_missing|x_observed), (S, 3)
        assert torch.allclose(given.mean, torch.einsum("sb,sx->bx", weights, x[same]), rtol=1e-9, atol=1e-12)
        best = torch.where(torch.isnan(gaps), given.mode, gaps)
        assert torch.allclose(p.log_prob(best), log_prob[same].amax(0), rtol=1e-12)


def test_gradients_of_the_marginal_are_finite_differences():
    p = random_tree((2,))
    x = torch.tensor([[NAN, 1, 0, NAN, NAN, 1], [0, NAN, NAN, 1, 0, NAN]]).double()
    leaves = [part.clone().requires_grad_() for part in (p.off, p.on)]
    marginal = lambda off, on: observed_log_prob(Tree(off, on, p.forest), x)  # noqa: E731
    assert torch.autograd.gradcheck(marginal, leaves)
    assert torch.autograd.gradgradcheck(marginal, leaves, fast_mode=True)


@pytest.mark.parametrize("shape", [(2, 5), (2, 1), (5,), ()])
def test_a_value_may_lack_axes_of_the_tree(shape):
    p, x = random_tree(shape), torch.randint(0, 2, (5, 6)).double()
    x[1, 2:4] = NAN
    wide = Tree(*(part.expand(*shape[:-1], 5, 6) for part in (p.off, p.on)), p.forest)
    assert torch.allclose(observed_log_prob(p, x), observed_log_prob(wide, x), rtol=1e-12)
    assert torch.allclose(p.log_prob(x.nan_to_num(0)), wide.log_prob(x.nan_to_num(0)), rtol=1e-12)
    assert torch.allclose(given_observed(p, x).mean, given_observed(wide, x).mean, rtol=1e-12)


@pytest.mark.parametrize("parents", [[0, -1], [1, 0, -1], [-1, 3, 1], [-2, 0], [-1, 0.5]])
def test_what_is_no_forest_is_refused(parents):
    with pytest.raises(InputError, match=r"^parents: expected"):
        Forest.of(parents)
    with pytest.raises(InputError, match="forest: expected the parents of 3 columns; got 2"):
        Tree(torch.zeros(3), torch.zeros(3), [-1, 0])


def test_a_mixture_given_what_is_observed_has_new_weights():
    x, logits = all_codes(3, torch.zeros(()).double()), torch.randn(4, 2, 3).double()
    p = MixtureSameFamily(Categorical(logits=torch.randn(4, 2).double()), Bernoulli(logits), validate_args=False)
    gaps = torch.tensor([1, NAN, NAN]).double()
    same = x[:, 0] == 1
    weights = p.log_prob(x[same].unsqueeze(1).expand(-1, 4, 3)).softmax(0)
    expected = torch.einsum("sb,sx->bx", weights, x[same])
    assert torch.allclose(given_observed(p, gaps.expand(4, 3)).mean[:, 1:], expected[:, 1:], rtol=1e-12)


# ---------------------------------------------------------------- in a model


@pytest.fixture(scope="module")
def trained():
    data = dataset(chained(400))
    model = vaelab.bernoulli_vae(data, latent_dim=3, hidden_dims=[8], likelihood="tree", seed=0)
    vaelab.fit(model, data, steps=40, seed=0)
    return data, model


def test_the_second_number_of_a_column_is_the_change_of_its_logit_where_the_parent_is_1(trained):
    _, model = trained
    numbers = torch.randn(4, 10)
    p = model.likelihood.distribution(numbers)
    assert torch.equal(p.off, numbers[:, :5])
    assert torch.equal(p.on, numbers[:, :5] + numbers[:, 5:])


def test_weights_of_an_earlier_version_are_the_logits_where_the_parent_is_1(trained, tmp_path):
    data, model = trained
    weights = {name: value for name, value in model.state_dict().items() if not name.endswith("changes")}
    earlier = vaelab.bernoulli_vae(data, latent_dim=3, hidden_dims=[8], likelihood="tree", seed=1)
    earlier.load_state_dict(weights)
    earlier.save(tmp_path / "again")
    numbers = torch.randn(4, 10)
    for each in (earlier, vaelab.load(tmp_path / "again")):
        assert torch.equal(each.likelihood.distribution(numbers).on, numbers[:, 5:])
        each.load_state_dict(model.state_dict())
        assert torch.equal(each.likelihood.distribution(numbers).on, numbers[:, :5] + numbers[:, 5:])


def test_what_is_missing_is_filled_given_z_and_what_is_observed(trained):
    """Neither imputation nor completion may draw a column without what is known of its neighbours in the tree."""
    _, model = trained
    row = torch.tensor([[1, NAN, 0, NAN, NAN]])
    x = all_codes(5, torch.zeros(()))
    same = (x == row).logical_or(row.isnan()).all(1)
    log_joint = Enumeration(model).log_likelihood(x[same])
    expected = log_joint.softmax(0) @ x[same]
    assert torch.allclose(vaelab.impute(model, row, samples=4000).values[0], expected, atol=0.02)
    rows, known = row.nan_to_num(0).expand(4000, 5), ~row.isnan().expand(4000, 5)
    drawn, mean = complete(model, rows, known, seed=0)
    draws = vaelab.impute(model, row.expand(100, 5), samples=100, n_draws=20).draws.flatten(0, 1)
    second = torch.einsum("s,sx,sy->xy", log_joint.softmax(0), x[same], x[same])
    for found in (drawn, draws):
        assert torch.allclose(found.mean(0), expected, atol=0.05)
        assert torch.allclose(found.T @ found / len(found), second, atol=0.05)
    assert torch.allclose(mean.mean(0), expected, atol=0.05)


def test_the_tree_is_saved_and_loaded_and_needs_the_training_rows(trained, tmp_path):
    data, model = trained
    model.save(tmp_path / "model")
    loaded, x = vaelab.load(tmp_path / "model"), data.test.batch(5)
    assert torch.equal(loaded.likelihood.parents, model.likelihood.parents)
    assert torch.equal(loaded.log_joint(x, torch.ones(2, 5, 3)), model.log_joint(x, torch.ones(2, 5, 3)))
    blank = vaelab.bernoulli_vae(data.spec, latent_dim=3, hidden_dims=[8], likelihood="tree")
    for use in (
        lambda: blank.bound(x),
        lambda: blank.sample(2),
        lambda: blank.sample(2, "mode"),
        lambda: blank.decode(torch.ones(1, 3)),
        lambda: vaelab.fit(blank, data, steps=1),
    ):
        with pytest.raises(InputError, match=r"^likelihood: tree needs the training rows, .*give the data set"):
            use()
    blank.load_state_dict(model.state_dict())
    assert torch.equal(blank.decode(torch.ones(1, 3)), model.decode(torch.ones(1, 3)))


def test_a_tree_of_rows_with_gaps_and_of_every_source_of_rows(tmp_path):
    gaps = chained(300).astype(np.float32)
    gaps[np.random.default_rng(0).random(gaps.shape) < 0.05] = NAN
    incomplete = dataset(gaps)
    model = vaelab.gaussian_vae(incomplete, latent_dim=2, hidden_dims=[8], likelihood="tree", seed=0)
    assert edges(model.likelihood.parents) == edges(TreeLikelihood(2, dataset(chained(300))).parents)
    before = vaelab.evaluate(model, incomplete, samples=20)["iwae-20"].value
    vaelab.fit(model, incomplete, steps=30, seed=0)
    assert vaelab.evaluate(model, incomplete, samples=20)["iwae-20"].value > before
    np.save(tmp_path / "x.npy", chained(300))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    streamed = dataset(mapped)
    assert torch.equal(TreeLikelihood(2, streamed).parents, TreeLikelihood(2, dataset(chained(300))).parents)
    grey = Dataset("grey", {"train": Split(255 * chained(300))}, "grey", 255)
    assert torch.equal(TreeLikelihood(2, grey).parents, TreeLikelihood(2, dataset(chained(300))).parents)
    conditional = vaelab.gaussian_vae(dataset().with_condition("0"), latent_dim=2, hidden_dims=[4], likelihood="tree")
    assert conditional.sample(3, given=1).shape == (3, 4)


def test_an_estimator_of_scikit_learn_and_more_columns_than_pairs_can_have():
    vae = GaussianVAE(latent_dim=2, hidden_dims=(8,), likelihood="tree", steps=20, random_state=0).fit(chained())
    assert vae.model_.likelihood.name == "tree"
    assert vae.score(chained()) > GaussianVAE(latent_dim=2, hidden_dims=(8,), steps=20, random_state=0).fit(
        chained()
    ).score(chained())
    wide = dataset(scipy.sparse.csr_array((50, 5001), dtype=np.uint8))
    with pytest.raises(InputError, match=r"likelihood: tree is for at most 5,000 columns, .* the data have 5,001"):
        TreeLikelihood(2, wide)


# ---------------------------------------------------------------- autoregressive


def autoregressive(batch=(3,), columns=6, scale=1.0):
    generator = torch.Generator().manual_seed(4)
    parts = [scale * torch.randn(*batch, columns, generator=generator).double() for _ in range(2)]
    return Autoregressive(*parts, *(scale * torch.randn(3, columns, columns, generator=generator).double()))


def test_a_column_depends_on_all_columns_before_it_and_on_no_other():
    p = autoregressive((), scale=0.3)
    p.shifts[:] = 5  # no hidden unit is off
    slopes = torch.autograd.functional.jacobian(p.conditional_logits, torch.rand(6).double())
    assert not slopes.triu().any()
    assert slopes[torch.ones(6, 6).tril(-1) > 0].abs().min() > 1e-3


def test_it_starts_as_independent_bits_at_the_means_of_the_data():
    data = dataset()
    x, z = data.test.batch(40), torch.randn(2, 40, 3)
    model = vaelab.gaussian_vae(data, latent_dim=3, hidden_dims=[4], likelihood="autoregressive", seed=0)
    network = model.likelihood.network
    assert torch.allclose(model.log_likelihood(x, z), Bernoulli(network(z)[..., :5]).log_prob(x), rtol=1e-6)
    with torch.no_grad():
        network.layers[-1].weight.zero_()
    assert torch.allclose(model.decode(z)[0, 0], data.spec.mean, atol=1e-5)


def test_its_mean_is_estimated_and_the_same_at_every_call():
    p, x = autoregressive(), all_codes(6, torch.zeros(()).double())
    exact = torch.einsum("nb,nx->bx", p.log_prob(x.unsqueeze(1)).exp(), x)
    assert torch.equal(p.mean, p.mean)
    assert torch.allclose(p.mean[:, 0], exact[:, 0], rtol=1e-12)  # nothing is drawn before the first column
    error = (p.mean - exact).abs().max()
    assert 1e-4 < error < 5 * 0.0625
    assert not p.mean.requires_grad


def test_its_mode_is_the_likelier_value_of_each_column_and_need_not_be_the_most_probable_row():
    direct = torch.tensor([[0.0, 0.0], [-1.0, 0.0]]).double()  # the second bit is nearly certain where the first is 0
    p = Autoregressive(torch.tensor([0.1, 9.0]).double(), torch.zeros(2).double(), 9 * direct, 0 * direct, 0 * direct)
    assert p.mode.tolist() == [1.0, 0.0]
    assert p.log_prob(torch.tensor([0.0, 1.0]).double()) > p.log_prob(p.mode)


def test_parameters_of_all_its_parts_are_mapped():
    p = autoregressive()
    for part in (p.logits, p.direct, p.inward, p.outward):
        part.requires_grad_()
    x = p.sample()
    assert not p.map_parameters(torch.Tensor.detach).log_prob(x).requires_grad
    assert torch.allclose(p.map_parameters(torch.Tensor.detach).log_prob(x), p.log_prob(x), rtol=1e-12)


def test_rows_with_gaps_are_refused_where_the_model_is_built_and_where_it_meets_them(tmp_path):
    gaps = chained(100).astype(np.float32)
    gaps[3, 2] = NAN
    incomplete, model = dataset(gaps), vaelab.bernoulli_vae(5, latent_dim=2, likelihood="autoregressive", seed=0)
    sentence = r"^likelihood: expected .* as values of x are missing; .*utoregressive has no density of some of its col"
    for use in (
        lambda: vaelab.gaussian_vae(incomplete, latent_dim=2, likelihood="autoregressive"),
        lambda: vaelab.fit(model, incomplete, steps=1),
        lambda: vaelab.evaluate(model, incomplete, samples=1),
        lambda: vaelab.impute(model, gaps),
        lambda: complete(model, chained(3).astype(np.float32), torch.arange(5) < 3),
        lambda: GaussianVAE(likelihood="autoregressive", steps=1).fit(gaps),
    ):
        with pytest.raises(InputError, match=sentence):
            use()


def test_an_autoregressive_model_trains_is_saved_and_has_no_onnx(tmp_path):
    data = dataset(chained(300))
    model = vaelab.gaussian_vae(data, latent_dim=2, hidden_dims=[8], likelihood="autoregressive", seed=0)
    before = vaelab.evaluate(model, data, samples=20)["iwae-20"].value
    vaelab.fit(model, data, steps=60, seed=0)
    assert vaelab.evaluate(model, data, samples=20)["iwae-20"].value > before + 0.05
    model.save(tmp_path / "model")
    loaded, x = vaelab.load(tmp_path / "model"), data.test.batch(5)
    assert torch.equal(loaded.log_joint(x, torch.ones(2, 5, 2)), model.log_joint(x, torch.ones(2, 5, 2)))
    assert torch.equal(loaded.sample(4, "mode", seed=0), model.sample(4, "mode", seed=0))
    with pytest.raises(InputError, match=r"likelihood: expected one whose mean has a formula, .*; autoregressive"):
        vaelab.export.to_onnx(model, tmp_path / "onnx")

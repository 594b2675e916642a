"""Room: priors. Every prior that has a name: normalised, drawn as its density says, learned, saved, and fit for use."""

import copy
import math
import sys

import numpy as np
import pytest
import torch
from torch.distributions import Bernoulli, Categorical, Distribution, Independent, MixtureSameFamily, Normal

import vaelab
from tests.laws.exact import every_code, exact_gradients, gradients_of_parts, log_densities, log_likelihood
from tests.laws.models import X, binary_data, observations_of
from tests.laws.table import ROWS
from vaelab.distributions import DiagonalNormal, Mixture
from vaelab.errors import InputError
from vaelab.estimators import ESTIMATORS, Expectation
from vaelab.likelihood import elbo, exact, importance_weighted, prior_average, quadrature
from vaelab.objectives import ELBO
from vaelab.priors import BIT_PRIORS, REAL_PRIORS, VampPrior
from vaelab.seeds import seeded
from vaelab.settings import resolve

FEW = {"prior_components": 3}
BITS = {name: FEW if name == "mixture" else {} for name in BIT_PRIORS}
REALS = {name: FEW if name in ("mixture", "vamp") else {} for name in REAL_PRIORS}
REACH = {"flow": (6.0, 121)}  # of a grid, and its points on an axis: it is slow
ALL = [*(("bits", name) for name in BITS), *(("real", name) for name in REALS)]
EVERY = pytest.mark.parametrize(("code", "name"), ALL, ids=[" ".join(pair) for pair in ALL])
LEARNED = pytest.mark.parametrize(
    ("code", "name"),
    learned := [pair for pair in ALL if pair[1] not in ("normal", "uniform")],
    ids=map(" ".join, learned),
)


def model_of(code, name, dim, data=X, std=0.4):
    """A small float64 model whose weights are not where they start; a flow has many, so that less makes it uneven."""
    std = min(std, 0.05) if name == "flow" else std
    build = vaelab.bernoulli_vae if code == "bits" else vaelab.gaussian_vae
    options = (BITS if code == "bits" else REALS)[name]
    model = build(data, dim, hidden_dims=[4], activation="tanh", prior=name, **options, seed=0).double()
    with seeded(5, code, name), torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight.add_(std * torch.randn_like(weight))
    return model.eval()


def grid(dim, reach=14.0, points=281):
    """Points of a grid in R^dim, float64 (G, D), and the volume of a cell."""
    axis = torch.linspace(-reach, reach, points, dtype=torch.float64)
    return torch.cartesian_prod(*[axis] * dim).view(-1, dim), float(axis[1] - axis[0]) ** dim


# ---------------------------------------------------------------- the distribution


@EVERY
def test_the_density_is_normalised(code, name):
    model = model_of(code, name, 4 if code == "bits" else 2)
    z, volume = (every_code(model), 1.0) if code == "bits" else grid(2, *REACH.get(name, ()))
    with torch.no_grad():
        mass = float(model.prior().log_prob(z).exp().sum()) * volume
    assert mass == pytest.approx(1, abs=1e-9 if name != "flow" else 1e-3)  # a spline has kinks


@EVERY
def test_draws_have_the_density(code, name):
    """Pearson's statistic of 4000 draws over all codes, or over cells of the plane: below its quantile at 1e-6."""
    model, count = model_of(code, name, 4 if code == "bits" else 2), 4000
    with torch.no_grad(), seeded(7):
        p, drawn = model.prior(), model.prior().sample((count,))
        if code == "bits":
            chances = p.log_prob(every_code(model)).exp()
            cells = (drawn @ torch.tensor([8.0, 4, 2, 1]).double()).long()
        else:
            z, volume = grid(2, *REACH.get(name, ()))
            sides = torch.linspace(-2, 2, 5).double()

            def cell(points):
                return (torch.bucketize(points, sides) * torch.tensor([len(sides) + 1, 1])).sum(-1)

            chances = torch.zeros((len(sides) + 1) ** 2).double()
            chances.index_add_(0, cell(z), p.log_prob(z).exp() * volume)
            cells = cell(drawn)
    expected, found = count * chances, cells.bincount(minlength=len(chances))
    kept = expected > 2
    statistic = float(((found - expected).square() / expected)[kept].sum())
    degrees = int(kept.sum())
    assert statistic < degrees + 5 * math.sqrt(2 * degrees) + 20
    assert found[~kept].sum() < 4 * expected[~kept].sum() + 20


@LEARNED
def test_gradients_are_those_of_differences(code, name):
    """Along a random direction of all trained weights, and of the code; every weight of the prior has a gradient."""
    model = model_of(code, name, 3)
    with seeded(2):
        z = model.prior().sample((6,)) if code == "bits" else torch.randn(6, 3).double()
        weights = [weight for weight in model.prior.parameters() if weight.requires_grad]
        if name == "vamp":
            weights += list(model.posterior.parameters())
        ways = [torch.randn_like(weight) for weight in weights]
        way = torch.randn_like(z)

    def density(step):
        with torch.no_grad():
            for weight, direction in zip(weights, ways, strict=True):
                weight.add_(step * direction)
            value = model.prior().log_prob(z + step * way).sum()
            for weight, direction in zip(weights, ways, strict=True):
                weight.sub_(step * direction)
            return float(value)

    leaf = z.clone().requires_grad_()
    found = torch.autograd.grad(model.prior().log_prob(leaf).sum(), [*weights, leaf])
    slope = sum(float((gradient * way).sum()) for gradient, way in zip(found, [*ways, way], strict=True))
    assert slope == pytest.approx((density(1e-6) - density(-1e-6)) / 2e-6, rel=1e-5, abs=1e-6)
    assert all(gradient.isfinite().all() for gradient in found)
    assert all(gradient.abs().max() > 0 for gradient in found)


def test_mixtures_are_those_of_torch():
    reals, bits = model_of("real", "mixture", 3).prior, model_of("bits", "mixture", 4).prior
    z = torch.randn(2, 5, 3).double()
    normals = Independent(Normal(reals.means, reals.log_scales.exp()), 1)
    expected = MixtureSameFamily(Categorical(logits=reals.log_weights), normals)
    assert torch.allclose(reals().log_prob(z), expected.log_prob(z), atol=1e-12)
    codes = every_code(model_of("bits", "mixture", 4))
    expected = MixtureSameFamily(Categorical(logits=bits.log_weights), Independent(Bernoulli(logits=bits.logits), 1))
    assert torch.allclose(bits().log_prob(codes), expected.log_prob(codes), atol=1e-12)


@pytest.mark.parametrize("narrow", [False, True])
def test_normals_of_many_components_have_the_density_of_each(narrow):
    """By products of matrices in float64 where no component is narrow: as precise as float32 allows, with gradients."""
    with seeded(1):
        loc, log_scale, z = torch.randn(50, 8), torch.randn(50, 8) - (9 if narrow else 1), 3 * torch.randn(40, 8)
    parameters = [part.requires_grad_() for part in (loc, log_scale, z)]
    found = DiagonalNormal(loc.unsqueeze(1), log_scale.unsqueeze(1)).log_prob(z)
    expected = Normal(loc.double().unsqueeze(1), log_scale.double().unsqueeze(1).exp()).log_prob(z.double()).sum(-1)
    assert found.dtype == torch.float32
    assert torch.allclose(found.double(), expected, rtol=1e-6, atol=1e-5)
    for ours, exact_one in zip(*(torch.autograd.grad(p.sum(), parameters) for p in (found, expected)), strict=True):
        assert torch.allclose(ours, exact_one, rtol=1e-4, atol=1e-4)


# ---------------------------------------------------------------- where it starts


@EVERY
def test_networks_start_the_same_under_every_prior(code, name):
    build = vaelab.bernoulli_vae if code == "bits" else vaelab.gaussian_vae
    plain, other = build(X, 3, seed=4), build(X, 3, prior=name, seed=4)
    for part in ("likelihood", "posterior"):
        for one, two in zip(getattr(plain, part).parameters(), getattr(other, part).parameters(), strict=True):
            assert torch.equal(one, two)


@pytest.mark.parametrize(("code", "name"), [pair for pair in learned if pair[1] not in ("mixture", "vamp")])
def test_a_learned_prior_starts_as_the_fixed_one(code, name):
    build = vaelab.bernoulli_vae if code == "bits" else vaelab.gaussian_vae
    z = torch.tensor([[0.0, 1.0, 1.0], [1.0, 0.0, 1.0]])
    one, other = (build(X, 3, prior=prior).prior().log_prob(z) for prior in (name, *list(build_table(code))[:1]))
    assert torch.allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("kind", ["bits", "missing", "conditional", "weights", "real"])
def test_pseudo_inputs_start_at_rows_of_the_training_split(kind):
    rows = np.random.default_rng(0).integers(0, 2, (50, 6)).astype(np.float32)
    if kind == "real":
        rows = 7 + 3 * np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32)
    if kind == "missing":
        rows[:, 0][::2] = np.nan
    weights = (np.arange(50) % 5 == 0).astype(float) if kind == "weights" else None
    data = vaelab.Dataset.from_arrays(
        rows, np.arange(50) % 2, sample_weight=weights, values="real" if kind == "real" else None
    )
    data = data.with_condition("labels") if kind == "conditional" else data
    model = vaelab.gaussian_vae(data, 2, hidden_dims=[4], prior="vamp", prior_components=8, seed=0)
    x = data.train.observations().bits(slice(None))
    x = x if weights is None else x[data.train.weights > 0]
    mean = torch.cat([data.spec.mean, torch.zeros(data.spec.given)])
    unit = model.prior.unit
    distance = torch.cdist(model.prior.inputs / unit, torch.where(x.isnan(), mean, x) / unit).min(1).values
    assert distance.max() < 0.1
    assert len(torch.unique(model.prior.inputs.round(), dim=0)) > 2
    again, other = (
        vaelab.gaussian_vae(data, 2, hidden_dims=[4], prior="vamp", prior_components=8, seed=seed).prior.inputs
        for seed in (0, 1)
    )
    assert torch.equal(again, model.prior.inputs)
    assert not torch.equal(other, model.prior.inputs)
    assert model.bound(x[:4]).isfinite().all()


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_pseudo_inputs_start_and_move_in_units_of_their_columns(scale):
    """Near rows of the data, and three steps with a rate of 0.01 move them by at most 0.03 standard deviations."""
    rows = scale * (3 + np.random.default_rng(0).normal(size=(60, 4)))
    data = vaelab.Dataset.from_arrays(rows, values="real")
    model = vaelab.gaussian_vae(data, 2, hidden_dims=[4], prior="vamp", prior_components=5, seed=0)
    prior, x = model.prior, data.train.observations().bits(slice(None))
    assert torch.cdist(prior.inputs / scale, x / scale).min(1).values.max() < 0.1
    assert torch.equal(prior.unit, data.spec.deviation.float())
    before = prior.inputs.detach().clone()
    vaelab.fit(model, data, steps=3, learning_rate=0.01, average=False, warmup=0, seed=0, device="cpu")
    moved = (prior.inputs - before).abs() / prior.unit
    assert 0.005 < moved.mean() < 0.031


@pytest.mark.parametrize(("on", "centre", "unit"), [("c", 3e4, 1e4), ("labels", 0, 1)])
def test_given_columns_of_pseudo_inputs_have_units_too(on, centre, unit):
    rows = 1e4 * (3 + np.random.default_rng(0).normal(size=(60, 3)))
    data = vaelab.Dataset.from_arrays(rows, np.arange(60) % 2, values="real", columns=["a", "b", "c"])
    data = data.with_condition(on)
    prior = vaelab.gaussian_vae(data, 2, prior="vamp", prior_components=50, seed=0).prior
    assert float(prior.centre[-1]) == pytest.approx(centre, rel=0.3)
    assert float(prior.unit[-1]) == pytest.approx(unit, rel=0.3)
    x = data.train.observations().bits(slice(None))
    assert torch.cdist(prior.inputs / prior.unit, x / prior.unit).min(1).values.max() < 0.1


def test_a_constant_column_has_the_unit_1():
    rows = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
    rows[:, 1] = 5
    data = vaelab.Dataset.from_arrays(rows, values="real")
    prior = vaelab.gaussian_vae(data, 2, prior="vamp", prior_components=4).prior
    assert prior.unit[1] == 1
    assert torch.allclose(prior.inputs[:, 1], torch.tensor(5.0), atol=0.1)


@pytest.mark.parametrize("name", ["vamp", "mixture", "flow"])
def test_the_same_seed_builds_the_same_prior_through_the_settings(name):
    data = binary_data()
    ours = vaelab.gaussian_vae(data, 2, hidden_dims=[4], prior=name, **REALS[name], seed=3)
    settings = resolve("gaussian-vae", {"latent_dim": 2, "hidden_dims": [4], "prior": name, **REALS[name]})
    with seeded(3, "weights"):
        theirs = settings.build_model(data)
    for key, weight in ours.state_dict().items():
        assert torch.equal(weight, theirs.state_dict()[key]), key


def test_a_vamp_prior_is_the_mean_of_posteriors_and_has_no_copy_of_the_encoder():
    model, z = model_of("real", "vamp", 2), torch.randn(4, 5, 2).double()
    q = model.posterior(model.prior.inputs)
    each = Normal(q.loc, q.stddev).log_prob(z.unsqueeze(-2)).sum(-1)  # (4, 5, C)
    assert torch.allclose(model.prior().log_prob(z), each.logsumexp(-1) - math.log(3), atol=1e-12)
    assert [name for name, _ in model.prior.named_parameters()] == ["standardised"]
    copied = copy.deepcopy(model)
    with torch.no_grad():
        for weight in copied.posterior.parameters():
            weight.zero_()
    assert torch.allclose(copied.prior().log_prob(z), -z.square().sum(-1) / 2 - math.log(2 * math.pi), atol=1e-12)
    assert model.prior().log_prob(z).allclose(each.logsumexp(-1) - math.log(3), atol=1e-12)


def test_a_vamp_prior_needs_a_posterior_of_vaelab():
    class Other(torch.nn.Module):
        def forward(self, x):
            return Independent(Normal(x, 1.0), 1)

    prior = VampPrior(4, Other(), vaelab.DataSpec((4,)), components=3)
    with pytest.raises(InputError, match=r"prior: 'vamp' expects a posterior .*; got Independent"):
        prior()


def test_a_flow_without_zuko_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "zuko.flows", None)
    with pytest.raises(
        InputError, match=r'prior: flow needs the package zuko; pip install "vaelab\[flows\]" installs it'
    ):
        vaelab.gaussian_vae(6, 2, prior="flow")


def test_the_import_of_zuko_leaves_the_checks_of_torch_on(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "zuko"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(Distribution, "_validate_args", True)
    vaelab.gaussian_vae(6, 2, prior="flow")
    with pytest.raises(ValueError, match="Expected parameter scale"):
        Normal(0.0, -1.0)


def build_table(code):
    return BIT_PRIORS if code == "bits" else REAL_PRIORS


# ---------------------------------------------------------------- bounds, estimators, evaluation


@EVERY
def test_estimates_of_the_likelihood_agree(code, name):
    """With the sum over all codes, or the integral over a grid, by densities of torch."""
    model, x = model_of(code, name, 3 if code == "bits" else 1), observations_of(3)
    z, volume = (every_code(model), 1.0) if code == "bits" else grid(1, points=4001)
    with torch.no_grad():
        joint = log_densities(model, x, z.unsqueeze(1))[1] + log_likelihood(model, x, z.unsqueeze(1))
        truth = joint.logsumexp(0) + math.log(volume)
    exactly = exact(model, x) if code == "bits" else quadrature(model, x)
    assert torch.allclose(exactly.values, truth, atol=1e-9 if name != "flow" else 1e-5)
    assert torch.allclose(prior_average(model, x, 20_000).values, truth, atol=0.05)
    assert (importance_weighted(model, x, 2000).values < truth + 0.1).all()
    assert (elbo(model, x, 500).values < truth + 0.02).all()


LAWS = [
    *((row, "bits", name) for name in ("mixture", "autoregressive") for row in ROWS),
    *((row, "real", name) for name in ("mixture", "vamp", "flow") for row in ROWS),
]
CHOSEN = [  # the estimators of codes of one layer, without bias, that need no prior of independent units
    (row, code, name)
    for row, code, name in LAWS
    if name in build_table(code)
    and row.kind == code
    and row.objective in ("elbo", "iwae")
    and not row.biased
    and row.samples * (row.bits if code == "bits" else 1) <= (4 if row.estimator == "exact" else 2)
    and row.estimator != "relax"  # minutes of quadrature, and the signal of rebar
    and not (name == "flow" and row.estimator != "score-function")  # quadrature of what has kinks, as this one:
    and not (name == "autoregressive" and row.estimator == "rebar" and row.bits > 1)
]


@pytest.mark.parametrize(("row", "code", "name"), CHOSEN, ids=[f"{row.name} {name}" for row, _, name in CHOSEN])
def test_the_expected_gradient_is_that_of_the_bound(row, code, name):
    """Also that of the encoder through the VampPrior, which is made of it."""
    model, x = model_of(code, name, row.bits, std=0.1), observations_of()  # smooth enough for the quadrature
    estimator = row.build(model)
    drawn, weight = row.law(model, x, row.samples)
    repeated = x.repeat(len(weight) // len(x), 1)
    estimate = estimator.score(Expectation(model, row.goal, repeated, model.posterior(repeated)), drawn)
    ours = gradients_of_parts(model, (weight * estimate.surrogate).sum())
    expected = exact_gradients(model, x, row.goal, row.samples)
    for part, gradient in expected.items():
        assert torch.allclose(ours[part], gradient, rtol=0, atol=row.tolerance), part
        assert gradient.abs().max() > 0


@pytest.mark.parametrize(
    ("code", "name"), [pair for pair in learned if pair[1] not in ("learned", "vamp")], ids=lambda part: part
)
def test_a_kl_without_a_formula_has_the_gradient_of_the_sampled_one(code, name):
    model, x = model_of(code, name, 3), observations_of(3)
    found = []
    for kl in ("closed-form", "sampled"):
        estimator = ESTIMATORS["score-function" if code == "bits" else "pathwise"](model)
        with seeded(4):
            found.append(gradients_of_parts(model, estimator(model, ELBO(kl=kl), x).surrogate.sum()))
    for part, gradient in found[0].items():
        assert torch.equal(gradient, found[1][part]), part


@pytest.mark.parametrize("name", ["mixture", "vamp"])
def test_the_gradient_has_no_variance_where_q_is_the_prior(name):
    """A decoder that says nothing, and q(z|x) = p(z): the gradient of each code is zero, not its mean alone."""
    model = vaelab.gaussian_vae(X, 2, hidden_dims=[4], prior=name, prior_components=1, seed=0).double()
    with torch.no_grad():
        for weight in [*model.posterior.parameters(), *model.likelihood.network.layers[0].parameters()]:
            weight.zero_()
        if name == "mixture":
            model.prior.means.zero_()
    estimate = ESTIMATORS["pathwise"](model)(model, ELBO(), observations_of(3))
    assert gradients_of_parts(model, estimate.surrogate.sum())["encoder"].abs().max() < 1e-12


@EVERY
def test_a_model_is_trained_evaluated_and_saved(code, name, tmp_path):
    data = binary_data()
    build = vaelab.bernoulli_vae if code == "bits" else vaelab.gaussian_vae
    options = (BITS if code == "bits" else REALS)[name]
    model = build(data, 2, hidden_dims=[4], prior=name, **options, seed=0)
    before = [weight.detach().clone() for weight in model.prior.parameters()]
    vaelab.fit(model, data, steps=3, seed=0, device="cpu")
    moved = [not torch.equal(*pair) for pair in zip(before, model.prior.parameters(), strict=True)]
    assert any(moved) == (name not in ("normal", "uniform"))
    result = vaelab.evaluate(model, data, samples=5, bounds=("elbo", "iwae"))
    assert math.isfinite(result["iwae"].value)
    model.save(tmp_path / "saved")
    again, z = vaelab.load(tmp_path / "saved"), model.prior().sample((5,))
    assert torch.equal(again.prior().log_prob(z), model.prior().log_prob(z))
    assert torch.equal(again.sample(4, seed=1), model.sample(4, seed=1))
    assert not isinstance(model.prior(), Mixture) or again.prior().log_weights.shape == (3,)


# ---------------------------------------------------------------- options


def test_components_are_a_setting_and_an_argument_of_the_scikit_learn_estimators():
    assert resolve("gaussian-vae", {"prior": "mixture", "prior_components": 7}).build_model(6).prior.means.shape == (
        7,
        3,
    )
    assert resolve("bernoulli-vae", {"prior": "mixture"}).build_model(6).prior.logits.shape == (100, 6)
    rows = (np.random.default_rng(0).random((60, 6)) < 0.3).astype(int)
    for kind in (vaelab.sklearn.GaussianVAE, vaelab.sklearn.BernoulliVAE):
        fitted = kind(2, (4,), prior="mixture", prior_components=3, steps=2, bound_samples=3, random_state=0).fit(rows)
        assert fitted.model_.prior().log_weights.shape == (3,)
        assert np.isfinite(fitted.score(rows))


@pytest.mark.parametrize(
    ("build", "options", "sentence"),
    [
        ("gaussian_vae", {"prior_components": 5}, r"prior_components: goes with prior=mixture.*; got 5 and 'normal'"),
        (
            "bernoulli_vae",
            {"prior_components": 5, "prior": "learned"},
            "prior_components: goes with prior=mixture; got 5 and 'learned'",
        ),
        ("bernoulli_vae", {"prior_components": 5, "prior": lambda size: None}, "; got 5 and a prior of your own"),
        (
            "gaussian_vae",
            {"prior_components": 0, "prior": "mixture"},
            "prior_components: expected an integer of at least 1; got 0",
        ),
        ("gaussian_vae", {"prior": "uniform"}, "prior: expected one of normal, mixture.*; got 'uniform'"),
    ],
)
def test_options_that_do_not_fit_are_refused(build, options, sentence):
    with pytest.raises(InputError, match=sentence):
        getattr(vaelab, build)(6, 2, **options)

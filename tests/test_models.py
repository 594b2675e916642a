"""Room: models. Every law for every model of the table; the mixture over an auto-encoder's codes."""

import dataclasses
import json
import math
import sys
import warnings
from itertools import product

import numpy as np
import pytest
import torch
from torch.distributions import Bernoulli as TorchBernoulli
from torch.distributions import Independent, MultivariateNormal

import vaelab
from tests.laws import (
    BITS,
    LAYERED,
    MODELS,
    TABLE,
    VARIATIONAL,
    WITH_CODES,
    B,
    D,
    X,
    build,
    divergence_of,
    observations_of,
    widths_of,
)
from vaelab.data import Condition, DataSpec
from vaelab.errors import InputError
from vaelab.models import MODELS as ROWS
from vaelab.models import bernoulli_vae, gaussian_vae
from vaelab.objectives import IWAE
from vaelab.priors import BernoulliPrior, GaussianPrior, MixturePrior
from vaelab.seeds import derive_seed, seeded
from vaelab.settings import options_of


@pytest.mark.parametrize("name", VARIATIONAL)
def test_log_joint_and_log_weight_are_the_sums_of_their_parts(name):
    model, x = build(name), observations_of()
    q = model.posterior(x)
    z = q.sample((4,))
    joint = model.prior().log_prob(z) + model.likelihood(z).log_prob(x)
    assert torch.allclose(model.log_joint(x, z), joint)
    assert torch.allclose(model.log_weight(x, z, q), joint - q.log_prob(z))
    assert model.log_joint(x, z).shape == (4, B)


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("name", VARIATIONAL)
def test_a_bound_is_its_formula_on_the_codes_it_drew(name, samples):
    model, x = build(name), observations_of()
    q = model.posterior(x)
    torch.manual_seed(4)
    z = q.sample((samples,))
    torch.manual_seed(4)
    elbo = (model.likelihood(z).log_prob(x) - divergence_of(model, q, z)).mean(0)
    assert torch.allclose(model.bound(x, samples), elbo, rtol=1e-14)
    torch.manual_seed(4)
    iwae = (model.log_weight(x, z, q).exp().sum(0) / samples).log()
    assert torch.allclose(model.bound(x, samples, IWAE()), iwae, rtol=1e-13)


@pytest.mark.parametrize("name", MODELS)
def test_encode_decode_and_reconstruct_are_the_modes_of_the_distributions(name):
    model, x = build(name), observations_of(4)
    code = model.encode(x)
    assert torch.equal(code, model.posterior(x).mean)
    assert torch.equal(model.decode(code), model.likelihood(code).mean)
    best = code.round() if model.code == "bits" else code
    assert torch.equal(model.reconstruct(x), model.decode(best))
    assert not any(made.requires_grad for made in (code, model.decode(code), model.reconstruct(x)))


@pytest.mark.parametrize("name", MODELS)
def test_samples_of_every_kind_come_from_the_same_codes(name):
    model = build(name)
    torch.manual_seed(9)
    before = torch.get_rng_state()
    mean, mode, draw = (model.sample(6, kind, seed=3) for kind in ("mean", "mode", "draw"))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(mode, (mean > 0.5).double())
    assert mean.shape == (6, X)
    assert set(draw.unique().tolist()) <= {0.0, 1.0}
    assert not torch.equal(draw, mode)
    assert torch.equal(model.sample(6, seed=3), draw), "draws unless another kind is asked for"
    assert not torch.equal(model.sample(6, "mean", seed=4), mean)
    assert not torch.equal(model.sample(6), model.sample(6))


@pytest.mark.parametrize("name", BITS)
def test_draws_have_the_frequencies_of_the_exact_distribution_of_x(name):
    """100 000 draws, 32 cells within 5 standard errors: false alarm below 2e-5."""
    model, count = build(name), 100_000
    draws = model.sample(count, "draw", seed=0)
    powers = 2 ** torch.arange(X, dtype=torch.float64)
    frequency = torch.bincount((draws @ powers).long(), minlength=2**X) / count
    x = (torch.arange(2**X).unsqueeze(-1) >> torch.arange(X) & 1).double()  # (32, X)
    z = (torch.arange(2**D).unsqueeze(-1) >> torch.arange(D) & 1).double().unsqueeze(1)  # (8, 1, D)
    exact = model.log_joint(x, z).logsumexp(0).exp().detach()
    assert float(exact.sum()) == pytest.approx(1, abs=1e-12)
    assert ((frequency - exact).abs() / (exact * (1 - exact) / count).sqrt()).max() < 5


def test_the_rows_of_the_table_build_what_they_say():
    assert set(WITH_CODES) == {
        "gaussian-vae",
        "bernoulli-vae",
        "sbn",
        "deep-gaussian-vae",
        "logistic-pca",
        "autoencoder",
    }
    for name in ("gaussian-vae", "bernoulli-vae", "autoencoder"):
        row = ROWS[name]
        model = row.build(DataSpec((6,), torch.full((6,), 0.3)), latent_dim=3, hidden_dims=[5, 4])
        widths, mirror = widths_of(model.posterior), widths_of(model.likelihood)
        assert (widths[:-1], mirror) == ([5, 4], [4, 5, 6])
        assert torch.allclose(model.posterior.network.shift, torch.full((6,), 0.3))


def table(*shape, fill=0.5):
    return torch.full(shape, fill, dtype=torch.float64)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("method", ["encode", "reconstruct", "bound"])
@pytest.mark.parametrize(
    ("x", "sentence"),
    [
        (table(X), r"x: expected a tensor or an array of observations, shape \(B, X\); got Tensor of shape \(5,\)"),
        (table(2, 3, X), r"shape \(B, X\); got Tensor of shape"),
        (np.zeros((2, X, 1)), r"got ndarray of shape \(2, 5, 1\), float64"),
        (np.array([["a"] * X]), "got ndarray of shape .* <U1"),
        (table(2, X).to_sparse(), "got sparse Tensor of shape"),
        (table(2, X).to(torch.complex64), "complex64"),
        (torch.zeros(2, X, device="meta"), r"expected a tensor on cpu, where the model is; got one on meta \(x\.to"),
        ([[0.0] * X], "got list"),
        (table(2, X + 1), r"expected inputs of shape \(..., 5\); got \(2, 6\)"),
        (table(2, X, fill=255), r"x: expected bits or numbers in \[0, 1\]; got values in \[255, 255\]"),
        (table(2, X, fill=-0.5), "got values in"),
        (table(2, X, fill=math.nan), r"x: .* got NaN"),
    ],
)
def test_what_is_no_table_of_observations_is_refused(name, method, x, sentence):
    model = build(name)
    if method == "bound" and name == "autoencoder":
        sentence = "a deterministic auto-encoder has no likelihood of x"
    with pytest.raises(InputError, match=sentence):
        getattr(model, method)(x)


@pytest.mark.parametrize("name", MODELS)
def test_arguments_out_of_range_are_refused(name):
    model = build(name)
    for call, sentence in [
        (lambda: model.sample(0), "n: expected an integer of at least 1; got 0"),
        (lambda: model.sample(3, "means"), "did you mean 'mean'"),
        (lambda: model.bound(observations_of(), 0), "samples: expected an integer of at least 1"),
        (
            lambda: model.bound(observations_of(), objective="ielbo"),
            "no likelihood of x" if name == "autoencoder" else "objective: expected an objective such as",
        ),
        (lambda: model.decode(table(2, D + 1)), r"expected inputs of shape \(..., 3\)"),
        (
            lambda: TABLE[name][0](X, latent_dim=0),
            "layers: expected a list of layer sizes" if name in LAYERED else "latent_dim: expected an integer",
        ),
        (lambda: TABLE[name][0](0), "data: expected an integer of at least 1"),
    ]:
        with pytest.raises(InputError, match=sentence):
            call()
    if name not in LAYERED:
        assert TABLE[name][0](X, latent_dim=np.int64(2)).encode(torch.ones(1, X)).shape == (1, 2)


def clusters(count=300, centres=3, dim=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    centre = 6 * torch.eye(centres, dim) + torch.arange(centres).unsqueeze(-1) * 4
    return (centre.repeat_interleave(count, 0) + torch.randn(count * centres, dim, generator=generator)).double()


@pytest.mark.parametrize("covariance", ["full", "diag"])
def test_bic_finds_the_clusters_and_the_density_integrates_to_one(covariance):
    prior = MixturePrior(2, [1, 2, 3, 5], covariance).double()
    codes = clusters()
    bic = prior.fit(codes)
    assert min(bic, key=bic.get) == 3
    assert set(bic) == {1, 2, 3, 5}
    assert len(prior.weights) == 3
    side = torch.linspace(-10, 25, 701, dtype=torch.float64)
    grid = torch.cartesian_prod(side, side)
    mass = prior().log_prob(grid).exp().sum() * (side[1] - side[0]) ** 2
    assert float(mass) == pytest.approx(1, abs=1e-6)
    components = prior.component(codes).view(3, 300)
    assert [row.mode().values.item() for row in components] == list(
        dict.fromkeys(row.mode().values.item() for row in components)
    )
    assert (components == components.mode(1, keepdim=True).values).double().mean() > 0.99
    if covariance == "diag":
        assert torch.equal(prior.covariances, torch.diag_embed(prior.covariances.diagonal(dim1=1, dim2=2)))


def in_a_row(count, each=60):
    """Clusters so far apart that each needs a component of its own."""
    generator = torch.Generator().manual_seed(0)
    centres = 20.0 * torch.arange(count).repeat_interleave(each)
    return (centres + torch.randn(len(centres), generator=generator)).double().unsqueeze(-1)


def test_a_mixture_takes_every_seed():
    assert list(MixturePrior(1, 2).fit(in_a_row(2), seed=2**62)) == [2]


@pytest.mark.parametrize(
    ("clusters", "components", "tried", "best"),
    [
        (6, [2, 3], [2, 3, 4, 6, 9], 6),  # upwards, by half as many more
        (2, [8, 20], [1, 2, 4, 8, 20], 2),  # downwards by halves
        (6, [7, 5, 6, 5], [5, 6, 7], 6),  # the edges lose
        (6, 2, [2], 2),  # a single number is that number
    ],
)
def test_the_search_goes_on_while_its_edge_wins(clusters, components, tried, best):
    prior, codes = MixturePrior(1, components), in_a_row(clusters)
    bic = prior.fit(codes)
    assert (list(bic), min(bic, key=bic.get), len(prior.weights)) == (tried, best, best)
    assert ("tried from" in prior.choice()) == (isinstance(components, list) and best not in components)
    assert (prior.choice() == "") == isinstance(components, int)
    assert bic == MixturePrior(1, components).fit(codes)  # by the seed alone


def test_a_search_that_its_limit_ends_says_so(caplog):
    prior = MixturePrior(1, [4, 5])
    assert list(prior.fit(in_a_row(6, each=9))) == [4, 5]  # fifty-four codes, so five components at most
    assert "the lowest BIC is that of 5, the most that are tried" in caplog.text


def test_a_fit_runs_until_all_codes_together_gain_nothing():
    """Two broad clusters that overlap: a further iteration gains less than 0.2 nat of all codes together."""
    from sklearn.mixture import GaussianMixture

    codes = torch.cat([torch.randn(15_000, 2), torch.randn(15_000, 2) + 1.5]).double()
    prior = MixturePrior(2, 4).double()
    prior.fit(codes)
    ours = float(prior().log_prob(codes).sum())
    arrays = [prior.weights.numpy(), prior.means.numpy(), prior.covariances.inverse().numpy()]
    further = GaussianMixture(4, weights_init=arrays[0], means_init=arrays[1], precisions_init=arrays[2], tol=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        further.set_params(max_iter=20).fit(codes.numpy())
    assert further.score(codes.numpy()) * len(codes) - ours < 20 * 0.2


def test_codes_of_a_single_point_and_a_fit_that_does_not_converge(monkeypatch, caplog):
    assert MixturePrior(2, [1, 2]).fit(torch.zeros(50, 2))
    monkeypatch.setattr(sys.modules["vaelab.priors.mixture"], "_ITERATIONS", 1)
    MixturePrior(2, 3).fit(torch.randn(300, 2))
    assert "the fit of 3 did not converge in 1 iterations" in caplog.text


def test_the_mixture_is_its_formula_and_survives_its_arrays():
    prior = MixturePrior(2, 3).double()
    prior.fit(clusters())
    z = torch.randn(7, 2).double()
    joint = torch.stack(
        [
            weight.log() + MultivariateNormal(mean, covariance).log_prob(z)
            for weight, mean, covariance in zip(prior.weights, prior.means, prior.covariances, strict=True)
        ]
    )
    assert torch.allclose(prior().log_prob(z), joint.logsumexp(0), atol=1e-12)
    assert torch.equal(prior.component(z), joint.argmax(0))
    other = MixturePrior(2, 3).double()
    other.load(prior.arrays())
    assert torch.equal(other().log_prob(z), prior().log_prob(z))
    broken = dict(prior.arrays(), means=torch.zeros(3, 1))
    with pytest.raises(InputError, match=r"density: expected means of shape \(3, 2\); got \(3, 1\)"):
        other.load(broken)
    with pytest.raises(InputError, match="density: expected arrays"):
        other.load({"weights": prior.weights})


@pytest.mark.parametrize(
    ("codes", "sentence"),
    [
        (torch.full((30, 2), math.nan), "codes: expected finite numbers"),
        (torch.zeros(3, 2), "components: expected at most 3, the number of codes"),
    ],
)
def test_codes_that_no_mixture_fits_are_refused(codes, sentence):
    with pytest.raises(InputError, match=sentence):
        MixturePrior(2, 4).fit(codes)


def test_a_mixture_that_cannot_be_is_refused():
    for options, sentence in [
        ({"components": []}, "got an empty list"),
        ({"components": [3, 0]}, "components: expected an integer of at least 1"),
        ({"covariance": "ful"}, "did you mean 'full'"),
    ]:
        with pytest.raises(InputError, match=sentence):
            MixturePrior(2, **options)
    with pytest.raises(InputError, match="no density of its codes yet"):
        MixturePrior(2)()


def test_seeds_depend_on_every_word_and_a_seeded_block_leaves_no_trace():
    words = [derive_seed(0), derive_seed(1), derive_seed(0, "a"), derive_seed(0, "a", 1), derive_seed(0, "a", "1")]
    assert len(set(words)) == 5
    assert all(0 <= word < 2**63 for word in words)
    before = torch.get_rng_state()
    with seeded(1, "x"):
        first = torch.rand(3)
    assert torch.equal(torch.get_rng_state(), before)
    with seeded(1, "x"):
        assert torch.equal(torch.rand(3), first)


def test_log_densities_are_in_nats():
    model = gaussian_vae(X, latent_dim=1, hidden_dims=[])
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
    assert model.bound(torch.ones(1, X)).item() == pytest.approx(-X * math.log(2))


def test_a_component_of_tiny_weight_has_that_weight():
    """Two components far apart: at the second's mean the density is its weight times its height, or zero."""
    for weight in (0.0, 1e-30, 1e-3):
        prior = MixturePrior(1, 2)
        prior.load({"weights": [1 - weight, weight], "means": [[0.0], [1000.0]], "covariances": [[[1.0]], [[1.0]]]})
        height = math.log(weight) - 0.5 * math.log(2 * math.pi) if weight else -0.5e6 - 0.5 * math.log(2 * math.pi)
        assert prior().log_prob(torch.tensor([1000.0])).item() == pytest.approx(height, rel=1e-6)
        assert prior.component(torch.tensor([[0.0]])).item() == 0


# ---------------------------------------------------------------- options of the builders

SPEC = DataSpec((X,), torch.linspace(0.1, 0.9, X), columns=tuple("abcde"))


def linear(inputs, outputs):
    """A network of the user's own: any function from two sizes to a module."""
    return torch.nn.Sequential(torch.nn.Linear(inputs.numel(), 7), torch.nn.Tanh(), torch.nn.Linear(7, outputs.numel()))


class Halves(torch.nn.Module):
    """A likelihood of the user's own, of torch's distributions, that needs two numbers for each column."""

    def __init__(self, latent_dim, spec, network):
        super().__init__()
        self.network = network(torch.Size([latent_dim]), torch.Size([2, spec.dim]))

    def forward(self, z):
        one, other = self.network(z).chunk(2, -1)
        return Independent(TorchBernoulli(logits=one + other), 1)


@pytest.mark.parametrize("name", [name for name in WITH_CODES if "network" in options_of(ROWS[name].build)])
def test_every_builder_takes_a_network_of_the_users_own(name):
    model, x = ROWS[name].build(SPEC, network=linear, seed=0), observations_of().float()
    parts = getattr(model.posterior, "conditionals", [model.posterior])
    for part in parts:
        assert [type(layer) for layer in part.network.layers] == [torch.nn.Linear, torch.nn.Tanh, torch.nn.Linear]
    assert torch.equal(parts[0].network.shift, SPEC.mean)
    likelihood = getattr(model.likelihood, "conditional", model.likelihood)
    assert widths_of(likelihood) == [7, X]
    assert torch.allclose(torch.sigmoid(likelihood.network.layers[-1].bias), SPEC.mean)
    assert model.reconstruct(x).shape == x.shape
    assert model.built_with is None  # a function is no plain value


@pytest.mark.parametrize("name", [name for name in WITH_CODES if "likelihood" in options_of(ROWS[name].build)])
def test_every_builder_takes_a_likelihood_of_the_users_own(name):
    x = observations_of().float()
    built = ROWS[name].build(SPEC, likelihood=Halves, seed=0)
    likelihood = getattr(built.likelihood, "conditional", built.likelihood)
    assert isinstance(likelihood, Halves)
    given = ROWS[name].build(SPEC, likelihood=likelihood, seed=0)
    for model in (built, given):
        assert model.reconstruct(x).shape == x.shape
        assert model.built_with is None
        if model.code != "point":
            assert model.bound(x).isfinite().all()


@pytest.mark.parametrize(("build", "part"), [(gaussian_vae, GaussianPrior), (bernoulli_vae, BernoulliPrior)])
def test_a_prior_is_named_built_or_given(build, part):
    x = observations_of().float()
    for prior in (part, part(3), lambda size: part(size)):
        model = build(X, latent_dim=3, prior=prior)
        assert isinstance(model.prior, part)
        assert model.bound(x).isfinite().all()
    wrong = {GaussianPrior: BernoulliPrior, BernoulliPrior: GaussianPrior}[part]
    with pytest.raises(InputError, match="prior: expected codes of the posterior's kind"):
        build(X, latent_dim=3, prior=wrong)
    with pytest.raises(InputError, match=r"prior: expected one of .*; got 'unifrom'"):
        build(X, latent_dim=3, prior="unifrom")


@pytest.mark.parametrize("name", WITH_CODES)
def test_what_a_model_was_built_with_builds_it_again(name):
    model = ROWS[name].build(
        SPEC,
        **{
            "activation": "tanh",
            **({"latent_dim": np.int64(3)} if "latent_dim" in options_of(ROWS[name].build) else {}),
        },
    )
    assert model.spec == SPEC
    kept = json.loads(json.dumps(dataclasses.asdict(model.built_with)))
    assert kept["name"] == name
    again = ROWS[kept["name"]].build(SPEC, **kept["options"])
    again.load_state_dict(model.state_dict())
    assert str(again) == str(model)
    assert again.built_with == model.built_with


WRONG = [
    ({"network": "convv"}, "network: expected one of mlp, gated-mlp, conv, resnet; got 'convv' .did you mean 'conv'"),
    ({"network": "conv"}, r"network: 'conv' expects data with an image shape, such as \(28, 28\)"),
    ({"network": torch.nn.Linear(5, 5)}, "network: expected a name, or a function .*; got the module Linear"),
    (
        {"network": linear, "activation": "tanh"},
        r"activation: goes with a network by name \(mlp, gated-mlp, conv, resnet\)",
    ),
    ({"network": lambda inputs, outputs: 3}, "network: expected a function from two sizes to a torch module; it ret"),
    ({"network": lambda inputs, _: torch.nn.Linear(inputs.numel(), 3)}, "network: expected outputs of shape"),
    (
        {"likelihood": "bernouli"},
        "likelihood: expected one of auto, autoregressive, bernoulli, .*; got 'bernouli' .did you mean 'bernoulli'",
    ),
    ({"likelihood": lambda *_: 3}, "likelihood: expected a torch module that returns a distribution; got 3"),
    ({"data": 2.5}, "data: expected a data set, a DataSpec or a number of columns; got float"),
    ({"data": np.zeros((3, 5))}, r"data: .*; got ndarray; Dataset.from_arrays\(x\) makes a data set of it"),
]


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        (name, options, sentence)
        for name, (options, sentence) in product(WITH_CODES, WRONG)
        if options.keys() <= {"data", *options_of(ROWS[name].build)}
    ],
)
def test_options_that_do_not_fit_are_refused(name, options, sentence):
    with pytest.raises(InputError, match=sentence):
        ROWS[name].build(**{"data": X, **options}).reconstruct(observations_of())


def test_an_unknown_argument_of_a_builder_is_reported_with_the_builder():
    with pytest.raises(TypeError, match=r"deep_gaussian_vae: got an unexpected keyword argument 'latent_dim'"):
        vaelab.deep_gaussian_vae(6, latent_dim=2)


@pytest.mark.parametrize("at_once", [1, 40, 10_000])
@pytest.mark.parametrize("case", ["complete", "missing", "given", "codes of all rows", "no rows"])
def test_the_density_is_that_of_codes_decoded_in_parts(case, at_once, monkeypatch):
    spec = DataSpec((X,), condition=Condition("columns", ("a", "b"))) if case == "given" else DataSpec((X,))
    model = bernoulli_vae(spec, 3, hidden_dims=[4], seed=0).double()
    torch.manual_seed(0)
    x = (torch.rand(0 if case == "no rows" else 5, model.data_dim) < 0.5).double()
    if case == "missing":
        model.allow_missing()
        x[1, 2:4] = torch.nan
    z = (torch.rand(7, 1 if case == "codes of all rows" else len(x), 3) < 0.5).double()
    whole = model.log_likelihood(x, z)  # with a gradient: not in parts
    monkeypatch.setattr("vaelab.models.latent._AT_ONCE", at_once)
    with torch.no_grad():
        assert torch.allclose(model.log_likelihood(x, z), whole, rtol=1e-14, atol=1e-14)

"""Rooms: networks, priors, likelihoods and posteriors. Shapes, standardised inputs, output bias, what is refused."""

from functools import partial

import pytest
import torch
from torch import nn

from tests.laws import (
    binary_data,
    enumerate_bits,
    gradients,
    largest_difference,
    log_bernoulli,
    observations_of,
    score_every_tuple,
)
from vaelab import fit
from vaelab.data import DataSpec
from vaelab.distributions import Bernoulli, Delta, DiagonalNormal
from vaelab.errors import InputError
from vaelab.estimators import Exact, Pathwise, Rebar, ScoreFunction
from vaelab.likelihoods import BernoulliLikelihood
from vaelab.models import bernoulli_vae, deep_gaussian_vae, gaussian_vae, sbn
from vaelab.networks import (
    MLP,
    NETWORKS,
    ConvolutionalNetwork,
    GatedMLP,
    Hidden,
    ResidualNetwork,
    Standardised,
    output_bias,
)
from vaelab.networks.flow import CouplingFlow
from vaelab.networks.resnet import Residual
from vaelab.objectives import ELBO, IWAE
from vaelab.posteriors import BernoulliPosterior, DeltaPosterior, GaussianPosterior
from vaelab.priors import BernoulliPrior, GaussianPrior


@pytest.mark.parametrize("hidden", [(), (3,), [5, 4, 2]])
@pytest.mark.parametrize("leading", [(), (7,), (2, 7), (0,)])
def test_a_network_maps_the_last_axis(hidden, leading):
    network = Standardised(MLP(6, 4, hidden), 6, 4)
    assert network(torch.rand(*leading, 6)).shape == (*leading, 4)
    linear = [layer for layer in network.layers if isinstance(layer, nn.Linear)]
    assert [layer.out_features for layer in linear] == [*hidden, 4]
    assert Standardised(GatedMLP(6, 4, hidden, "layer"), 6, 4)(torch.rand(*leading, 6)).shape == (*leading, 4)


@pytest.mark.parametrize("layers", [nn.Identity(), nn.Linear(3, 3), nn.Sequential(nn.Linear(3, 3), nn.Tanh())])
def test_the_input_is_standardised(layers):
    mean, x = torch.tensor([0.1, 0.5, 0.9]), torch.rand(4, 3)
    assert torch.allclose(Standardised(layers, 3, 3, mean)(x), layers(x - mean))
    assert torch.allclose(Standardised(layers, 3, 3, 0.5, 2.0)(x), layers(2 * x - 1), atol=1e-6)
    assert "shift" in Standardised(layers, 3, 3, mean).state_dict()  # else a saved model would centre otherwise


class Doubled(nn.Sequential):
    """A network that does more than its layers."""

    def forward(self, x):
        return 2 * super().forward(x)


def test_the_constants_of_a_scaled_input_move_into_a_plain_first_layer_only():
    x, linear = torch.rand(4, 3), nn.Linear(3, 3, bias=False)
    for layers in (Doubled(nn.Linear(3, 3)), nn.Sequential(linear), nn.Sequential(nn.Sequential(nn.Linear(3, 3)))):
        assert torch.allclose(Standardised(layers, 3, 3, 0.5, 2.0)(x), layers(2 * x - 1), atol=1e-6)


@pytest.mark.parametrize(
    ("activation", "function"),
    [
        ("relu", torch.relu),
        ("leaky-relu", lambda x: torch.nn.functional.leaky_relu(x, 0.3)),
        ("tanh", torch.tanh),
        ("silu", torch.nn.functional.silu),
    ],
)
def test_a_network_is_its_layers_and_activation(activation, function):
    network, x = MLP(3, 2, [4], activation), torch.randn(5, 3)
    first, _, last = network
    assert torch.allclose(network(x), function(x @ first.weight.T + first.bias) @ last.weight.T + last.bias, atol=1e-6)


def test_a_gated_network_is_its_formula():
    network, x = GatedMLP(3, 2, [4]), torch.randn(5, 3)
    first, _, last = network
    value, gate = (x @ first.weight.T + first.bias).split(4, 1)
    assert torch.allclose(network(x), value * torch.sigmoid(gate) @ last.weight.T + last.bias, atol=1e-6)


@pytest.mark.parametrize("shape", [(6,), (3, 4, 5)])
def test_layer_normalisation_looks_at_each_row_alone(shape):
    """Mean 0 and variance 1 of each row, whatever the other rows are; of an image over all of its channels."""
    hidden = Hidden("tanh", "layer")
    layers = hidden.dense(2, 6)[1:-1] if len(shape) == 1 else hidden.after_convolution(3)[:-1]
    x = torch.randn(7, *shape) * 3 + 1
    flat = nn.Sequential(*layers)(x).flatten(1)
    centred = x.flatten(1) - x.flatten(1).mean(1, keepdim=True)
    assert torch.allclose(flat, centred / (centred.square().mean(1, keepdim=True) + 1e-5).sqrt(), atol=1e-5)


def test_a_residual_network_starts_without_effect_of_its_blocks():
    network = ResidualNetwork((8, 8), 2, activation="relu")
    blocks = [layer for layer in network if isinstance(layer, Residual)]
    assert len(blocks) == 4
    v = torch.rand(3, 32, 4, 4)
    assert torch.equal(blocks[0](v), v)
    first, _, last = blocks[0]
    nn.init.constant_(blocks[0].strength, 0.7)
    kept = v.clone()
    assert torch.allclose(blocks[0](v), kept + 0.7 * last(torch.relu(first(kept))), atol=1e-5)
    assert torch.equal(v, kept)  # no activation changes the input in place


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"network": "gated-mlp", "activation": "tanh"}, "activation: goes with network=mlp, conv, resnet; gated-mlp"),
        ({"hidden_dims": [], "dropout": 0.5}, r"dropout: expected hidden layers \(hidden_dims\); got 0.5"),
        ({"hidden_dims": [], "normalisation": "layer"}, r"normalisation: expected hidden layers \(hidden_dims\)"),
        ({"network": MLP, "dropout": 0.1}, r"dropout: goes with a network by name \(mlp, gated-mlp, conv, resnet\)"),
        (
            {"network": "resnet"},
            r"network: 'resnet' expects data with an image shape, .*network=mlp works for any data",
        ),
    ],
)
def test_options_that_a_network_does_not_have_are_refused(options, sentence):
    with pytest.raises(InputError, match=sentence) as refused:
        gaussian_vae(6, **options)
    assert "\n" not in str(refused.value)


def test_between_layers_of_a_code_stand_networks_of_vectors():
    gated = deep_gaussian_vae(6, layers=[3, 2], hidden_dims=[[5], [4]], network="gated-mlp", dropout=0.1)
    of_images = deep_gaussian_vae(DataSpec((8, 8)), layers=[3, 2], hidden_dims=[[5], [4]], network="resnet")
    for model, outer, inner in ((gated, GatedMLP, GatedMLP), (of_images, ResidualNetwork, MLP)):
        kinds = [type(part.layers) for part in model.modules() if isinstance(part, Standardised)]
        assert sorted(kinds, key=str) == sorted([outer, outer, inner, inner], key=str)


def test_an_activation_that_there_is_not_is_refused():
    for network in (MLP, ConvolutionalNetwork, ResidualNetwork):
        with pytest.raises(InputError, match="did you mean 'relu'"):
            network((8, 8), 2, activation="rellu")


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"inputs": 0}, "inputs: expected an integer of at least 1; got 0"),
        ({"outputs": ()}, r"outputs: expected a positive integer or a shape such as \(28, 28\); got \(\)"),
        ({"hidden_dims": 200}, "hidden_dims: expected a list of layer widths"),
        ({"hidden_dims": "200"}, "hidden_dims: expected a list of layer widths"),
        ({"hidden_dims": [4, 0]}, r"hidden_dims\[1\]: expected an integer"),
        ({"normalisation": "batch"}, "normalisation: expected one of none, layer; got 'batch'"),
        ({"dropout": 1}, "dropout: expected a share of at least 0 and below 1; got 1"),
        ({"dropout": -0.1}, "dropout: expected a number of at least 0; got -0.1"),
    ],
)
def test_a_network_that_cannot_be_built_is_refused(network, options, sentence):
    with pytest.raises(InputError, match=sentence):
        network(**{"inputs": (8, 8), "outputs": 2, **options})


@pytest.mark.parametrize(("sizes", "sentence"), [((0, 2), "dim: expected an integer"), ((3, 1.5), "context: expected")])
def test_a_flow_of_no_size_is_refused(sizes, sentence):
    with pytest.raises(InputError, match=sentence):
        CouplingFlow(*sizes)


@pytest.mark.parametrize("network", ["conv", "resnet"])
def test_a_network_of_images_for_a_table_is_refused_by_a_model(network):
    with pytest.raises(InputError, match=f"'{network}' expects .*; these data are a table of 12 columns"):
        gaussian_vae(12, network=network)


@pytest.mark.parametrize(
    ("hidden_dims", "expected"),
    [(200, r"a list of layer widths, such as \[200, 200\]; got 200"), (None, r"a value, such as \(400,\); got None")],
)
def test_hidden_layers_that_are_no_list_are_refused_by_a_model(hidden_dims, expected):
    with pytest.raises(InputError, match=f"hidden_dims: expected {expected}"):
        gaussian_vae(8, hidden_dims=hidden_dims)


@pytest.mark.parametrize("shape", [(2,), (4, 2), (4, 1), (3, 4)])
def test_an_input_of_another_size_is_refused(shape):
    with pytest.raises(InputError, match=r"expected inputs of shape \(..., 3\); got"):
        Standardised(MLP(3, 2, [4]), 3, 2)(torch.zeros(shape))


def test_a_network_that_does_not_fit_is_refused():
    with pytest.raises(InputError, match=r"shift: expected a number or shape \(3,\)"):
        Standardised(MLP(3, 2), 3, 2, torch.zeros(2))
    with pytest.raises(InputError, match=r"network: expected outputs of shape \(5, 4\) for inputs of .*; got \(5, 2\)"):
        Standardised(MLP(3, 2), 3, 4)(torch.zeros(5, 3))
    with pytest.raises(InputError, match="network: expected a function from two sizes to a torch module; it returned"):
        Standardised(lambda x: x, 3, 3)


# ---------------------------------------------------------------- convolutions

SHAPES = [(8, 8), (9, 13), (28, 28), (11, 8), (2, 10, 9)]


@pytest.mark.parametrize("network", [ConvolutionalNetwork, ResidualNetwork])
@pytest.mark.parametrize("hidden", [(), (6,)])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_convolutions_read_and_return_images_of_any_size(shape, hidden, network):
    pixels = torch.Size(shape).numel()
    down, up = network(shape, 5, hidden), network(5, shape, hidden)
    x = torch.rand(3, pixels, requires_grad=True)
    assert down(x).shape == (3, 5)
    assert up(torch.rand(3, 5)).shape == (3, pixels)
    assert output_bias(up).shape == (pixels,)
    with torch.no_grad():
        for weight in (*down.parameters(), *up.parameters()):
            weight.abs_().add_(0.01)  # all positive: no path is cut by an activation
    (gradient,) = torch.autograd.grad(up(down(x)).sum(), x)
    assert (gradient != 0).all()  # every pixel is read, also the last of an odd side
    bare = up(torch.rand(1, 5)) - output_bias(up)
    assert (bare != 0).all()  # and written
    assert network(shape, 5, hidden, normalisation="layer")(torch.rand(3, pixels)).shape == (3, 5)


def test_convolutions_move_with_the_image():
    """An image moved by four pixels gives features moved by one."""
    network = ConvolutionalNetwork((32, 32), 1)
    for name, bias in network.named_parameters():
        nn.init.zeros_(bias) if name.endswith("bias") else None  # else the border shows
    convolutions = nn.Sequential(*list(network)[:-2])  # all but the flattening and the linear layer
    x = torch.zeros(1, 32, 32)
    x[:, 10:14, 10:14] = torch.rand(4, 4)
    moved = x.roll((4, 8), (1, 2))
    one, other = convolutions(x.flatten(1)), convolutions(moved.flatten(1))
    assert torch.allclose(one.roll((1, 2), (2, 3)), other, atol=1e-6)


@pytest.mark.parametrize(
    ("inputs", "outputs", "sentence"),
    [
        (64, 10, r"'conv' expects data with an image shape, .*; got inputs of shape \(64,\) and outputs .* \(10,\)"),
        ((7, 9), 10, r"network: 'conv' expects images of at least 8 x 8 pixels; got shape \(7, 9\); network=mlp works"),
        (10, (8, 1, 9, 9), "images of at least 8 x 8"),
    ],
)
def test_what_is_no_image_is_refused(inputs, outputs, sentence):
    for network in (ConvolutionalNetwork, ResidualNetwork):
        with pytest.raises(InputError, match=sentence.replace("'conv'", f"'{network.name}'")):
            network(inputs, outputs)


@pytest.mark.parametrize(
    ("shape", "build", "network"),
    [
        *((shape, build, "conv") for build in (gaussian_vae, bernoulli_vae) for shape in SHAPES[:3]),
        (SHAPES[1], gaussian_vae, "resnet"),
        (SHAPES[0], bernoulli_vae, "resnet"),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_models_of_convolutions_train(shape, build, network):
    data = binary_data((100, 20, 20), image_shape=shape)
    model = build(DataSpec(shape), latent_dim=3, hidden_dims=[10], network=network, seed=0)
    assert isinstance(model.posterior.network.layers, NETWORKS[network])
    assert isinstance(model.likelihood.network.layers, NETWORKS[network])
    x = torch.from_numpy(data.train.x).float()
    before = model.bound(x).mean()
    estimator = {"real": Pathwise, "bits": Rebar}[model.code](model)
    options = {"batch_size": 50, "learning_rate": 1e-2, "warmup": 0}
    fit(model, data, estimator=estimator, steps=20, **options)
    assert model.bound(x).mean() > before + 0.08 * x.shape[1]


def double_model(build, network="conv", **options):
    """A float64 model of 8 x 8 images, its weights far from symmetric."""
    activation = {} if network == "gated-mlp" else {"activation": "tanh"}
    model = build(DataSpec((8, 8)), network=network, seed=0, **activation, **options).double()
    for name, weight in model.named_parameters():
        with torch.no_grad():
            weight.copy_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(len(name))) * 0.2)
    return model


@pytest.mark.parametrize("objective", [ELBO(0.7), IWAE()], ids=["elbo", "iwae"])
@pytest.mark.parametrize(
    ("build", "options"),
    [
        (bernoulli_vae, {"latent_dim": 2, "hidden_dims": [5], "prior": "learned"}),
        (bernoulli_vae, {"latent_dim": 2, "hidden_dims": [5], "network": "gated-mlp"}),
        (bernoulli_vae, {"latent_dim": 2, "hidden_dims": [5], "network": "resnet", "normalisation": "layer"}),
        (sbn, {"layers": [2]}),
    ],
)
def test_estimators_are_unbiased_through_every_network(build, options, objective):
    """Summed over all pairs of codes, the surrogate's gradient is that of the enumerated bound, for every weight."""
    model, x = double_model(build, **options), observations_of(2, 64)
    exact = gradients(model, enumerate_bits(model, x, 2, objective.name, objective.beta).sum())
    probability, estimate = score_every_tuple(model, ScoreFunction(model, samples=2), objective, x)
    assert largest_difference(gradients(model, (probability * estimate.surrogate).sum()), exact) < 1e-9
    enumerated = Exact(model, samples=2)(model, objective, x)
    assert largest_difference(gradients(model, enumerated.surrogate.sum()), exact) < 1e-9
    assert max(float(gradient.abs().max()) for gradient in exact.values()) > 1e-2


@pytest.mark.parametrize(
    ("build", "options"),
    [
        (gaussian_vae, {"latent_dim": 2, "hidden_dims": [5]}),
        (gaussian_vae, {"latent_dim": 2, "hidden_dims": [5], "network": "resnet"}),
        (deep_gaussian_vae, {"layers": [3, 2], "hidden_dims": [[5], [4]]}),
        (sbn, {"layers": [3, 2]}),
    ],
)
def test_a_bound_through_convolutions_is_its_formula(build, options):
    model, x = double_model(build, **options), observations_of(2, 64)
    convolutions = [module for module in model.modules() if isinstance(module, ConvolutionalNetwork)]
    assert len(convolutions) == 2  # of x and to x; between layers of the code are MLPs
    q = model.posterior(x)
    torch.manual_seed(1)
    z = q.sample((3,))
    log_w = log_bernoulli(model.likelihood(z).logits, x) + model.prior().log_prob(z) - q.log_prob(z)
    torch.manual_seed(1)
    assert torch.allclose(model.bound(x, 3, IWAE()), log_w.exp().mean(0).log(), rtol=1e-12)


# ---------------------------------------------------------------- priors, likelihoods, posteriors


@pytest.mark.parametrize(
    ("kind", "distribution", "code"),
    [
        (GaussianPosterior, DiagonalNormal, "real"),
        (BernoulliPosterior, Bernoulli, "bits"),
        (DeltaPosterior, Delta, "point"),
    ],
)
def test_a_posterior_returns_a_distribution_over_codes(kind, distribution, code):
    posterior = kind(5, 3, partial(MLP, hidden_dims=[4]))
    q = posterior(torch.rand(7, 5))
    assert isinstance(q, distribution)
    assert (q.batch_shape, q.event_shape, posterior.code) == ((7,), (3,), code)
    assert q.sample((2,)).shape == (2, 7, 3)


def test_priors_start_standard_and_only_a_learned_one_is_trained():
    gaussian = GaussianPrior(3)
    assert torch.equal(gaussian().mean, torch.zeros(3))
    assert torch.equal(gaussian().stddev, torch.ones(3))
    assert not list(gaussian.parameters())
    for learned in (False, True):
        prior = BernoulliPrior(3, learned)
        assert torch.equal(prior().mean, torch.full((3,), 0.5))
        assert [weight.requires_grad for weight in prior.parameters()] == [learned]


@pytest.mark.parametrize("network", [MLP, partial(MLP, hidden_dims=[3]), ConvolutionalNetwork])
def test_the_output_bias_starts_at_the_logit_of_the_mean_image(network):
    mean = torch.linspace(0, 1, 72)
    likelihood = BernoulliLikelihood(2, DataSpec((9, 8), mean), network)
    assert torch.allclose(torch.sigmoid(output_bias(likelihood)), mean.clamp(0.001, 0.999))
    p = likelihood(torch.randn(2, 5, 2))
    assert (p.batch_shape, p.event_shape) == ((2, 5), (72,))


@pytest.mark.parametrize("kind", [GaussianPrior, BernoulliPrior])
@pytest.mark.parametrize("dim", [0, -1, 2.0, "3", True])
def test_an_invalid_code_size_is_refused(kind, dim):
    with pytest.raises(InputError, match="latent_dim: expected an integer of at least 1"):
        kind(dim)


def test_a_network_refuses_an_array_of_numpy():
    with pytest.raises(InputError, match=r"expected inputs of shape \(..., 6\); got ndarray"):
        gaussian_vae(6, latent_dim=2, hidden_dims=[3]).posterior(torch.zeros(2, 6).numpy())

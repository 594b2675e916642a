"""Rooms: networks and conditionals. Shapes, standardised inputs, output bias, and what is refused."""

import pytest
import torch

from vaelab.conditionals import (
    BernoulliLikelihood,
    BernoulliPosterior,
    BernoulliPrior,
    DeltaPosterior,
    GaussianPosterior,
    GaussianPrior,
)
from vaelab.distributions import Bernoulli, Delta, DiagonalNormal
from vaelab.errors import InputError
from vaelab.networks import MLP


@pytest.mark.parametrize("hidden", [(), (3,), [5, 4, 2]])
@pytest.mark.parametrize("leading", [(), (7,), (2, 7)])
def test_a_trunk_maps_the_last_axis(hidden, leading):
    trunk = MLP(6, hidden)
    assert trunk.width == (hidden[-1] if hidden else 6)
    assert trunk(torch.rand(*leading, 6)).shape == (*leading, trunk.width)
    assert len([layer for layer in trunk.layers if isinstance(layer, torch.nn.Linear)]) == len(hidden)


def test_a_trunk_without_layers_shows_how_the_input_is_standardised():
    mean = torch.tensor([0.1, 0.5, 0.9])
    x = torch.rand(4, 3)
    assert torch.equal(MLP(3, shift=mean)(x), x - mean)
    assert torch.equal(MLP(3, shift=0.5, scale=2.0)(torch.tensor([[0.0, 1.0, 1.0]])), torch.tensor([[-1.0, 1.0, 1.0]]))
    assert "shift" in MLP(3, shift=mean).state_dict()  # else a saved model would centre otherwise


@pytest.mark.parametrize(
    ("activation", "function"),
    [
        ("relu", torch.relu),
        ("leaky-relu", lambda x: torch.nn.functional.leaky_relu(x, 0.3)),
        ("tanh", torch.tanh),
        ("silu", torch.nn.functional.silu),
    ],
)
def test_a_trunk_is_its_layers_and_activation(activation, function):
    trunk, x = MLP(3, [4], activation), torch.randn(5, 3)
    linear = trunk.layers[0]
    assert torch.allclose(trunk(x), function(x @ linear.weight.T + linear.bias), atol=1e-6)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"input_dim": 0}, "input_dim: expected an integer of at least 1; got 0"),
        ({"hidden_dims": 200}, "hidden_dims: expected a list of layer widths"),
        ({"hidden_dims": "200"}, "hidden_dims: expected a list of layer widths"),
        ({"hidden_dims": [4, 0]}, r"hidden_dims\[1\]: expected an integer"),
        ({"activation": "rellu"}, "did you mean 'relu'"),
        ({"shift": torch.zeros(2)}, r"shift: expected a number or shape \(3,\)"),
    ],
)
def test_a_trunk_that_cannot_be_built_is_refused(options, sentence):
    with pytest.raises(InputError, match=sentence):
        MLP(**{"input_dim": 3, **options})


@pytest.mark.parametrize("shape", [(2,), (4, 2), (4, 1), (3, 4)])
def test_an_input_of_another_size_is_refused(shape):
    with pytest.raises(InputError, match=r"expected inputs of shape \(..., 3\); got"):
        MLP(3, [4])(torch.zeros(shape))


@pytest.mark.parametrize(
    ("kind", "distribution", "code"),
    [
        (GaussianPosterior, DiagonalNormal, "real"),
        (BernoulliPosterior, Bernoulli, "bits"),
        (DeltaPosterior, Delta, "point"),
    ],
)
def test_a_posterior_returns_a_distribution_over_codes(kind, distribution, code):
    posterior = kind(MLP(5, [4]), 3)
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


def test_the_output_bias_starts_at_the_logit_of_the_mean_image():
    mean = torch.tensor([0.0, 0.25, 0.5, 1.0])
    likelihood = BernoulliLikelihood(MLP(2, [3]), 4, mean)
    assert torch.allclose(torch.sigmoid(likelihood.logits.bias), mean.clamp(0.001, 0.999))
    p = likelihood(torch.randn(2, 5, 2))
    assert (p.batch_shape, p.event_shape) == ((2, 5), (4,))
    with pytest.raises(InputError, match=r"data_mean: expected shape \(4,\); got \(3,\)"):
        BernoulliLikelihood(MLP(2, [3]), 4, mean[:3])


@pytest.mark.parametrize("kind", [GaussianPrior, BernoulliPrior])
@pytest.mark.parametrize("dim", [0, -1, 2.0, "3", True])
def test_a_code_size_that_is_none_is_refused(kind, dim):
    with pytest.raises(InputError, match="latent_dim: expected an integer of at least 1"):
        kind(dim)

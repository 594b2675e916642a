"""Models whose code is a chain of layers: sigmoid belief networks, and the Gaussian VAE of several layers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal, get_args

from torch import Tensor, nn

from vaelab.chains import BottomLayer, ChainPosterior, ChainPrior
from vaelab.conditionals import (
    BernoulliLikelihood,
    BernoulliPosterior,
    BernoulliPrior,
    GaussianPosterior,
    GaussianPrior,
)
from vaelab.errors import InputError, require_choice, require_int, require_number
from vaelab.models.fields import FieldName
from vaelab.models.latent import LatentVariableModel
from vaelab.models.mean_field import MeanFieldPosterior
from vaelab.networks import MLP, Activation
from vaelab.seeds import seeded

__all__ = ["Inference", "bit_code_size", "deep_gaussian_vae", "sbn"]

Inference = Literal["amortised", "wake-sleep", "reweighted-wake-sleep", "mean-field"]
_TOLERANCE = 1e-2


def bit_code_size(data_dim: int) -> int:
    """Return how many bits a code has by default: as many as columns, from 2 to 200."""
    return min(200, max(2, require_int("data_dim", data_dim, 1)))


def sbn(
    data_dim: int,
    layers: Sequence[int] | None = None,
    hidden_dims: Sequence[int] = (),
    encoder_dims: Sequence[int] | None = None,
    activation: Activation = "leaky-relu",
    inference: Inference = "amortised",
    field: FieldName = "product",
    tolerance: float = _TOLERANCE,
    data_mean: Tensor | None = None,
    seed: int | None = None,
) -> LatentVariableModel:
    """Sigmoid belief network: layers of bits, each bit given the layer above.

    Formula: P(S_i = 1 | parents) = sigmoid(sum_j J_ij S_j + h_i); log p(x) = log sum_y p(y) p(x|y). The bits of
    the top layer have learned logits. Layers are linear unless ``hidden_dims`` puts networks between them.
    ``inference`` says where q(z|x) comes from: mean-field inference for each observation, or a recognition
    network, and how it is trained. Sources: Neal (1992), https://doi.org/10.1016/0004-3702(92)90065-6; Saul,
    Jaakkola & Jordan (1996), https://arxiv.org/abs/cs/9603102; Mnih & Gregor (2014), https://arxiv.org/abs/1402.0030.

    Args:
        data_dim: observation size X.
        layers: sizes of the layers of bits, the one nearest to x first; None is one layer of as many bits as columns,
            from 2 to 200.
        hidden_dims: widths of hidden layers between the layers of bits, from the lower one to the upper.
        encoder_dims: the same for the recognition network; as ``hidden_dims`` if None.
        activation: non-linearity of the hidden layers.
        inference: ``amortised``, ``wake-sleep``, ``reweighted-wake-sleep`` or ``mean-field``.
        field: of mean-field inference, ``product`` (1996) or ``gaussian`` (1999).
        tolerance: of mean-field inference, nats: an observation's ends when its bound changes by less in a sweep.
        data_mean: mean observation (X,): centres the encoder's input and starts the output bias.
        seed: of the weights; None draws them from torch's global generator.

    Raises:
        InputError: no layers, mean-field inference of layers that are not linear, or an option of another inference.

    >>> import torch
    >>> model = sbn(6, layers=[4, 3])
    >>> model.sample(5).shape, model.posterior(torch.ones(2, 6)).event_shape
    (torch.Size([5, 6]), torch.Size([7]))
    """
    sizes = _sizes((bit_code_size(data_dim),) if layers is None else layers)
    require_int("data_dim", data_dim, 1)
    require_choice("inference", inference, get_args(Inference))
    require_choice("field", field, get_args(FieldName))
    require_number("tolerance", tolerance, 0.0)
    hidden_dims = _list("hidden_dims", hidden_dims)
    widths = hidden_dims if encoder_dims is None else _list("encoder_dims", encoder_dims)

    def conditional(parents: int, children: int) -> BernoulliPosterior:
        """Return p(y_l|y_l+1), which reads bits as -1/+1."""
        return BernoulliPosterior(_bits(parents, hidden_dims[::-1], activation), children)

    with seeded(seed, "weights"):
        below = [conditional(parents, children) for children, parents in pairwise(sizes)]  # p(y_1|y_2), p(y_2|y_3), ...
        likelihood = BernoulliLikelihood(_bits(sizes[0], hidden_dims[::-1], activation), data_dim, data_mean)
        top = BernoulliPrior(sizes[-1], learned=True)
        posterior: nn.Module
        if inference == "mean-field":
            if len(hidden_dims) or encoder_dims is not None:
                raise InputError(
                    "inference: 'mean-field' expects linear layers (hidden_dims=[]) and has no recognition network "
                    f"(encoder_dims unset); got {list(hidden_dims)} and {encoder_dims}"
                )
            posterior = MeanFieldPosterior(top, [likelihood, *below], field, tolerance)
        else:
            if (field, tolerance) != ("product", _TOLERANCE):
                raise InputError(
                    f"field, tolerance: go with inference=mean-field; got {field}, {tolerance:g} and {inference!r}"
                )
            first = BernoulliPosterior(_observed(data_dim, widths, activation, data_mean), sizes[0])
            above = [BernoulliPosterior(_bits(one, widths, activation), other) for one, other in pairwise(sizes)]
            posterior = ChainPosterior([first, *above], sizes) if above else first
        if not below:
            return LatentVariableModel(top, likelihood, posterior)
        return LatentVariableModel(ChainPrior(top, below[::-1], sizes), BottomLayer(likelihood, sizes), posterior)


def deep_gaussian_vae(
    data_dim: int,
    layers: Sequence[int] = (100, 50),
    hidden_dims: Sequence[Sequence[int]] = ((200, 200), (100, 100)),
    activation: Activation = "tanh",
    data_mean: Tensor | None = None,
    seed: int | None = None,
) -> LatentVariableModel:
    """Variational auto-encoder with several layers of Gaussian codes, each given the one above.

    The defaults are the network 784-200-200-100-100-100-50 of Burda, Grosse & Salakhutdinov (2016),
    https://arxiv.org/abs/1509.00519. The top layer has prior N(0, I).

    Args:
        data_dim: observation size X.
        layers: sizes of the layers of the code, the one nearest to x first.
        hidden_dims: for each of them, the widths of the hidden layers between it and what lies below.
        activation: non-linearity of the hidden layers.
        data_mean: mean observation (X,): centres the encoder's input and starts the output bias.
        seed: of the weights; None draws them from torch's global generator.

    Raises:
        InputError: no layers, or another number of lists in ``hidden_dims``.

    >>> deep_gaussian_vae(6, layers=[4, 3], hidden_dims=[[5], []]).sample(2).shape
    torch.Size([2, 6])
    """
    sizes = _sizes(layers)
    require_int("data_dim", data_dim, 1)
    if len(_list("hidden_dims", hidden_dims)) != len(sizes):
        raise InputError(f"hidden_dims: expected {len(sizes)} lists of widths, one for each layer; got {hidden_dims!r}")
    with seeded(seed, "weights"):
        pairs = list(zip(pairwise(sizes), hidden_dims[1:], strict=True))
        encoders = [GaussianPosterior(_observed(data_dim, hidden_dims[0], activation, data_mean), sizes[0])]
        encoders += [GaussianPosterior(MLP(low, widths, activation), high) for (low, high), widths in pairs]
        decoders = [GaussianPosterior(MLP(high, widths[::-1], activation), low) for (low, high), widths in pairs]
        likelihood = BernoulliLikelihood(MLP(sizes[0], hidden_dims[0][::-1], activation), data_dim, data_mean)
        return LatentVariableModel(
            ChainPrior(GaussianPrior(sizes[-1]), decoders[::-1], sizes),
            BottomLayer(likelihood, sizes),
            ChainPosterior(encoders, sizes),
        )


def _observed(size: int, widths: Sequence[int], activation: Activation, mean: Tensor | None) -> MLP:
    if mean is not None and tuple(mean.shape) != (size,):
        raise InputError(f"data_mean: expected shape ({size},); got {tuple(mean.shape)}")
    return MLP(size, widths, activation, shift=0.0 if mean is None else mean)


def _bits(size: int, widths: Sequence[int], activation: Activation) -> MLP:
    return MLP(size, widths, activation, shift=0.5, scale=2.0)


def _list(name: str, widths: Sequence[Any]) -> Sequence[Any]:
    if isinstance(widths, str) or not isinstance(widths, Sequence):
        raise InputError(f"{name}: expected a list; got {widths!r}")
    return widths


def _sizes(layers: Sequence[int]) -> tuple[int, ...]:
    if isinstance(layers, str) or not isinstance(layers, Sequence) or not len(layers):
        raise InputError(f"layers: expected a list of layer sizes, such as [200, 200]; got {layers!r}")
    return tuple(require_int(f"layers[{index}]", size, 1) for index, size in enumerate(layers))

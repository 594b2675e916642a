"""Sigmoid belief networks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, get_args

from torch import nn

from vaelab.data import Dataset, DataSpec
from vaelab.errors import InputError, require_choice, require_list, require_number
from vaelab.inference import FieldName, MeanFieldPosterior
from vaelab.likelihoods import BottomLayer
from vaelab.models.build import Likelihood, Networks, bit_code_size, build_likelihood, builder, layer_sizes
from vaelab.models.latent import LatentVariableModel
from vaelab.networks import Activation, Build, NetworkName, Normalisation
from vaelab.posteriors import BernoulliPosterior, ChainPosterior
from vaelab.priors import BernoulliPrior, ChainPrior

__all__ = ["Inference", "sbn"]

Inference = Literal["amortised", "wake-sleep", "reweighted-wake-sleep", "mean-field"]
_TOLERANCE = 1e-2


@builder
def sbn(
    data: Dataset | DataSpec | int,
    layers: Sequence[int] | None = None,
    hidden_dims: Sequence[int] = (),
    encoder_dims: Sequence[int] | None = None,
    activation: Activation = "leaky-relu",
    network: NetworkName | Build = "mlp",
    encode_mask: bool = False,
    inference: Inference = "amortised",
    field: FieldName = "product",
    tolerance: float = _TOLERANCE,
    likelihood: Likelihood = "auto",
    seed: int | None = None,
    normalisation: Normalisation = "none",
    dropout: float = 0.0,
) -> LatentVariableModel:
    """Build a sigmoid belief network: layers of bits, each bit given the layer above.

    Formula: `P(S_i = 1|S) = sigmoid(sum_j J_ij S_j + h_i)`, S the bits of the layer above, and `log p(x) = log sum_y
    p(y) p(x|y)`. The bits of the top layer have learned logits. Layers are linear unless ``hidden_dims`` puts networks
    between them. ``inference`` chooses the source of q(z|x): mean-field inference for each observation, or a
    recognition network and the way it is trained. Sources: Neal (1992), https://doi.org/10.1016/0004-3702(92)90065-6;
    Saul, Jaakkola & Jordan (1996), https://arxiv.org/abs/cs/9603102; Mnih & Gregor (2014),
    https://arxiv.org/abs/1402.0030.

    Args:
        data: the data set, its spec, or the number of columns X. Where the data have a mean, it centres the encoder's
            input and starts the output bias.
        layers: sizes of the layers of bits, the one nearest to x first; None is one layer of as many bits as columns,
            from 2 to 200.
        hidden_dims: widths of hidden layers between the layers of bits, from the lower one to the upper.
        encoder_dims: the same for the recognition network; as ``hidden_dims`` if None.
        activation: non-linearity of the hidden layers.
        network: ``mlp``, ``gated-mlp``, for images ``conv`` or ``resnet`` (of x and to x; MLPs between the layers), or
            a function from the sizes of input and output to a module.
        encode_mask: whether the encoder also reads which values of x are observed.
        inference: ``amortised``, ``wake-sleep``, ``reweighted-wake-sleep`` or ``mean-field``.
        field: of mean-field inference, ``product`` (1996) or ``gaussian`` (1999).
        tolerance: of mean-field inference, in nats; the sweeps for an observation end when its bound changes by less.
        likelihood: ``auto`` (by the kinds of the columns: see :mod:`vaelab.likelihoods`), another name, a module, or
            a function from the size of the first layer, the spec and a network to a module. It reads the first layer.
        seed: of the weights; None draws them from torch's global generator.
        normalisation: of the hidden layers: ``none``, or ``layer`` for layer normalisation of each row.
        dropout: share of the units of fully connected hidden layers that a training step leaves out, in the encoder and
            in the decoder.

    Raises:
        InputError: no layers, mean-field inference of layers that are not linear, or an option of another inference.

    >>> import torch
    >>> model = sbn(6, layers=[4, 3])
    >>> model.sample(5).shape, model.posterior(torch.ones(2, 6)).event_shape
    (torch.Size([5, 6]), torch.Size([7]))
    """
    spec = DataSpec.of(data)
    sizes = layer_sizes((bit_code_size(spec.dim),) if layers is None else layers)
    hidden_dims = require_list("hidden_dims", hidden_dims)
    widths = hidden_dims if encoder_dims is None else require_list("encoder_dims", encoder_dims)
    _check_inference(inference, field, tolerance)
    networks = Networks(spec, network, activation, encode_mask, True, normalisation, dropout)
    bottom = build_likelihood(likelihood, sizes[0], spec, networks.decoder(hidden_dims))
    below = [  # p(y_1|y_2), p(y_2|y_3), ...
        BernoulliPosterior(parents, children, networks.downwards(hidden_dims)) for children, parents in pairwise(sizes)
    ]
    top = BernoulliPrior(sizes[-1], learned=True)
    posterior: nn.Module
    if inference == "mean-field":
        if spec.given:
            raise InputError("inference: expected another than 'mean-field' for data with a condition")
        if encode_mask:
            raise InputError("encode_mask: goes with a recognition network; 'mean-field' inference has none")
        if len(hidden_dims) or encoder_dims is not None or network != "mlp":
            raise InputError(
                "inference: 'mean-field' expects linear layers (hidden_dims=[], network=mlp) and has no recognition "
                f"network (encoder_dims unset); got {list(hidden_dims)}, {network} and {encoder_dims}"
            )
        posterior = MeanFieldPosterior(top, [bottom, *below], field, tolerance)
    else:
        first = BernoulliPosterior(networks.inputs, sizes[0], networks.encoder(widths))
        above = [BernoulliPosterior(low, high, networks.upwards(widths)) for low, high in pairwise(sizes)]
        posterior = ChainPosterior([first, *above], sizes) if above else first
    if not below:
        return LatentVariableModel(top, bottom, posterior, spec.given)
    likelihood = BottomLayer(bottom, sizes, spec.given)
    return LatentVariableModel(ChainPrior(top, below[::-1], sizes), likelihood, posterior, spec.given)


def _check_inference(inference: str, field: str, tolerance: float) -> None:
    """Refuse an unknown inference, and options of mean-field inference beside another one."""
    require_choice("inference", inference, get_args(Inference))
    require_choice("field", field, get_args(FieldName))
    require_number("tolerance", tolerance, 0.0)
    if inference != "mean-field" and (field, tolerance) != ("product", _TOLERANCE):
        raise InputError(
            f"field, tolerance: go with inference=mean-field; got {field}, {tolerance:g} and {inference!r}"
        )

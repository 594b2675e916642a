"""Networks of fully connected layers with gates."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from vaelab.networks.hidden import Hidden, Normalisation, hidden_layers
from vaelab.networks.sizes import Size, size_of

__all__ = ["GatedMLP"]


class GatedMLP(nn.Sequential):
    """Multi-layer perceptron whose hidden layers are gated: `h = (W v + b) * sigmoid(V v + c)`, then a linear layer.

    W and V are the two halves of one matrix. The gates are the only non-linearity. Sources: Dauphin et al. (2017),
    https://arxiv.org/abs/1612.08083; in a variational auto-encoder Tomczak & Welling (2018),
    https://arxiv.org/abs/1705.07120, with two layers of 300.

    Args:
        inputs: input size, a number or a shape.
        outputs: output size, a number or a shape.
        hidden_dims: widths of the hidden layers; without any the network is linear.
        normalisation: of the hidden layers, before the gates: see :class:`~vaelab.networks.Hidden`.
        dropout: share of the hidden units that a training step leaves out.

    Raises:
        InputError: a size or a width that is not a positive integer, or an option out of range.

    >>> import torch
    >>> GatedMLP(784, 10, [300, 300])(torch.zeros(3, 784)).shape
    torch.Size([3, 10])
    """

    def __init__(
        self,
        inputs: Size,
        outputs: Size,
        hidden_dims: Sequence[int] = (),
        normalisation: Normalisation = "none",
        dropout: float = 0.0,
    ) -> None:
        hidden = Hidden(None, normalisation, dropout)
        layers, width = hidden_layers(size_of("inputs", inputs).numel(), hidden_dims, hidden)
        super().__init__(*layers, nn.Linear(width, size_of("outputs", outputs).numel()))

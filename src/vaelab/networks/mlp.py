"""Networks of fully connected layers."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from vaelab.networks.hidden import Activation, Hidden, Normalisation, hidden_layers
from vaelab.networks.sizes import Size, size_of

__all__ = ["MLP"]


class MLP(nn.Sequential):
    """Multi-layer perceptron: [linear, activation] for each hidden layer, then a linear layer.

    Args:
        inputs: input size, a number or a shape.
        outputs: output size, a number or a shape.
        hidden_dims: widths of the hidden layers; without any the network is linear.
        activation: non-linearity of the hidden layers.
        normalisation: of the hidden layers, before the non-linearity: see :class:`~vaelab.networks.Hidden`.
        dropout: share of the hidden units that a training step leaves out.

    Raises:
        InputError: a size or a width that is not a positive integer, or an option out of range.

    >>> import torch
    >>> MLP(784, 10, [200, 100])(torch.zeros(3, 784)).shape
    torch.Size([3, 10])
    """

    def __init__(
        self,
        inputs: Size,
        outputs: Size,
        hidden_dims: Sequence[int] = (),
        activation: Activation = "relu",
        normalisation: Normalisation = "none",
        dropout: float = 0.0,
    ) -> None:
        hidden = Hidden(activation, normalisation, dropout)
        layers, width = hidden_layers(size_of("inputs", inputs).numel(), hidden_dims, hidden)
        super().__init__(*layers, nn.Linear(width, size_of("outputs", outputs).numel()))

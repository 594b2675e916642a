"""Hidden layers: a linear map, then normalisation, a non-linearity and dropout."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

from torch import nn

from vaelab.errors import require_choice, require_int, require_list
from vaelab.networks.dropout import Dropout, require_share

__all__ = ["Activation", "Hidden", "Normalisation", "hidden_layers"]

Activation = Literal["relu", "leaky-relu", "tanh", "silu"]
Normalisation = Literal["none", "layer"]
# leaky-relu has slope 0.3, as in the networks of DisARM (Dong, Mnih & Tucker, 2020, https://arxiv.org/abs/2006.10680):
# models with codes of bits train markedly better with it than with 0.01.
_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": partial(nn.ReLU, inplace=True),  # what comes before does not need its own output again
    "leaky-relu": partial(nn.LeakyReLU, 0.3, inplace=True),
    "tanh": nn.Tanh,
    "silu": nn.SiLU,
}


@dataclass(frozen=True)
class Hidden:
    """What follows the linear map or the convolution of a hidden layer.

    With ``normalisation="layer"`` the units of a row get mean 0 and variance 1, then a learned scale and shift for each
    unit, in an image for each channel (Ba, Kiros & Hinton, 2016, https://arxiv.org/abs/1607.06450). It looks at each
    row alone, so it computes the same in training and in evaluation, for any number of codes and of ranks.

    Attributes:
        activation: the non-linearity, by name, or None for a gate: `a * sigmoid(b)`, where a and b are the two halves
            of what the linear map returns.
        normalisation: ``none`` or ``layer``.
        dropout: share of the units of a fully connected layer that a training step leaves out.

    Raises:
        InputError: an unknown activation or normalisation, or a share below 0, or of 1 or more.
    """

    activation: Activation | None = "relu"
    normalisation: Normalisation = "none"
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if self.activation is not None:
            require_choice("activation", self.activation, get_args(Activation))
        require_choice("normalisation", self.normalisation, get_args(Normalisation))
        require_share("dropout", self.dropout)

    def dense(self, width: int, units: int) -> list[nn.Module]:
        """Return a fully connected layer from (N, width) to (N, units)."""
        outputs = units if self.activation is not None else 2 * units
        normalised = [nn.LayerNorm(outputs)] if self.normalisation == "layer" else []
        left_out = [Dropout(self.dropout)] if self.dropout else []
        return [nn.Linear(width, outputs), *normalised, self.activate(), *left_out]

    def after_convolution(self, channels: int) -> list[nn.Module]:
        """Return what follows a convolution with so many channels."""
        normalised = [nn.GroupNorm(1, channels)] if self.normalisation == "layer" else []
        return [*normalised, self.activate()]

    def activate(self) -> nn.Module:
        """Return the non-linearity."""
        return nn.GLU() if self.activation is None else _ACTIVATIONS[self.activation]()


def hidden_layers(width: int, hidden_dims: Sequence[int], hidden: Hidden) -> tuple[list[nn.Module], int]:
    """Return the fully connected hidden layers that follow ``width`` inputs, and the width of the last of them."""
    require_list("hidden_dims", hidden_dims, "a list of layer widths, such as [200, 200]")
    layers: list[nn.Module] = []
    for index, size in enumerate(hidden_dims):
        layers += hidden.dense(width, require_int(f"hidden_dims[{index}]", size, 1))
        width = size
    return layers, width

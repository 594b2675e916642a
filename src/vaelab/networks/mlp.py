"""Networks of fully connected layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, get_args

from torch import nn

from vaelab.errors import require_choice, require_int, require_list
from vaelab.networks.sizes import Size, size_of

__all__ = ["MLP", "Activation", "activation_layer", "hidden_layers"]

Activation = Literal["relu", "leaky-relu", "tanh", "silu"]
# leaky-relu has slope 0.3, as in the networks of DisARM (Dong, Mnih & Tucker, 2020, https://arxiv.org/abs/2006.10680):
# models with codes of bits train markedly better with it than with 0.01.
_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": partial(nn.ReLU, inplace=True),  # a linear layer does not need its own output again
    "leaky-relu": partial(nn.LeakyReLU, 0.3, inplace=True),
    "tanh": nn.Tanh,
    "silu": nn.SiLU,
}


class MLP(nn.Sequential):
    """Multi-layer perceptron: [linear, activation] for each hidden layer, then a linear layer.

    Args:
        inputs: input size, a number or a shape.
        outputs: output size, a number or a shape.
        hidden_dims: widths of the hidden layers; without any the network is linear.
        activation: non-linearity of the hidden layers.

    Raises:
        InputError: a size or a width that is not a positive integer, or an unknown activation.

    >>> import torch
    >>> MLP(784, 10, [200, 100])(torch.zeros(3, 784)).shape
    torch.Size([3, 10])
    """

    def __init__(
        self, inputs: Size, outputs: Size, hidden_dims: Sequence[int] = (), activation: Activation = "relu"
    ) -> None:
        layers, width = hidden_layers(size_of("inputs", inputs).numel(), hidden_dims, activation)
        super().__init__(*layers, nn.Linear(width, size_of("outputs", outputs).numel()))


def activation_layer(activation: Activation) -> Callable[[], nn.Module]:
    """Return the function that builds the layer of an activation."""
    require_choice("activation", activation, get_args(Activation))
    return _ACTIVATIONS[activation]


def hidden_layers(width: int, hidden_dims: Sequence[int], activation: Activation) -> tuple[list[nn.Module], int]:
    """Return the hidden layers that follow ``width`` inputs, and the width of the last of them."""
    activate = activation_layer(activation)
    require_list("hidden_dims", hidden_dims, "a list of layer widths, such as [200, 200]")
    layers: list[nn.Module] = []
    for index, size in enumerate(hidden_dims):
        require_int(f"hidden_dims[{index}]", size, 1)
        layers += [nn.Linear(width, size), activate()]
        width = size
    return layers, width

"""Networks that map vectors to vectors: no probability in here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vaelab.errors import InputError, require_choice, require_int

__all__ = ["MLP", "Activation", "multiplied"]

Activation = Literal["relu", "leaky-relu", "tanh", "silu"]
# leaky-relu has slope 0.3, as in the networks of DisARM (Dong, Mnih & Tucker, 2020, https://arxiv.org/abs/2006.10680):
# codes of bits train markedly better with it than with 0.01.
_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": partial(nn.ReLU, inplace=True),  # a linear layer does not need its own output again
    "leaky-relu": partial(nn.LeakyReLU, 0.3, inplace=True),
    "tanh": nn.Tanh,
    "silu": nn.SiLU,
}


@contextmanager
def multiplied(precision: Literal["medium", "highest"]) -> Iterator[None]:
    """Multiply float32 matrices in this precision (torch's word for it) inside the block."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


class MLP(nn.Module):
    """Standardise the input, then hidden layers: x -> (x - shift) * scale -> [linear, activation] * n.

    Args:
        input_dim: size of the input.
        hidden_dims: widths of the hidden layers; none makes the model linear.
        activation: non-linearity of the hidden layers.
        shift: subtracted from the input: the mean observation, or 1/2 for bits.
        scale: factor of the centred input: 2 writes bits as -1/+1.

    >>> MLP(784, [200, 100]).width
    100
    """

    shift: Tensor

    def __init__(
        self,
        input_dim: int,
        hidden_dims: Sequence[int] = (),
        activation: Activation = "relu",
        shift: Tensor | float = 0.0,
        scale: float = 1.0,
    ) -> None:
        super().__init__()
        require_choice("activation", activation, get_args(Activation))
        if isinstance(hidden_dims, str) or not isinstance(hidden_dims, Sequence):
            raise InputError(f"hidden_dims: expected a list of layer widths, such as [200, 200]; got {hidden_dims!r}")
        width = require_int("input_dim", input_dim, 1)
        filled = torch.as_tensor(shift, dtype=torch.get_default_dtype())
        if filled.shape not in ((), (width,)):
            raise InputError(
                f"shift: expected a number or shape ({width},), one for each input; got {tuple(filled.shape)}"
            )
        self.register_buffer("shift", torch.zeros(width) + filled)  # a copy expanded to one number would have stride 0
        self.scale = scale
        layers: list[nn.Module] = []
        for index, size in enumerate(hidden_dims):
            require_int(f"hidden_dims[{index}]", size, 1)
            layers += [nn.Linear(width, size), _ACTIVATIONS[activation]()]
            width = size
        self.layers = nn.Sequential(*layers)
        self.width = width

    def forward(self, x: Tensor) -> Tensor:
        """Map inputs (..., input_dim) to features (..., width), or refuse inputs of another size."""
        if x.shape[-1:] != self.shift.shape:
            raise InputError(f"network: expected inputs of shape (..., {len(self.shift)}); got {tuple(x.shape)}")
        # One axis before the features: of more than two axes a layer would return a view, and an activation that
        # changes a view in place is differentiated by copies.
        features = self._features(x.reshape(-1, x.shape[-1]))
        return features.view(*x.shape[:-1], features.shape[-1])

    def _features(self, x: Tensor) -> Tensor:
        if self.scale == 1 or not len(self.layers):
            centred = x - self.shift
            features: Tensor = self.layers(centred if self.scale == 1 else centred * self.scale)
            return features
        # W (x - shift) scale + b with the constants in the layer: no second copy of K codes is kept for the gradient.
        first, *rest = self.layers
        weight = first.get_parameter("weight") * self.scale
        features = F.linear(x, weight, first.get_parameter("bias") - weight @ self.shift)
        for layer in rest:
            features = layer(features)
        return features

"""Convolutional networks for images of any size from 8 x 8 on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from vaelab.errors import InputError
from vaelab.networks.mlp import Activation, activation_layer, hidden_layers
from vaelab.networks.sizes import Size, size_of

__all__ = ["ConvolutionalNetwork"]

Layer = Callable[[], nn.Module]
_CHANNELS = (32, 64)  # of the two convolutions; each of them halves the image
_LEAST = 8  # pixels of a side


class ConvolutionalNetwork(nn.Sequential):
    """Two convolutions that each halve the image, then fully connected layers; or the mirror image of that.

    The sizes show whether the network reads or returns an image: an image has shape (H, W), or (C, H, W) with several
    numbers per pixel. The convolutions have 32 and 64 channels, kernels of 4 x 4 and stride 2 (Radford,
    Metz & Chintala, 2016, https://arxiv.org/abs/1511.06434). A network that returns an image ends in a bias for each
    pixel.

    Args:
        inputs: input size, a number or the shape of an image.
        outputs: output size, a number or the shape of an image.
        hidden_dims: widths of the fully connected hidden layers.
        activation: non-linearity of all hidden layers.

    Raises:
        InputError: neither input nor output is an image, or both are, or an image is smaller than 8 x 8.

    >>> ConvolutionalNetwork((9, 13), 10, [50])(torch.zeros(3, 9 * 13)).shape
    torch.Size([3, 10])
    """

    def __init__(
        self, inputs: Size, outputs: Size, hidden_dims: Sequence[int] = (), activation: Activation = "relu"
    ) -> None:
        inputs, outputs = size_of("inputs", inputs), size_of("outputs", outputs)
        activate = activation_layer(activation)
        if (len(inputs) > 1) == (len(outputs) > 1):
            raise InputError(
                "network: 'conv' expects data with an image shape, such as (28, 28), on one side; got inputs of shape "
                f"{tuple(inputs)} and outputs of shape {tuple(outputs)}; network=mlp works for any data"
            )
        if len(inputs) > 1:
            convolutions, features = _downwards(*_planes(inputs), activate)
            dense, width = hidden_layers(features, hidden_dims, activation)
            super().__init__(*convolutions, *dense, nn.Linear(width, outputs.numel()))
            return
        convolutions, features = _upwards(*_planes(outputs), activate)
        dense, width = hidden_layers(inputs.numel(), hidden_dims, activation)
        super().__init__(*dense, nn.Linear(width, features), activate(), *convolutions, Bias(outputs.numel()))


class Bias(nn.Module):
    """Add a learned number to each feature."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(features))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, features) to (N, features)."""
        return x + self.bias


def _planes(shape: torch.Size) -> tuple[int, int, int]:
    """Return an image's number of planes, height and width, or refuse what is not such an image."""
    if len(shape) > 3 or min(shape[-2:]) < _LEAST:
        raise InputError(
            f"network: 'conv' expects images of at least {_LEAST} x {_LEAST} pixels; got shape {tuple(shape)}; "
            "network=mlp works for any data"
        )
    return shape[-3] if len(shape) == 3 else 1, shape[-2], shape[-1]


def _halved(side: int) -> int:
    """Return the side of an image after a convolution of kernel 4, stride 2 and padding 1."""
    return side // 2


def _downwards(planes: int, height: int, width: int, activate: Layer) -> tuple[list[nn.Module], int]:
    """Return layers from (N, image) to (N, features), and the number of features."""
    layers: list[nn.Module] = [nn.Unflatten(1, (planes, height, width))]
    for channels in _CHANNELS:
        layers += [nn.Conv2d(planes, channels, 4, stride=2, padding=1), activate()]
        planes, height, width = channels, _halved(height), _halved(width)
    return [*layers, nn.Flatten()], planes * height * width


def _upwards(planes: int, height: int, width: int, activate: Layer) -> tuple[list[nn.Module], int]:
    """Return layers from (N, features) to (N, image), and the number of features."""
    layers: list[nn.Module] = []
    for channels in _CHANNELS:
        odd = (height % 2, width % 2)  # the row and the column that halving an odd side leaves out
        layers[:0] = [
            nn.ConvTranspose2d(channels, planes, 4, stride=2, padding=1, output_padding=odd),
            *([activate()] if layers else []),
        ]
        planes, height, width = channels, _halved(height), _halved(width)
    return [nn.Unflatten(1, (planes, height, width)), *layers, nn.Flatten()], planes * height * width

"""Convolutional networks for images of any size from 8 x 8 on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from vaelab.errors import InputError
from vaelab.networks.hidden import Activation, Hidden, Normalisation, hidden_layers
from vaelab.networks.sizes import Size, size_of

__all__ = ["ConvolutionalNetwork"]

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
        normalisation: of all hidden layers, before the non-linearity: see :class:`~vaelab.networks.Hidden`.
        dropout: share of the units of fully connected hidden layers that a training step leaves out.

    Raises:
        InputError: neither input nor output is an image, or both are, an image is smaller than 8 x 8, or an option is
            out of range.

    >>> ConvolutionalNetwork((9, 13), 10, [50])(torch.zeros(3, 9 * 13)).shape
    torch.Size([3, 10])
    """

    name: ClassVar[str] = "conv"
    for_images: ClassVar[bool] = True

    def __init__(
        self,
        inputs: Size,
        outputs: Size,
        hidden_dims: Sequence[int] = (),
        activation: Activation = "relu",
        normalisation: Normalisation = "none",
        dropout: float = 0.0,
    ) -> None:
        inputs, outputs = size_of("inputs", inputs), size_of("outputs", outputs)
        hidden = Hidden(activation, normalisation, dropout)
        if (len(inputs) > 1) == (len(outputs) > 1):
            raise InputError(
                f"network: {self.name!r} expects data with an image shape, such as (28, 28), on one side; got inputs "
                f"of shape {tuple(inputs)} and outputs of shape {tuple(outputs)}; network=mlp works for any data"
            )
        layers: list[nn.Module]
        if len(inputs) > 1:
            image = self._planes(inputs)
            convolutions, features = self._downwards(image, hidden)
            dense, width = hidden_layers(features.numel(), hidden_dims, hidden)
            layers = [nn.Unflatten(1, image), *convolutions, nn.Flatten(), *dense, nn.Linear(width, outputs.numel())]
        else:
            convolutions, features = self._upwards(self._planes(outputs), hidden)
            dense, width = hidden_layers(inputs.numel(), hidden_dims, hidden)
            dense += hidden.dense(width, features.numel())
            layers = [*dense, nn.Unflatten(1, features), *convolutions, nn.Flatten(), Bias(outputs.numel())]
        super().__init__(*layers)

    @staticmethod
    def blocks(channels: int, hidden: Hidden) -> list[nn.Module]:
        """Return layers from images (N, channels, H, W) to such images, for each size after the first; here none."""
        return []

    def _planes(self, shape: torch.Size) -> torch.Size:
        """Return the shape (C, H, W) of an image, or refuse what is not such an image."""
        if len(shape) > 3 or min(shape[-2:]) < _LEAST:
            raise InputError(
                f"network: {self.name!r} expects images of at least {_LEAST} x {_LEAST} pixels; got shape "
                f"{tuple(shape)}; network=mlp works for any data"
            )
        return shape if len(shape) == 3 else torch.Size([1, *shape])

    @classmethod
    def _downwards(cls, image: torch.Size, hidden: Hidden) -> tuple[list[nn.Module], torch.Size]:
        """Return layers from images of a shape (C, H, W) to features, and the shape of the features."""
        layers: list[nn.Module] = []
        for channels in _CHANNELS:
            halving = nn.Conv2d(image[0], channels, 4, stride=2, padding=1)
            layers += [halving, *hidden.after_convolution(channels), *cls.blocks(channels, hidden)]
            image = _halved(image, channels)
        return layers, image

    @classmethod
    def _upwards(cls, image: torch.Size, hidden: Hidden) -> tuple[list[nn.Module], torch.Size]:
        """Return layers from features to images of a shape (C, H, W), and the shape of the features."""
        layers: list[nn.Module] = []
        for channels in _CHANNELS:
            odd = (image[1] % 2, image[2] % 2)  # the row and the column that halving an odd side leaves out
            doubling = nn.ConvTranspose2d(channels, image[0], 4, stride=2, padding=1, output_padding=odd)
            between = hidden.after_convolution(image[0]) if layers else []
            layers[:0] = [*cls.blocks(channels, hidden), doubling, *between]
            image = _halved(image, channels)
        return layers, image


class Bias(nn.Module):
    """Add a learned number to each feature."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(features))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, features) to (N, features)."""
        return x + self.bias


def _halved(image: torch.Size, channels: int) -> torch.Size:
    """Return the shape of an image after a convolution of kernel 4, stride 2 and padding 1."""
    return torch.Size([channels, image[1] // 2, image[2] // 2])

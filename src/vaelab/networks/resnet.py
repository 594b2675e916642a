"""Residual networks for images."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from vaelab.networks.conv import ConvolutionalNetwork
from vaelab.networks.hidden import Hidden

__all__ = ["Residual", "ResidualNetwork"]

_BLOCKS = 2  # at each size of the image


class ResidualNetwork(ConvolutionalNetwork):
    """A convolutional network with two residual blocks at the half and at the quarter of the size of the image.

    A block is `act(v + s F(v))`, with F two convolutions of 3 x 3 and a non-linearity between them. The number s is
    learned and starts at 0, so that the network starts as ``conv`` does: with s = 1 from the start, the blocks of a
    decoder learned to ignore the code before the encoder had learned to use it. Sources: He et al. (2016),
    https://arxiv.org/abs/1512.03385; s: Bachlechner et al. (2021), https://arxiv.org/abs/2003.04887. Arguments and
    errors: see :class:`~vaelab.networks.ConvolutionalNetwork`.

    >>> ResidualNetwork((9, 13), 10, [50])(torch.zeros(3, 9 * 13)).shape
    torch.Size([3, 10])
    """

    name: ClassVar[str] = "resnet"

    @staticmethod
    def blocks(channels: int, hidden: Hidden) -> list[nn.Module]:
        """Return the residual blocks of images (N, channels, H, W)."""
        layers: list[nn.Module] = []
        for _ in range(_BLOCKS):
            first, second = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))
            layers += [Residual(first, *hidden.after_convolution(channels), second), hidden.activate()]
        return layers


class Residual(nn.Sequential):
    """`v + s F(v)`: layers F, whose result is added to their input with a learned strength s, 0 at first."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__(*layers)
        self.strength = nn.Parameter(torch.zeros(()))

    def forward(self, v: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C, H, W)."""
        total: Tensor = v + self.strength * super().forward(v)  # type: ignore[no-untyped-call]
        return total

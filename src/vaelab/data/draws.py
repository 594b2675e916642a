"""Drawing bits from grey levels, exactly and fast."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

__all__ = ["draw_bits", "redraw_bits"]


def draw_bits(pixels: Tensor, scale: int, generator: torch.Generator | None = None) -> Tensor:
    """Draw a bit per pixel with probability ``pixels / scale``; float32, the shape of ``pixels``.

    For uint8 grey levels the comparison ``u < pixel`` with u uniform on 0...254 has exactly the
    probability pixel / 255.
    """
    if scale == 255:
        noise = torch.randint(0, 255, pixels.shape, dtype=torch.uint8, device=pixels.device, generator=generator)
    else:
        noise = torch.rand(pixels.shape, device=pixels.device, generator=generator)
    return (noise < pixels).float()


def redraw_bits(pixels: Tensor, scale: int) -> Tensor:
    """Draw as :func:`draw_bits` does, from the default generator, several times faster for grey levels on a processor.

    A byte of a random word is uniform on 0...255; those that are 255 are drawn again from 0...254, which leaves
    every byte uniform on 0...254.
    """
    if scale != 255 or pixels.device.type != "cpu":
        return draw_bits(pixels, scale)
    count = pixels.numel()
    words = torch.empty(-(-count // 8), dtype=torch.int64).random_(-(2**63), None)
    noise = words.view(torch.uint8)[:count]
    (again,) = np.nonzero(noise.numpy() == 255)
    noise[torch.from_numpy(again)] = torch.randint(0, 255, (len(again),), dtype=torch.uint8)
    return torch.lt(noise.view(pixels.shape), pixels, out=torch.empty(pixels.shape))  # as floats, without a detour

"""Drawing bits from grey levels, exactly and fast."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from vaelab.distributed import ALONE, Ranks

__all__ = ["draw_bits", "redraw_bits"]


def draw_bits(pixels: Tensor, scale: float, generator: torch.Generator | None = None) -> Tensor:
    """Draw a bit per pixel with probability ``pixels / scale``; float32, the shape of ``pixels``.

    For uint8 grey levels and a whole scale S the comparison ``u < pixel`` with u uniform on 0...S-1 has exactly the
    probability pixel / S; otherwise u is uniform on [0, S).
    """
    return (_noise(pixels, scale, pixels.shape, generator) < pixels).float()


def _noise(pixels: Tensor, scale: float, shape: Sequence[int], generator: torch.Generator | None = None) -> Tensor:
    if pixels.dtype == torch.uint8 and scale == int(scale) and scale <= 255:
        high = int(scale)
        return torch.randint(0, high, tuple(shape), dtype=torch.uint8, device=pixels.device, generator=generator)
    return torch.rand(tuple(shape), device=pixels.device, generator=generator) * scale


def redraw_bits(pixels: Tensor, scale: float, ranks: Ranks = ALONE) -> Tensor:
    """Draw as :func:`draw_bits` does, from the default generator, several times faster for grey levels on a processor.

    A byte of a random word is uniform on 0...255; those that are 255 are drawn again from 0...254, which leaves
    every byte uniform on 0...254. Of several ranks each draws the noise of all, and uses that of its own rows.
    """
    rows, columns = pixels.shape
    if scale != 255 or pixels.dtype != torch.uint8 or pixels.device.type != "cpu":
        noise = _noise(pixels, scale, (rows * ranks.count, columns))
        return (ranks.share(noise) < pixels).float()
    count = pixels.numel() * ranks.count
    words = torch.empty(-(-count // 8), dtype=torch.int64).random_(-(2**63), None)
    noise = words.view(torch.uint8)[:count]
    (again,) = np.nonzero(noise.numpy() == 255)
    noise[torch.from_numpy(again)] = torch.randint(0, 255, (len(again),), dtype=torch.uint8)
    own = ranks.share(noise.view(-1, columns))
    return torch.lt(own, pixels, out=torch.empty(pixels.shape))  # as floats, without a detour

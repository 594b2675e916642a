"""Binarisation protocols: how grey levels become the bits that a model sees. Part of the data, never implicit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from vaelab.data.dataset import Dataset
from vaelab.randomness import derive_seed
from vaelab.ranks import ALONE, Ranks
from vaelab.refusals import Refusal, require_choice

__all__ = ["BINARISATION_SEED", "Binarisation", "Observations", "observations", "protocol_of"]

Binarisation = Literal["dynamic", "static", "threshold", "none"]
BINARISATION_SEED = 777


def draw_bits(pixels: Tensor, scale: int, generator: torch.Generator | None = None) -> Tensor:
    """Draw a bit per pixel with probability ``pixels / scale``; float32, the shape of ``pixels``.

    For uint8 grey levels the comparison ``u < pixel`` with u uniform on 0...254 has exactly the
    probability pixel / 255.
    """
    return (_noise(pixels.shape, scale, pixels.device, generator) < pixels).float()


def _noise(shape: Sequence[int], scale: int, device: torch.device, generator: torch.Generator | None = None) -> Tensor:
    if scale == 255:
        return torch.randint(0, 255, tuple(shape), dtype=torch.uint8, device=device, generator=generator)
    return torch.rand(tuple(shape), device=device, generator=generator)


def redraw_bits(pixels: Tensor, scale: int, ranks: Ranks = ALONE) -> Tensor:
    """Draw as :func:`draw_bits` does, from the default generator, several times faster for grey levels on a processor.

    A byte of a random word is uniform on 0...255; those that are 255 are drawn again from 0...254, which leaves
    every byte uniform on 0...254. Of several ranks each draws the noise of all, and uses that of its own rows.
    """
    rows, columns = pixels.shape
    if scale != 255 or pixels.device.type != "cpu":
        noise = _noise((rows * ranks.count, columns), scale, pixels.device)
        return (ranks.share(noise) < pixels).float()
    count = pixels.numel() * ranks.count
    words = torch.empty(-(-count // 8), dtype=torch.int64).random_(-(2**63), None)
    noise = words.view(torch.uint8)[:count]
    (again,) = np.nonzero(noise.numpy() == 255)
    noise[torch.from_numpy(again)] = torch.randint(0, 255, (len(again),), dtype=torch.uint8)
    own = ranks.share(noise.view(-1, columns))
    return torch.lt(own, pixels, out=torch.empty(pixels.shape))  # as floats, without a detour


@dataclass(frozen=True)
class Observations:
    """One split, resident on a device, with its rule for turning pixels into bits.

    ``redraw`` is true for the training split under ``dynamic`` binarisation: each pixel is drawn anew
    each time it is seen. Otherwise ``pixels`` already holds the bits, drawn or thresholded once.
    """

    pixels: Tensor  # (N, X) uint8, or float32 grey levels
    scale: int
    redraw: bool

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def dim(self) -> int:
        """Observation size X."""
        return int(self.pixels.shape[1])

    def bits(self, rows: Tensor | slice, ranks: Ranks = ALONE) -> Tensor:
        """Return the bits of the given rows, float32 of shape (B, X), drawn now if ``redraw``.

        Of several ``ranks`` the rows are those of this one.
        """
        # index_select copies whole rows: much faster than advanced indexing
        pixels = self.pixels[rows] if isinstance(rows, slice) else self.pixels.index_select(0, rows)  # (B, X)
        return redraw_bits(pixels, self.scale, ranks) if self.redraw else pixels.float()

    def mean(self) -> Tensor:
        """Return the probability of a one in each pixel over the split, shape (X,)."""
        return self.pixels.float().mean(0) / self.scale


def protocol_of(data: Dataset, asked: Binarisation) -> Binarisation:
    """Return the protocol that applies: data that are bits already are binarised by none."""
    return "none" if data.kind == "binary" else asked


def observations(data: Dataset, split: str, protocol: Binarisation, device: torch.device | str = "cpu") -> Observations:
    """Place a split on ``device`` under a binarisation protocol (DESIGN: the protocol is part of the data).

    ``dynamic`` redraws training pixels each time they are seen; validation and test are drawn once with a
    seed derived from 777 and the split's name. ``static`` draws every split once so. ``threshold`` sets bits
    where the grey level exceeds one half. ``none`` takes bits as they are.

    Raises:
        Refusal: an unknown protocol, or ``none`` on data that are not bits.
    """
    require_choice("binarisation", protocol, get_args(Binarisation))
    pixels = torch.from_numpy(data.split(split).pixels)
    if protocol == "none" and data.kind != "binary":
        low, high = pixels.min().item(), pixels.max().item()
        raise Refusal(
            f"binarisation: 'none' expects bits; {data.name} has grey levels in [{low:g}, {high:g}]; "
            "choose dynamic, static or threshold"
        )
    if data.kind == "binary":
        return Observations(pixels.to(device), 1, redraw=False)
    if protocol == "dynamic" and split == "train":
        return Observations(pixels.to(device), data.scale, redraw=True)
    if protocol == "threshold":
        bits = pixels > data.scale / 2
    else:  # Drawn on the CPU, so that every device sees the same bits.
        generator = torch.Generator().manual_seed(derive_seed(BINARISATION_SEED, split))
        bits = draw_bits(pixels, data.scale, generator)
    return Observations(bits.to(torch.uint8).to(device), 1, redraw=False)

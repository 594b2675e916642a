"""What a model is shown of a split, and the split that is in memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from vaelab.data.draws import redraw_bits
from vaelab.distributed import ALONE, Ranks

__all__ = ["Observations", "Resident"]


class Observations(ABC):
    """One split under a binarisation protocol: bits of any rows, in memory or read from the disk."""

    @property
    @abstractmethod
    def dim(self) -> int:
        """Observation size X."""

    @property
    @abstractmethod
    def device(self) -> torch.device:
        """Where the bits are."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def bits(self, rows: Tensor | slice, ranks: Ranks = ALONE) -> Tensor:
        """Return the bits of the given rows, float32 of shape (B, X); redrawn if they are under ``dynamic``.

        Of several ``ranks`` the rows are those of this one.
        """

    @abstractmethod
    def mean(self) -> Tensor:
        """Return the probability of a one in each pixel over the split, shape (X,)."""

    @abstractmethod
    def first(self, count: int) -> Resident:
        """Return the first rows, in memory."""

    @abstractmethod
    def sample(self) -> Resident:
        """Return rows in memory for what needs many at once: all of a resident split, enough of one on the disk."""


@dataclass(frozen=True)
class Resident(Observations):
    """One split, resident on a device, with its rule for turning pixels into bits.

    ``redraw`` is true for the training split under ``dynamic`` binarisation: each pixel is drawn anew
    each time it is seen. Otherwise ``pixels`` already holds the bits, drawn or thresholded once.
    """

    pixels: Tensor  # (N, X) uint8, or float32 grey levels
    scale: float
    redraw: bool

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def dim(self) -> int:
        return int(self.pixels.shape[1])

    @property
    def device(self) -> torch.device:
        return self.pixels.device

    def bits(self, rows: Tensor | slice, ranks: Ranks = ALONE) -> Tensor:
        # index_select copies whole rows: much faster than advanced indexing
        pixels = self.pixels[rows] if isinstance(rows, slice) else self.pixels.index_select(0, rows)  # (B, X)
        return redraw_bits(pixels, self.scale, ranks) if self.redraw else pixels.float()

    def mean(self) -> Tensor:
        return self.pixels.float().mean(0) / self.scale

    def first(self, count: int) -> Resident:
        return Resident(self.pixels[:count], self.scale, self.redraw)

    def sample(self) -> Resident:
        return self

"""Observations: one split as a model sees it, as bits, and the split whose rows are in memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from vaelab.data.binarisation import redraw_bits
from vaelab.distributed import ALONE, Ranks

__all__ = ["Conditioned", "Observations", "Resident"]


class Observations(ABC):
    """The bits of one split, of rows that are in memory or are read from the disk. NaN marks a missing value."""

    @property
    @abstractmethod
    def dim(self) -> int:
        """Observation size X."""

    @property
    @abstractmethod
    def device(self) -> torch.device:
        """Device of the bits."""

    @property
    def weights(self) -> Tensor | None:
        """Weights of the rows, (N,); None where all count the same."""
        return None

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def bits(self, rows: Tensor | slice, ranks: Ranks = ALONE) -> Tensor:
        """Return the bits of some rows, float32 of shape (B, X); drawn anew for training rows under ``dynamic``.

        Of several ``ranks`` the rows are those of this one.
        """

    @abstractmethod
    def mean(self, weights: Tensor | None = None) -> Tensor:
        """Return the mean of what is observed in each column of the split, shape (X,): the probability of a one.

        Rows are weighted if ``weights`` (N,) are given. A column of which nothing is observed has 1/2.
        """

    @abstractmethod
    def first(self, count: int) -> Observations:
        """Return the first rows, in memory."""

    @abstractmethod
    def sample(self) -> Observations:
        """Return rows in memory: the whole split if it is there already, otherwise 50 000 rows of it or so."""


@dataclass(frozen=True)
class Resident(Observations):
    """A split in memory, on a device.

    With ``redraw`` (training rows under ``dynamic`` binarisation) ``values / scale`` is the probability of a one, and
    bits are drawn anew each time they are seen. Otherwise ``values / scale`` is what a model gets.
    """

    values: Tensor  # (N, X) uint8 or float32
    scale: float
    redraw: bool

    def __len__(self) -> int:
        return len(self.values)

    @property
    def dim(self) -> int:
        return int(self.values.shape[1])

    @property
    def device(self) -> torch.device:
        return self.values.device

    def bits(self, rows: Tensor | slice, ranks: Ranks = ALONE) -> Tensor:
        # index_select copies whole rows: much faster than advanced indexing
        values = self.values[rows] if isinstance(rows, slice) else self.values.index_select(0, rows)  # (B, X)
        if self.redraw:
            return redraw_bits(values, self.scale, ranks)
        return values.float() if self.scale == 1 else values.float() / self.scale

    def mean(self, weights: Tensor | None = None) -> Tensor:
        if self.values.is_floating_point() and bool(self.values.isnan().any()):
            return _mean_of_observed(self.values, self.scale, weights).float()
        parts = self.values.split(1000)  # in float64, as rows on the disk are: the same data have the same mean
        if weights is None:
            total, count = torch.stack([part.sum(0, dtype=torch.float64) for part in parts]).sum(0), float(len(self))
        else:
            pairs = zip(weights.double().split(1000), parts, strict=True)
            total, count = torch.stack([w @ part.double() for w, part in pairs]).sum(0), float(weights.double().sum())
        return (total / count / self.scale).float()

    def first(self, count: int) -> Resident:
        return Resident(self.values[:count], self.scale, self.redraw)

    def sample(self) -> Resident:
        return self


def _mean_of_observed(values: Tensor, scale: float, weights: Tensor | None) -> Tensor:
    """Return the mean of each column of values / scale that are not NaN, (X,); 1/2 where there is none."""
    weights = (torch.ones(len(values), device=values.device) if weights is None else weights.to(values.device)).double()
    total, count = torch.zeros(2, values.shape[1], dtype=torch.float64, device=values.device)
    for part, of_part in zip(values.split(1000), weights.split(1000), strict=True):
        total += of_part @ part.double().nan_to_num(0.0)
        count += of_part @ (~part.isnan()).double()
    mean: Tensor = (total / count / scale).nan_to_num(0.5)
    return mean


@dataclass(frozen=True)
class Conditioned(Observations):
    """A split in memory whose rows are followed by what a model is given: (B, X + Y)."""

    observed: Observations
    given: Tensor  # (N, Y), in [0, 1]

    def __len__(self) -> int:
        return len(self.observed)

    @property
    def dim(self) -> int:
        return self.observed.dim + int(self.given.shape[1])

    @property
    def device(self) -> torch.device:
        return self.observed.device

    def bits(self, rows: Tensor | slice, ranks: Ranks = ALONE) -> Tensor:
        given = self.given[rows] if isinstance(rows, slice) else self.given.index_select(0, rows)
        return torch.cat([self.observed.bits(rows, ranks), given.float()], -1)

    def mean(self, weights: Tensor | None = None) -> Tensor:
        return self.observed.mean(weights)

    def first(self, count: int) -> Conditioned:
        return Conditioned(self.observed.first(count), self.given[:count])

    def sample(self) -> Conditioned:
        return self

"""Weights of rows: a row of weight 2 counts as two rows, in a training and in an evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vaelab.data.observations import Observations
from vaelab.data.values import Array
from vaelab.distributed import ALONE, Ranks
from vaelab.errors import InputError

__all__ = ["Weighted", "require_weights", "weighted_mean", "weighted_median"]


@dataclass(frozen=True)
class Weighted(Observations):
    """A split in memory whose rows have weights: above zero, or zero for a row that does not count.

    >>> from vaelab.data import Resident
    >>> rows = Resident(torch.tensor([[0.0], [1.0]]), 1, redraw=False)
    >>> Weighted(rows, torch.tensor([1.0, 3.0])).mean()
    tensor([0.7500])
    """

    observed: Observations
    row_weights: Tensor  # (N,), on the device of the rows

    @property
    def weights(self) -> Tensor:
        return self.row_weights

    def __len__(self) -> int:
        return len(self.observed)

    @property
    def dim(self) -> int:
        return self.observed.dim

    @property
    def device(self) -> torch.device:
        return self.observed.device

    def bits(self, rows: Tensor | slice, ranks: Ranks = ALONE) -> Tensor:
        return self.observed.bits(rows, ranks)

    def mean(self, weights: Tensor | None = None) -> Tensor:
        return self.observed.mean(self.row_weights)

    def first(self, count: int) -> Weighted:
        return Weighted(self.observed.first(count), self.row_weights[:count])

    def sample(self) -> Weighted:
        return self


def weighted_mean(values: Tensor, weights: Tensor | None) -> Tensor:
    """Return the mean of values (N, ...) over rows, shape (...); a row of weight 0 does not count, whatever its value.

    >>> weighted_mean(torch.tensor([1.0, 4.0, torch.nan]), torch.tensor([2.0, 1.0, 0.0]))
    tensor(2.)
    """
    if weights is None:
        return values.mean(0)
    weights = weights.to(values)
    counts = weights > 0
    return weights[counts] @ values[counts] / weights.sum()


def weighted_median(values: Tensor, weights: Tensor | None) -> Tensor:
    """Return the median of values (N,) over rows, the lower one of two, shape (); a row of weight 2 is two rows.

    >>> weighted_median(torch.tensor([1.0, 4.0, 9.0]), torch.tensor([1.0, 3.0, 0.0]))
    tensor(4.)
    """
    if weights is None:
        return values.median()
    ordered, order = values.sort()
    up_to = weights.to(values)[order].double().cumsum(0)
    return ordered[int((up_to >= up_to[-1] / 2).nonzero()[0])]


def require_weights(where: str, weights: Any, rows: int) -> npt.NDArray[np.float32] | None:
    """Return weights as float32, or raise an InputError unless they are finite numbers from 0 on, one for each row.

    At least one has to be above 0.

    >>> require_weights("data: weights of x", [2, 0, 1], rows=3)
    array([2., 0., 1.], dtype=float32)
    """
    if weights is None:
        return None
    values: Array = np.asarray(weights)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.shape != (rows,):
        raise InputError(f"{where}: expected one weight for each row, shape ({rows},); got shape {values.shape}")
    if values.dtype.kind not in "biuf":
        raise InputError(f"{where}: expected numbers; got {values.dtype}")
    if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values))[0])
        raise InputError(
            f"{where}: expected finite numbers; got {values[row]} in row {row}; give a row that does not count weight 0"
        )
    if values.min() < 0:
        row = int(np.flatnonzero(values < 0)[0])
        raise InputError(f"{where}: expected numbers from 0 on; got {values[row]:g} in row {row}")
    if values.max() > (most := np.finfo(np.float32).max):
        raise InputError(f"{where}: expected numbers up to {most:.1e}; got {values.max():g}")
    stored = values.astype(np.float32)
    if not stored.max() > 0:
        raise InputError(f"{where}: expected a weight above zero for at least one row; got zero for all {rows:,}")
    return stored

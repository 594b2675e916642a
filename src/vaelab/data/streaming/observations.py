"""A split that stays on the disk: its bits are made of blocks of rows as they are read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vaelab.data.binarisation import BitRule, redraw_bits
from vaelab.data.observations import Observations, Resident
from vaelab.data.streaming.rows import Rows
from vaelab.distributed import ALONE, Ranks
from vaelab.errors import InputError
from vaelab.seeds import DATA_SEED

__all__ = ["Streamed"]

_SAMPLE_ROWS, _SAMPLE_BYTES = 50_000, 2**28


@dataclass(frozen=True)
class Streamed(Observations):
    """One split on the disk, with its rule for turning grey levels into bits.

    Under ``draw once`` the seed of a block is derived from 777, the split and the number of the block, so its bits are
    the same each time it is read, and nothing has to be kept.
    """

    rows: Rows
    rule: BitRule
    target: torch.device

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def dim(self) -> int:
        return self.rows.shape[1]

    @property
    def device(self) -> torch.device:
        return self.target

    def block(self, number: int) -> Tensor:
        """Return the stored form of a block, shape (n, X): bits as uint8, or grey levels whose bits are drawn later."""
        start, stop = self.rows.blocks[number : number + 2].tolist()
        values = torch.from_numpy(self.rows[start:stop])
        return self.rule.fixed_bits(values, number) if self.rule.how in ("draw once", "threshold") else values

    def bits_of(self, stored: Tensor, ranks: Ranks = ALONE) -> Tensor:
        """Return the bits of the stored form of some rows, float32."""
        if self.rule.how == "redraw":
            return redraw_bits(stored, self.rule.scale, ranks)
        return stored.float() if self._divisor == 1 else stored.float() / self._divisor

    @property
    def _divisor(self) -> float:
        """What the stored form is divided by: the scale, unless it is bits that were drawn."""
        return self.rule.scale if self.rule.how == "as it is" else 1

    def bits(self, rows: Tensor | slice, ranks: Ranks = ALONE) -> Tensor:
        return self.bits_of(self._stored(rows).to(self.device), ranks)

    def parts(self, rows: int) -> Iterator[Tensor]:
        """Yield the bits of all rows in their order, at most ``rows`` at once."""
        for number in range(len(self.rows.blocks) - 1):
            for stored in self.block(number).split(rows):
                yield self.bits_of(stored.to(self.device))

    def mean(self, weights: Tensor | None = None) -> Tensor:
        if weights is not None:
            raise InputError("weights: expected data in memory; rows on the disk have no weights")
        if self.rule.how in ("redraw", "as it is"):
            return torch.from_numpy(self.rows.means() / self.rule.scale).float().nan_to_num(0.5)
        total = torch.zeros(2, self.dim, dtype=torch.float64)
        for number in range(len(self.rows.blocks) - 1):
            block = self.block(number)
            total += torch.stack([block.nansum(0, dtype=torch.float64), (~block.isnan()).sum(0)])
        return (total[0] / total[1]).float().nan_to_num(0.5)

    def first(self, count: int) -> Resident:
        return self._resident(self._stored(slice(0, count)))

    def sample(self) -> Resident:
        """Return at least 50 000 rows, or 256 MB if that is less: blocks drawn with seed 777."""
        starts = self.rows.blocks
        enough = min(_SAMPLE_ROWS, max(1, _SAMPLE_BYTES // self.dim))
        drawn = np.random.default_rng(DATA_SEED).permutation(len(starts) - 1)
        count = int(np.searchsorted(np.cumsum(np.diff(starts)[drawn]), enough)) + 1
        return self._resident(torch.cat([self.block(number) for number in sorted(drawn[:count].tolist())]))

    def _resident(self, stored: Tensor) -> Resident:
        redraw = self.rule.how == "redraw"
        return Resident(stored.to(self.device), self.rule.scale if redraw else self._divisor, redraw)

    def _stored(self, rows: Tensor | slice) -> Tensor:
        """Return the stored form of rows (B, X), each block read once."""
        if isinstance(rows, slice):
            rows = torch.arange(*rows.indices(len(self)))
        starts = torch.from_numpy(self.rows.blocks)
        numbers = torch.searchsorted(starts, rows.cpu().contiguous(), right=True) - 1
        stored: Tensor | None = None
        for number in numbers.unique().tolist():
            block = self.block(number)
            stored = torch.empty(len(rows), self.dim, dtype=block.dtype) if stored is None else stored
            inside = numbers == number
            stored[inside] = block[rows.cpu()[inside] - starts[number]]
        return torch.empty(0, self.dim, dtype=torch.uint8) if stored is None else stored

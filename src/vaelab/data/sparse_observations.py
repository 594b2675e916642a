"""A split of sparse rows as a model sees it: a batch becomes dense when it is shown."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from vaelab.data.binarisation import BitRule, draw_bits, redraw_bits
from vaelab.data.observations import Observations
from vaelab.data.sparse import SparseRows
from vaelab.distributed import ALONE, Ranks

__all__ = ["Sparse"]


@dataclass(frozen=True)
class Sparse(Observations):
    """Sparse rows in memory, on a device: the bits are those of the same rows when they are dense.

    With ``redraw`` the stored values / ``scale`` are probabilities of ones, otherwise they are what a model gets.
    """

    rows: SparseRows
    scale: float
    redraw: bool
    target: torch.device

    @classmethod
    def of(cls, rows: SparseRows, rule: BitRule, device: torch.device) -> Sparse:
        """Return rows as a rule shows them; bits that stay the same are drawn here."""
        if rule.how in ("redraw", "as it is"):
            return cls(rows, rule.scale, rule.how == "redraw", device)
        if rule.how == "threshold":
            bits = rule.fixed_bits(torch.from_numpy(rows.values)).numpy()
        else:  # the noise of dense rows, used where a value is stored: elsewhere no bit is one
            noise = rule.generator()
            drawn = ((draw_bits(torch.from_numpy(part[:]), rule.scale, noise), part.places) for part in rows.chunks())
            bits = np.concatenate([bits.numpy()[places] for bits, places in drawn])
            bits = bits if rule.may_be_missing else bits.astype(np.uint8)
        return cls(rows.with_values(bits), 1, False, device)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def dim(self) -> int:
        return self.rows.shape[1]

    @property
    def device(self) -> torch.device:
        return self.target

    @cached_property
    def _stored(self) -> tuple[Tensor, Tensor, Tensor]:
        """The first entry of each row (N + 1,), and the columns and values of all entries, on the device."""
        matrix = self.rows.matrix
        starts = torch.from_numpy(matrix.indptr.astype(np.int64))
        columns, values = (torch.from_numpy(part).to(self.device) for part in (matrix.indices, matrix.data))
        return starts.to(self.device), columns, values

    def bits(self, rows: Tensor | slice, ranks: Ranks = ALONE) -> Tensor:
        values = self._dense(rows)  # (B, X)
        if self.redraw:
            return redraw_bits(values, self.scale, ranks)
        return values if self.scale == 1 else values / self.scale

    def _dense(self, rows: Tensor | slice) -> Tensor:
        """Return rows (B, X): bits as float32, and grey levels in the type in which they are stored."""
        starts, columns, values = self._stored
        if isinstance(rows, slice):
            rows = torch.arange(*rows.indices(len(self)), device=self.device)
        first, count = starts[rows], starts[rows + 1] - starts[rows]
        ends = count.cumsum(0)
        entries = torch.repeat_interleave(first - ends + count, count)
        entries += torch.arange(len(entries), device=self.device)
        places = torch.repeat_interleave(torch.arange(len(rows), device=self.device) * self.dim, count)
        places += columns[entries]
        dtype = values.dtype if self.redraw else torch.float32
        dense = torch.full((len(rows) * self.dim,), self.rows.fill, dtype=dtype, device=self.device)
        dense[places] = values[entries].to(dtype)
        return dense.view(len(rows), self.dim)

    def mean(self, weights: Tensor | None = None) -> Tensor:
        sums, counts = self.rows.sums(None if weights is None else weights.double().cpu().numpy())
        known = np.divide(sums, counts * self.scale, out=np.full(self.dim, 0.5), where=counts > 0)
        return torch.from_numpy(known).float().to(self.device)

    def first(self, count: int) -> Sparse:
        return Sparse(self.rows.take(slice(0, count)), self.scale, self.redraw, self.target)

    def sample(self) -> Sparse:
        return self

"""Rows that stay on the disk: a table (N, X) that is sliced like an array."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from vaelab.data.sparse import SparseRows
from vaelab.data.streaming.sources import Packed, Plain, Source
from vaelab.data.values import Array, Coding, observed_sums, stored_type

__all__ = ["BLOCK_BYTES", "Facts", "Rows", "begin_digest", "on_disk"]

BLOCK_BYTES = 2**16  # of the rows that are read at once and stay together in a shuffle
_CHUNK_BYTES = 2**23  # of the rows that are read at once when a file is read through
_NONE = np.empty(0, np.int64)


@dataclass(frozen=True)
class Facts:
    """Facts from reading all rows: the range of the values, the means of columns, a SHA-256, and if any is missing."""

    low: float
    high: float
    means: npt.NDArray[np.float64]
    digest: bytes
    missing: bool = False


def begin_digest(source: Source) -> hashlib._Hash:
    """Return a new checksum, to which all rows are then added, in the type that they have in their files."""
    return hashlib.sha256(f"{source.dim}/{source.dtype.str}".encode())


class Rows:
    """A table of shape (N, X) on the disk: the rows of its sources in their order, without those left out.

    ``rows[start:stop]`` reads rows from the files. Row numbers count the rows of this table.

    Args:
        sources: the files, or parts of files, that hold the rows.
        coding: how values are stored once they are read; None leaves them as they are in the files.
        left_out: numbers of the rows, counted over all sources and ascending, that belong to another split.
        facts: from reading all rows; None for a memory map, whose rows were not read.
    """

    ndim = 2

    def __init__(
        self,
        sources: Sequence[Source],
        coding: Coding | None = None,
        left_out: npt.NDArray[np.int64] = _NONE,
        facts: Facts | None = None,
    ) -> None:
        self.sources = [source for source in sources if source.count]
        self.coding = coding or Coding("grey", 1, sources[0].dtype)
        self.dtype = self.coding.dtype
        self._left_out = left_out
        self._gaps = left_out - np.arange(len(left_out))  # how many rows of this table come before each
        self._starts = np.cumsum([0, *(source.count for source in self.sources)])
        self.shape = (int(self._starts[-1]) - len(left_out), sources[0].dim)
        self._facts = facts

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> Array:
        if not isinstance(rows, slice) or rows.step not in (None, 1):
            raise TypeError("rows on the disk are read by slices of consecutive rows")
        start, stop, _ = rows.indices(len(self))
        if stop <= start:
            return np.empty((0, self.shape[1]), self.dtype)
        first, last = self._number(start), self._number(stop - 1) + 1
        parts = [source.read(low, high) for source, low, high in self._runs(first, last)]
        read = self.coding.store(parts[0] if len(parts) == 1 else np.concatenate(parts))
        low, high = np.searchsorted(self._left_out, [first, last])
        return read if low == high else np.delete(read, self._left_out[low:high] - first, axis=0)

    @property
    def facts(self) -> Facts:
        """Facts from reading all rows; a TypeError for a memory map."""
        if self._facts is None:
            raise TypeError("expected rows that were read through; these are of a memory map")
        return self._facts

    def in_order(self, names: Sequence[str], order: Sequence[int]) -> Rows:
        """Return the rows with their named columns in another order; they are read once for the checksum."""
        rows = Rows([source.with_columns(names) for source in self.sources], self.coding, self._left_out)
        digest = begin_digest(rows.sources[0])
        for _, _, chunk in rows.chunks():
            digest.update(np.ascontiguousarray(chunk).data)
        rows._facts = replace(self.facts, means=self.facts.means[list(order)], digest=digest.digest())
        return rows

    def means(self) -> npt.NDArray[np.float64]:
        """Return the mean of each column, shape (X,); rows without facts are read for it."""
        if self._facts is not None:
            return self._facts.means
        sums, counts = np.zeros(self.shape[1]), np.zeros(self.shape[1])
        for _, _, rows in self.chunks():
            total, count = observed_sums(rows)
            sums, counts = sums + total, counts + count
        return sums / np.where(counts > 0, counts, np.nan)

    @cached_property
    def blocks(self) -> npt.NDArray[np.int64]:
        """First row of each block, and the number of rows at the end: a compressed run of rows is one block."""
        length = max(1, BLOCK_BYTES // (self.shape[1] * self.dtype.itemsize))
        starts = [
            np.arange(first, first + source.count, source.count if isinstance(source, Packed) else length)
            for source, first in zip(self.sources, self._starts[:-1], strict=True)
        ]
        numbers = np.append(np.concatenate(starts), self._starts[-1])
        return np.unique(numbers - np.searchsorted(self._left_out, numbers))  # all rows of a block may be left out

    def chunks(self) -> Iterator[tuple[Source, int, Array]]:
        """Yield all rows of the sources, left out or not: the source, the number of the first row, the rows."""
        for source, first in zip(self.sources, self._starts[:-1], strict=True):
            length = max(1, _CHUNK_BYTES // (source.dim * source.dtype.itemsize))
            for start in range(0, source.count, length):
                yield source, int(first) + start, source.read(start, min(start + length, source.count))

    def _number(self, row: int) -> int:
        """Return the number that a row has in its sources."""
        return row + int(np.searchsorted(self._gaps, row, side="right"))

    def _runs(self, first: int, last: int) -> Iterator[tuple[Source, int, int]]:
        index = int(np.searchsorted(self._starts, first, side="right")) - 1
        while index < len(self.sources) and self._starts[index] < last:
            begin, end = int(self._starts[index]), int(self._starts[index + 1])
            yield self.sources[index], max(first, begin) - begin, min(last, end) - begin
            index += 1


def on_disk(x: Array | Rows | SparseRows, scale: float) -> Rows | None:
    """Return the rows of a split of a data set of this scale that stay on the disk, or None for an array in memory.

    A memory map stays on the disk if its rows lie one after another in a named file. Other maps are used as arrays.
    """
    if isinstance(x, Rows):
        return x
    if not isinstance(x, np.memmap) or not x.filename or x.mode == "c" or not x.flags.c_contiguous:
        return None
    return Rows([Plain.of(x)], Coding("grey", scale, stored_type(x.dtype, scale)))

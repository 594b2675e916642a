"""Sparse rows: a table of which only some entries are stored (CSR). Only some rows at a time are ever dense."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from vaelab.data.deviation import deviation_of
from vaelab.errors import InputError

__all__ = ["SparseRows", "columns_of", "is_sparse", "rows_of"]

Array = npt.NDArray[Any]

_CHUNK = 2**24  # entries that are dense at once when all rows are gone through
_ROWS = 1000  # rows that are summed at once


class SparseRows:
    """A table of shape (N, X) that is sliced like an array, and holds only the entries that differ from ``fill``.

    ``rows[start:stop]`` is a dense array. A missing value is NaN: stored, or everywhere else with ``fill`` NaN.

    Args:
        matrix: any matrix of scipy.sparse, or a dense array (N, X); it is not changed. Entries stored twice are added,
            as scipy does.
        fill: the value of the entries that are not stored, 0 or NaN. With NaN a stored 0 is an observed 0.

    Raises:
        InputError: a sparse array of one axis, or of more than two.

    >>> from scipy import sparse
    >>> rows = SparseRows(sparse.csr_array(np.eye(3, dtype=np.uint8)))
    >>> rows, rows[1:2], rows.means()
    (SparseRows(3 rows of 3, 3 entries stored), array([[0, 1, 0]], dtype=uint8), array([0.33333333, ...]))
    """

    ndim = 2

    def __init__(self, matrix: Any, fill: float = 0.0) -> None:
        if matrix.ndim != 2:
            raise InputError(f"x: expected rows (N, X) in a sparse matrix; got shape {tuple(matrix.shape)}")
        rows = _csr(matrix)
        stray = np.isnan(rows.data) if np.isnan(fill) else rows.data == 0
        if stray.any():
            rows = _without(rows, stray)
        self.matrix, self.fill = rows, fill
        self.shape: tuple[int, int] = (int(rows.shape[0]), int(rows.shape[1]))

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        """Return a line with the shape and the number of stored entries."""
        empty = ", the others missing" if np.isnan(self.fill) else ""
        return f"SparseRows({self.shape[0]:,} rows of {self.shape[1]:,}, {len(self.values):,} entries stored{empty})"

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the stored values."""
        return self.values.dtype

    @property
    def values(self) -> Array:
        """The stored values, row after row."""
        values: Array = self.matrix.data
        return values

    @property
    def size(self) -> int:
        """Number of entries N X, stored or not."""
        return self.shape[0] * self.shape[1]

    @property
    def missing(self) -> int:
        """Number of entries that are missing."""
        stored = int(np.isnan(self.values).sum())
        return self.size - len(self.values) if np.isnan(self.fill) else stored

    def __getitem__(self, rows: slice | tuple[slice, int]) -> Array:
        """Return consecutive rows, or one column of them, as a dense array."""
        if isinstance(rows, tuple):
            chosen: Array = self._dense(self.matrix[rows[0]][:, [rows[1]]])[:, 0]
            return chosen
        if not isinstance(rows, slice):
            raise TypeError("sparse rows are made dense by slices of consecutive rows; take chooses rows by number")
        return self._dense(self.matrix[rows])

    def _dense(self, part: Any) -> Array:
        if not np.isnan(self.fill):
            dense: Array = part.toarray()
            return dense
        dense = np.full(part.shape, np.nan, self.dtype)
        dense[np.repeat(np.arange(part.shape[0]), np.diff(part.indptr)), part.indices] = part.data
        return dense

    @property
    def places(self) -> tuple[npt.NDArray[np.int64], Array]:
        """The row and the column of each stored value."""
        return np.repeat(np.arange(len(self)), np.diff(self.matrix.indptr)), self.matrix.indices

    def chunks(self) -> Iterator[SparseRows]:
        """Yield all rows in their order, so many at once that they may be made dense."""
        length = max(1, _CHUNK // self.shape[1])
        for start in range(0, len(self), length):
            yield self.take(slice(start, start + length))

    @classmethod
    def stack(cls, parts: Sequence[SparseRows]) -> SparseRows:
        """Return the rows of several tables of one width, one after another."""
        from scipy import sparse

        return (
            parts[0] if len(parts) == 1 else cls(sparse.vstack([part.matrix for part in parts], "csr"), parts[0].fill)
        )

    def take(self, rows: npt.NDArray[np.int64] | slice) -> SparseRows:
        """Return some rows, in that order."""
        return SparseRows(self.matrix[rows], self.fill)

    def columns(self, order: Sequence[int]) -> SparseRows:
        """Return some columns, in that order."""
        return SparseRows(self.matrix[:, list(order)], self.fill)

    def with_values(self, values: Array, fill: float | None = None) -> SparseRows:
        """Return the rows with other stored values, in the same places, and with another fill where it is given."""
        from scipy import sparse

        parts = (values, self.matrix.indices, self.matrix.indptr)
        return SparseRows(sparse.csr_array(parts, shape=self.shape), self.fill if fill is None else fill)

    def observe(self, rows: Array | SparseRows) -> SparseRows:
        """Return other rows where these, a mask, store an entry; all others are missing."""
        values = rows.matrix[self.places] if isinstance(rows, SparseRows) else rows[self.places]
        return self.with_values(np.asarray(values, np.float64), np.nan)

    def hide(self, hidden: Array) -> SparseRows:
        """Return the rows with NaN where a dense array (N, X) is true."""
        from scipy import sparse

        rows, columns = self.places
        kept, missing = ~hidden[rows, columns], np.nonzero(hidden)
        places = [np.concatenate(pair) for pair in ((rows[kept], missing[0]), (columns[kept], missing[1]))]
        values = np.concatenate([self.values[kept].astype(np.float64), np.full(len(missing[0]), np.nan)])
        return SparseRows(sparse.coo_array((values, tuple(places)), shape=self.shape), self.fill)

    def sums(self, weights: Array | None = None) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return the sum of the observed values of each column, and how many there are; of weighted rows where given.

        Shapes (X,) and (X,).
        """
        width = self.shape[1]
        everywhere = (
            0.0 if np.isnan(self.fill) else float(len(self) if weights is None else weights.sum(dtype=np.float64))
        )
        sums, counts = np.zeros(width), np.full(width, everywhere)
        for start in range(0, len(self), _ROWS):
            stop = min(start + _ROWS, len(self))
            part = slice(self.matrix.indptr[start], self.matrix.indptr[stop])
            values, columns = self.values[part].astype(np.float64), self.matrix.indices[part]
            weight = (
                np.ones(1)
                if weights is None
                else np.repeat(weights[start:stop], np.diff(self.matrix.indptr[start : stop + 1]))
            )
            missing = np.isnan(values)
            sums += np.bincount(columns, np.where(missing, 0, values) * weight, width)
            counted = ~missing if np.isnan(self.fill) else -missing.astype(float)
            counts += np.bincount(columns, counted * weight, width)
        return sums, counts

    def deviations(self, weights: Array | None = None) -> npt.NDArray[np.float64]:
        """Return the standard deviation of the observed values of each column, shape (X,).

        It is 1 for a column without two different values.
        """
        if weights is not None and not weights.all():
            return self.take(np.flatnonzero(weights)).deviations(weights[weights > 0])
        sums, counts = self.sums(weights)
        counts = np.maximum(counts, np.finfo(float).tiny)
        mean = sums / counts
        centred = (self.values - mean[self.matrix.indices]) ** 2
        squares, stored = self.with_values(centred, np.nan).sums(weights)
        partly = np.bincount(self.matrix.indices, minlength=self.shape[1]) < len(self)
        others = 0 if np.isnan(self.fill) else partly * np.maximum(counts - stored, 0) * mean**2  # not stored: 0 - mean
        return deviation_of((squares + others) / counts, mean)

    def means(self) -> npt.NDArray[np.float64]:
        """Return the mean of the observed values of each column, shape (X,); NaN where none is observed."""
        sums, counts = self.sums()
        means = np.full(len(sums), np.nan)
        np.divide(sums, counts, out=means, where=counts > 0)
        return means


def columns_of(x: Any, order: Sequence[int]) -> Any:
    """Return some columns of rows, dense or sparse, in that order."""
    return x.columns(order) if isinstance(x, SparseRows) else np.take(x, order, axis=1)


def rows_of(x: Any, rows: npt.NDArray[np.int64] | slice) -> Any:
    """Return some rows, dense or sparse, in that order."""
    return x.take(rows) if isinstance(x, SparseRows) else x[rows]


def is_sparse(value: object) -> bool:
    """Return whether a value is a matrix of scipy.sparse, without importing that library."""
    return hasattr(value, "tocsr") and hasattr(value, "nnz")


def _csr(matrix: Any) -> Any:
    """Return a matrix in CSR, each entry stored once, in arrays that torch can share."""
    from scipy import sparse

    matrix = sparse.csr_array(matrix) if isinstance(matrix, np.ndarray) else matrix
    matrix = matrix if matrix.dtype.isnative else matrix.astype(matrix.dtype.newbyteorder("="))
    rows = sparse.csr_array(matrix) if matrix.format == "csr" else matrix  # shares the memory of a matrix in CSR
    if rows is matrix or not rows.has_canonical_format:
        wide = np.float64 if rows.dtype == np.uint64 else np.int64  # which holds no more than 2^63
        summed = sparse.csr_array(rows.astype(wide) if rows.dtype.kind in "iu" else rows, copy=True)
        summed.sum_duplicates()
        with np.errstate(invalid="ignore"):  # a sum that the type does not hold is compared below
            narrow = summed.astype(rows.dtype)
        rows = narrow if np.array_equal(narrow.data, summed.data, equal_nan=rows.dtype.kind == "f") else summed
    parts = [np.require(part, requirements="W") for part in (rows.data, rows.indices, rows.indptr)]
    return sparse.csr_array(tuple(parts), shape=rows.shape)


def _without(rows: Any, stray: npt.NDArray[np.bool_]) -> Any:
    """Return a CSR matrix without some of its stored entries."""
    from scipy import sparse

    before = np.concatenate([[0], np.cumsum(stray)])
    parts = (rows.data[~stray], rows.indices[~stray], rows.indptr - before[rows.indptr])
    return sparse.csr_array(parts, shape=rows.shape)

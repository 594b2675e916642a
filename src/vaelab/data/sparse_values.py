"""What the values of sparse rows are, as :mod:`vaelab.data.values` says of dense ones."""

from __future__ import annotations

import numpy as np

from vaelab.data.sparse import SparseRows
from vaelab.data.values import Coding, Kind, Summary, require_numbers, require_values, stored_type
from vaelab.errors import InputError

__all__ = ["store_sparse", "stored_sparse", "summarise_sparse"]


def summarise_sparse(where: str, rows: SparseRows) -> Summary:
    """Return the summary of sparse rows: that of the same rows when they are dense.

    Raises:
        InputError: infinite values or what is no number, nothing at all.

    >>> from scipy import sparse
    >>> print(summarise_sparse("data", SparseRows(sparse.csr_array(np.eye(3)))))
    whole numbers in [0, 1]
    """
    if rows.size == 0:
        raise InputError(f"{where}: expected at least one row and one column; got shape {rows.shape}")
    values, columns = rows.values, rows.matrix.indices
    require_numbers(where, rows)
    missing, infinite = np.isnan(values), np.isinf(values)
    if infinite.any():
        entry = int(np.flatnonzero(infinite)[0])
        row, column = (int(place[entry]) for place in rows.places)
        raise InputError(f"{where}: expected finite numbers; got {values[entry]} in row {row}, column {column}")
    empty = np.bincount(columns, minlength=rows.shape[1]) < len(rows)  # columns with zeros that are not stored
    empty &= not np.isnan(rows.fill)
    low, high = np.where(empty, 0.0, np.inf), np.where(empty, 0.0, -np.inf)
    np.fmin.at(low, columns, values.astype(np.float64))
    np.fmax.at(high, columns, values.astype(np.float64))
    whole = np.ones(rows.shape[1], bool)
    whole[columns[(np.trunc(values) != values) & ~missing]] = False
    least, most = float(low.min()), float(high.max())
    others = (values != least) & (values != most) & ~missing
    two = not others.any() and (not empty.any() or 0 in (least, most))
    plain = least >= 0 and (most <= 1 or (rows.dtype == np.uint8 and most > 127))
    return Summary(low, high, whole, rows.dtype == np.uint8, two and not plain, rows.missing)


def store_sparse(coding: Coding, rows: SparseRows) -> SparseRows:
    """Return rows as values are stored: 0 is 0 in every coding."""
    return rows.with_values(coding.store(rows.values))


def stored_sparse(where: str, rows: SparseRows, kind: Kind, scale: float) -> SparseRows:
    """Return the rows of a split as they are stored, uint8 or float32.

    Raises:
        InputError: values that do not agree with the kind and the scale of their data set.
    """
    require_numbers(where, rows)
    if len(rows.values) and not (np.isnan(rows.values).all() and not np.isnan(rows.fill)):
        require_values(where, rows.values, kind, scale)
    dtype = np.float32 if np.isnan(rows.fill) else stored_type(rows.dtype, scale, kind)
    return rows.with_values(np.require(rows.values, dtype, ["C", "W", "E"]))

"""Which tables are read by the kinds of their columns, which are plain numbers, and what is left out of both."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from vaelab.data.content import Content, RawTable
from vaelab.data.remarks import without_remarked
from vaelab.data.sparse import SparseRows
from vaelab.data.values import Array, ReadOptions
from vaelab.errors import InputError

__all__ = ["as_numbers", "chosen_columns", "table_in"]


def table_in(where: object, content: Content, options: ReadOptions) -> RawTable | None:
    """Return the table whose columns have kinds: of a table that holds text, or of one whose kinds are given.

    Raises:
        InputError: kinds, or columns to leave out, for columns without names.
    """
    said = options.columns is not None or options.variables is not None
    if content.table is not None:
        return content.table if said or any(column.dtype == object for column in content.table.columns) else None
    x = content.arrays.get("x")
    if isinstance(x, SparseRows):
        if said or options.drop:
            what = "columns" if said else "drop"
            raise InputError(f"{where}: {what}: expected a dense table, column by column; got a sparse matrix")
        return None
    if content.names is None or not isinstance(x, np.ndarray) or x.ndim != 2:
        if said or options.drop or options.names is not None:
            what = "columns" if said or options.names is not None else "drop"
            if isinstance(x, np.ndarray) and x.ndim > 2:
                raise InputError(
                    f"{where}: {what}: expected a table (N, X), whose columns it is about; got shape {x.shape}"
                )
            way = options.way("a table with names of columns in line 1", "a name for every column")
            raise InputError(f"{where}: {what}: expected {way}; got none")
        return None
    if not said:
        return None
    return RawTable(content.names, [_without_type(column) if content.text else column for column in x.T])


def as_numbers(content: Content) -> Content:
    """Return a table of numbers as one array, and other contents as they are."""
    if content.table is None:
        return content
    x = np.column_stack(content.table.columns)
    return dataclasses.replace(content, arrays={**content.arrays, "x": x}, names=content.table.names, table=None)


def chosen_columns(
    where: object, x: Array, names: Sequence[str] | None, label: str | None, options: ReadOptions
) -> tuple[Array, tuple[str, ...] | None, tuple[str, ...]]:
    """Return plain numbers (N, X) without the columns that ``options`` leave out, their names, and notes."""
    if names is None or not (options.drop or options.names is not None):
        return x, None if names is None else tuple(names), ()
    notes: tuple[str, ...] = ()
    if options.names is not None:
        kept = [name for name in names if name in options.names or name == label]
    else:
        others = [name for name in names if name != label]
        table, notes = without_remarked(where, RawTable(tuple(names), list(x.T)).take(others))
        kept = [name for name in names if name in table.names or name == label]
    return np.ascontiguousarray(x[:, [list(names).index(name) for name in kept]]), tuple(kept), notes


def _without_type(column: Array) -> Array:
    """Return numbers of a file of text, in which whole ones are of no type, as int64 if all are whole."""
    if column.dtype.kind == "f" and not ((column == np.trunc(column)) & (np.abs(column) < 2**63)).all():
        return column
    return column.astype(np.int64)

"""Values of a table that may not mean what they say: codes for missing values, levels written in two ways, totals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vaelab.data.content import RawTable
from vaelab.data.naming import listed
from vaelab.data.tables import missing_in, without_stand_ins
from vaelab.data.values import Array
from vaelab.data.variables import Column

__all__ = ["doubts_about"]

_CODES = (9, 99, 999, 9999)  # usual codes for missing values, also below zero
_FEW = 10  # rows; the last of fewer may be the sum of the others by chance


def doubts_about(table: RawTable, variables: Sequence[Column]) -> tuple[str, ...]:
    """Return a sentence for what is read as it is written, and may be meant in another way.

    >>> values = np.array([36.5, 37.1, -99.0, 36.8])
    >>> doubts_about(RawTable(("t",), [values]), [Column("t", "real")])
    ("column 't' has -99 in 1 of 4 rows, and else 36.5...37.1: if it stands for a missing value, say missing: -99",)
    """
    given = dict(zip(table.names, table.columns, strict=True))
    columns = {column.name: without_stand_ins(given[column.name], column.missing) for column in variables}
    notes = []
    for column in variables:
        if column.levels is not None and column.dtype == "str":
            notes += _levels_alike(column)
        elif column.kind in ("real", "count"):
            notes += _codes_in(column, columns[column.name])
    numbers = {column.name: columns[column.name] for column in variables if column.levels is None}
    return (*notes, *_totals([values for values in numbers.values() if values.dtype != object]))


def _levels_alike(column: Column) -> list[str]:
    """Return a sentence on levels that differ in capitals or blanks alone."""
    groups: dict[str, list[str]] = {}
    for level in map(str, column.levels or ()):
        groups.setdefault("".join(level.split()).casefold(), []).append(level)
    alike = next((group for group in groups.values() if len(group) > 1), None)
    if alike is None:
        return []
    return [
        f"levels of column {column.name!r} differ in capitals or blanks alone, {listed(alike)}: they are different "
        "levels, unless they are written alike"
    ]


def _codes_in(column: Column, values: Array) -> list[str]:
    """Return a sentence on a usual code for missing values that lies apart from all other values."""
    present = values[~missing_in(values)] if values.dtype != object else values[:0]
    for code in (sign * code for code in _CODES for sign in (-1, 1)):
        others = present[present != code]
        if len(others) in (0, len(present)):
            continue
        low, high = others.min(), others.max()
        if (low >= 0) if code < 0 else (code > 9 and low >= 0 and 2 * high < code):
            count = len(present) - len(others)
            return [
                f"column {column.name!r} has {code} in {count:,} of {len(values):,} rows, and else "
                f"{low:g}...{high:g}: if it stands for a missing value, say missing: {code}"
            ]
    return []


def _totals(columns: Sequence[Array]) -> list[str]:
    """Return a sentence on a last row that holds the sums of the rows above."""
    if len(columns) < 2 or len(columns[0]) <= _FEW:
        return []
    is_sum = False  # of more than one number
    for column in columns:  # most tables are left after the first
        above, last = column[:-1].astype(np.float64), float(column[-1])
        if not np.isclose(last, np.nansum(above), rtol=1e-6, atol=1e-9):
            return []
        is_sum |= last > 0 and not (above >= last).any()
    if not is_sum:
        return []
    return ["the last row holds the sums of all rows above it: if it is a line of totals, remove it from the data"]

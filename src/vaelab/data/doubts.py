"""Values of a table that may not mean what they say: numbers for missing values, levels written in two ways, totals."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np

from vaelab.data.content import RawTable
from vaelab.data.naming import listed
from vaelab.data.tables import missing_in, without_stand_ins
from vaelab.data.values import Array, ReadOptions
from vaelab.data.variables import Column

__all__ = ["doubts_about"]

_STAND_INS = (-9, -99, 99, -999, 999, -9999, 9999)  # usual numbers for missing values
_USUAL_ONCE = (-99, -999, -9999)  # those that are noted even if only one row has them
_FEW = 10  # rows; the last of fewer may be the sum of the others by chance


def doubts_about(table: RawTable, variables: Sequence[Column], options: ReadOptions) -> tuple[str, ...]:
    """Return a sentence for what is read as it is written, and may be meant in another way.

    >>> values = RawTable(("t",), [np.array([36.5, 37.1, -99.0, 36.8])])
    >>> print(*doubts_about(values, [Column("t", "real")], ReadOptions(arrays=True)))  # doctest: +NORMALIZE_WHITESPACE
    column 't' has -99 in 1 of 4 rows, and else 36.5...37.1: if this stands for a missing value, say so with
    columns={'t': {'kind': 'real', 'missing': [-99]}}
    """
    given = dict(zip(table.names, table.columns, strict=True))
    columns = {column.name: without_stand_ins(given[column.name], column.missing) for column in variables}
    notes = []
    for column in variables:
        if column.levels is not None and column.dtype == "str":
            notes += _levels_alike(column)
        elif column.kind in ("real", "count", "categorical"):
            notes += _stand_ins_in(column, columns[column.name], options)
    numbers = {column.name: columns[column.name] for column in variables if column.levels is None}
    return (*notes, *_totals([values for values in numbers.values() if values.dtype != object]))


def _levels_alike(column: Column) -> list[str]:
    """Return a sentence on levels that differ in capitals or blanks alone."""
    groups: dict[str, list[str]] = {}
    for level in map(str, column.levels or ()):
        groups.setdefault(" ".join(level.split()).casefold(), []).append(level)
    alike = next((group for group in groups.values() if len(group) > 1), None)
    if alike is None:
        return []
    return [
        f"levels of column {column.name!r} differ in capitals or blanks alone, {listed(alike)}: they are read as "
        "different levels; write them alike if they mean the same"
    ]


def _stand_ins_in(column: Column, values: Array, options: ReadOptions) -> list[str]:
    """Return a sentence on usual numbers for missing values that lie apart from all other values."""
    present = values[~missing_in(values)] if values.dtype != object else values[:0]
    others = present[~np.isin(present, _STAND_INS)]
    if not len(others):
        return []
    counts = {number: int((present == number).sum()) for number in _STAND_INS if _is_apart(number, others)}
    found = {number: count for number, count in counts.items() if count > (number not in _USUAL_ONCE)}
    if not found:
        return []
    kept = present[~np.isin(present, list(found))]
    has = " and ".join(f"{number} in {count:,}" for number, count in found.items())
    return [
        f"column {column.name!r} has {has} of {len(values):,} rows, and else {kept.min():g}...{kept.max():g}: if this "
        f"stands for a missing value, say so with {_way(column, list(found), options)}"
    ]


def _is_apart(number: int, others: Array) -> bool:
    """Return whether a number is below zero and the others are not, or more than twice as large as all of them."""
    return bool(others.min() >= 0 and (number < 0 or 2 * float(others.max()) < number))


def _way(column: Column, numbers: list[int], options: ReadOptions) -> str:
    """Return how a user says that numbers stand for missing values."""
    said = {"kind": column.kind, "missing": [*column.missing, *numbers]}
    line = f"{json.dumps(column.name, ensure_ascii=False)}: {{kind: {column.kind}, missing: {said['missing']}}}"
    return options.way(f"the line {line} in a file for --columns", f"columns={{{column.name!r}: {said}}}")


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

"""From a user's table to rows of numbers and back, by the kinds and levels of its columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from vaelab.data.content import RawTable
from vaelab.data.naming import listed
from vaelab.data.precision import require_precision
from vaelab.data.values import MOST_COUNT, MOST_REAL, Array
from vaelab.data.variables import Column, Level
from vaelab.errors import InputError, did_you_mean, shown

__all__ = ["decode_rows", "encode_table", "missing_in", "text_of", "without_stand_ins"]

Mask = npt.NDArray[np.bool_]

# What the numbers of each kind are, in words and as a test. They are stored as float32, which holds larger real numbers
# not at all, and larger whole numbers not exactly.
_NUMBERS: dict[str, tuple[str, Callable[[Array], Mask]]] = {
    "binary": ("0 and 1", lambda values: (values == 0) | (values == 1)),
    "unit": ("numbers in [0, 1]", lambda values: (values >= 0) & (values <= 1)),
    "real": ("finite numbers below 3.4e38", lambda values: np.abs(values) <= MOST_REAL),
    "count": (
        "whole numbers from 0 to 16,777,216",
        lambda values: (values >= 0) & (values == np.floor(values)) & (values <= MOST_COUNT),
    ),
}


def encode_table(where: object, table: RawTable, variables: Sequence[Column]) -> npt.NDArray[np.float32]:
    """Return the rows (N, X) that a model gets of a table; NaN where a value is missing.

    Columns are matched by name; those that ``variables`` does not name are not looked at.

    Raises:
        InputError: a column is missing, or holds values that its kind or its levels do not have.

    >>> votes = RawTable(("vote",), [np.array(["n", "y", None], object)])
    >>> encode_table("votes.csv", votes, [Column("vote", "binary", ("n", "y"), "str")]).tolist()
    [[0.0], [1.0], [nan]]
    """
    if missing := [column.name for column in variables if column.name not in table.names]:
        hint = did_you_mean(missing[0], table.names)
        raise InputError(
            f"{where}: expected the columns {listed([column.name for column in variables])}; "
            f"{listed(missing)} {'is' if len(missing) == 1 else 'are'} missing{hint}"
        )
    rows = np.empty((len(table), sum(column.width for column in variables)), np.float32)
    start = 0
    for column, values in zip(variables, table.take([column.name for column in variables]).columns, strict=True):
        stop = start + column.width
        values = without_stand_ins(values, column.missing)
        rows[:, start:stop] = _encoded(f"{where}: column {column.name!r}", values, column)
        start = stop
    return rows


def decode_rows(variables: Sequence[Column], rows: Array) -> dict[str, Array]:
    """Return rows (N, X) as the values of the columns of a user's table, by name.

    >>> decode_rows([Column("n", "count", None, "int64")], np.array([[2.2], [0.0]]))
    {'n': array([2, 0])}
    """
    table, start = {}, 0
    for column in variables:
        stop = start + column.width
        table[column.name] = _decoded(column, rows[:, start:stop])
        start = stop
    return table


def missing_in(values: Array) -> Mask:
    """Return where the values of a column of a table are missing."""
    if values.dtype == object:
        return np.array([value is None for value in values], bool)
    return np.isnan(values) if values.dtype.kind == "f" else np.zeros(len(values), bool)


def without_stand_ins(values: Array, stand_ins: Sequence[Level]) -> Array:
    """Return the values of a column, missing where they are one of those that stand for a missing one.

    Numbers are compared in the type of the column: -99.9 is found in float32, too.

    >>> without_stand_ins(np.array([1, -9]), [-9]), without_stand_ins(np.array(["y", "refused"], object), ["refused"])
    (array([ 1., nan]), array(['y', None], dtype=object))
    """
    if not stand_ins:
        return values
    texts = {text_of(level) for level in stand_ins}
    if values.dtype.kind == "f":
        plain = [level for level in stand_ins if not isinstance(level, str | bool)]
        numbers = [level for level in plain if abs(level) <= np.finfo(values.dtype).max]
        texts |= set(map(text_of, np.array(numbers, np.float64).astype(values.dtype)))
    distinct, places = np.unique(values, return_inverse=True) if values.dtype != object else (values, slice(None))
    hidden = np.array([value is not None and text_of(value) in texts for value in distinct], bool)[places]
    if not hidden.any():
        return values
    found: Array = values.copy() if values.dtype == object or values.dtype.kind == "f" else values.astype(np.float64)
    found[hidden] = None if found.dtype == object else np.nan
    return found


def text_of(level: Level) -> str:
    """Return a level as text: 2 and 2.0 are one level.

    >>> text_of(2.0), text_of("2"), text_of(0.5)
    ('2', '2', '0.5')
    """
    if isinstance(level, float | np.floating) and float(level).is_integer():
        level = int(level)
    return str(level.item() if isinstance(level, np.generic) else level)


def _encoded(where: str, values: Array, column: Column) -> Array:
    """Return the numbers (N, width) of one column."""
    missing = missing_in(values)
    if column.levels is not None:
        codes = _codes(where, values, missing, column.levels)
        numbers: Array = codes[:, None] if column.kind == "binary" else np.eye(column.width)[codes]
    else:
        numbers = _numbers(where, values, missing, column)[:, None]
        if column.kind == "real":
            require_precision(where, numbers[:, 0])
    rows = numbers.astype(np.float32)
    rows[missing] = np.nan
    return rows


def _codes(where: str, values: Array, missing: Mask, levels: Sequence[Level]) -> npt.NDArray[np.int64]:
    """Return the number of the level of each value; 0 where the value is missing."""
    numbers = {text_of(level): number for number, level in enumerate(levels)}
    unknown: dict[str, int] = {}
    codes = np.zeros(len(values), np.int64)
    present = values[~missing]
    if present.dtype != object:
        distinct, places = np.unique(present, return_inverse=True)
    else:
        distinct, places = present, np.arange(len(present))
    found = np.array([numbers.get(text_of(value), -1) for value in distinct], np.int64)
    for value in distinct[found < 0]:
        unknown.setdefault(text_of(value), 1)
    if unknown:
        first = next(iter(unknown))
        more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        known = listed([text_of(level) for level in levels])
        raise InputError(
            f"{where}: expected the levels {known}; got {shown(first)}{more}{did_you_mean(first, numbers)}"
        )
    codes[~missing] = found[places]
    return codes


def _numbers(where: str, values: Array, missing: Mask, column: Column) -> npt.NDArray[np.float64]:
    """Return the values of a column without levels, checked; NaN where a value is missing."""
    expected, holds = _NUMBERS[column.kind]
    if values.dtype == object:
        word = next((value for value in values if value is not None), None)
        if word is not None:
            raise InputError(f"{where}: expected {expected}, as it is {column.kind}; got text such as {shown(word)}")
        return np.full(len(values), np.nan)
    numbers = values.astype(np.float64)
    wrong = ~missing & ~holds(numbers)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise InputError(f"{where}: expected {expected}, as it is {column.kind}; got {numbers[row]:g} in row {row}")
    return numbers


def _decoded(column: Column, rows: Array) -> Array:
    """Return the user's values of one column from its numbers (N, width)."""
    missing = np.asarray(np.isnan(rows).any(axis=1))
    values: Any
    if column.levels is not None:
        codes: Array = rows[:, 0] > 0.5 if column.kind == "binary" else np.where(missing[:, None], 0, rows).argmax(1)
        values = np.array([column.levels[int(code)] for code in codes], object)
        values[missing] = None
        return values if column.dtype == "str" else _typed(values, missing, column.dtype)
    values = rows[:, 0].astype(np.float64)
    if column.kind == "binary":
        values = np.where(missing, np.nan, values > 0.5)
    if column.kind == "count":
        values = np.maximum(values, 0)
    return _typed(values, missing, column.dtype)


def _typed(values: Array, missing: Mask, dtype: str) -> Array:
    """Return numbers in the user's type; whole numbers become real ones, and booleans objects, if one is missing."""
    kind = np.dtype(dtype)
    if not missing.any() and kind.kind in "iu":
        whole = np.rint(values.astype(np.float64))
        held = np.iinfo(kind)
        return whole.astype(kind if held.min <= whole.min(initial=0) and whole.max(initial=0) <= held.max else np.int64)
    if not missing.any():
        return values.astype(kind)
    if kind.kind == "b":
        return np.array([None if gap else bool(value) for value, gap in zip(values, missing, strict=True)], object)
    numbers = np.where(missing, np.nan, values).astype(np.float64)
    return np.rint(numbers) if kind.kind in "iu" else numbers.astype(kind)

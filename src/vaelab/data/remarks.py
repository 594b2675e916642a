"""What is remarkable about the columns of a table: those that say nothing, or the same as another, or name the rows."""

from __future__ import annotations

import hashlib
from collections.abc import Collection

import numpy as np

from vaelab.data.content import RawTable
from vaelab.data.naming import listed
from vaelab.data.tables import missing_in, text_of
from vaelab.data.values import Array
from vaelab.errors import InputError

__all__ = ["is_like_an_id", "remarks_on", "without_remarked"]

_FEW = 10  # columns of so few levels or rows are not taken for an ID
_LEVELS = 100  # levels that a column of text may have without being taken for an ID


def remarks_on(table: RawTable) -> dict[str, str]:
    """Return a remark for each column that is constant, equal to an earlier one, or like an ID.

    >>> remarks_on(RawTable(("a", "b", "c"), [np.array([0, 1]), np.array([0.0, 1.0]), np.array([2, 2])]))
    {'b': "duplicate of 'a'", 'c': 'constant, 2'}
    """
    remarks: dict[str, str] = {}
    first: dict[bytes, str] = {}
    for name, values in zip(table.names, table.columns, strict=True):
        key = _digest(values)
        present = values[~missing_in(values)]
        if not len(present):
            remarks[name] = "without values"
        elif (present == present[0]).all():
            remarks[name] = f"constant, {text_of(present[0])}"
        elif key in first:
            remarks[name] = f"duplicate of {first[key]!r}"
        elif is_like_an_id(present):
            remarks[name] = "like an ID"
        first.setdefault(key, name)
    return remarks


def is_like_an_id(present: Array) -> bool:
    """Return whether the values of a column may name the rows.

    That is: text with more than 100 levels or more levels than half of the rows, or whole numbers that all differ.
    """
    if len(present) <= _FEW:
        return False
    if present.dtype == object:
        return len(set(present)) > max(_FEW, min(_LEVELS, len(present) // 2))
    whole = present.dtype.kind in "iu" or (present.dtype.kind == "f" and bool((present == np.trunc(present)).all()))
    return whole and len(np.unique(present)) == len(present)


def without_remarked(where: object, table: RawTable, keep: Collection[str] = ()) -> tuple[RawTable, tuple[str, ...]]:
    """Return a table without its remarkable columns but those to ``keep``, and notes that name them.

    Raises:
        InputError: no column is left.
    """
    remarks = {name: remark for name, remark in remarks_on(table).items() if name not in keep}
    left = [name for name in table.names if name not in remarks]
    if not left:
        raise InputError(f"{where}: drop: expected columns to observe; all are constant, duplicates or like an ID")
    by_remark: dict[str, list[str]] = {}
    for name, remark in remarks.items():
        by_remark.setdefault(remark.partition(",")[0], []).append(name)
    notes = [f"left out, {remark}: {listed(names)}" for remark, names in by_remark.items()]
    return table.take(left), tuple(notes)


def _digest(values: Array) -> bytes:
    """Return a checksum of the values of a column: numbers of any type that are equal have the same."""
    if values.dtype == object:
        parts = [b"\0" if value is None else b"\1" + value.encode("utf-8", "surrogatepass") for value in values]
        return hashlib.sha256(b"\2".join(parts)).digest()
    return hashlib.sha256(b"number" + np.ascontiguousarray(values, np.float64).data).digest()

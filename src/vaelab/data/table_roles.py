"""The roles of the columns of a table that holds text: observed values, labels, row numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vaelab.data.content import RawTable
from vaelab.data.remarks import without_remarked
from vaelab.data.roles import is_index_name, label_among
from vaelab.data.tables import missing_in
from vaelab.data.values import Array, ReadOptions
from vaelab.errors import InputError

__all__ = ["TableRoles", "roles_in_table"]


@dataclass(frozen=True)
class TableRoles:
    """The observed columns of a table, the labels (N,), numbers or text, and notes on what was left out."""

    table: RawTable
    labels: Array | None
    notes: tuple[str, ...]


def roles_in_table(where: object, table: RawTable, options: ReadOptions) -> TableRoles:
    """Separate the observed columns of a table from labels and row numbers, and with ``options.drop`` from others.

    A column that ``options`` name is observed, whatever its name or values.

    Raises:
        InputError: several columns may be labels, a label is missing, or nothing is left to observe.
    """
    said = {name for name, _ in options.columns or ()} | {column.name for column in options.variables or ()}
    label = label_among(where, [name for name in table.names if name not in said], options)
    notes, labels = [], None
    if label is not None:
        labels = _labels(where, label, table.take([label]).columns[0])
        notes.append(f"the labels are in column {label!r}")
    left = []
    for name, values in zip(table.names, table.columns, strict=True):
        if name not in said and name != label and (name == "" or is_index_name(name)) and _counts(values):
            notes.append(f"column {name!r} numbers the rows and is left out")
        elif name != label:
            left.append(name)
    if not left:
        raise InputError(f"{where}: expected columns to observe; got no column beside labels and row numbers")
    observed = table.take(left)
    if options.drop:
        observed, dropped = without_remarked(where, observed, said)
        notes += dropped
    return TableRoles(observed, labels, tuple(notes))


def _counts(values: Array) -> bool:
    return values.dtype != object and len(values) > 1 and bool((np.diff(values.astype(np.float64)) == 1).all())


def _labels(where: object, name: str, values: Array) -> Array:
    """Return the labels of a column: whole numbers, or text."""
    missing = missing_in(values)
    if missing.any():
        raise InputError(
            f"{where}: expected a label in every row; {missing.sum():,} are missing in column {name!r}, "
            f"the first in row {int(missing.argmax())} (counted from 0)"
        )
    if values.dtype == object:
        return values
    if (values != np.trunc(values)).any() or np.abs(values).max() > 2**53:
        raise InputError(
            f"{where}: expected whole numbers or text as labels; column {name!r} has numbers in "
            f"[{values.min():g}, {values.max():g}]"
        )
    return values.astype(np.int64)

"""What a reader of a format returns: the arrays of a file by their roles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from vaelab.data.sparse import SparseRows
from vaelab.data.values import Array
from vaelab.data.variables import Level

__all__ = ["SPLITS", "Beside", "Content", "RawTable"]

Beside = Literal["labels", "weights", "splits", "groups"]
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class RawTable:
    """A table as a user has it: named columns of numbers, of booleans or of text.

    Args:
        names: names of the columns, all different.
        columns: an array (N,) for each: numbers or booleans, NaN where a value is missing, or an array of objects
            that are text, or None where a value is missing.
        orders: the levels of some columns by name, in the order that the user gave: those of ordered categories.
    """

    names: tuple[str, ...]
    columns: Sequence[Array]
    orders: Mapping[str, tuple[Level, ...]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.columns[0])

    def numbers(self) -> Array | None:
        """Return the columns as one array (N, X), or None if some hold text.

        >>> RawTable(("a", "b"), [np.array([1, 0]), np.array([True, False])]).numbers().tolist()
        [[1, 1], [0, 0]]
        """
        if any(column.dtype == object for column in self.columns):
            return None
        rows: Array = np.column_stack(self.columns)
        return rows

    def take(self, names: Sequence[str]) -> RawTable:
        """Return the table of some columns, in the order of ``names``."""
        places = {name: place for place, name in enumerate(self.names)}
        return RawTable(tuple(names), [self.columns[places[name]] for name in names], self.orders)


@dataclass(frozen=True)
class Content:
    """The arrays of a file: ``x``, or the splits by name, and what stands beside the rows if there is any.

    That is ``labels of x``, ``weights of x``, the ``splits of x`` (the name of the split of each row) and the
    ``groups of x``.

    A table that holds text is ``table`` instead of ``x``.

    ``names`` are those of the columns of ``x``, ``notes`` sentences on what the reader left out or renamed. ``archive``
    is true for a format that names its arrays and not their columns, ``text`` for one whose numbers have no type;
    ``white`` is the value of white where the format says it; ``classes`` are the names of labels that were text.
    """

    arrays: Mapping[str, Array | SparseRows]
    names: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()
    archive: bool = False
    text: bool = False
    table: RawTable | None = None
    white: float | None = None
    classes: tuple[str, ...] | None = None

    def beside(self, kind: Beside, key: str = "x") -> Array | None:
        """Return what stands beside the rows of ``key``, or None."""
        array = self.arrays.get(f"{kind} of {key}")
        return None if array is None or isinstance(array, SparseRows) else array

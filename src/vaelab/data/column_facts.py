"""The facts of each column of a data set, for people to read."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from vaelab.data.content import RawTable
from vaelab.data.dataset import Dataset
from vaelab.data.remarks import remarks_on
from vaelab.data.tables import decode_rows
from vaelab.data.values import Array
from vaelab.data.variables import Column, ColumnKind, Level

__all__ = ["ColumnFacts", "column_facts", "count_kinds"]

_KINDS: dict[str, ColumnKind] = {"binary": "binary", "grey": "unit", "count": "count"}


@dataclass(frozen=True)
class ColumnFacts:
    """A column: its name and kind, its levels, which share of its values is missing, and what is remarkable about it.

    ``mean`` is that of the observed values, of two levels the share of that which is 1, and None of more levels.
    ``shares`` are those of the levels of a categorical column.
    """

    name: str
    kind: ColumnKind
    levels: tuple[Level, ...] | None
    shares: tuple[float, ...] | None
    missing: float
    mean: float | None
    remark: str | None


def column_facts(data: Dataset) -> list[ColumnFacts] | None:
    """Return the facts of each column over all splits; None for columns without names, images, and rows on the disk.

    >>> from vaelab.data import Split
    >>> rows = np.array([[0, 1], [1, 1]], np.uint8)
    >>> for column in column_facts(Dataset("votes", {"all": Split(rows)}, "binary", 1, columns=("a", "b"))):
    ...     print(column.name, column.kind, column.mean, column.remark)
    a binary 0.5 None
    b binary 1.0 constant, 1
    """
    parts = [split.x for split in data.splits.values() if type(split.x) is np.ndarray]
    if data.columns is None or data.image_shape is not None or len(parts) < len(data.splits):
        return None
    x: Array = np.concatenate(parts) if len(parts) > 1 else parts[0]
    values, variables = dict(zip(data.columns, x.T, strict=True)), data.variables
    if variables is None:
        kind = _KINDS.get(data.kind, "real")
        variables = tuple(Column(name, kind, None, x.dtype.name) for name in data.columns)
    else:
        values = decode_rows(variables, x)
    remarks = remarks_on(RawTable(tuple(values), list(values.values())))
    facts, start = [], 0
    for column in variables:
        stop = start + column.width
        facts.append(_facts(column, x[:, start:stop] / data.scale, remarks.get(column.name)))
        start = stop
    return facts


def _facts(column: Column, rows: Array, remark: str | None) -> ColumnFacts:
    missing = np.isnan(rows[:, 0])
    means = rows[~missing].mean(0, dtype=np.float64) if not missing.all() else None
    categorical = column.kind == "categorical"
    return ColumnFacts(
        column.name,
        column.kind,
        column.levels,
        tuple(means.tolist()) if categorical and means is not None else None,
        float(missing.mean()),
        None if categorical or means is None else float(means[0]),
        remark,
    )


def count_kinds(variables: tuple[Column, ...]) -> str:
    """Return how many columns of each kind there are, in words.

    >>> count_kinds((Column("a", "real"), Column("b", "binary"), Column("c", "real")))
    '2 real, 1 binary'
    """
    return ", ".join(f"{count:,} {kind}" for kind, count in Counter(column.kind for column in variables).items())

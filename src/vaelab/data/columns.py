"""Matching the columns of two tables by their names."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import cast

from vaelab.data.dataset import Dataset
from vaelab.data.naming import listed
from vaelab.data.sparse import columns_of
from vaelab.data.splits import Split
from vaelab.data.streaming.rows import Rows
from vaelab.data.values import Stored
from vaelab.errors import InputError, did_you_mean

__all__ = ["order_columns", "require_same_names"]


def order_columns(data: Dataset, names: Sequence[str] | None) -> Dataset:
    """Return the data set with its columns in the order of ``names``, the columns of a run.

    Without names on one side columns are matched by place.

    Raises:
        InputError: a missing or an extra column, or another number of columns.

    >>> import numpy as np
    >>> rows = Split(np.array([[0, 1], [1, 1]], np.uint8))
    >>> data = Dataset("votes", {"all": rows}, "binary", 1, columns=("b", "a"))
    >>> order_columns(data, ["a", "b"]).split("all").x.tolist()
    [[1, 0], [1, 1]]
    """
    if names is None or data.columns is None or tuple(names) == data.columns:
        if names is not None and len(names) != data.dim:
            raise InputError(f"data {data.name!r}: expected {len(names)} columns; got {data.dim}")
        return data
    require_same_names(f"data {data.name!r}", names, data.columns)
    order = [data.columns.index(name) for name in names]
    splits: dict[str, Split] = {}
    for name, split in data.splits.items():
        x = split.x.in_order(names, order) if isinstance(split.x, Rows) else columns_of(split.x, order)
        splits[name] = dataclasses.replace(split, x=cast(Stored, x))
    return dataclasses.replace(data, splits=splits, columns=tuple(names))


def require_same_names(where: str, expected: Sequence[str], got: Sequence[str], as_in: str = "") -> None:
    """Raise an InputError if columns are missing or extra, in whatever order they are."""
    missing, extra = sorted(set(expected) - set(got)), sorted(set(got) - set(expected))
    if missing or extra:
        as_in = f" {as_in}" if as_in else ""
        raise InputError(f"{where}: expected the columns {listed(expected)}{as_in}; {_differing(missing, extra)}")


def _differing(missing: Sequence[str], extra: Sequence[str]) -> str:
    parts = []
    if missing:
        hint = did_you_mean(missing[0], extra)
        parts.append(f"{listed(missing)} {'is' if len(missing) == 1 else 'are'} missing{hint}")
    if extra:
        parts.append(f"{listed(extra)} {'is' if len(extra) == 1 else 'are'} not among them")
    return ", ".join(parts)

"""Matching the columns of two tables by their names."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import cast

from vaelab.data.dataset import Dataset
from vaelab.data.naming import require_same_names
from vaelab.data.sparse import columns_of
from vaelab.data.splits import Split
from vaelab.data.streaming.rows import Rows
from vaelab.data.values import Stored
from vaelab.errors import InputError

__all__ = ["order_columns"]


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

"""The facts of a data set, for people to read."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from vaelab.data.column_facts import column_facts, count_kinds
from vaelab.data.dataset import Dataset
from vaelab.data.naming import listed
from vaelab.data.sparse import SparseRows
from vaelab.data.streaming.rows import Rows
from vaelab.data.values import Stored

__all__ = ["describe"]


def describe(data: Dataset) -> dict[str, Any]:
    """Return the facts of a data set as plain values: shape, columns, values, kind, splits, classes, checksum.

    ``table`` has the facts of each column, if the columns have names.
    """
    splits = data.splits.values()
    labels = next((split.labels for split in splits if split.labels is not None), None)
    ranges = [_range(split.x) for split in splits]
    facts = column_facts(data)
    streamed = any(isinstance(split.x, Rows | np.memmap) for split in splits)
    return {
        "rows": {name: len(split) for name, split in data.splits.items()},
        "columns": data.dim,
        "column names": None if data.columns is None else listed(data.columns),
        "image_shape": list(data.image_shape) if data.image_shape else None,
        "kind": data.kind,
        "values": f"{next(iter(splits)).x.dtype} in [{min(ranges)[0]:g}, {max(high for _, high in ranges):g}]",
        "meaning": _meaning(data),
        "mean": _mean_of(data),
        "missing": _missing(data),
        "classes": None if labels is None else len(np.unique(labels)),
        "weights": _weights([split.weights for split in splits if split.weights is not None]),
        "binarisation": "dynamic, static, threshold or none" if data.kind == "grey" else "none",
        "training rows": "on the disk" if streamed else f"in memory{_sparse(data)}",
        "notes": list(data.notes),
        "sha256": data.sha256(),
        "table": None if facts is None else [asdict(column) for column in facts],
    }


def _meaning(data: Dataset) -> str:
    """Return what the values are, in words."""
    if data.variables is not None:
        return f"columns of a table: {count_kinds(data.variables)}"
    plain = {"binary": "bits", "grey": f"grey levels, {data.scale:g} is white", "count": "counts"}
    return plain.get(data.kind, "real numbers")


def _mean_of(data: Dataset) -> float | None:
    """Return the mean of all values of bits or grey levels."""
    if data.kind not in ("binary", "grey"):
        return None
    splits = data.splits.values()
    return round(sum(_mean(s.x, data.scale) * len(s) for s in splits) / sum(map(len, splits)), 4)


def _sparse(data: Dataset) -> str:
    """Return how many entries are stored, if the rows are sparse."""
    rows = [split.x for split in data.splits.values() if isinstance(split.x, SparseRows)]
    stored = sum(len(part.values) for part in rows)
    return f", sparse: {100 * stored / sum(part.size for part in rows):.3g} % of the entries are stored" if rows else ""


def _weights(weights: list[npt.NDArray[np.float32]]) -> str | None:
    if not weights:
        return None
    every = np.concatenate(weights).astype(np.float64)
    return f"in [{every.min():g}, {every.max():g}], {every.sum():,.10g} in all"


def _range(x: Stored | Rows | SparseRows) -> tuple[float, float]:
    if isinstance(x, Rows):
        return x.facts.low, x.facts.high
    if isinstance(x, SparseRows):
        values = np.append(x.values, x.fill) if len(x.values) < x.size else x.values
        return float(np.nanmin(values)), float(np.nanmax(values))
    return float(np.nanmin(x)), float(np.nanmax(x))


def _mean(x: Stored | Rows | SparseRows, scale: float) -> float:
    if isinstance(x, SparseRows):
        sums, counts = x.sums()
        return float(sums.sum() / counts.sum() / scale)
    return float(np.nanmean(x.means() if isinstance(x, Rows) else x) / scale)


def _missing(data: Dataset) -> str:
    """Return the share of the values that are missing, of each split that has some."""
    shares = []
    for name, split in data.splits.items():
        if not split.has_missing:
            continue
        if isinstance(split.x, Rows):
            shares.append(name)  # they were not counted
        else:
            count = split.x.missing if isinstance(split.x, SparseRows) else np.isnan(split.x).sum()
            shares.append(f"{name} {100 * count / (len(split) * data.dim):.3g} %")
    return ", ".join(shares) or "none"

"""Data: named data sets, readers for users' files, binarisation protocols, resident batches."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from vaelab.data.batches import Batches
from vaelab.data.binarise import Binarisation, Observations, observations
from vaelab.data.dataset import Dataset, Split
from vaelab.data.mnist import mnist
from vaelab.data.readers import FORMATS, read_dataset
from vaelab.refusals import Refusal, did_you_mean

__all__ = [
    "DATASETS",
    "Batches",
    "Binarisation",
    "Dataset",
    "Observations",
    "Split",
    "describe",
    "load_data",
    "observations",
]

DATASETS: dict[str, Callable[[], Dataset]] = {"mnist": mnist}


def load_data(name: str | Path, whole: bool = False) -> Dataset:
    """Return a named data set, or read a file (.npz, .npy, .csv, IDX).

    With ``whole`` a file of one array is not split: its rows stay in their order, as the split ``all``.

    Raises:
        Refusal: neither a known name nor a readable file, or values that are no bits and no grey levels.

    >>> data = load_data("mnist")
    >>> data.dim, data.kind, data.image_shape
    (784, 'grey', (28, 28))
    """
    if str(name) in DATASETS:
        return DATASETS[str(name)]()
    path = Path(name)
    if not path.exists() and not path.name.endswith(FORMATS):
        hint = did_you_mean(str(name), DATASETS)
        raise Refusal(f"data: expected {', '.join(DATASETS)} or a file; got {str(name)!r}{hint}")
    return read_dataset(path, whole)


def describe(data: Dataset) -> dict[str, Any]:
    """Return the facts of a data set as plain values: shape, range, kind, splits, classes, checksum."""
    splits = data.splits.values()
    labels = data.splits[next(iter(data.splits))].labels
    low = min(float(split.pixels.min()) for split in splits)
    high = max(float(split.pixels.max()) for split in splits)
    return {
        "rows": {name: len(split) for name, split in data.splits.items()},
        "columns": data.dim,
        "image_shape": list(data.image_shape) if data.image_shape else None,
        "kind": data.kind,
        "values": f"{next(iter(splits)).pixels.dtype} in [{low:g}, {high:g}]",
        "mean": round(float(np.mean([split.pixels.mean() for split in splits]) / data.scale), 4),
        "classes": None if labels is None else len(np.unique(labels)),
        "binarisation": "none" if data.kind == "binary" else "dynamic, static or threshold",
        "sha256": data.sha256(),
    }

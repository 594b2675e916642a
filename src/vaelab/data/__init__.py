"""Data: named data sets, readers for users' files, binarisation protocols, batches from memory or the disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from vaelab.data.batches import Batches
from vaelab.data.binarise import Binarisation, observations
from vaelab.data.dataset import Dataset, Pixels, Split
from vaelab.data.mnist import mnist
from vaelab.data.readers import FORMATS, read_dataset
from vaelab.data.resident import Observations
from vaelab.data.rows import Rows
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
    """Return a named data set, or read a file (.npz, .npy, .csv, IDX) or a directory of shards.

    With ``whole`` a file of one array is not split: its rows stay in their order, as the split ``all``. Shards, and
    what is larger than 1 GiB, stay on the disk.

    Raises:
        Refusal: neither a known name nor a readable file, or values that are no bits and no grey levels.

    >>> data = load_data("mnist")
    >>> data.dim, data.kind, data.image_shape
    (784, 'grey', (28, 28))
    """
    if str(name) in DATASETS:
        return DATASETS[str(name)]()
    path = Path(name)
    if name == "" or (not path.exists() and not path.name.endswith(FORMATS)):
        hint = did_you_mean(str(name), DATASETS)
        raise Refusal(f"data: expected {', '.join(DATASETS)} or a file; got {str(name)!r}{hint}")
    return read_dataset(path, whole)


def describe(data: Dataset) -> dict[str, Any]:
    """Return the facts of a data set as plain values: shape, range, kind, splits, classes, checksum."""
    splits = data.splits.values()
    labels = next((split.labels for split in splits if split.labels is not None), None)
    ranges = [_range(split.pixels) for split in splits]
    streamed = any(isinstance(split.pixels, Rows | np.memmap) for split in splits)
    return {
        "rows": {name: len(split) for name, split in data.splits.items()},
        "columns": data.dim,
        "image_shape": list(data.image_shape) if data.image_shape else None,
        "kind": data.kind,
        "values": f"{next(iter(splits)).pixels.dtype} in [{min(ranges)[0]:g}, {max(high for _, high in ranges):g}]",
        "mean": round(float(np.mean([_mean(split.pixels, data.scale) for split in splits])), 4),
        "classes": None if labels is None else len(np.unique(labels)),
        "binarisation": "none" if data.kind == "binary" else "dynamic, static or threshold",
        "training rows": "on the disk" if streamed else "in memory",
        "sha256": data.sha256(),
    }


def _range(pixels: Pixels | Rows) -> tuple[float, float]:
    if isinstance(pixels, Rows):
        return pixels.facts.low, pixels.facts.high
    return float(pixels.min()), float(pixels.max())


def _mean(pixels: Pixels | Rows, scale: int) -> float:
    return float((pixels.means() if isinstance(pixels, Rows) else pixels).mean() / scale)

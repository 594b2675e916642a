"""Data: named data sets, readers for users' files, binarisation protocols, resident batches."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

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
    "load_data",
    "observations",
]

DATASETS: dict[str, Callable[[], Dataset]] = {"mnist": mnist}


def load_data(name: str | Path) -> Dataset:
    """Return a named data set, or read a file (.npz, .npy, .csv, IDX).

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
    return read_dataset(path)

"""The packaged MNIST digits (LeCun, Cortes & Burges; CC BY-SA 3.0), verified when read."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from functools import cache
from importlib import resources
from io import BytesIO
from pathlib import Path

import numpy as np

from vaelab.data.dataset import Dataset
from vaelab.data.formats.idx import read_idx
from vaelab.data.splits import Split, split_in_order
from vaelab.data.values import Array
from vaelab.errors import InputError

__all__ = ["mnist"]

# MD5 of the uncompressed files, as in the original distribution.
_MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}


def _read(folder: Path, name: str) -> Array:
    path = folder / f"{name}.gz"
    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: expected the packaged MNIST file; reinstall vaelab ({error})") from error
    checksum = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if checksum != _MD5[name]:
        raise InputError(f"{path}: expected MD5 {_MD5[name]}; got {checksum}; the file is damaged, reinstall vaelab")
    return read_idx(path, BytesIO(content), len(content))


def _split(folder: Path, prefix: str) -> Split:
    images = _read(folder, f"{prefix}-images-idx3-ubyte")
    labels = _read(folder, f"{prefix}-labels-idx1-ubyte")
    return Split(np.ascontiguousarray(images.reshape(len(images), -1)), labels.astype(np.int64))


@cache
def mnist() -> Dataset:
    """Return MNIST: first 50 000 training images to train, last 10 000 to validate, 10 000 to test.

    >>> {name: len(split) for name, split in mnist().splits.items()}
    {'train': 50000, 'validation': 10000, 'test': 10000}
    """
    with resources.as_file(resources.files("vaelab.data") / "packaged" / "mnist") as folder:
        train = split_in_order(_split(folder, "train"), {"train": 50_000, "validation": 10_000})
        return Dataset("mnist", {**train, "test": _split(folder, "t10k")}, "grey", 255, (28, 28))

"""A data set: named splits of pixels, what their values mean, and a checksum that identifies them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vaelab.data.rows import Rows, on_disk
from vaelab.refusals import Refusal, require_choice

__all__ = [
    "Dataset",
    "Split",
    "classify_values",
    "require_labels",
    "require_numbers",
    "split_in_order",
    "split_shuffled",
]

_ACCEPTED = "bits, uint8 grey levels 0...255, or real numbers in [0, 1]; divide by the largest value yourself"
Pixels = npt.NDArray[np.uint8] | npt.NDArray[np.float32]


@dataclass(frozen=True)
class Split:
    """The rows of one split: ``pixels`` of shape (N, X) and, if known, ``labels`` of shape (N,).

    Rows that stay on the disk are a numpy.memmap, or the :class:`~vaelab.data.rows.Rows` that a large file is read as.
    """

    pixels: Pixels | Rows
    labels: npt.NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.pixels)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Observations in three splits (``train``, ``validation``, ``test``).

    ``pixels / scale`` is the grey level in [0, 1]: uint8 grey levels have ``scale`` 255, bits stored as
    uint8 and floating-point grey levels have ``scale`` 1. Nothing was clipped or rescaled to get there.
    ``columns`` are the names of the X columns, where they have names.
    """

    name: str
    splits: Mapping[str, Split]
    kind: Literal["binary", "grey"]
    scale: int
    image_shape: tuple[int, int] | None = None
    columns: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if not self.splits:
            raise Refusal(f"data {self.name!r}: expected at least one split; got none")
        for name, split in self.splits.items():
            if split.pixels.ndim != 2:
                shape = split.pixels.shape
                raise Refusal(f"data {self.name!r}: expected pixels of shape (N, X) in split {name!r}; got {shape}")
            if len(split) == 0:
                raise Refusal(f"data {self.name!r}: expected at least one row in split {name!r}; got none")
            if split.labels is not None and split.labels.shape != (len(split),):
                shape = split.labels.shape
                raise Refusal(
                    f"data {self.name!r}: expected labels of shape ({len(split)},) in split {name!r}; got {shape}"
                )
        widths = {split.pixels.shape[1] for split in self.splits.values()}
        if len(widths) != 1:
            raise Refusal(f"data {self.name!r}: expected splits of one width; got {sorted(widths)}")
        if self.columns is not None and (len(self.columns) != self.dim or len(set(self.columns)) != self.dim):
            found = f"{len(self.columns)} names, {len(set(self.columns))} of them different"
            raise Refusal(f"data {self.name!r}: expected {self.dim} different names of columns; got {found}")

    @property
    def dim(self) -> int:
        """Number of pixels or columns X of an observation."""
        return int(next(iter(self.splits.values())).pixels.shape[1])

    def mean(self) -> Tensor:
        """Mean grey level of each pixel over the training split, shape (X,), in [0, 1]: a model's ``data_mean``."""
        pixels = self.splits["train"].pixels
        means = pixels.means() if isinstance(pixels, Rows) else pixels.mean(0, dtype=np.float64)
        return torch.from_numpy(means / self.scale).float()

    def split(self, name: str) -> Split:
        """Return the split called ``name``, or raise a :class:`~vaelab.refusals.Refusal`."""
        require_choice("split", name, self.splits)
        return self.splits[name]

    def sha256(self) -> str:
        """Checksum of every split's pixels and labels: two data sets that share it are the same data."""
        digest = hashlib.sha256(f"{self.kind}/{self.scale}".encode())
        for name in sorted(self.splits):
            split = self.splits[name]
            digest.update(f"{name}{split.pixels.shape}{split.pixels.dtype}".encode())
            if isinstance(split.pixels, Rows):
                digest.update(split.pixels.facts.digest)  # found by the pass that is made over a large file
            elif (mapped := on_disk(split.pixels)) is not None:  # read, for the pages of a map would fill the memory
                for _, _, chunk in mapped.chunks():
                    digest.update(chunk.data)
            else:
                digest.update(np.ascontiguousarray(split.pixels).data)
            if split.labels is not None:
                digest.update(np.ascontiguousarray(split.labels, dtype="<i8").data)
        return digest.hexdigest()


def require_numbers(where: str, array: npt.NDArray[np.generic]) -> None:
    """Refuse words, objects, records and complex numbers."""
    if array.dtype.kind not in "biuf":
        raise Refusal(f"{where}: expected {_ACCEPTED}; got dtype {array.dtype}")


def require_labels(where: str, labels: npt.NDArray[Any] | None, rows: int) -> npt.NDArray[np.int64] | None:
    """Return labels as int64, or refuse what are no whole numbers, one a row."""
    if labels is None:
        return None
    if labels.shape != (rows,) or labels.dtype.kind not in "biu":
        raise Refusal(
            f"{where}: expected integer labels of shape ({rows},); got {labels.dtype} of shape {labels.shape}"
        )
    return labels.astype(np.int64)


def classify_values(where: str, array: npt.NDArray[np.generic]) -> tuple[Pixels, Literal["binary", "grey"], int]:
    """Return the array as uint8 or float32 pixels with their kind and scale, or refuse what is neither.

    Accepted: booleans or integers in {0, 1}; uint8 grey levels 0...255; floating-point numbers in [0, 1].
    """
    if array.size == 0:
        raise Refusal(f"{where}: expected at least one row and one column; got shape {array.shape}")
    require_numbers(where, array)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        bad = int(array.size - np.isfinite(array).sum())
        raise Refusal(f"{where}: expected finite numbers; got {bad} NaN or infinite value(s)")
    low, high = float(array.min()), float(array.max())
    if array.dtype.kind in "bui":
        if low >= 0 and high <= 1:
            return array.astype(np.uint8), "binary", 1
        if array.dtype == np.uint8:
            return array.astype(np.uint8), "grey", 255
        raise Refusal(f"{where}: expected {_ACCEPTED}; got {array.dtype} values in [{low:g}, {high:g}]")
    if low < 0 or high > 1:
        raise Refusal(f"{where}: expected {_ACCEPTED}; got real numbers in [{low:g}, {high:g}]")
    if ((array == 0) | (array == 1)).all():
        return array.astype(np.uint8), "binary", 1
    return array.astype(np.float32), "grey", 1


def split_in_order(split: Split, sizes: Mapping[str, int]) -> dict[str, Split]:
    """Cut consecutive splits of the given sizes from ``split``, first rows first."""
    parts, start = {}, 0
    for name, size in sizes.items():
        rows = slice(start, start + size)
        parts[name] = Split(split.pixels[rows], None if split.labels is None else split.labels[rows])
        start += size
    return parts


def split_shuffled(split: Split, seed: int = 777) -> dict[str, Split]:
    """Shuffle the rows with ``seed``, then give 80 % to train, 10 % to validation and 10 % to test."""
    count = len(split)
    if count < 10:
        raise Refusal(f"data: expected at least 10 rows to split into train, validation and test; got {count}")
    assert not isinstance(split.pixels, Rows), "rows on the disk are split by streaming.py"
    order = np.random.default_rng(seed).permutation(count)
    shuffled = Split(split.pixels[order], None if split.labels is None else split.labels[order])
    held_out = count // 10
    sizes = {"train": count - 2 * held_out, "validation": held_out, "test": held_out}
    return split_in_order(shuffled, sizes)

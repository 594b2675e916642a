"""A data set: named splits of pixels, what their values mean, and a checksum that identifies them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vaelab.data.rows import Rows, on_disk
from vaelab.data.spec import DataSpec
from vaelab.data.values import Kind, Pixels, require_range, require_values, stored_type
from vaelab.errors import InputError, require_choice, require_number

__all__ = ["Dataset", "Split", "require_labels", "split_in_order", "split_shuffled", "split_validation"]


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
    ``columns`` are the names of the X columns, where they have names; ``notes`` say what a reader left out or renamed.

    Pixels are stored as uint8 or float32: arrays of other types, orders of bytes or of axes are copied.

    Raises:
        InputError: an unknown kind, values that are missing or not in [0, scale], bits that are not 0 and 1, labels
            that are not whole numbers, shapes or names that do not fit.

    >>> rows = np.array([[0, 255, 0], [255, 128, 0]])
    >>> data = Dataset("mine", {"train": Split(rows)}, kind="grey", scale=255)
    >>> data.mean()
    tensor([0.5000, 0.7510, 0.0000])
    """

    name: str
    splits: Mapping[str, Split]
    kind: Kind
    scale: float
    image_shape: tuple[int, int] | None = None
    columns: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        where = f"data {self.name!r}"
        require_choice(f"{where}: kind", self.kind, get_args(Kind))
        scale = require_number(f"{where}: scale", self.scale, 0)
        if scale == 0 or (self.kind == "binary" and scale != 1):
            expected = "1, as the data are bits" if self.kind == "binary" else "a number above 0"
            raise InputError(f"{where}: scale: expected {expected}; got {self.scale!r}")
        if not isinstance(self.splits, Mapping) or not self.splits:
            raise InputError(f"{where}: expected at least one split; got none")
        scale = int(scale) if scale == int(scale) else scale
        checked = {
            name: _checked(f"{where}, split {name!r}", split, self.kind, scale) for name, split in self.splits.items()
        }
        widths = {split.pixels.shape[1] for split in checked.values()}
        if len(widths) != 1:
            raise InputError(f"{where}: expected splits of one width; got {sorted(widths)}")
        object.__setattr__(self, "splits", checked)  # frozen, and complete from here on
        object.__setattr__(self, "scale", scale)
        self._check_names(where)

    def _check_names(self, where: str) -> None:
        if self.image_shape is not None:
            shape = tuple(self.image_shape)
            if not all(isinstance(size, Integral) for size in shape) or len(shape) != 2 or math.prod(shape) != self.dim:
                raise InputError(
                    f"{where}: expected an image_shape (H, W) of {self.dim} pixels; got {self.image_shape!r}"
                )
            object.__setattr__(self, "image_shape", (int(shape[0]), int(shape[1])))
        if self.columns is not None:
            names = tuple(self.columns)
            if len(names) != self.dim or len(set(names)) != self.dim:
                found = f"{len(names)} names, {len(set(names))} of them different"
                raise InputError(f"{where}: expected {self.dim} different names of columns; got {found}")
            object.__setattr__(self, "columns", names)

    @property
    def dim(self) -> int:
        """Number of pixels or columns X of an observation."""
        return int(next(iter(self.splits.values())).pixels.shape[1])

    def mean(self) -> Tensor:
        """Mean grey level of each pixel over the training split, shape (X,), in [0, 1]: a model's ``data_mean``."""
        pixels = self.splits["train"].pixels
        means = pixels.means() if isinstance(pixels, Rows) else pixels.mean(0, dtype=np.float64)
        return torch.from_numpy(means / self.scale).float()

    @cached_property
    def spec(self) -> DataSpec:
        """What a model is told of the data: the shape of an observation, kind, names of columns, mean.

        >>> Dataset("mine", {"train": Split(np.eye(4, dtype=np.uint8))}, "binary", 1, (2, 2)).spec.image_shape
        (2, 2)
        """
        mean = self.mean().clamp(0, 1) if "train" in self.splits else None
        return DataSpec(self.image_shape or (self.dim,), mean, self.columns, self.kind)

    def split(self, name: str) -> Split:
        """Return the split called ``name``, or raise a :class:`~vaelab.errors.InputError`."""
        require_choice("split", name, self.splits)
        return self.splits[name]

    def sha256(self) -> str:
        """Checksum of every split's pixels and labels: two data sets that share it are the same data."""
        digest = hashlib.sha256(f"{self.kind}/{self.scale}".encode())
        for name in sorted(self.splits):
            split = self.splits[name]
            rows = on_disk(split.pixels, self.scale)
            dtype = split.pixels.dtype if rows is None else rows.dtype
            digest.update(f"{name}{split.pixels.shape}{dtype}".encode())
            if isinstance(split.pixels, Rows):
                digest.update(split.pixels.facts.digest)  # found by the pass that is made over a large file
            elif rows is not None:  # read, for the pages of a map would fill the memory
                for _, _, chunk in rows.chunks():
                    digest.update(np.ascontiguousarray(chunk, rows.dtype).data)
            else:
                digest.update(np.ascontiguousarray(split.pixels).data)
            if split.labels is not None:
                digest.update(np.ascontiguousarray(split.labels, dtype="<i8").data)
        return digest.hexdigest()


def _checked(where: str, split: Split, kind: Kind, scale: float) -> Split:
    """Return a split as it is stored, or refuse what the data set says it is not."""
    pixels: Any = split.pixels
    if not isinstance(pixels, np.ndarray | Rows):
        way = "x.toarray()" if hasattr(pixels, "toarray") else "numpy.asarray(x)"
        raise InputError(f"{where}: expected pixels in a NumPy array; got {type(pixels).__name__}; take {way}")
    if pixels.ndim != 2:
        raise InputError(f"{where}: expected pixels of shape (N, X); got {pixels.shape}")
    if len(pixels) == 0:
        raise InputError(f"{where}: expected at least one row; got none")
    labels = require_labels(where, split.labels, len(pixels))
    if isinstance(pixels, Rows):
        require_range(where, pixels.facts.low, pixels.facts.high, kind, scale)
    elif (mapped := on_disk(pixels, scale)) is not None:  # looked through in parts, for it may be larger than memory
        for _, _, chunk in mapped.chunks():
            require_values(where, chunk, kind, scale)
    else:
        require_values(where, pixels, kind, scale)
        pixels = np.require(pixels, stored_type(pixels.dtype, scale), ["C", "W", "E"])
    return split if pixels is split.pixels and labels is split.labels else Split(pixels, labels)


def require_labels(where: str, labels: npt.NDArray[Any] | None, rows: int) -> npt.NDArray[np.int64] | None:
    """Return labels as int64, or refuse what are not whole numbers, one a row."""
    if labels is None:
        return None
    if not isinstance(labels, np.ndarray):
        raise InputError(f"{where}: expected labels in a NumPy array of integers; got {type(labels).__name__}")
    if labels.shape != (rows,) or labels.dtype.kind not in "biu":
        words = " (words)" if labels.dtype.kind in "USO" else ""
        way = "; store y.astype(int)" if labels.dtype.kind == "f" and labels.shape == (rows,) else ""
        way = "; store y.argmax(1) if they are one-hot" if labels.ndim == 2 and len(labels) == rows else way
        raise InputError(
            f"{where}: expected integer labels of shape ({rows},); "
            f"got {labels.dtype}{words} of shape {labels.shape}{way}"
        )
    return labels.astype(np.int64, copy=False)


def split_in_order(split: Split, sizes: Mapping[str, int]) -> dict[str, Split]:
    """Cut consecutive splits of the given sizes from ``split``, first rows first."""
    parts, start = {}, 0
    for name, size in sizes.items():
        rows = slice(start, start + size)
        parts[name] = Split(split.pixels[rows], None if split.labels is None else split.labels[rows])
        start += size
    return parts


def split_validation(split: Split, seed: int = 777, where: object = "data") -> dict[str, Split]:
    """Draw a tenth of the training rows with ``seed`` to validate; the order of the others stays."""
    count = len(split)
    if count < 10:
        raise InputError(f"{where}: expected at least 10 rows in train, to take a tenth to validate; got {count}")
    drawn = np.sort(np.random.default_rng(seed).permutation(count)[: count // 10])
    others = np.setdiff1d(np.arange(count), drawn)
    return {name: _chosen(split, rows) for name, rows in (("train", others), ("validation", drawn))}


def split_shuffled(split: Split, seed: int = 777, where: object = "data") -> dict[str, Split]:
    """Shuffle the rows with ``seed``, then give 80 % to train, 10 % to validation and 10 % to test."""
    count = len(split)
    if count < 10:
        raise InputError(f"{where}: expected at least 10 rows to split into train, validation and test; got {count}")
    order = np.random.default_rng(seed).permutation(count)
    held_out = count // 10
    sizes = {"train": count - 2 * held_out, "validation": held_out, "test": held_out}
    return split_in_order(_chosen(split, order), sizes)


def _chosen(split: Split, rows: npt.NDArray[np.int64]) -> Split:
    """Return rows of a split by their numbers, in that order."""
    if isinstance(split.pixels, Rows):
        raise TypeError("expected rows in memory; those on the disk are split when they are looked through")
    return Split(split.pixels[rows], None if split.labels is None else split.labels[rows])

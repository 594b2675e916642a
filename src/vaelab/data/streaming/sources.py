"""The sources of rows that stay on the disk: runs of rows in files. A file is open only while it is read."""

from __future__ import annotations

import math
import mmap
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np

from vaelab.data.opening import open_regular, require_fits
from vaelab.data.values import Array, require_rows_or_images
from vaelab.errors import InputError

__all__ = [
    "Header",
    "MissingValues",
    "Packed",
    "Plain",
    "Source",
    "Stamp",
    "image_shape_of",
    "require_unpackable",
    "stamp_of",
]

Header = tuple[tuple[int, ...], bool, np.dtype[Any]]  # shape, whether the first axis runs fastest, type
Stamp = tuple[int, int]  # bytes, nanoseconds: they differ if a file was changed
_UNPACKED = 2**28  # bytes: the most that is unpacked at once


def stamp_of(path: Path) -> Stamp:
    """Return size and time of the last change of a file."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns


class MissingValues(InputError):
    """Rows on the disk have missing values, which they may have only in memory."""


@dataclass(frozen=True)
class Source(ABC):
    """A run of ``count`` rows of ``dim`` values in one file."""

    path: Path
    stamp: Stamp
    count: int
    dim: int
    dtype: np.dtype[Any]
    image_shape: tuple[int, int] | None = None

    @property
    def names(self) -> tuple[str, ...] | None:
        """The names of the columns, if they have names."""
        return None

    @property
    def label(self) -> str | None:
        """The name of the column or array of labels, if there is one."""
        return None

    @property
    def index(self) -> tuple[str, ...]:
        """The names of the columns that number the rows, and are left out."""
        return ()

    def with_columns(self, names: Sequence[str]) -> Source:
        """Return the same rows with their columns, which have names, in this order."""
        raise TypeError("expected rows whose columns have names")

    @abstractmethod
    def read(self, start: int, stop: int) -> Array:
        """Return rows ``start`` to ``stop`` (not included), shape (stop - start, X), in the file's own type.

        Raises:
            InputError: a file that is gone, damaged, or not what it was when it was opened.
        """

    def labels(self) -> Array | None:
        """Return the labels of all rows, or None."""
        return None

    @contextmanager
    def opened(self) -> Iterator[FileIO]:
        """Open the file; an InputError if it was changed, as rows of two states of it would be mixed."""
        if not self.path.exists():
            raise InputError(f"{self.path}: the file is gone since it was opened")
        with open_regular(self.path) as file:
            status = os.fstat(file.fileno())
            if (status.st_size, status.st_mtime_ns) != self.stamp:
                sizes = f"{self.stamp[0]:,} bytes then, {status.st_size:,} now"
                raise InputError(f"{self.path}: the file has changed since it was opened ({sizes})")
            yield file


@dataclass(frozen=True)
class Packed(Source):
    """A run of rows that are compressed, so that they can only be read together."""

    @abstractmethod
    def unpack(self) -> Array:
        """Return all rows, shape (count, X)."""

    def read(self, start: int, stop: int) -> Array:
        return _unpacked(self)[start:stop]


@lru_cache(maxsize=2)  # neighbours are read one after another; a window and a validation may be read at once
def _unpacked(source: Packed) -> Array:
    return source.unpack()


def require_unpackable(where: object, nbytes: int, advice: str) -> None:
    """Refuse a run of rows that is too large to be unpacked at once."""
    require_fits(where, nbytes, _UNPACKED, advice)


@dataclass(frozen=True)
class Plain(Source):
    """Rows one after another in an uncompressed file (.npy, IDX).

    They are read by position and not through a memory map: the pages of a map count as the process's memory, and a
    file that becomes shorter kills a process that maps it (SIGBUS), where a read raises an InputError.
    """

    offset: int = 0

    @classmethod
    def at(cls, path: Path, header: Callable[[Path, FileIO], Header]) -> Plain:
        """Return the rows of a file whose shape and type ``header`` reads off its beginning."""
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            shape, fortran, dtype = header(path, file)
            offset = file.tell()
        if offset + math.prod(shape) * dtype.itemsize > size:
            promised = f"its header promises shape {shape} of {dtype}, and {size - offset:,} bytes follow"
            raise InputError(f"{path}: expected a readable file of numbers ({promised})")
        if fortran:
            raise InputError(
                f"{path}: expected rows that lie one after another (C order); save np.ascontiguousarray of it"
            )
        return cls(path, stamp_of(path), shape[0], math.prod(shape[1:]), dtype, image_shape_of(path, shape), offset)

    @classmethod
    def of(cls, array: np.memmap[Any, Any]) -> Plain:
        """Return the rows of a memory-mapped array of a named file, in C order, by their place in that file."""
        path = Path(str(array.filename))
        mapped: Any = array
        while isinstance(mapped, np.ndarray):
            mapped = mapped.base  # at the end the mmap.mmap itself
        # A slice keeps the offset of the map it was cut from, so the addresses tell its place.
        beginning = np.frombuffer(mapped, np.uint8).ctypes.data
        place = array.offset - array.offset % mmap.ALLOCATIONGRANULARITY + array.ctypes.data - beginning
        dim = int(np.prod(array.shape[1:]))
        shape = (array.shape[1], array.shape[2]) if array.ndim == 3 else None
        return cls(path, stamp_of(path), len(array), dim, array.dtype, shape, place)

    def read(self, start: int, stop: int) -> Array:
        rows = np.empty((stop - start, self.dim), self.dtype)
        left = rows.reshape(-1).view(np.uint8).data
        with self.opened() as file:
            file.seek(self.offset + start * self.dim * self.dtype.itemsize)
            while len(left) and (got := file.readinto(left)):
                left = left[got:]
        if len(left):
            raise InputError(
                f"{self.path}: expected rows {start:,} to {stop:,}; the file ends {len(left):,} bytes early"
            )
        return rows


def image_shape_of(path: Path, shape: tuple[int, ...]) -> tuple[int, int] | None:
    """Return the shape of images (N, H, W), of one channel perhaps, or None for rows (N, X)."""
    if len(shape) == 4 and 1 in (shape[1], shape[3]):
        shape = (shape[0], *(shape[1:3] if shape[3] == 1 else shape[2:]))
    require_rows_or_images(path, shape)
    return (shape[1], shape[2]) if len(shape) == 3 else None

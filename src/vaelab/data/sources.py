"""Where rows that stay on the disk are: runs of rows in files, each opened anew for what is read of it."""

from __future__ import annotations

import mmap
import os
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from vaelab.refusals import Refusal

__all__ = ["Archive", "Array", "Packed", "Plain", "Source", "Stamp", "require_unpackable", "stamp_of"]

Array = npt.NDArray[Any]
Stamp = tuple[int, int]  # bytes, nanoseconds: what tells that a file is another
_UNPACKED = 2**28  # bytes: the most that is unpacked at once


def stamp_of(path: Path) -> Stamp:
    """Return what identifies the state of a file."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns


@dataclass(frozen=True)
class Source(ABC):
    """A run of ``count`` rows of ``dim`` values in one file."""

    path: Path
    stamp: Stamp
    count: int
    dim: int
    dtype: np.dtype[Any]
    image_shape: tuple[int, int] | None = None

    @abstractmethod
    def read(self, start: int, stop: int) -> Array:
        """Return rows ``start`` to ``stop`` (not included), shape (stop - start, X), in the file's own type.

        Raises:
            Refusal: a file that is gone, damaged, or not what it was when it was opened.
        """

    def labels(self) -> Array | None:
        """Return the labels of all rows, or None."""
        return None

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """Open the file, if it is still the same: rows of two states of it would be mixed."""
        try:
            with self.path.open("rb", buffering=0) as file:
                status = os.fstat(file.fileno())
                if (status.st_size, status.st_mtime_ns) != self.stamp:
                    sizes = f"{self.stamp[0]:,} bytes then, {status.st_size:,} now"
                    raise Refusal(f"{self.path}: the file has changed since it was opened ({sizes})")
                yield file
        except FileNotFoundError:
            raise Refusal(f"{self.path}: the file is gone since it was opened") from None


@dataclass(frozen=True)
class Packed(Source):
    """A run of rows that can only be read together, being compressed."""

    @abstractmethod
    def unpack(self) -> Array:
        """Return all rows, shape (count, X)."""

    def read(self, start: int, stop: int) -> Array:
        return _unpacked(self)[start:stop]


@lru_cache(maxsize=2)  # neighbours are read one after another; a window and a validation may be read at once
def _unpacked(source: Packed) -> Array:
    return source.unpack()


def require_unpackable(where: object, nbytes: int, advice: str) -> None:
    """Refuse what would fill the memory when it is unpacked."""
    if nbytes > _UNPACKED:
        raise Refusal(f"{where}: expected at most {_UNPACKED >> 20} MB unpacked; got {nbytes >> 20} MB; {advice}")


@dataclass(frozen=True)
class Plain(Source):
    """Rows one after another in an uncompressed file (.npy, IDX).

    They are read by position and not through a memory map: the pages of a map count as the process's memory, and a
    file that becomes shorter kills a process that maps it (SIGBUS), where a read ends in a sentence.
    """

    offset: int = 0

    @classmethod
    def of(cls, array: np.memmap[Any, Any]) -> Plain:
        """Find the rows of a memory-mapped array in its file: C order, a named file."""
        path = Path(str(array.filename))
        # A slice keeps the offset of the map it was cut from, so the addresses tell its place.
        beginning = np.frombuffer(array._mmap, np.uint8).ctypes.data  # type: ignore[attr-defined]
        place = array.offset - array.offset % mmap.ALLOCATIONGRANULARITY + array.ctypes.data - beginning
        dim = int(np.prod(array.shape[1:]))
        shape = (array.shape[1], array.shape[2]) if array.ndim == 3 else None
        return cls(path, stamp_of(path), len(array), dim, array.dtype, shape, place)

    def read(self, start: int, stop: int) -> Array:
        rows = np.empty((stop - start, self.dim), self.dtype)
        left = rows.reshape(-1).view(np.uint8).data
        with self.opened() as file:
            file.seek(self.offset + start * self.dim * self.dtype.itemsize)
            while len(left) and (got := file.readinto(left)):  # type: ignore[attr-defined]
                left = left[got:]
        if len(left):
            raise Refusal(f"{self.path}: expected rows {start:,} to {stop:,}; the file ends {len(left):,} bytes early")
        return rows


@dataclass(frozen=True)
class Archive(Packed):
    """A shard in .npz: rows or images ``x``, and labels ``y`` if there are any."""

    @classmethod
    def of(cls, path: Path) -> Archive:
        """Read the header of ``x`` alone."""
        try:
            with zipfile.ZipFile(path) as archive, archive.open("x.npy") as member:
                version = np.lib.format.read_magic(member)
                read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
                shape, _, dtype = read[version](member)
        except Exception as error:  # numpy and zipfile raise a dozen kinds for a damaged file
            raise Refusal(f"{path}: expected a readable .npz file with an array x ({_reason(error)})") from error
        if len(shape) not in (2, 3):
            raise Refusal(f"{path}: expected rows (N, X) or images (N, H, W); got shape {shape}")
        count, dim = shape[0], int(np.prod(shape[1:]))
        require_unpackable(path, count * dim * dtype.itemsize, "write smaller shards, or .npy")
        return cls(path, stamp_of(path), count, dim, dtype, (shape[1], shape[2]) if len(shape) == 3 else None)

    def unpack(self) -> Array:
        rows = self._array("x")
        assert rows is not None
        return rows.reshape(self.count, self.dim)

    def labels(self) -> Array | None:
        return self._array("y")

    def _array(self, name: str) -> Array | None:
        with self.opened() as file:
            try:
                with np.load(file, allow_pickle=False) as archive:
                    found: Array | None = archive[name] if name in archive.files else None
                    return found
            except Exception as error:
                raise Refusal(f"{self.path}: expected a readable .npz file ({_reason(error)})") from error


def _reason(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]

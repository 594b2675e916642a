"""Arrays in files: .npy, .npz and IDX, each read only after its header fits what is there and what memory may hold."""

from __future__ import annotations

import math
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import IO, Any

import numpy as np

from vaelab.data.opening import read_exactly, reason_of, require_fits
from vaelab.data.values import Array
from vaelab.errors import InputError

__all__ = ["idx_header", "npy_header", "npz_headers", "read_idx_from", "read_npy", "read_npz"]

Stream = IO[bytes] | FileIO
Header = tuple[tuple[int, ...], bool, np.dtype[Any]]
_SPARSE = ({"indices", "indptr"}, {"row", "col"}, {"offsets", "data"})  # beside format and shape


def npy_header(where: object, stream: Stream) -> Header:
    """Return shape, whether the first axis runs fastest, and type that a .npy header promises."""
    try:
        version = np.lib.format.read_magic(stream)
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        shape, fortran, dtype = read[version](stream)
    except Exception as error:  # numpy raises a dozen kinds for a damaged header
        raise InputError(f"{where}: expected a readable array of numbers ({reason_of(error)})") from error
    if dtype.hasobject:
        raise InputError(f"{where}: expected a readable array of numbers; got Python objects, which are not read")
    if dtype.kind not in "biuf":
        words = " (words)" if dtype.kind in "US" else ""
        raise InputError(f"{where}: expected numbers; got dtype {dtype}{words}")
    if any(size < 0 for size in shape):
        raise InputError(f"{where}: expected a readable array of numbers; its header says shape {shape}")
    return shape, fortran, dtype


def read_npy(where: Path | str, stream: Stream, size: int | None) -> Array:
    """Read a .npy file of ``size`` bytes, or of a size that is not known before it is unpacked."""
    shape, fortran, dtype = npy_header(where, stream)
    nbytes = math.prod(shape) * dtype.itemsize
    if size is not None and nbytes > size - stream.tell():
        raise InputError(
            f"{where}: expected a readable array of numbers; its header promises shape {shape} of {dtype}, "
            f"{nbytes:,} bytes, and {size - stream.tell():,} follow"
        )
    require_fits(where, nbytes)
    array = read_exactly(where, stream, shape[::-1] if fortran else shape, dtype)
    return array.T if fortran else array


Choose = Callable[[Sequence[str]], Sequence[str]]


@contextmanager
def _archive(path: Path, file: FileIO, choose: Choose) -> Iterator[tuple[zipfile.ZipFile, dict[str, zipfile.ZipInfo]]]:
    """Open an .npz file and the members that are chosen from the names of its arrays."""
    try:
        with zipfile.ZipFile(file) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
            if {"format", "shape"} <= set(names) and any(keys <= set(names) for keys in _SPARSE):
                way = "numpy.save('x.npy', scipy.sparse.load_npz(path).toarray().astype('uint8'))"
                raise InputError(f"{path}: expected a table; got a sparse matrix (of scipy.sparse); write it as {way}")
            members = {name: archive.infolist()[names.index(name)] for name in choose(names)}
            for name, member in members.items():
                if not member.filename.endswith(".npy"):
                    raise InputError(f"{path}: expected a readable .npz file of numbers ({name!r} is no array)")
            yield archive, members
    except InputError:
        raise
    except Exception as error:  # zipfile and zlib raise a dozen kinds for a damaged file
        raise InputError(f"{path}: expected a readable .npz file of numbers ({reason_of(error)})") from error


def read_npz(path: Path, file: FileIO, choose: Choose) -> dict[str, Array]:
    """Read those arrays of an .npz file that are chosen from their names.

    Raises:
        InputError: a damaged file, a sparse matrix, members that are not arrays, more than memory may hold.
    """
    with _archive(path, file, choose) as (archive, members):
        require_fits(path, sum(member.file_size for member in members.values()))
        arrays = {}
        for name, member in members.items():
            with archive.open(member) as stream:
                arrays[name] = read_npy(f"{path}: array {name!r}", stream, member.file_size)
        return arrays


def npz_headers(path: Path, file: FileIO, choose: Choose) -> dict[str, Header]:
    """Read the headers of those arrays of an .npz file that are chosen from their names."""
    with _archive(path, file, choose) as (archive, members):
        headers = {}
        for name, member in members.items():
            with archive.open(member) as stream:
                headers[name] = npy_header(f"{path}: array {name!r}", stream)
        return headers


def idx_header(path: Path, stream: Stream) -> tuple[int, ...]:
    """Return the shape that the header of an IDX file of unsigned bytes promises (format: the MNIST page)."""
    try:
        start = stream.read(4)
        zeros, kind, rank = struct.unpack(">HBB", start)
        shape = struct.unpack(f">{rank}I", stream.read(4 * rank))
    except (EOFError, OSError, zlib.error, struct.error) as error:
        raise InputError(
            f"{path}: expected an IDX file; it is damaged or of another format ({reason_of(error)})"
        ) from error
    if (zeros, kind) != (0, 8):
        raise InputError(f"{path}: expected an IDX file of unsigned bytes (magic 0x0008..); got {start.hex()}")
    if rank > 4:
        raise InputError(f"{path}: expected an IDX file of at most 3 axes (N, H, W); got {rank}")
    return shape


def read_idx_from(path: Path, stream: Stream, size: int | None) -> Array:
    """Read an IDX file of unsigned bytes, of ``size`` bytes or of a size that is not known before it is unpacked."""
    shape = idx_header(path, stream)
    left, nbytes = size - stream.tell() if size is not None else None, math.prod(shape)
    if left is not None and left != nbytes:
        raise InputError(f"{path}: expected {nbytes:,} bytes of data for shape {shape}; got {left:,}")
    require_fits(path, nbytes)
    return read_exactly(path, stream, shape, np.uint8)

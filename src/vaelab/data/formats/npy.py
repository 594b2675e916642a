"""NumPy arrays (.npy), read once the header agrees with the size of the file and of the memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vaelab.data.content import Content
from vaelab.data.opening import Opened, Stream, read_exactly, reason_of, require_fits
from vaelab.data.streaming.sources import Header, Plain, Source
from vaelab.data.values import Array, ReadOptions
from vaelab.errors import InputError

__all__ = ["npy_header", "read", "read_npy", "sources"]


def read(opened: Opened, options: ReadOptions) -> Content:
    """Read the one array of a .npy file."""
    return Content({"x": read_npy(opened.path, opened.stream, opened.size)})


def sources(path: Path, options: ReadOptions) -> Sequence[Source]:
    """Return the rows of a .npy file as they lie on the disk."""
    return [Plain.at(path, npy_header)]


def npy_header(where: object, stream: Stream) -> Header:
    """Return what a .npy header says: shape, whether the first axis runs fastest (Fortran order), type."""
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
    """Read a .npy file of ``size`` bytes; None if the size is not known before it is unpacked."""
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

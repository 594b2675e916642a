"""IDX files of unsigned bytes, the format of MNIST."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vaelab.data.content import Content
from vaelab.data.opening import Opened, Stream, open_unpacked, read_exactly, reason_of, require_fits
from vaelab.data.packing import DAMAGE
from vaelab.data.streaming.sources import Header, Plain, Source
from vaelab.data.values import Array, ReadOptions
from vaelab.errors import InputError

__all__ = ["read", "read_idx", "sources"]


def read(opened: Opened, options: ReadOptions) -> Content:
    """Read an IDX file; images get the labels that lie beside them, under the names of MNIST's files."""
    x = read_idx(opened.path, opened.stream, opened.size)
    beside = _labels_of(opened.path)
    if beside is None:
        return Content({"x": x})
    with open_unpacked(beside) as labels:
        return Content({"x": x, "labels of x": read_idx(beside, labels.stream, labels.size).astype(np.int64)})


def _labels_of(path: Path) -> Path | None:
    """Return the file of the labels of images: of ``train-images-idx3-ubyte`` it is ``train-labels-idx1-ubyte``."""
    labels = path.with_name(re.sub(r"images(.)idx3", r"labels\1idx1", path.name))
    return labels if labels != path and labels.is_file() else None


def sources(path: Path, options: ReadOptions) -> Sequence[Source]:
    """Return the rows of an IDX file as they lie on the disk."""
    return [Plain.at(path, _header)]


def _header(path: Path, stream: Stream) -> Header:
    """Return the shape in the header of an IDX file (format: LeCun, Cortes & Burges, MNIST page)."""
    try:
        start = stream.read(4)
        zeros, kind, rank = struct.unpack(">HBB", start)
        shape = struct.unpack(f">{rank}I", stream.read(4 * rank))
    except (*DAMAGE, struct.error) as error:
        raise InputError(
            f"{path}: expected an IDX file; it is damaged or of another format ({reason_of(error)})"
        ) from error
    if (zeros, kind) != (0, 8):
        raise InputError(f"{path}: expected an IDX file of unsigned bytes (magic 0x0008..); got {start.hex()}")
    if rank > 4:
        raise InputError(f"{path}: expected an IDX file of at most 3 axes (N, H, W); got {rank}")
    return shape, False, np.dtype(np.uint8)


def read_idx(path: Path, stream: Stream, size: int | None) -> Array:
    """Read an IDX file of unsigned bytes, of ``size`` bytes; None if that is not known."""
    shape, _, _ = _header(path, stream)
    left, nbytes = size - stream.tell() if size is not None else None, math.prod(shape)
    if left is not None and left != nbytes:
        raise InputError(f"{path}: expected {nbytes:,} bytes of data for shape {shape}; got {left:,}")
    require_fits(path, nbytes)
    return read_exactly(path, stream, shape, np.uint8)

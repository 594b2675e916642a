"""The checksum of a data set: rows that are equal have the same, in memory, sparse or in a memory map."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from vaelab.data.sparse import SparseRows
from vaelab.data.splits import Split
from vaelab.data.streaming.rows import Rows, on_disk

__all__ = ["checksum"]


def checksum(kind: str, variables: Sequence[Any] | None, splits: Mapping[str, Split], scale: float) -> str:
    """Return the SHA-256 of the values, labels and weights of all splits."""
    digest = hashlib.sha256(kind.encode())
    if variables is not None:
        digest.update(json.dumps(variables).encode())
    for name in sorted(splits):
        for part in _parts(name, splits[name], scale):
            digest.update(part)
    return digest.hexdigest()


def _parts(name: str, split: Split, scale: float) -> Iterator[bytes | memoryview]:
    rows = on_disk(split.x, scale)
    dtype = split.x.dtype if rows is None else rows.dtype
    yield f"{name}{split.x.shape}{dtype}".encode()
    if isinstance(split.x, Rows):
        yield split.x.facts.digest  # computed when the file was read through
    elif isinstance(split.x, SparseRows):
        for part in split.x.chunks():
            yield np.ascontiguousarray(part[:]).data
    elif rows is not None:  # read by position: the pages of a memory map would fill the memory
        for _, _, chunk in rows.chunks():
            yield np.ascontiguousarray(chunk, rows.dtype).data
    else:
        yield np.ascontiguousarray(split.x).data
    if split.labels is not None:
        yield np.ascontiguousarray(split.labels, dtype="<i8").data
    if split.weights is not None:
        yield b"weights"
        yield np.ascontiguousarray(split.weights, dtype="<f4").data

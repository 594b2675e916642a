"""The arrays of a page: one block of bytes, and a list that says where each array stands in it."""

from __future__ import annotations

import base64
import zlib
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from torch import Tensor

__all__ = ["StoredTensor", "TensorType", "Tensors", "as_text", "whole_numbers"]

TensorType = Literal["int16", "float32", "uint8", "int32", "bits"]
_FORMS: dict[TensorType, str] = {"float32": "<f4", "uint8": "u1", "int32": "<i4"}
_LARGEST = 32767  # of the whole numbers of 16 bits
_ALIGNMENT = 8  # bytes: a typed array of JavaScript starts at a multiple of the size of its numbers


@dataclass(frozen=True)
class StoredTensor:
    """Where an array stands in the block: its type, its shape, its first byte and how many bytes it has.

    ``scale`` is the number of the array by which the rows of a matrix of whole numbers are multiplied.
    """

    dtype: TensorType
    shape: list[int]
    offset: int
    bytes: int
    scale: int | None = None


class Tensors:
    """A store of arrays. Equal arrays of one type are stored once.

    ``bits`` are zeros and ones, eight to a byte, the first in the highest bit. ``int16`` is for matrices (N, M): each
    row is stored as whole numbers k and a factor (:func:`whole_numbers`). So that the block can be compressed, k is
    written as 2 k, or as -2 k - 1 if it is negative, and the lower bytes of all numbers stand before the higher ones,
    which are mostly small.

    >>> tensors = Tensors()
    >>> tensors.add(np.array([1.0, 0.5])), tensors.add(np.array([1, 0, 1]), "bits")
    (0, 1)
    >>> tensors.index()[1], len(tensors.blob())
    ({'dtype': 'bits', 'shape': [3], 'offset': 8, 'bytes': 1, 'scale': None}, 16)
    """

    def __init__(self) -> None:
        self._stored: list[StoredTensor] = []
        self._places: dict[tuple[str, tuple[int, ...], bytes, int | None], int] = {}
        self._block = bytearray()

    def index(self) -> list[dict[str, Any]]:
        """Return the list of the arrays, for the JSON of the page."""
        return [asdict(stored) for stored in self._stored]

    def add(self, array: Tensor | npt.ArrayLike, dtype: TensorType = "float32", coarseness: float = 1.0) -> int:
        """Store an array, rounded to the type, and return its number."""
        values = np.asarray(array.detach().cpu() if isinstance(array, Tensor) else array)
        scale = None
        if dtype == "int16":
            values, factors = whole_numbers(values, coarseness)
            scale = self.add(factors)
        content = _as_bytes(values, dtype)
        key = dtype, values.shape, content, scale
        if key not in self._places:
            self._places[key] = len(self._stored)
            self._stored.append(StoredTensor(dtype, list(values.shape), len(self._block), len(content), scale))
            self._block += content + bytes(-len(content) % _ALIGNMENT)
        return self._places[key]

    def blob(self) -> bytes:
        """Return all arrays as bytes, the lowest byte of each number first, each array from a multiple of 8 on."""
        return bytes(self._block)


def as_text(blob: bytes) -> str:
    """Return bytes as text for a page: compressed (zlib), then base64.

    >>> as_text(bytes(1000))
    'eNpjYBgFo2AUDHcAAAPoAAE='
    """
    return base64.b64encode(zlib.compress(blob, 9)).decode("ascii")


def _as_bytes(values: npt.NDArray[Any], dtype: TensorType) -> bytes:
    if dtype == "bits":
        return np.packbits(values != 0).tobytes()
    if dtype == "int16":
        positive = np.where(values < 0, -2 * values - 1, 2 * values).astype("<u2", order="C")
        return positive.reshape(-1).view(np.uint8).reshape(-1, 2).T.tobytes()
    return np.ascontiguousarray(values).astype(_FORMS[dtype]).tobytes()


def whole_numbers(matrix: npt.NDArray[Any], coarseness: float = 1.0) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return a matrix (N, M) as whole numbers of 16 bits and a float32 factor for each row (N,), whose product it is.

    A number changes by at most half of the factor, 1/65534 of the largest number of its row, times the coarseness. Half
    precision (float16) changes the largest numbers 16 times as much as a coarseness of 1.
    """
    factors = (np.abs(matrix).max(1, initial=0) / _LARGEST * coarseness).astype(np.float32)
    return np.rint(matrix / np.where(factors > 0, factors, 1)[:, None]), factors

"""The arrays of a page: one block of bytes, and a list that says where each array stands in it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from torch import Tensor

__all__ = ["StoredTensor", "TensorType", "Tensors"]

TensorType = Literal["float16", "float32", "uint8", "int32", "bits"]
_FORMS: dict[TensorType, str] = {"float16": "<f2", "float32": "<f4", "uint8": "u1", "int32": "<i4"}
_ALIGNMENT = 8  # bytes: a typed array of JavaScript starts at a multiple of the size of its numbers


@dataclass(frozen=True)
class StoredTensor:
    """Where an array stands in the block: its type, its shape, its first byte and how many bytes it has."""

    dtype: TensorType
    shape: list[int]
    offset: int
    bytes: int


class Tensors:
    """A store of arrays. Equal arrays of one type are stored once.

    ``bits`` are zeros and ones, eight to a byte, the first in the highest bit.

    >>> tensors = Tensors()
    >>> tensors.add(np.array([[1.0, 0.0]]), "float16"), tensors.add(np.array([1, 0, 1]), "bits")
    (0, 1)
    >>> tensors.index()[1], len(tensors.blob())
    ({'dtype': 'bits', 'shape': [3], 'offset': 8, 'bytes': 1}, 16)
    """

    def __init__(self) -> None:
        self._stored: list[StoredTensor] = []
        self._places: dict[tuple[str, tuple[int, ...], bytes], int] = {}
        self._block = bytearray()

    def index(self) -> list[dict[str, Any]]:
        """Return the list of the arrays, for the JSON of the page."""
        return [asdict(stored) for stored in self._stored]

    def add(self, array: Tensor | npt.ArrayLike, dtype: TensorType = "float32") -> int:
        """Store an array, rounded to the type, and return its number."""
        values = np.asarray(array.detach().cpu() if isinstance(array, Tensor) else array)
        content = np.packbits(values != 0).tobytes() if dtype == "bits" else self._rounded(values, dtype)
        key = dtype, values.shape, content
        if key not in self._places:
            self._places[key] = len(self._stored)
            self._stored.append(StoredTensor(dtype, list(values.shape), len(self._block), len(content)))
            self._block += content + bytes(-len(content) % _ALIGNMENT)
        return self._places[key]

    def blob(self) -> bytes:
        """Return all arrays as bytes, the lowest byte of each number first, each array from a multiple of 8 on."""
        return bytes(self._block)

    @staticmethod
    def _rounded(values: npt.NDArray[Any], dtype: TensorType) -> bytes:
        return np.ascontiguousarray(values).astype(_FORMS[dtype]).tobytes()

"""The sizes of codes: by default from the number of columns, and those of layers, checked."""

from __future__ import annotations

from collections.abc import Sequence

from vaelab.errors import InputError, require_int, require_list

__all__ = ["bit_code_size", "layer_sizes", "real_code_size"]


def real_code_size(columns: int) -> int:
    """Return how many numbers a code has by default: half as many as columns, from 2 to 20."""
    return min(20, max(2, require_int("data", columns, 1) // 2))


def bit_code_size(columns: int) -> int:
    """Return how many bits a code has by default: as many as columns, from 2 to 200."""
    return min(200, max(2, require_int("data", columns, 1)))


def layer_sizes(layers: Sequence[int]) -> tuple[int, ...]:
    """Return the sizes of a code's layers, checked."""
    expected = "a list of layer sizes, such as [200, 200]"
    if not len(require_list("layers", layers, expected)):
        raise InputError(f"layers: expected {expected}; got {layers!r}")
    return tuple(require_int(f"layers[{index}]", size, 1) for index, size in enumerate(layers))

"""The precision in which float32 matrices are multiplied."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch

__all__ = ["matmul_precision"]


@contextmanager
def matmul_precision(precision: Literal["medium", "highest"]) -> Iterator[None]:
    """Set the precision of float32 matrix products inside the block, see ``torch.set_float32_matmul_precision``."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)

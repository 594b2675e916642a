"""The precision in which float32 matrices are multiplied: float32, or bfloat16 where the hardware has it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch

__all__ = ["Precision", "choose_precision", "has_bfloat16", "matmul_precision"]

Precision = Literal["float32", "bfloat16"]


@contextmanager
def matmul_precision(precision: Literal["medium", "highest"]) -> Iterator[None]:
    """Set the precision of float32 matrix products inside the block, see ``torch.set_float32_matmul_precision``."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def choose_precision(asked: str, device: torch.device) -> Precision:
    """Return the precision that ``auto`` stands for: bfloat16 where the hardware multiplies it, float32 elsewhere.

    >>> choose_precision("float32", torch.device("cpu"))
    'float32'
    """
    if asked == "auto":
        return "bfloat16" if has_bfloat16(device) else "float32"
    return "bfloat16" if asked == "bfloat16" else "float32"


def has_bfloat16(device: torch.device) -> bool:
    """Return whether the hardware multiplies bfloat16; elsewhere it is emulated, slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    # A processor needs tile or 512-bit instructions. Older versions of torch cannot say what it has; float32 is right
    # there.
    capabilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("amx_tile") or capabilities.get("avx512_bf16"))

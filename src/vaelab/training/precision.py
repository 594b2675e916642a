"""The precision of matrix products in training: float32, or bfloat16 where the hardware has it."""

from __future__ import annotations

from typing import Literal

import torch

__all__ = ["choose_precision"]


def choose_precision(asked: str, device: torch.device) -> Literal["float32", "bfloat16"]:
    """Return the precision that ``auto`` stands for: bfloat16 where the hardware multiplies it, float32 elsewhere.

    >>> choose_precision("float32", torch.device("cpu"))
    'float32'
    """
    if asked == "auto":
        return "bfloat16" if _has_bfloat16(device) else "float32"
    return "bfloat16" if asked == "bfloat16" else "float32"


def _has_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    # Without tile or 512-bit instructions oneDNN emulates bfloat16, slower than float32. Older versions of torch cannot
    # say what the processor has; float32 is right there.
    capabilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("amx_tile") or capabilities.get("avx512_bf16"))

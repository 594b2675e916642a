"""The precision in which float32 matrices are multiplied: float32, or bfloat16 where the hardware has it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Literal

import torch

from vaelab.errors import InputError
from vaelab.seeds import own_generators

__all__ = ["Precision", "Products", "choose_precision", "has_bfloat16", "matmul_precision", "products_in"]

Precision = Literal["float32", "bfloat16"]
Products = Literal["medium", "highest"]


@contextmanager
def matmul_precision(precision: Products) -> Iterator[None]:
    """Set the precision of float32 matrix products inside the block, see ``torch.set_float32_matmul_precision``.

    It is one for all threads of the process: call it inside :func:`~vaelab.seeds.own_generators`.
    """
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def choose_precision(asked: str, device: torch.device, on_all_ranks: bool = True) -> Precision:
    """Return the precision that ``auto`` stands for: bfloat16 where the hardware multiplies it, float32 elsewhere.

    ``on_all_ranks`` says whether the hardware of every process that trains along has it.

    Raises:
        InputError: bfloat16 where the hardware, here or on another rank, does not multiply it.

    >>> choose_precision("float32", torch.device("cpu"))
    'float32'
    """
    if asked == "float32":
        return "float32"
    here = has_bfloat16(device)
    if here and on_all_ranks:
        return "bfloat16"
    if asked == "bfloat16":
        what = "a rank" if here else "this hardware"
        raise InputError(f"precision: expected float32, as {what} does not multiply bfloat16; got 'bfloat16'")
    return "float32"


def products_in(precision: Precision, device: torch.device) -> Products:
    """Return torch's name for the matrix products of a precision on a device: for :func:`matmul_precision`.

    A processor with AVX-512 BF16 and without tiles, such as an AMD EPYC, rounds no factors under ``medium``: oneDNN
    multiplies the float32 numbers there, faster than under ``highest``. So float32 is ``medium`` on such a processor.
    """
    if precision == "bfloat16":
        return "medium"
    # older versions of torch cannot say what a processor has
    capabilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    is_faster = device.type == "cpu" and capabilities.get("avx512_bf16", False)
    return "medium" if is_faster and not has_bfloat16(device) else "highest"


def has_bfloat16(device: torch.device) -> bool:
    """Return whether the hardware multiplies bfloat16: on a processor, whether a product of float32 numbers is rounded.

    Its instructions do not tell: with AVX-512 BF16 alone, torch does not round. GPUs that compute bfloat16 only through
    float32, those before Ampere, do not count.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return _rounds(device.type)


@cache
def _rounds(kind: str) -> bool:
    """Return whether a device rounds a product of float32 numbers under ``medium``; computed once in a process."""
    size, above = 64, 1 + 2**-12  # which bfloat16 rounds to 1
    with own_generators(), matmul_precision("medium"), torch.autocast(kind, enabled=False), torch.no_grad():
        factor = torch.full((size, size), above, dtype=torch.float32, device=kind)
        return bool((factor @ factor)[0, 0] < size * above)

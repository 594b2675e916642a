"""The precision in which float32 matrices are multiplied: float32, or bfloat16 where the hardware has it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.functional import linear

from vaelab.errors import InputError
from vaelab.seeds import own_generators

__all__ = [
    "Precision",
    "Products",
    "choose_precision",
    "has_bfloat16",
    "matmul_precision",
    "products_in",
    "products_of_steps",
]

Precision = Literal["float32", "bfloat16"]
Products = Literal["medium", "highest"]


@contextmanager
def matmul_precision(precision: Products) -> Iterator[None]:
    """Set the precision of float32 matrix products inside the block, see ``torch.set_float32_matmul_precision``.

    Convolutions on an NVIDIA GPU, which torch by default rounds to TensorFloat-32, follow it. What the session has set,
    by torch's older or newer settings, is restored after the block. The precision is one for all threads of the
    process: call it inside :func:`~vaelab.seeds.own_generators`.
    """
    every: Any = torch.backends
    cudnn, mkldnn = every.cudnn, every.mkldnn
    with ExitStack() as kept:

        def clear(part: Any) -> None:
            kept.callback(setattr, part, "fp32_precision", part.fp32_precision)
            part.fp32_precision = "none"

        # from the general to the special, as a part that is "none" reads as the general one
        clear(every)
        kept.enter_context(mkldnn.flags(mkldnn.enabled, mkldnn.deterministic, mkldnn.allow_tf32))  # "none" by default
        for part in (cudnn, every.cuda.matmul, cudnn.conv, cudnn.rnn, mkldnn.matmul, mkldnn.conv, mkldnn.rnn):
            clear(part)
        # now torch can read its older settings, but not a flag that is True
        kept.callback(torch.set_float32_matmul_precision, torch.get_float32_matmul_precision())
        rounds = True
        with suppress(RuntimeError):
            rounds = cudnn.allow_tf32
        kept.callback(setattr, cudnn, "allow_tf32", rounds)
        torch.set_float32_matmul_precision(precision)
        cudnn.allow_tf32 = precision == "medium"
        yield


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


def products_in(precision: Precision) -> Products:
    """Return torch's name for the matrix products of a precision, for :func:`matmul_precision`.

    Those of float32 are ``highest``, which rounds nothing on any hardware. ``evaluate``, ``fit`` in its validations and
    mean-field inference ask for it; other functions multiply in the precision that the session has set in torch.
    """
    return "medium" if precision == "bfloat16" else "highest"


def products_of_steps(precision: Precision, device: torch.device) -> Products:
    """Return torch's name for the matrix products of training steps: of float32, the faster ones if they do not round.

    A processor with AVX-512 BF16 and without tiles (AMX), such as an AMD EPYC, rounds no factors under ``medium``:
    oneDNN multiplies the float32 numbers there, faster than under ``highest``. So float32 is ``medium`` on such a
    processor. No probe can try every product, so evaluations do without: see :func:`products_in`.
    """
    # older versions of torch cannot say what a processor has
    able: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)() if device.type == "cpu" else {}
    is_faster = able.get("avx512_bf16", False) and not able.get("amx_bf16", False)
    return "medium" if is_faster and not has_bfloat16(device) else products_in(precision)


def has_bfloat16(device: torch.device) -> bool:
    """Return whether the hardware multiplies bfloat16: on a processor, whether a product of float32 numbers is rounded.

    Its instructions do not tell: with AVX-512 BF16 alone, torch does not round. Nor does one product: its shape may
    decide. GPUs that compute bfloat16 only through float32, those before Ampere, do not count.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return _rounds(device.type)


# Rows, inner size and columns of the products that are tried.
_SHAPES = ((64, 64, 64), (4096, 2, 32), (4096, 36, 51), (100, 784, 64), (100, 64, 784))


@cache
def _rounds(kind: str) -> bool:
    """Return whether a device rounds any of some products of float32 numbers under ``medium``; computed once."""
    above = 1 + 2**-12  # which bfloat16 rounds to 1
    with own_generators(), matmul_precision("medium"), torch.autocast(kind, enabled=False), torch.no_grad():
        return any(
            bool((product < inner * above**1.5).any())  # 2 without rounding, 1 if one of two factors is rounded
            for rows, inner, columns in _SHAPES
            for product in _products(rows, inner, columns, above, kind)
        )


def _products(rows: int, inner: int, columns: int, value: float, kind: str) -> Iterator[Tensor]:
    """Yield products of matrices that are filled with a value: plain, with transposed factors, of a layer, in a stack.

    Steps have all of them: a layer multiplies by its transposed weights, and its gradients by its transposed inputs.
    """

    def filled(*shape: int) -> Tensor:
        return torch.full(shape, value, dtype=torch.float32, device=kind)

    one, other, one_t, other_t = (
        filled(*shape) for shape in ((rows, inner), (inner, columns), (inner, rows), (columns, inner))
    )
    yield one @ other
    yield one @ other_t.T
    yield one_t.T @ other
    yield linear(one, other_t)
    yield linear(one, other_t, torch.zeros(columns, dtype=torch.float32, device=kind))
    yield one.expand(2, -1, -1).bmm(other.expand(2, -1, -1))

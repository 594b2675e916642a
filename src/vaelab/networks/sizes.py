"""Sizes of what a network reads and returns."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn

from vaelab.errors import InputError, require_int

__all__ = ["Build", "Size", "size_of"]

Size = int | Sequence[int]
# From the sizes of input and output, such as (28, 28) and (40,), to a module from (N, 784) to (N, 40).
Build = Callable[[torch.Size, torch.Size], nn.Module]


def size_of(argument: str, size: Size) -> torch.Size:
    """Return a number or a shape as a shape.

    >>> size_of("inputs", 5), size_of("inputs", (28, 28)).numel()
    (torch.Size([5]), 784)
    """
    if isinstance(size, str) or (isinstance(size, Sequence) and not len(size)):
        raise InputError(f"{argument}: expected a positive integer or a shape such as (28, 28); got {size!r}")
    parts = size if isinstance(size, Sequence) else (size,)
    return torch.Size(require_int(argument, part, 1) for part in parts)

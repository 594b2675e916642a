"""Dropout: in training mode a random share of the units is left out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from vaelab.distributed import uniform
from vaelab.errors import InputError, require_number

__all__ = ["Dropout", "dropped", "require_share", "rows_of"]

_rows: Sequence[int] = ()  # the axes of the rows that a network maps now, such as (K, B)


class Dropout(nn.Module):
    """Leave out each unit with probability r in training mode, and multiply the others by `1 / (1 - r)`.

    So the mean of a unit stays. In evaluation mode nothing changes. The noise is drawn like that of codes: each unit of
    each row has its own, and a training step draws the same whatever the number of ranks. Source: Srivastava et al.
    (2014), https://jmlr.org/papers/v15/srivastava14a.html.

    Args:
        rate: the share r of the units that are left out.

    Raises:
        InputError: a share below 0, or of 1 or more.

    >>> layer = Dropout(0.5)
    >>> sorted(set(layer(torch.ones(50, 4)).flatten().tolist())), layer.eval()(torch.ones(2)).tolist()
    ([0.0, 2.0], [1.0, 1.0])
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = require_share("dropout", rate)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, units) to (N, units)."""
        return dropped(x, self.rate) if self.training else x

    def extra_repr(self) -> str:
        return f"rate={self.rate:g}"


def dropped(values: Tensor, rate: float | Tensor) -> Tensor:
    """Return values (N, units) of which a share is 0, and the others are larger, so that the mean stays."""
    rows = _rows if math.prod(_rows) == len(values) and _rows else values.shape[:1]
    noise = uniform((*rows, values.shape[-1]), values).reshape(values.shape)
    return torch.where(noise < rate, 0, values / (1 - rate))


def require_share(name: str, value: float) -> float:
    """Return a share, at least 0 and below 1, or refuse it."""
    if require_number(name, value, 0) >= 1:
        raise InputError(f"{name}: expected a share of at least 0 and below 1; got {value!r}")
    return value


@contextmanager
def rows_of(shape: Sequence[int]) -> Iterator[None]:
    """Say inside the block which axes the rows of a network have: N rows may be K codes of B observations."""
    global _rows
    before, _rows = _rows, shape
    try:
        yield
    finally:
        _rows = before

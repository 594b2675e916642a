"""The ranks of a data-parallel step: each has a share of the batch, and draws the noise of that share.

Without several processes there is one rank, and the functions of this room have no effect.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from vaelab.errors import Failure

__all__ = [
    "ALONE",
    "PeerLost",
    "Ranks",
    "all_gather",
    "all_reduce",
    "broadcast",
    "mean_over_ranks",
    "noise_from",
    "normal",
    "same_noise",
    "sharing",
    "uniform",
]

T = TypeVar("T")


class PeerLost(Failure):
    """A rank did not answer in time, or has left."""


@dataclass(frozen=True)
class Ranks:
    """The number of this process among ``count`` ranks.

    >>> Ranks(rank=1, count=2).share(torch.arange(6))
    tensor([3, 4, 5])
    """

    rank: int = 0
    count: int = 1

    def share(self, rows: Tensor, axis: int = 0) -> Tensor:
        """Return this rank's rows: equal, consecutive parts along ``axis``, the first of rank 0."""
        size = rows.shape[axis] // self.count
        return rows if self.count == 1 else rows.narrow(axis, self.rank * size, size)


ALONE = Ranks()
_now = ALONE  # the ranks of the present step
_same = False  # whether all rows have the same noise
_given: Callable[[Sequence[int]], Tensor] | None = None  # where noise comes from, if it is not drawn


@contextmanager
def sharing(ranks: Ranks) -> Iterator[None]:
    """Draw noise, and take means, as one of ``ranks`` inside the block."""
    global _now
    before, _now = _now, ranks
    try:
        yield
    finally:
        _now = before


@contextmanager
def noise_from(noise: Tensor) -> Iterator[None]:
    """Take noise from the columns of a tensor (B, D), from left to right, instead of drawing it, inside the block.

    Raises:
        Failure: the block used another number of columns.

    >>> with noise_from(torch.tensor([[0.25, 0.75]])):
    ...     uniform((1, 1), torch.zeros(())), uniform((1, 1), torch.zeros(()))
    (tensor([[0.2500]]), tensor([[0.7500]]))
    """
    global _given
    used = 0

    def columns(shape: Sequence[int]) -> Tensor:
        nonlocal used
        used += shape[-1]
        return noise[:, used - shape[-1] : used]

    before, _given = _given, columns
    try:
        yield
    finally:
        _given = before
    if used != noise.shape[1]:
        raise Failure(f"noise: expected draws that use {noise.shape[1]} columns of noise; they used {used}")


@contextmanager
def same_noise() -> Iterator[None]:
    """Draw the same noise for every row inside the block, so that the draws for a row do not depend on other rows.

    >>> with same_noise():
    ...     noise = uniform((5, 3, 2), torch.zeros(()))
    >>> bool((noise == noise[:, :1]).all())
    True
    """
    global _same
    before, _same = _same, True
    try:
        yield
    finally:
        _same = before


def uniform(shape: Sequence[int], like: Tensor) -> Tensor:
    """Draw uniform noise on [0, 1), shape (..., B, D), in the dtype and on the device of ``like``.

    Every rank draws the noise of the whole batch from the same seed and keeps its rows, so that a step draws the same
    numbers whatever the number of ranks.
    """
    return _own_rows(torch.rand, shape, like)


def normal(shape: Sequence[int], like: Tensor) -> Tensor:
    """Draw standard normal noise as :func:`uniform` does, shape (..., B, D)."""
    return _own_rows(torch.randn, shape, like)


def _own_rows(draw: Callable[..., Tensor], shape: Sequence[int], like: Tensor) -> Tensor:
    if _given is not None:
        return _given(shape)
    if _same:
        *sizes, rows, columns = shape
        return draw(*sizes, 1, columns, dtype=like.dtype, device=like.device).repeat(*(1 for _ in sizes), rows, 1)
    if _now.count == 1:
        return draw(*shape, dtype=like.dtype, device=like.device)
    *sizes, rows, columns = shape
    return _now.share(draw(*sizes, rows * _now.count, columns, dtype=like.dtype, device=like.device), -2)


def mean_over_ranks(value: Tensor) -> Tensor:
    """Return the mean of a tensor over the ranks, without a gradient: of a batch's mean, that of the whole batch."""
    if _now.count == 1:
        return value
    return all_reduce(value.detach().clone()) / _now.count


def all_reduce(value: Tensor) -> Tensor:
    """Return a tensor summed over the ranks, in place.

    Raises:
        PeerLost: a rank did not answer in time, or has left.
    """
    with _peer_lost_on_failure():
        dist.all_reduce(value)
    return value


def broadcast(objects: list[Any]) -> None:
    """Fill the list with the objects of rank 0.

    Raises:
        PeerLost: as :func:`all_reduce`.
    """
    with _peer_lost_on_failure():
        dist.broadcast_object_list(objects, src=0)


def all_gather(value: T, count: int) -> list[T]:
    """Return the objects of all ``count`` ranks, by rank.

    Raises:
        PeerLost: as :func:`all_reduce`.
    """
    values: list[Any] = [None] * count
    with _peer_lost_on_failure():
        dist.all_gather_object(values, value)
    return values


@contextmanager
def _peer_lost_on_failure() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # the errors of gloo and NCCL have no common class in all versions of torch
        raise PeerLost((str(error).splitlines() or ["no answer"])[0]) from error

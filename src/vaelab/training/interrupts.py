"""Ctrl-C and SIGTERM: the first stops the training after the step, the second immediately."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

import torch
from torch import Tensor

from vaelab.data import Observations
from vaelab.distributed import ALONE, Ranks

__all__ = ["StopAsked", "StopRequest", "StoppableRows", "stop_requests"]


class StopRequest:
    """The signal that asked to stop, or None."""

    signal: int | None = None


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Catch SIGINT and SIGTERM inside the block; in threads other than the main thread, nothing is caught."""
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def remember(number: int, frame: FrameType | None) -> None:
        if request.signal is not None:
            raise KeyboardInterrupt
        request.signal = number

    before = {number: signal.signal(number, remember) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class StopAsked(Exception):
    """A signal asked to stop, and rows were read again."""


@dataclass(frozen=True)
class StoppableRows(Observations):
    """Rows that are not read once a signal asked to stop: a pass over them ends where it reads the next.

    Raises:
        StopAsked: by :meth:`bits`, after a signal.
    """

    observed: Observations
    request: StopRequest

    @property
    def weights(self) -> Tensor | None:
        return self.observed.weights

    def __len__(self) -> int:
        return len(self.observed)

    @property
    def dim(self) -> int:
        return self.observed.dim

    @property
    def device(self) -> torch.device:
        return self.observed.device

    def bits(self, rows: Tensor | slice, ranks: Ranks = ALONE) -> Tensor:
        if self.request.signal is not None:
            raise StopAsked
        return self.observed.bits(rows, ranks)

    def mean(self, weights: Tensor | None = None) -> Tensor:
        return self.observed.mean(weights)

    def first(self, count: int) -> StoppableRows:
        return StoppableRows(self.observed.first(count), self.request)

    def sample(self) -> StoppableRows:
        return StoppableRows(self.observed.sample(), self.request)

"""The schedule of a training: the learning rate by the step, checkpoints by the clock."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

from vaelab.settings import TrainingSettings

__all__ = ["CheckpointClock", "learning_rate_factor"]

_LONGEST = 300.0  # seconds between checkpoints at most, even where validations are further apart
_QUICK, _SHARE = 0.25, 10  # a checkpoint that takes longer, in seconds, takes at most an eleventh of the time


def learning_rate_factor(settings: TrainingSettings, step: int, steps: int) -> float:
    """Return the factor of the learning rate at a step: a linear rise over ``warmup`` steps, and a cosine to zero.

    >>> settings = TrainingSettings(steps=100, warmup=10, schedule="cosine")
    >>> [round(learning_rate_factor(settings, step, 100), 3) for step in (0, 9, 50, 100)]
    [0.1, 0.98, 0.5, 0.0]
    """
    rise = min(1.0, (step + 1) / settings.warmup) if settings.warmup else 1.0
    return rise if settings.schedule == "constant" else rise * 0.5 * (1 + math.cos(math.pi * step / steps))


class CheckpointClock:
    """When a checkpoint is due: at each validation and after five minutes, less often if writing one takes long."""

    def __init__(self) -> None:
        self.last, self.took = time.monotonic(), 0.0

    def due(self, validated: bool, ends: bool) -> bool:
        """Return whether to write a checkpoint after this step."""
        waited = time.monotonic() - self.last
        rest = _SHARE * self.took if self.took > _QUICK else 0.0
        return ends or (validated and waited >= rest) or waited > _LONGEST

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Measure the time of writing one, inside the block."""
        started = time.monotonic()
        yield
        self.last = time.monotonic()
        self.took = self.last - started

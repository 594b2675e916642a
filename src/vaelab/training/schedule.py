"""Functions of the step: the learning rate, and the weight of the KL term."""

from __future__ import annotations

import math

from vaelab.errors import InputError
from vaelab.settings import TrainingSettings

__all__ = ["kl_weight", "learning_rate"]


def learning_rate(settings: TrainingSettings, step: int, total: int) -> float:
    """Return the learning rate of a step: a linear rise over ``warmup`` steps, then constant or a cosine to zero."""
    if settings.learning_rate is None:
        raise InputError("training.learning_rate: expected a number; fit and train choose one for their data")
    rise = min(1.0, (step + 1) / settings.warmup) if settings.warmup else 1.0
    if settings.schedule == "constant":
        return settings.learning_rate * rise
    return settings.learning_rate * rise * 0.5 * (1 + math.cos(math.pi * step / total))


def kl_weight(settings: TrainingSettings, step: int) -> float:
    """Return the factor of beta at a step: a linear rise over ``kl_warmup`` steps, then one."""
    return min(1.0, (step + 1) / settings.kl_warmup) if settings.kl_warmup else 1.0

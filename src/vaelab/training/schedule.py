"""Functions of the step: the learning rate, and the weight of the KL term."""

from __future__ import annotations

import math

from vaelab.estimators import Estimator
from vaelab.objectives import ELBO, Objective
from vaelab.refusals import Refusal
from vaelab.settings import TrainingSettings

__all__ = ["check_kl_warmup", "kl_weight", "learning_rate"]


def learning_rate(settings: TrainingSettings, step: int, total: int) -> float:
    """Return the learning rate of a step: a linear rise over ``warmup`` steps, then constant or a cosine to zero."""
    rise = min(1.0, (step + 1) / settings.warmup) if settings.warmup else 1.0
    if settings.schedule == "constant":
        return settings.learning_rate * rise
    return settings.learning_rate * rise * 0.5 * (1 + math.cos(math.pi * step / total))


def kl_weight(settings: TrainingSettings, step: int) -> float:
    """Return the factor of beta at a step: a linear rise over ``kl_warmup`` steps, then one."""
    return min(1.0, (step + 1) / settings.kl_warmup) if settings.kl_warmup else 1.0


def check_kl_warmup(settings: TrainingSettings, objective: Objective, estimator: Estimator) -> None:
    """Refuse a warm-up of a KL term that the objective or the estimator does not weigh."""
    if settings.kl_warmup and not isinstance(objective, ELBO):
        raise Refusal(f"training.kl_warmup: expected 0 for the objective {objective.name!r}, which has no beta")
    if settings.kl_warmup and not estimator.weighs_kl:
        raise Refusal(f"training.kl_warmup: expected 0 for the estimator {estimator.name!r}, which knows no beta")

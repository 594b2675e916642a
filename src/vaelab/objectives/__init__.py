"""Objectives: each combines the log-weights of K codes into a bound. This file is their table.

Training, validation, evaluation and ``model.bound`` all call :meth:`Objective.terms`, which scores codes, and
:meth:`Objective.bound`, which combines the scores. A new objective is a class in a file of this folder and a row here.
"""

from __future__ import annotations

from vaelab.errors import InputError, shown
from vaelab.objectives.ciwae import CIWAE
from vaelab.objectives.contract import METRICS, Combination, Divergence, MeanObjective, Metric, Objective
from vaelab.objectives.elbo import ELBO
from vaelab.objectives.estimate import Estimate
from vaelab.objectives.iwae import IWAE
from vaelab.objectives.log_likelihood import LogLikelihood
from vaelab.objectives.miwae import MIWAE, PIWAE
from vaelab.objectives.reconstruction import Reconstruction
from vaelab.objectives.renyi import Renyi
from vaelab.objectives.terms import ScoredModel, Terms, log_weights
from vaelab.objectives.tvo import TVO

__all__ = [
    "CIWAE",
    "ELBO",
    "IWAE",
    "METRICS",
    "MIWAE",
    "OBJECTIVES",
    "PIWAE",
    "TVO",
    "Combination",
    "Divergence",
    "Estimate",
    "LogLikelihood",
    "MeanObjective",
    "Metric",
    "Objective",
    "Reconstruction",
    "Renyi",
    "ScoredModel",
    "Terms",
    "check_objective",
    "log_weights",
]

OBJECTIVES: dict[str, type[Objective]] = {
    kind.name: kind
    for kind in (
        ELBO,
        IWAE,
        Renyi,
        MIWAE,
        PIWAE,
        CIWAE,
        TVO,
        Reconstruction,
    )
}


def check_objective(model: ScoredModel, objective: Objective) -> None:
    """Raise an :class:`~vaelab.errors.InputError` for an objective that the model cannot be trained with."""
    if not isinstance(objective, Objective):
        raise InputError(f"objective: expected an objective such as ELBO() or IWAE(); got {shown(objective)}")
    if model.code not in objective.codes:
        wanted = " or ".join(repr(name) for name, kind in OBJECTIVES.items() if model.code in kind.codes)
        raise InputError(f"objective: expected {wanted} for codes of kind {model.code!r}; got {objective.name!r}")

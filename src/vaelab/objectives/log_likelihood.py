"""The log-likelihood itself: the objective of a model without codes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from vaelab.objectives.contract import MeanObjective, Metric

__all__ = ["LogLikelihood"]


@dataclass(frozen=True)
class LogLikelihood(MeanObjective):
    """log p(x), which a density model maximises without a bound. Such a model has no choice of objective.

    ``metric`` is the name of its value in a log. A class that selects its weights by another value, such as a
    pseudo-likelihood, names that one.

    >>> LogLikelihood().metric
    'log-likelihood'
    """

    name: ClassVar[str] = "log-likelihood"
    metric: ClassVar[Metric] = "log-likelihood"
    formula: ClassVar[str] = r"$L = \log p(x)$"
    signal_formula: ClassVar[str] = "none: there are no codes"

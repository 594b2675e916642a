"""Gradient estimators: this file is their table.

Adding one: a class that keeps the promises of :class:`Estimator`, a row here, a row of the tests.
"""

from __future__ import annotations

from vaelab.estimators.contract import Estimate, Estimator
from vaelab.estimators.pathwise import Pathwise
from vaelab.estimators.score import ScoreFunction

__all__ = ["ESTIMATORS", "Estimate", "Estimator", "Pathwise", "ScoreFunction"]

ESTIMATORS: dict[str, type[Estimator]] = {kind.name: kind for kind in (Pathwise, ScoreFunction)}

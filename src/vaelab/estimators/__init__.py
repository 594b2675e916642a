"""Gradient estimators: this file is their table.

Adding one: a class that keeps the promises of :class:`Estimator`, a row here, a row of the tests.
"""

from __future__ import annotations

from vaelab.estimators.contract import Estimate, Estimator
from vaelab.estimators.exact import Exact
from vaelab.estimators.pathwise import DoublyReparameterised, Pathwise, StickingTheLanding
from vaelab.estimators.score import ScoreFunction

__all__ = [
    "ESTIMATORS",
    "DoublyReparameterised",
    "Estimate",
    "Estimator",
    "Exact",
    "Pathwise",
    "ScoreFunction",
    "StickingTheLanding",
]

ESTIMATORS: dict[str, type[Estimator]] = {
    kind.name: kind for kind in (Exact, ScoreFunction, Pathwise, StickingTheLanding, DoublyReparameterised)
}

"""Gradient estimators: this file is their table.

A new estimator is a class derived from :class:`Estimator` in a file of this folder, a row here, and a row of the laws
that the tests prove (``tests/laws/table.py``). Settings, help and documentation read this table.
"""

from __future__ import annotations

from vaelab.estimators.antithetic import ARM, DisARM
from vaelab.estimators.arms import ARMS
from vaelab.estimators.concrete import Concrete
from vaelab.estimators.contract import BernoulliEstimator, Estimate, Estimator, Expectation, Sizes
from vaelab.estimators.covariance import Covariance
from vaelab.estimators.double_cv import DoubleCV
from vaelab.estimators.exact import Exact
from vaelab.estimators.flips import UGC, BitFlip, LocalExpectation
from vaelab.estimators.mean_field import MeanFieldEM
from vaelab.estimators.muprop import MuProp
from vaelab.estimators.pathwise import DoublyReparameterised, Pathwise, StickingTheLanding
from vaelab.estimators.rebar import Rebar, Relax
from vaelab.estimators.rodeo import Rodeo
from vaelab.estimators.score import ScoreFunction
from vaelab.estimators.straight_through import GumbelStraightThrough, Half, StraightThrough
from vaelab.estimators.wake_sleep import ReweightedWakeSleep, WakeSleep

__all__ = [
    "ARM",
    "ARMS",
    "ESTIMATORS",
    "UGC",
    "BernoulliEstimator",
    "BitFlip",
    "Concrete",
    "Covariance",
    "DisARM",
    "DoubleCV",
    "DoublyReparameterised",
    "Estimate",
    "Estimator",
    "Exact",
    "Expectation",
    "GumbelStraightThrough",
    "Half",
    "LocalExpectation",
    "MeanFieldEM",
    "MuProp",
    "Pathwise",
    "Rebar",
    "Relax",
    "ReweightedWakeSleep",
    "Rodeo",
    "ScoreFunction",
    "Sizes",
    "StickingTheLanding",
    "StraightThrough",
    "WakeSleep",
]

ESTIMATORS: dict[str, type[Estimator]] = {
    kind.name: kind
    for kind in (
        Exact,
        ScoreFunction,
        MuProp,
        Rebar,
        Relax,
        ARM,
        DisARM,
        ARMS,
        DoubleCV,
        Rodeo,
        BitFlip,
        UGC,
        LocalExpectation,
        Concrete,
        StraightThrough,
        Half,
        GumbelStraightThrough,
        WakeSleep,
        ReweightedWakeSleep,
        MeanFieldEM,
        Covariance,
        Pathwise,
        StickingTheLanding,
        DoublyReparameterised,
    )
}

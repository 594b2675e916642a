"""Estimates of log p(x) and bounds on it, one per file, each with a value for every observation."""

from __future__ import annotations

from vaelab.likelihood.ais import annealed_importance
from vaelab.likelihood.annealing import Start
from vaelab.likelihood.contract import BoundEstimate, Callback, Effort, Interrupted, Observed, as_split
from vaelab.likelihood.elbo import elbo
from vaelab.likelihood.exact import exact
from vaelab.likelihood.gap import Bracket, annealed_gap, bracket
from vaelab.likelihood.importance import effective_samples, importance_weighted
from vaelab.likelihood.kernels import KERNELS, Kernel, kernel_for
from vaelab.likelihood.objective import objective_bound
from vaelab.likelihood.pareto import pareto_shape
from vaelab.likelihood.prior import prior_average
from vaelab.likelihood.quadrature import quadrature
from vaelab.likelihood.rows import score_rows
from vaelab.likelihood.table import BOUNDS, Bound, BoundName

__all__ = [
    "BOUNDS",
    "KERNELS",
    "Bound",
    "BoundEstimate",
    "BoundName",
    "Bracket",
    "Callback",
    "Effort",
    "Interrupted",
    "Kernel",
    "Observed",
    "Start",
    "annealed_gap",
    "annealed_importance",
    "as_split",
    "bracket",
    "effective_samples",
    "elbo",
    "exact",
    "importance_weighted",
    "kernel_for",
    "objective_bound",
    "pareto_shape",
    "prior_average",
    "quadrature",
    "score_rows",
]

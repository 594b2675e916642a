"""The reference that estimates are compared with: the exact gradient, or a long run of an unbiased estimator."""

from __future__ import annotations

import torch

from vaelab.errors import InputError
from vaelab.estimators import Estimator, Exact, Pathwise, ScoreFunction
from vaelab.studies.gradients.bench import Bench
from vaelab.studies.gradients.bias import Reference

__all__ = ["reference_gradient"]


def reference_gradient(bench: Bench, samples: int, draws: int, look: str = "reference") -> Reference:
    """Return the exact gradient where it can be enumerated, else the mean of a long unbiased run.

    For real codes ``exact`` is a quadrature, whose error is not known, so it is no reference.
    """
    exact = Exact(bench.model, samples)
    if bench.model.code == "bits" and _applies(exact, bench):
        (gradient,) = bench.draws(exact, 1, "exact")
        projection = bench.project(gradient)
        return Reference("exact", 1, projection, torch.zeros_like(projection))
    pathwise = Pathwise(bench.model, samples)
    estimator, name = (pathwise, pathwise.name) if _applies(pathwise, bench) else _leave_one_out(bench, samples)
    projections = bench.projections(estimator, draws, look, name, samples)  # (n, M)
    return Reference(f"{name} (K = {estimator.samples})", draws, projections.mean(0), projections.var(0) / draws)


def _leave_one_out(bench: Bench, samples: int) -> tuple[Estimator, str]:
    """Return leave-one-out with two codes at least: for a mean over codes two are as unbiased as one."""
    return ScoreFunction(bench.model, max(samples, 2), "leave-one-out"), f"{ScoreFunction.name}, leave-one-out"


def _applies(estimator: Estimator, bench: Bench) -> bool:
    try:
        estimator.check(bench.model, bench.objective)
    except InputError:
        return False
    return True

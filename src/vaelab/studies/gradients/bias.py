"""The test for bias of a gradient estimator: its statistic, its limit, and its rate of false alarms."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from scipy.special import ndtri, stdtr
from torch import Tensor

__all__ = ["DIRECTIONS", "FALSE_ALARM", "Reference", "bias_limit", "largest_z"]

DIRECTIONS = 4  # directions of projection: this many for the encoder's parameters, and as many for the others
FALSE_ALARM = 0.01  # probability that any unbiased estimator of a report exceeds the limit
_LARGEST_Z = 37.0  # beyond it the p-value of a normal deviate is rounded to zero


@dataclass(frozen=True)
class Reference:
    """The reference gradient: its projections (M,), their variances, and the number of draws that were averaged."""

    name: str
    draws: int
    mean: Tensor
    variance: Tensor


def bias_limit(rows: int) -> float:
    """Return the limit of |z| that any of ``rows`` unbiased estimators exceeds with probability at most FALSE_ALARM.

    Formula: the normal deviate of FALSE_ALARM / (2 M R), two-sided, for R rows of M = 2 DIRECTIONS projections each:
    each has an equal share of it (Bonferroni's inequality, which does not need independence).

    >>> [round(bias_limit(rows), 2) for rows in (1, 20)]
    [3.23, 4.0]
    """
    return float(-ndtri(FALSE_ALARM / (2 * 2 * DIRECTIONS * rows)))


def largest_z(projections: Tensor, reference: Reference) -> float:
    """Return the normal deviate of the smallest p-value among the projections (n, M) of an estimator's draws.

    Each projection's mean minus the reference, divided by its standard error, follows Student's distribution with
    n - 1 degrees of freedom; if the reference is also a mean of draws, with Welch's degrees of freedom.
    """
    count = len(projections)
    variance, other = projections.var(0) / count, reference.variance
    total = variance + other
    rounding = (torch.finfo(torch.float32).eps * projections.abs().max()) ** 2
    t = (projections.mean(0) - reference.mean) / (total + rounding).sqrt()
    freedom = variance.square() / (count - 1)
    if reference.draws > 1:
        freedom = freedom + other.square() / (reference.draws - 1)
    degrees = (total.square() / freedom.clamp_min(1e-300)).clamp(1.0, 1e9)
    p = 2 * stdtr(degrees.numpy(), -t.abs().numpy())  # two-sided
    return min(float(-ndtri(max(p.min(), 1e-300) / 2)), _LARGEST_Z)

"""When is a gradient estimator found biased? The test statistic, its limit, and the rate of false alarms."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from scipy.special import ndtri, stdtr
from torch import Tensor

__all__ = ["DIRECTIONS", "FALSE_ALARM", "Reference", "bias_limit", "largest_z"]

DIRECTIONS = 4  # on which errors are projected: so many among the encoder's parameters, as many among the others
FALSE_ALARM = 0.01  # of one look at all rows of a report: the probability that any unbiased estimator is over the limit
_LARGEST_Z = 37.0  # beyond it the p-value of a normal is no positive float


@dataclass(frozen=True)
class Reference:
    """What errors are measured against: projections (M,), the variance of each, and the draws behind them."""

    name: str
    draws: int
    mean: Tensor
    variance: Tensor


def bias_limit(rows: int) -> float:
    """Return the absolute z that any of so many unbiased estimators exceeds with probability at most FALSE_ALARM.

    Formula: the normal deviate of FALSE_ALARM / (2 M R), two-sided, for R rows of M = 2 DIRECTIONS projections each:
    each may use up an equal share (Bonferroni's inequality, which holds however they depend on each other).

    >>> [round(bias_limit(rows), 2) for rows in (1, 20)]
    [3.23, 4.0]
    """
    return float(-ndtri(FALSE_ALARM / (2 * 2 * DIRECTIONS * rows)))


def largest_z(projections: Tensor, reference: Reference) -> float:
    """Return the normal deviate of the smallest p-value among the projections (n, M) of an estimator's draws.

    Each projection's mean, less the reference, over its standard error follows Student's law with n - 1 degrees of
    freedom; where the reference is a mean of draws too, with Welch's.
    """
    count = len(projections)
    own, other = projections.var(0) / count, reference.variance
    total = own + other
    rounding = (torch.finfo(torch.float32).eps * projections.abs().max()) ** 2
    t = (projections.mean(0) - reference.mean) / (total + rounding).sqrt()
    freedom = own.square() / (count - 1)
    if reference.draws > 1:
        freedom = freedom + other.square() / (reference.draws - 1)
    degrees = (total.square() / freedom.clamp_min(1e-300)).clamp(1.0, 1e9)
    p = 2 * stdtr(degrees.numpy(), -t.abs().numpy())  # two-sided
    return min(float(-ndtri(max(p.min(), 1e-300) / 2)), _LARGEST_Z)

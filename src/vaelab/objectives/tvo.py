"""The thermodynamic variational objective."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor

from vaelab.errors import InputError, require_int, require_number
from vaelab.objectives.contract import Combination, Objective

__all__ = ["TVO"]

_MOST = 10_000  # intervals: each is a term of the sum; the authors take at most 50


@dataclass(frozen=True)
class TVO(Objective):
    """Thermodynamic variational objective: a left Riemann sum of the integral `int_0^1 E_t[log w] dt = log p(x)`.

    `sum_j (t_j+1 - t_j) E_tj[log w], with E_t the mean under a distribution proportional to q(z|x)^(1 - t) p(x, z)^t`

    The path leads from q (t = 0) to the true posterior (t = 1), along which `E_t[log w]` rises; so the sum, which takes
    each value from the left end of its interval, is a lower bound. The points are 0 and ``intervals`` points from
    ``first`` to 1 in equal ratios, as in the authors' code, whose search found 0.01, 0.02 and 0.03 for 5, 10 and 50
    codes; one interval gives the ELBO. The means are estimated from K
    codes of q with the weights `w_k^t / sum_j w_j^t`. For every set of codes the result lies between the mean of the
    log-weights and the importance-weighted bound of the same codes (it is the left Riemann sum of the derivative of
    `log 1/K sum_k w_k^t` by t), so it is a lower bound on log p(x) in expectation for every K.

    Source: Masrani, Le & Wood (2019), https://arxiv.org/abs/1907.00031. Its covariance gradient, which needs neither
    differentiable codes nor a baseline, is the estimator ``covariance``; ``pathwise`` and ``score-function`` give the
    gradient of the expected value with K codes without bias.

    Args:
        intervals: number of intervals J of the integral.
        first: t_1, where the first of several intervals ends, above 0 and below 1.

    Raises:
        InputError: no interval, or more than 10,000, or a first point outside (0, 1).

    >>> TVO(intervals=2, first=0.25).points
    (0.0, 0.25, 1.0)
    >>> TVO(intervals=1)(torch.tensor([[1.0], [3.0]]))
    tensor([2.])
    """

    name: ClassVar[str] = "tvo"
    combination: ClassVar[Combination] = "thermodynamic"
    samples: ClassVar[int] = 8
    formula: ClassVar[str] = (
        r"$L(v) = \sum_j (t_{j+1}-t_j)\sum_k \omega_{jk}\,v_k$ with $\omega_{jk} = e^{t_j v_k}/\sum_i e^{t_j v_i}$"
    )
    intervals: int = 5
    first: float = 0.02

    def __post_init__(self) -> None:
        if require_int("intervals", self.intervals, 1) > _MOST:
            raise InputError(f"intervals: expected an integer from 1 to {_MOST:,}; got {self.intervals:,}")
        if not 0 < require_number("first", self.first, 0.0) < 1:
            raise InputError(f"first: expected a number above 0 and below 1; got {self.first:g}")

    @property
    def points(self) -> tuple[float, ...]:
        """The points t_0 = 0, t_1, ..., t_J = 1 of the integral."""
        if self.intervals == 1:
            return (0.0, 1.0)
        steps = self.intervals - 1
        return (0.0, *(self.first ** (1 - step / steps) for step in range(steps)), 1.0)

    def __call__(self, log_weights: Tensor) -> Tensor:
        total = torch.zeros_like(log_weights[0])
        for start, end in pairwise(self.points):
            total = total + (end - start) * _mean(torch.softmax(start * log_weights, 0), log_weights)
        return total

    def covariance_surrogate(self, log_weights: Tensor, log_q: Tensor) -> Tensor:
        """Return a surrogate, (B,), of log-weights and log q(z_k|x) (K, B): its gradient is the covariance gradient."""
        total, count, held = torch.zeros_like(log_weights[0]), len(log_weights), log_weights.detach()
        for start, end in pairwise(self.points):
            weights = torch.softmax(start * held, 0)
            centred = count / (count - 1) * (held - _mean(weights, held))
            log_path = start * log_weights + log_q  # (1 - t) log q(z|x) + t log p(x, z)
            total = total + (end - start) * _mean(weights, log_weights + centred * log_path)
        return total


def _mean(weights: Tensor, values: Tensor) -> Tensor:
    """Return the weighted sum over the codes; a weight of zero counts nothing, also of a value that is not finite."""
    return torch.where(weights == 0, 0, weights * values).sum(0)

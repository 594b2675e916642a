"""The importance-weighted bound."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from vaelab.objectives.contract import Combination, Objective

__all__ = ["IWAE", "log_mean_exp"]


@dataclass(frozen=True)
class IWAE(Objective):
    """Importance-weighted bound of K codes: `log 1/K sum_k w_k` with `w_k = p(x, z_k) / q(z_k|x)`.

    Source: Burda, Grosse & Salakhutdinov (2016), https://arxiv.org/abs/1509.00519.

    >>> IWAE()(torch.tensor([[1.0], [1.0]]))
    tensor([1.])
    """

    name: ClassVar[str] = "iwae"
    combination: ClassVar[Combination] = "log-mean-exp"
    samples: ClassVar[int] = 8
    formula: ClassVar[str] = r"$L(v) = \log\frac{1}{K}\sum_k e^{v_k}$"

    def __call__(self, log_weights: Tensor) -> Tensor:
        return log_mean_exp(log_weights)

    def path_factor(self, log_weights: Tensor) -> Tensor:
        return torch.softmax(log_weights, 0)


def log_mean_exp(log_weights: Tensor) -> Tensor:
    """Return `log 1/K sum_k w_k`, shape (...), of log-weights (K, ...).

    >>> log_mean_exp(torch.tensor([0.0, 2.0]))
    tensor(1.4338)
    """
    # Relative to the largest: where numbers are so large that rounding loses log K, the gradient is still right.
    largest = log_weights.detach().amax(0)
    largest = torch.where(largest.isfinite(), largest, 0)
    relative = log_weights - largest
    # A weight below e^-46 = 1e-20 of the largest is lost in the rounding of the sum. It is left out, because its
    # gradients would be denormal numbers, which make products of matrices several times slower.
    significant = torch.where(relative < -46, -math.inf, relative)
    return torch.logsumexp(significant, 0) - math.log(len(log_weights)) + largest

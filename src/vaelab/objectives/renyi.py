"""The variational Rényi bound."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from vaelab.errors import InputError, require_number
from vaelab.objectives.contract import Combination, Objective

__all__ = ["Renyi"]


@dataclass(frozen=True)
class Renyi(Objective):
    """Variational Rényi bound of K codes: `1/(1 - alpha) log 1/K sum_k w_k^(1 - alpha)`.

    With alpha = 0 it is the importance-weighted bound, with alpha = 1, its limit, the mean of the log-weights (the
    evidence lower bound), and it falls as alpha rises: between 0 and 1 it lies between the two, above 1 below the
    evidence lower bound. A power mean of the weights, it is a lower bound on log p(x) in expectation for every alpha of
    at least 0 and every K. Below 0 it would tend to an upper bound as K grows, and with K codes its expectation lies on
    either side of log p(x): it is refused, because the number could not be quoted.

    Source: Li & Turner (2016), https://arxiv.org/abs/1602.02311.

    Args:
        alpha: order of the divergence, at least 0; 0 gives the IWAE, 1 the ELBO.

    Raises:
        InputError: an ``alpha`` below 0.

    >>> Renyi(0.5)(torch.tensor([[0.0], [2.0]]))  # 2 log (1/2 (1 + e))
    tensor([1.2402])
    """

    name: ClassVar[str] = "renyi"
    combination: ClassVar[Combination] = "importance-weighted"
    samples: ClassVar[int] = 8
    formula: ClassVar[str] = r"$L(v) = \frac{1}{1-\alpha}\log\frac{1}{K}\sum_k e^{(1-\alpha)v_k}$"
    alpha: float = 0.5

    def __post_init__(self) -> None:
        if require_number("alpha", self.alpha, -math.inf) < 0:
            raise InputError(
                f"alpha: expected a number of at least 0; got {self.alpha:g} (below 0 the value of K codes "
                "is a bound on log p(x) in neither direction)"
            )

    def __call__(self, log_weights: Tensor) -> Tensor:
        power = 1 - self.alpha
        if power == 0:
            return log_weights.mean(0)
        scaled = power * log_weights
        largest = scaled.detach().amax(0)
        largest = torch.where(largest.isfinite(), largest, 0)
        relative = scaled - largest
        relative = torch.where(relative < -46, -math.inf, relative)  # lost in rounding: see IWAE
        # With expm1 and log1p the quotient keeps its digits for an alpha near 1, where the logarithm is near 0.
        return (torch.log1p(torch.expm1(relative).mean(0)) + largest) / power

    def path_factor(self, log_weights: Tensor) -> Tensor:
        return self.alpha + (1 - self.alpha) * torch.softmax((1 - self.alpha) * log_weights, 0)

"""A mixture of the evidence lower bound and the importance-weighted bound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from vaelab.errors import require_number
from vaelab.objectives.contract import Combination, Objective
from vaelab.objectives.iwae import log_mean_exp

__all__ = ["CIWAE"]


@dataclass(frozen=True)
class CIWAE(Objective):
    """Combination of the ELBO and the IWAE of the same K codes: `c mean_k log w_k + (1 - c) log 1/K sum_k w_k`.

    ``elbo_weight`` is c, which the authors call beta. With 1 it is the ELBO, with 0 the IWAE, and it is a lower bound
    on log p(x) between the two for every c in between.

    Source: Rainforth et al. (2018), https://arxiv.org/abs/1802.04537.

    Args:
        elbo_weight: share of the ELBO, between 0 and 1.

    Raises:
        InputError: a share outside [0, 1].

    >>> CIWAE(0.5)(torch.tensor([[0.0], [2.0]]))  # 1/2 + 1/2 log (1/2 (1 + e^2))
    tensor([1.2169])
    """

    name: ClassVar[str] = "ciwae"
    combination: ClassVar[Combination] = "importance-weighted"
    samples: ClassVar[int] = 8
    formula: ClassVar[str] = r"$L(v) = c\,\frac{1}{K}\sum_k v_k + (1-c)\log\frac{1}{K}\sum_k e^{v_k}$"
    signal_formula: ClassVar[str] = (
        r"$c\,(v_k - \text{baseline})/K + (1-c)\,(\log\frac{1}{K}\sum_j e^{v_j} - \text{baseline})$"
    )
    elbo_weight: float = 0.5

    def __post_init__(self) -> None:
        require_number("elbo_weight", self.elbo_weight, 0.0, 1.0)

    def __call__(self, log_weights: Tensor) -> Tensor:
        return self.elbo_weight * log_weights.mean(0) + (1 - self.elbo_weight) * log_mean_exp(log_weights)

    def signal(self, log_weights: Tensor, baseline: Tensor | float) -> Tensor:
        # Of the mean only the code's own term depends on it; of the rest all of it does.
        of_mean = (log_weights - baseline) / len(log_weights)  # (K, B)
        of_rest = log_mean_exp(log_weights) - baseline  # (B,)
        return self.elbo_weight * of_mean + (1 - self.elbo_weight) * of_rest

    def path_factor(self, log_weights: Tensor) -> Tensor:
        weights = (1 - self.elbo_weight) * torch.softmax(log_weights, 0)
        share = self.elbo_weight / len(log_weights)
        return (share + weights * torch.softmax(log_weights, 0)) / (share + weights).clamp_min(
            torch.finfo(weights.dtype).tiny
        )

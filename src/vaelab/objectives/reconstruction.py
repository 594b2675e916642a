"""The log-likelihood of a reconstruction: the objective of a deterministic auto-encoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaelab.distributions import Code
from vaelab.objectives.contract import MeanObjective, Metric
from vaelab.objectives.terms import ScoredModel, Terms

__all__ = ["Reconstruction"]


@dataclass(frozen=True)
class Reconstruction(MeanObjective):
    """log p(x|z) alone: what a deterministic auto-encoder maximises. It is not a bound on log p(x).

    >>> Reconstruction()(torch.tensor([[-90.0]]))
    tensor([-90.])
    """

    name: ClassVar[str] = "reconstruction"
    codes: ClassVar[frozenset[Code]] = frozenset({"point"})
    metric: ClassVar[Metric] = "reconstruction"
    formula: ClassVar[str] = r"$L = \frac{1}{K}\sum_k \log p(x\mid z_k)$"
    signal_formula: ClassVar[str] = r"$(\log p(x\mid z_k) - \text{baseline})/K$"

    def terms(self, model: ScoredModel, x: Tensor, q: Distribution, z: Tensor) -> Terms:
        log_likelihood = model.log_likelihood(x, z)  # (K, B)
        return Terms(log_likelihood, torch.zeros_like(log_likelihood), beta=0.0)

"""MuProp: the score function with a first-order Taylor expansion at the mean as control variate."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaelab.conditionals import Code
from vaelab.estimators.baselines import BaselineName
from vaelab.estimators.contract import Estimate, Estimator, require_bernoulli
from vaelab.estimators.score import build_baseline
from vaelab.models.latent import LatentVariableModel
from vaelab.objectives import Objective

__all__ = ["MuProp"]


class MuProp(Estimator):
    """Score function of what a linear expansion at the mean leaves, plus the expansion's own gradient.

    Formula: with p = sigmoid(l) the mean code, f'(p) the gradient of f there and r(z) = f(z) - f(p) -
    f'(p) . (z - p), grad_l E_q[f(z)] ~ 1/K sum_k (r(z_k) - baseline) grad_l log q(z_k|x) + f'(p) p (1 - p).
    It decodes K codes and the mean. Source: Gu, Levine, Sutskever & Mnih (2016),
    https://arxiv.org/abs/1511.05176.

    Args:
        samples: K, codes drawn for each observation.
        baseline: subtracted from r: ``none``, ``running-average`` (MuProp-C), ``leave-one-out`` (K of at least
            2) or ``network`` (MuProp-C-IDB; NVIL's normalisation of the variance is no part of it).

    >>> from vaelab.models import bernoulli_vae
    >>> from vaelab.objectives import ELBO
    >>> MuProp()(bernoulli_vae(6, latent_dim=3), ELBO(), torch.ones(5, 6)).surrogate.shape
    torch.Size([5])
    """

    name: ClassVar[str] = "muprop"
    codes: ClassVar[frozenset[Code]] = frozenset({"bits"})
    objectives: ClassVar[frozenset[str]] = frozenset({"elbo"})
    learning_rate_factor: ClassVar[float] = 10.0

    def __init__(self, samples: int = 1, baseline: BaselineName = "running-average") -> None:
        super().__init__(samples)
        self.baseline = build_baseline(baseline, samples)

    def prepare(self, x: Tensor, q: Distribution) -> None:
        """Create the baseline's network, if it has one."""
        self.baseline.prepare(x)

    def draw(self, q: Distribution, objective: Objective) -> Tensor:
        """Draw z (K, B, D)."""
        z: Tensor = q.sample((self.samples,))
        return z

    def score(
        self, model: LatentVariableModel, objective: Objective, x: Tensor, q: Distribution, drawn: Tensor
    ) -> Estimate:
        """The surrogate is the objective, sum_k signal_k log q(z_k|x), and f'(p) . p with f'(p) constant."""
        q = require_bernoulli(self.name, q)
        terms = objective.terms(model, x, q, drawn)
        mean = q.mean.detach().requires_grad_()  # (B, D)
        at_mean = objective.integrand(objective.terms(model, x, q, mean.unsqueeze(0))).squeeze(0)  # (B,)
        (slope,) = torch.autograd.grad(at_mean.sum(), mean)  # (B, D)
        expansion = at_mean.detach() + ((drawn - mean.detach()) * slope).sum(-1)  # (K, B)
        signal, auxiliary = self.baseline(objective, objective.integrand(terms).detach() - expansion, x)
        scored = (signal * q.log_prob(drawn)).sum(0) + (slope * q.mean).sum(-1)  # (B,)
        return Estimate.of(objective, terms, objective(objective.values(terms)) + scored, auxiliary)

    def decoder_evaluations(self, objective: Objective, latent_dim: int, layers: int = 1) -> int:
        """K codes and the mean."""
        return self.samples + 1

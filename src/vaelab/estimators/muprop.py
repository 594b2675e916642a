"""MuProp: the score function with a first-order Taylor expansion at the mean as control variate."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from vaelab.distributions import Bernoulli
from vaelab.estimators.baselines import BaselineName, build_baseline
from vaelab.estimators.contract import BernoulliEstimator, Cost, Expectation, Sizes
from vaelab.models.latent import LatentVariableModel
from vaelab.objectives import Terms

__all__ = ["MuProp"]


class MuProp(BernoulliEstimator):
    """Score function with a linear expansion at the mean as control variate, plus the gradient of the expansion.

    Formula: with the mean code `p = sigmoid(l)`, the gradient `f'(p)` of `f` there and `r(z) = f(z) - f(p) - f'(p) . (z
    - p)`,

    `grad_l E_q[f(z)] ~ 1/K sum_k (r(z_k) - b) (z_k - p) + f'(p) p (1 - p)`,

    where `b` is the baseline. It decodes `K` codes and the mean. Source: Gu, Levine, Sutskever & Mnih (2016),
    https://arxiv.org/abs/1511.05176.

    Args:
        model: the model that it is for, or its sizes.
        samples: K, codes drawn for each observation.
        baseline: subtracted from r: ``none``, ``running-average`` (MuProp-C), ``leave-one-out`` (K of at least
            2) or ``network`` (MuProp-C-IDB; NVIL's normalisation of the variance is no part of it).

    >>> from vaelab.models import bernoulli_vae
    >>> from vaelab.objectives import ELBO
    >>> model = bernoulli_vae(6, latent_dim=3)
    >>> MuProp(model)(model, ELBO(), torch.ones(5, 6)).surrogate.shape
    torch.Size([5])
    """

    name: ClassVar[str] = "muprop"
    learns: ClassVar[str] = "its baseline"
    learning_rate_factor: ClassVar[float] = 10.0
    cost: ClassVar[Cost] = Cost(1, fixed=1)

    def __init__(
        self, model: LatentVariableModel | Sizes, samples: int = 1, baseline: BaselineName = "running-average"
    ) -> None:
        super().__init__(model, samples)
        self.baseline = build_baseline(baseline, self.sizes, samples)
        self.to(self.sizes.like)

    def gradient(self, expectation: Expectation, q: Bernoulli, drawn: Tensor) -> tuple[Terms, Tensor, Tensor | None]:
        """The signals multiply (z - p), the gradient of log q(z|x) for the logits."""
        terms = expectation.terms(drawn)
        mean = q.mean.detach().requires_grad_()  # (B, D)
        at_mean = expectation.terms(mean.unsqueeze(0)).signal_terms.squeeze(0)  # (B,)
        (slope,) = torch.autograd.grad(at_mean.sum(), mean)  # (B, D)
        residual = drawn - mean.detach()  # (K, B, D)
        expansion = at_mean.detach() + (residual * slope).sum(-1)  # (K, B)
        signal, loss = self.baseline(expectation.objective, terms.signal_terms.detach() - expansion, expectation.filled)
        return terms, (signal.unsqueeze(-1) * residual).sum(0) + slope * q.variance.detach(), loss

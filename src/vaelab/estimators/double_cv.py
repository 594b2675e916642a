"""Double control variates: leave-one-out over values that a Taylor expansion has already made alike."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from vaelab.conditionals import Code
from vaelab.errors import InputError
from vaelab.estimators.baselines import leave_one_out
from vaelab.estimators.contract import Estimate, Estimator, require_bernoulli
from vaelab.models.latent import LatentVariableModel
from vaelab.objectives import Objective

__all__ = ["DoubleCV"]


class DoubleCV(Estimator):
    """Leave-one-out plus a linear control variate whose slope comes from the other codes.

    Formula: with s_k the mean of f'(z_j) over j != k and v_k = f(z_k) + alpha s_k . (z_k - p), p = sigmoid(l),
    grad_l E_q[f(z)] ~ 1/K sum_k (v_k - mean_{j != k} v_j) (z_k - p) - alpha p (1 - p) mean_k f'(z_k).
    alpha starts at zero and follows the gradient of the mean square of the estimate. The gradients f' of
    the K codes come from one backward pass: no further decoder evaluations.
    Source: Titsias & Shi (2022), https://arxiv.org/abs/2111.05300.

    Args:
        samples: K, codes drawn for each observation, at least 2.

    Raises:
        InputError: fewer than 2 codes.

    >>> from vaelab.models import bernoulli_vae
    >>> from vaelab.objectives import ELBO
    >>> DoubleCV(samples=3)(bernoulli_vae(6, latent_dim=3), ELBO(), torch.ones(5, 6)).surrogate.shape
    torch.Size([5])
    """

    name: ClassVar[str] = "double-cv"
    codes: ClassVar[frozenset[Code]] = frozenset({"bits"})
    objectives: ClassVar[frozenset[str]] = frozenset({"elbo"})

    def __init__(self, samples: int = 2) -> None:
        super().__init__(samples)
        if samples < 2:
            raise InputError(f"estimator.samples: expected at least 2, to leave one out; got {samples}")
        self.alpha = nn.Parameter(torch.zeros(()))

    def draw(self, q: Distribution, objective: Objective) -> Tensor:
        """Draw z (K, B, D)."""
        z: Tensor = q.sample((self.samples,))
        return z

    def score(
        self, model: LatentVariableModel, objective: Objective, x: Tensor, q: Distribution, drawn: Tensor
    ) -> Estimate:
        """The surrogate is the objective plus l times the estimate of its gradient."""
        q = require_bernoulli(self.name, q)
        z = drawn.detach().requires_grad_()
        terms = objective.terms(model, x, q, z)
        value = objective.integrand(terms)  # (K, B)
        (slopes,) = torch.autograd.grad(value.sum(), z, retain_graph=True)  # (K, B, D)
        slope = slopes.mean(0)  # (B, D)
        others = (self.samples * slope - slopes) / (self.samples - 1)
        residual = drawn - q.mean.detach()  # (K, B, D)
        values = value.detach() + self.alpha * (others * residual).sum(-1)
        signal = leave_one_out(objective, values)  # (K, B), over K already
        correction = self.alpha * q.variance.detach() * slope
        gradient = (signal.unsqueeze(-1) * residual).sum(0) - correction  # (B, D)
        surrogate = objective(objective.values(terms)) + (gradient.detach() * q.logits).sum(-1)
        return Estimate.of(objective, terms, surrogate, gradient.square().sum(-1).mean())

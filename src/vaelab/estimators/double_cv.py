"""Double control variates: leave-one-out over values whose variance a Taylor expansion has reduced."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from vaelab.distributions import Bernoulli
from vaelab.estimators.baselines import leave_one_out
from vaelab.estimators.contract import BernoulliEstimator, Expectation, Sizes, require_samples
from vaelab.models.latent import LatentVariableModel
from vaelab.objectives import Terms

__all__ = ["DoubleCV"]


class DoubleCV(BernoulliEstimator):
    """Leave-one-out plus a linear control variate whose slope is computed from the other codes.

    Formula: with `s_k` the mean of `f'(z_j)` over `j != k`, `v_k = f(z_k) + alpha s_k . (z_k - p)` and `p =
    sigmoid(l)`,

    `grad_l E_q[f(z)] ~ 1/K sum_k (v_k - mean_{j != k} v_j) (z_k - p) - alpha p (1 - p) mean_k f'(z_k)`.

    `alpha` starts at zero and follows the gradient of the mean square of the estimate. The gradients `f'` of the `K`
    codes come from one backward pass, so no further decoder evaluations are needed. Source: Titsias & Shi (2022),
    https://arxiv.org/abs/2111.05300.

    Args:
        model: the model that it is for, or its sizes.
        samples: K, codes drawn for each observation, at least 2.

    Raises:
        InputError: fewer than 2 codes.

    >>> from vaelab.models import bernoulli_vae
    >>> from vaelab.objectives import ELBO
    >>> model = bernoulli_vae(6, latent_dim=3)
    >>> DoubleCV(model, samples=3)(model, ELBO(), torch.ones(5, 6)).surrogate.shape
    torch.Size([5])
    """

    name: ClassVar[str] = "double-cv"
    learns: ClassVar[str] = "the weight of the control variate"

    def __init__(self, model: LatentVariableModel | Sizes, samples: int = 2) -> None:
        super().__init__(model, samples)
        require_samples(samples, 2, ", to leave one out")
        self.alpha = nn.Parameter(torch.zeros(()))
        self.to(self.sizes.like)

    def gradient(self, expectation: Expectation, q: Bernoulli, drawn: Tensor) -> tuple[Terms, Tensor, Tensor | None]:
        """The auxiliary loss is the mean square of the estimate."""
        z = drawn.detach().requires_grad_()
        terms = expectation.terms(z)
        value = terms.signal_terms  # (K, B)
        (slopes,) = torch.autograd.grad(value.sum(), z, retain_graph=True)  # (K, B, D)
        slope = slopes.mean(0)  # (B, D)
        others = (self.samples * slope - slopes) / (self.samples - 1)
        residual = drawn - q.mean.detach()  # (K, B, D)
        values = value.detach() + self.alpha * (others * residual).sum(-1)
        signal = leave_one_out(expectation.objective, values)  # (K, B), over K already
        correction = self.alpha * q.variance.detach() * slope
        gradient = (signal.unsqueeze(-1) * residual).sum(0) - correction  # (B, D)
        return terms, gradient, gradient.square().sum(-1).mean()

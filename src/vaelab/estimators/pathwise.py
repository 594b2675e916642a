"""The pathwise estimator: differentiate through the draw of the code."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.distributions import Distribution

from vaelab.conditionals import Code
from vaelab.estimators.contract import Estimate, Estimator
from vaelab.models.latent import LatentVariableModel
from vaelab.objectives import Objective

__all__ = ["Pathwise"]


class Pathwise(Estimator):
    """Reparameterised codes: z = mu + sigma * eps, so the gradient flows through z.

    Formula: grad E_q[f(z)] ~ 1/K sum_k grad f(mu + sigma eps_k), eps_k ~ N(0, I). With a deterministic
    auto-encoder the code is its own draw. Source: Kingma & Welling (2013), https://arxiv.org/abs/1312.6114;
    Rezende, Mohamed & Wierstra (2014), https://arxiv.org/abs/1401.4082.

    >>> import torch
    >>> from vaelab.models import gaussian_vae
    >>> from vaelab.objectives import ELBO
    >>> estimate = Pathwise(samples=3)(gaussian_vae(6, latent_dim=2), ELBO(), torch.ones(4, 6))
    >>> estimate.bound.shape
    torch.Size([4])
    """

    name: ClassVar[str] = "pathwise"
    codes: ClassVar[frozenset[Code]] = frozenset({"real", "point"})

    def draw(self, q: Distribution) -> Tensor:
        """Draw z (K, B, D) as a differentiable function of q's parameters."""
        z: Tensor = q.rsample((self.samples,))
        return z

    def score(
        self, model: LatentVariableModel, objective: Objective, x: Tensor, q: Distribution, z: Tensor
    ) -> Estimate:
        """The surrogate is the objective itself."""
        terms = objective.terms(model, x, q, z)
        return Estimate.of(objective, terms, objective(objective.values(terms)))

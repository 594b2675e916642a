"""Straight-through estimators: bits on the way forward, something differentiable on the way back."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaelab.conditionals import Code
from vaelab.estimators.contract import Estimate, Estimator, require_bernoulli
from vaelab.estimators.relaxation import logistic, require_temperature, uniform
from vaelab.models.latent import LatentVariableModel
from vaelab.objectives import Objective

__all__ = ["GumbelStraightThrough", "StraightThrough"]


class StraightThrough(Estimator):
    """Decode a bit, and differentiate as if its probability had been decoded. Biased for the encoder.

    Formula: grad_l E_q[f(z)] ~ 1/K sum_k f'(z_k) p (1 - p), p = sigmoid(l): the variant that keeps the derivative
    of the sigmoid, which for a linear f is exact. Decoder and prior get the same
    gradient as from any code, without bias. Source: Bengio, Leonard & Courville (2013),
    https://arxiv.org/abs/1308.3432.

    Args:
        samples: K, codes drawn for each observation.

    >>> from vaelab.models import bernoulli_vae
    >>> from vaelab.objectives import ELBO
    >>> StraightThrough()(bernoulli_vae(6, latent_dim=3), ELBO(), torch.ones(4, 6)).surrogate.shape
    torch.Size([4])
    """

    name: ClassVar[str] = "straight-through"
    codes: ClassVar[frozenset[Code]] = frozenset({"bits"})
    objectives: ClassVar[frozenset[str]] = frozenset({"elbo"})
    biased: ClassVar[frozenset[str]] = frozenset({"elbo"})

    def draw(self, q: Distribution, objective: Objective) -> Tensor:
        """Draw z (K, B, D)."""
        z: Tensor = q.sample((self.samples,))
        return z

    def score(
        self, model: LatentVariableModel, objective: Objective, x: Tensor, q: Distribution, drawn: Tensor
    ) -> Estimate:
        """The surrogate is the objective of bits that carry the derivative of their probability."""
        terms = objective.terms(model, x, q, drawn + q.mean - q.mean.detach())
        return Estimate.of(objective, terms, objective(objective.values(terms)))


class GumbelStraightThrough(Estimator):
    """Decode a bit, and differentiate as if its relaxation had been decoded. Biased for the encoder.

    Formula: with y = sigmoid((l + log u - log(1 - u)) / t) and z = 1(y > 1/2),
    grad_l E_q[f(z)] ~ 1/K sum_k f'(z_k) grad_l y_k. Decoder and prior get the same gradient as from any code,
    without bias. Shapes: u (K, B, D). The temperature is held at the lowest the paper anneals to.
    Source: Jang, Gu & Poole (2017), https://arxiv.org/abs/1611.01144.

    Args:
        samples: K, codes drawn for each observation.
        temperature: t, above 0.

    Raises:
        InputError: a temperature of zero or less.

    >>> from vaelab.models import bernoulli_vae
    >>> from vaelab.objectives import ELBO
    >>> GumbelStraightThrough()(bernoulli_vae(6, latent_dim=3), ELBO(), torch.ones(4, 6)).surrogate.shape
    torch.Size([4])
    """

    name: ClassVar[str] = "gumbel-straight-through"
    codes: ClassVar[frozenset[Code]] = frozenset({"bits"})
    objectives: ClassVar[frozenset[str]] = frozenset({"elbo"})
    biased: ClassVar[frozenset[str]] = frozenset({"elbo"})

    def __init__(self, samples: int = 1, temperature: float = 0.5) -> None:
        super().__init__(samples)
        self.temperature = require_temperature("estimator.temperature", temperature)

    def draw(self, q: Distribution, objective: Objective) -> Tensor:
        """Draw uniform noise u (K, B, D)."""
        return uniform(q, self.samples)

    def score(
        self, model: LatentVariableModel, objective: Objective, x: Tensor, q: Distribution, drawn: Tensor
    ) -> Estimate:
        """The surrogate is the objective of bits that carry the derivative of their relaxation."""
        q = require_bernoulli(self.name, q)
        z = logistic(drawn, q.logits)  # (K, B, D)
        relaxed = torch.sigmoid(z / self.temperature)
        bits = (z > 0).to(z.dtype) + (relaxed - relaxed.detach())
        terms = objective.terms(model, x, q, bits)
        return Estimate.of(objective, terms, objective(objective.values(terms)))

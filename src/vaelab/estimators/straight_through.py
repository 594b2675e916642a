"""Straight-through estimators: bits in the forward pass, a differentiable function in the backward pass."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from vaelab.distributions import Code
from vaelab.estimators.contract import Estimate, Estimator, Expectation, Sizes, require_bernoulli
from vaelab.estimators.relaxation import logistic, require_temperature, uniform
from vaelab.models.latent import LatentVariableModel
from vaelab.objectives import Combination

__all__ = ["GumbelStraightThrough", "StraightThrough"]


class StraightThrough(Estimator):
    """Decode a bit, and differentiate as if its probability had been decoded. Biased for the encoder.

    Formula: `grad_l E_q[f(z)] ~ 1/K sum_k f'(z_k) p (1 - p)` with `p = sigmoid(l)`. This variant keeps the derivative
    of the sigmoid, so it is exact for a linear `f`. The gradients for decoder and prior are unbiased. Source: Bengio,
    Leonard & Courville (2013), https://arxiv.org/abs/1308.3432.

    Args:
        model: the model that it is for, or its sizes.
        samples: K, codes drawn for each observation.

    >>> from vaelab.models import bernoulli_vae
    >>> from vaelab.objectives import ELBO
    >>> model = bernoulli_vae(6, latent_dim=3)
    >>> StraightThrough(model)(model, ELBO(), torch.ones(4, 6)).surrogate.shape
    torch.Size([4])
    """

    name: ClassVar[str] = "straight-through"
    codes: ClassVar[frozenset[Code]] = frozenset({"bits"})
    combinations: ClassVar[frozenset[Combination]] = frozenset({"mean"})
    biased: ClassVar[frozenset[Combination]] = frozenset({"mean"})
    bias: ClassVar[str] = "a derivative replaces the difference of `f` between the two values of a bit"

    def score(self, expectation: Expectation, drawn: Tensor) -> Estimate:
        """The surrogate is the objective of bits that carry the derivative of their probability."""
        mean = expectation.q.mean
        terms = expectation.terms(drawn + mean - mean.detach())
        return Estimate.of(expectation.objective, terms, expectation.objective(terms.log_weights))


class GumbelStraightThrough(Estimator):
    """Decode a bit, and differentiate as if its relaxation had been decoded. Biased for the encoder.

    Formula: with `y = sigmoid((l + log u - log(1 - u)) / t)` and `z = 1(y > 1/2)`,

    `grad_l E_q[f(z)] ~ 1/K sum_k f'(z_k) grad_l y_k`.

    The gradients for decoder and prior are unbiased. Shapes: u (K, B, D). The temperature is constant, by default the
    lowest to which the paper anneals. Source: Jang, Gu & Poole (2017), https://arxiv.org/abs/1611.01144.

    Args:
        model: the model that it is for, or its sizes.
        samples: K, codes drawn for each observation.
        temperature: t, above 0.

    Raises:
        InputError: a temperature of zero or less.

    >>> from vaelab.models import bernoulli_vae
    >>> from vaelab.objectives import ELBO
    >>> model = bernoulli_vae(6, latent_dim=3)
    >>> GumbelStraightThrough(model)(model, ELBO(), torch.ones(4, 6)).surrogate.shape
    torch.Size([4])
    """

    name: ClassVar[str] = "gumbel-straight-through"
    codes: ClassVar[frozenset[Code]] = frozenset({"bits"})
    combinations: ClassVar[frozenset[Combination]] = frozenset({"mean"})
    biased: ClassVar[frozenset[Combination]] = frozenset({"mean"})
    bias: ClassVar[str] = "a derivative replaces the difference of `f` between the two values of a bit"

    def __init__(self, model: LatentVariableModel | Sizes, samples: int = 1, temperature: float = 0.5) -> None:
        super().__init__(model, samples)
        self.temperature = require_temperature("estimator.temperature", temperature)

    def draw(self, expectation: Expectation) -> Tensor:
        """Draw uniform noise u (K, B, D)."""
        return uniform(expectation.q, self.samples)

    def score(self, expectation: Expectation, drawn: Tensor) -> Estimate:
        """The surrogate is the objective of bits that carry the derivative of their relaxation."""
        q = require_bernoulli(self.name, expectation.q)
        z = logistic(drawn, q.logits)  # (K, B, D)
        relaxed = torch.sigmoid(z / self.temperature)
        terms = expectation.terms((z > 0).to(z.dtype) + (relaxed - relaxed.detach()))
        return Estimate.of(expectation.objective, terms, expectation.objective(terms.log_weights))

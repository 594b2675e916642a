"""Concrete: train a relaxed model by the pathwise gradient, and report the bound of the discrete model."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from vaelab.distributions import Code
from vaelab.estimators.contract import Cost, Estimate, Estimator, Expectation, Sizes, require_bernoulli
from vaelab.estimators.relaxation import logistic, require_temperature, uniform
from vaelab.models.latent import LatentVariableModel
from vaelab.objectives import Combination, Terms

__all__ = ["Concrete"]


class Concrete(Estimator):
    """Binary Concrete (Gumbel-softmax) codes: posterior and prior relaxed, reparameterised.

    Formula: `y = (l + log u - log(1 - u)) / t`, and the decoder reads `sigmoid(y)`. With the density

    `log q(y) = sum_j log t - a_j - 2 softplus(-a_j), a = t y - l`,

    and `log p(y)` of the same form with the temperature and logits of the prior, it maximises the objective of the
    relaxed log-weights `log p(x|sigmoid(y)) + log p(y) - log q(y)`. Its gradient is exact for the relaxed bound, and
    biased for the discrete one. ``bound`` is that of the discrete codes `1(y > 0)`, decoded separately without a
    gradient; ``relaxed`` is the bound that is trained. Shapes: u (K, B, D). Source: Maddison, Mnih & Teh (2017),
    https://arxiv.org/abs/1611.00712; also Jang, Gu & Poole (2017), https://arxiv.org/abs/1611.01144.

    Args:
        model: the model that it is for, or its sizes.
        samples: K, codes drawn for each observation.
        temperature: t of the posterior, above 0.
        prior_temperature: t of the prior, above 0.

    Raises:
        InputError: a temperature of zero or less.

    >>> from vaelab.models import bernoulli_vae
    >>> from vaelab.objectives import IWAE
    >>> model = bernoulli_vae(6, latent_dim=3)
    >>> Concrete(model, samples=5)(model, IWAE(), torch.ones(4, 6)).relaxed.shape
    torch.Size([4])
    """

    name: ClassVar[str] = "concrete"
    codes: ClassVar[frozenset[Code]] = frozenset({"bits"})
    biased: ClassVar[frozenset[Combination]] = frozenset({"mean", "log-mean-exp"})
    supports_free_bits: ClassVar[bool] = False
    bias: ClassVar[str] = "it is exact for the bound of a relaxed model, whose codes lie between 0 and 1"
    cost: ClassVar[Cost] = Cost(2)  # the relaxed codes, and the bits they round to

    def __init__(
        self,
        model: LatentVariableModel | Sizes,
        samples: int = 1,
        temperature: float = 2 / 3,
        prior_temperature: float = 0.5,
    ) -> None:
        super().__init__(model, samples)
        self.temperature = require_temperature("temperature", temperature)
        self.prior_temperature = require_temperature("prior_temperature", prior_temperature)

    def draw(self, expectation: Expectation) -> Tensor:
        """Draw uniform noise u (K, B, D)."""
        return uniform(expectation.q, self.samples)

    def score(self, expectation: Expectation, drawn: Tensor) -> Estimate:
        """The surrogate is the objective of the relaxed log-weights."""
        model, objective = expectation.model, expectation.objective
        q = require_bernoulli(self.name, expectation.q)
        prior = require_bernoulli(self.name, model.prior(), "prior")
        y = logistic(drawn, q.logits) / self.temperature  # (K, B, D)
        log_q = _log_density(y, q.logits, self.temperature)  # (K, B)
        log_p = _log_density(y, prior.logits, self.prior_temperature)
        log_likelihood = model.log_likelihood(expectation.x, torch.sigmoid(y))
        relaxed = Terms(log_likelihood, log_q - log_p, objective.beta)
        with torch.no_grad():
            discrete = expectation.terms((y > 0).to(y.dtype))
        surrogate = objective(relaxed.log_weights)
        return Estimate.of(objective, discrete, surrogate, relaxed=objective.bound(relaxed))


def _log_density(y: Tensor, logits: Tensor, temperature: float) -> Tensor:
    """Return the log-density of (l + logistic noise) / t at y (K, B, D), shape (K, B)."""
    a = temperature * y - logits
    return (math.log(temperature) - a - 2 * F.softplus(-a)).sum(-1)

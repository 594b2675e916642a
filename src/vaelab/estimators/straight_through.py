"""Straight-through estimators: bits in the forward pass, a differentiable function in the backward pass."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from vaelab.distributions import Code
from vaelab.errors import require_int
from vaelab.estimators.contract import Estimate, Estimator, Expectation, Sizes, require_bernoulli
from vaelab.estimators.relaxation import conditional_noise, logistic, require_temperature, uniform
from vaelab.models.latent import LatentVariableModel
from vaelab.objectives import Combination

__all__ = ["GumbelStraightThrough", "Half", "StraightThrough"]


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


class Half(Estimator):
    """Straight-through of second order: half of the derivative stands for the difference of a bit. Biased.

    Formula: with `p = sigmoid(l)` and `pi = 1/2 (z + sigmoid(l / t))`,

    `grad_l E_q[f(z)] ~ 1/K sum_k f'(z_k) (2 pi_k (1 - pi_k) - 1/2 p (1 - p))`,

    which for the temperature `t = 1` is `1/2 f'(z) (1 - p)` where `z = 1` and `1/2 f'(z) p` where `z = 0`. Its mean is
    then `1/2 p (1 - p) (f'_j(1) + f'_j(0))`, the trapezoidal rule for the difference `f_j(1) - f_j(0)`, which is exact
    for a quadratic `f`; the mean of straight-through, `p (1 - p) (p f'_j(1) + (1 - p) f'_j(0))`, is so at `p = 1/2`
    alone, where the two are equal, and elsewhere for a linear `f`. The same rule has four names: that of DARN (Gregor,
    Danihelka, Mnih, Blundell & Wierstra, 2014, https://arxiv.org/abs/1310.8499), ReinMax at `t = 1`, ZGR for bits
    (Shekhovtsov, 2023, https://proceedings.mlr.press/v202/shekhovtsov23a.html), and the limit of Gumbel-Rao at
    temperature 0. The form with `t` is that of ReinMax, whose authors use 1 and a little more. The gradients for
    decoder and prior are unbiased. Source: Liu, Dong, Liu, Yu & Gao (2023), https://arxiv.org/abs/2304.08612.

    Args:
        model: the model that it is for, or its sizes.
        samples: K, codes drawn for each observation.
        temperature: t, above 0.

    Raises:
        InputError: a temperature of zero or less.

    >>> from vaelab.models import bernoulli_vae
    >>> from vaelab.objectives import ELBO
    >>> model = bernoulli_vae(6, latent_dim=3)
    >>> Half(model)(model, ELBO(), torch.ones(4, 6)).surrogate.shape
    torch.Size([4])
    """

    name: ClassVar[str] = "half"
    codes: ClassVar[frozenset[Code]] = frozenset({"bits"})
    combinations: ClassVar[frozenset[Combination]] = frozenset({"mean"})
    biased: ClassVar[frozenset[Combination]] = frozenset({"mean"})
    bias: ClassVar[str] = "half of each derivative replaces the difference of `f` between the two values of a bit"

    def __init__(self, model: LatentVariableModel | Sizes, samples: int = 1, temperature: float = 1.0) -> None:
        super().__init__(model, samples)
        self.temperature = require_temperature("temperature", temperature)

    def score(self, expectation: Expectation, drawn: Tensor) -> Estimate:
        """The surrogate is the objective of bits that carry half of the derivative."""
        q = require_bernoulli(self.name, expectation.q)
        # 2 pi (1 - pi), with 1 - sigmoid as sigmoid of the negative, which keeps its digits
        soft, complement = (torch.sigmoid(sign * q.logits.detach() / self.temperature) for sign in (1, -1))
        twice = (drawn + soft) * (1 - drawn + complement)  # (K, B, D)
        terms = expectation.terms(_carry(drawn, (twice - q.variance.detach()) / 2, q.logits))
        return Estimate.of(expectation.objective, terms, expectation.objective(terms.log_weights))


class GumbelStraightThrough(Estimator):
    """Decode a bit, and differentiate as if its relaxation had been decoded. Biased for the encoder.

    Formula: with `y = sigmoid((l + log u - log(1 - u)) / t)` and `z = 1(y > 1/2)`,

    `grad_l E_q[f(z)] ~ 1/K sum_k f'(z_k) grad_l y_k`.

    With ``conditional_samples`` K' above 1 the derivative `grad_l y = y (1 - y) / t` is averaged over K' draws of the
    noise given the bits: the noise that gave them, and K' - 1 others. Nothing more is decoded, the mean is the same,
    and the variance is never larger (Gumbel-Rao: Paulus, Maddison & Krause, 2021, https://arxiv.org/abs/2010.04838).

    The gradients for decoder and prior are unbiased. Shapes: u (K' K, B, D), the noise of the K codes first. The
    temperature is constant, by default the lowest to which the paper anneals. Source: Jang, Gu & Poole (2017),
    https://arxiv.org/abs/1611.01144.

    Args:
        model: the model that it is for, or its sizes.
        samples: K, codes drawn for each observation.
        temperature: t, above 0.
        conditional_samples: K', draws of the noise for each code.

    Raises:
        InputError: a temperature of zero or less, or fewer than one draw of the noise.

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

    def __init__(
        self,
        model: LatentVariableModel | Sizes,
        samples: int = 1,
        temperature: float = 0.5,
        conditional_samples: int = 1,
    ) -> None:
        super().__init__(model, samples)
        self.temperature = require_temperature("temperature", temperature)
        self.conditional_samples = require_int("conditional_samples", conditional_samples, 1)

    def draw(self, expectation: Expectation) -> Tensor:
        """Draw uniform noise u (K' K, B, D)."""
        return uniform(expectation.q, self.conditional_samples * self.samples)

    def score(self, expectation: Expectation, drawn: Tensor) -> Estimate:
        """The surrogate is the objective of bits that carry the derivative of their relaxation."""
        q = require_bernoulli(self.name, expectation.q)
        first, others = drawn[: self.samples], drawn[self.samples :]
        z = logistic(first, q.logits)  # (K, B, D)
        bits, relaxed = (z > 0).to(z.dtype), torch.sigmoid(z / self.temperature)
        if len(others):
            relaxed = self._averaged(relaxed, others, bits, q.logits)
        terms = expectation.terms(bits + (relaxed - relaxed.detach()))
        return Estimate.of(expectation.objective, terms, expectation.objective(terms.log_weights))

    def _averaged(self, relaxed: Tensor, noise: Tensor, bits: Tensor, logits: Tensor) -> Tensor:
        """Return a function of the logits, (K, B, D), with the mean derivative of K' relaxations of the same bits."""
        others = conditional_noise(noise.view(-1, *bits.shape), logits.detach(), bits) / self.temperature
        slope = torch.sigmoid(others) * torch.sigmoid(-others) / self.temperature  # (K' - 1, K, B, D)
        return _carry(relaxed, slope.sum(0), logits) / self.conditional_samples


def _carry(value: Tensor, slope: Tensor, logits: Tensor) -> Tensor:
    """Return a value whose derivative by the logits is larger by ``slope``, which is held constant."""
    return value + slope * (logits - logits.detach())

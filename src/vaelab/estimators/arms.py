"""ARMS: any number of mutually antithetic codes, coupled by a copula."""

from __future__ import annotations

import math
from typing import ClassVar, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from vaelab.distributed import normal, uniform
from vaelab.distributions import Bernoulli
from vaelab.errors import require_choice
from vaelab.estimators.antithetic import swap_one, values_of_partners
from vaelab.estimators.contract import (
    ANY_COMBINATION,
    BernoulliEstimator,
    Cost,
    Expectation,
    Sizes,
    require_samples,
)
from vaelab.models.latent import LatentVariableModel
from vaelab.objectives import Combination, Terms

__all__ = ["ARMS", "Copula"]

Copula = Literal["dirichlet", "gaussian"]


class ARMS(BernoulliEstimator):
    """Antithetic-REINFORCE-multi-sample: leave-one-out over K negatively correlated codes.

    Formula: for `K` bits with mean `p = sigmoid(l)` and correlation `rho` between any two,

    `grad_l E_q[f(z)] ~ 1/(K - 1) sum_k (f(z_k) - mean_j f(z_j)) (z_k - p) / (1 - rho)`,

    where `1 - rho = (p - P(z_i = z_j = 1)) / (p (1 - p))`. The bits are `1(u_k < p)`, and the uniform numbers `u_k` are
    coupled by the copula:

    - ``dirichlet``: `u_k = (1 - d_k)^(K - 1)` with `d` uniform on the simplex; `1 - u_k` where `p > 1/2`;

    - ``gaussian``: `u_k = Phi(g_k)` with normal `g_k` of correlation `-1/(K - 1)`, the lowest possible.

    With two codes this is DisARM, with independent codes leave-one-out. For the importance-weighted bound `L` the `K`
    codes are independent, and each in turn is replaced by `K` coupled ones `z'_i`:

    `sum_k 1/(K - 1) sum_i (L(z'_i, z_-k) - mean_j L(z'_j, z_-k)) (z'_i - p) / (1 - rho)`,

    which decodes `2 K` codes, and likewise for any other function of `K` codes. Shapes: codes (K, B, D); (2 K, B, D)
    for the importance-weighted bound, the independent ones first. Source: Dimitriev & Zhou (2021),
    https://arxiv.org/abs/2105.14141.

    Args:
        model: the model that it is for, or its sizes.
        samples: K, at least 2 (3 for the Gaussian copula).
        copula: ``dirichlet`` or ``gaussian``.

    Raises:
        InputError: too few codes for the copula.

    >>> from vaelab.models import bernoulli_vae
    >>> from vaelab.objectives import ELBO
    >>> model = bernoulli_vae(6, latent_dim=3)
    >>> ARMS(model, samples=4)(model, ELBO(), torch.ones(5, 6)).surrogate.shape
    torch.Size([5])
    """

    name: ClassVar[str] = "arms"
    combinations: ClassVar[frozenset[Combination]] = ANY_COMBINATION
    cost_of_others: ClassVar[Cost | None] = Cost(2)

    def __init__(self, model: LatentVariableModel | Sizes, samples: int = 4, copula: Copula = "dirichlet") -> None:
        super().__init__(model, samples)
        require_choice("copula", copula, get_args(Copula))
        require_samples(samples, 2 if copula == "dirichlet" else 3, f" for the copula {copula}")
        self.copula: Copula = copula

    def draw(self, expectation: Expectation) -> Tensor:
        """Draw K coupled codes (K, B, D); for the importance-weighted bound after K independent ones."""
        p = expectation.q.mean.detach()
        noise = normal if self.copula == "gaussian" else uniform
        free = noise((self.samples, *p.shape), p)
        if self.copula == "gaussian":
            scale = math.sqrt(self.samples / (self.samples - 1))
            coupled = torch.special.ndtr((free - free.mean(0)) * scale) < p
        else:
            exponential = -torch.log1p(-free)
            u = (1 - exponential / exponential.sum(0)) ** (self.samples - 1)
            coupled = torch.where(p > 0.5, 1 - u, u) < p
        z = coupled.to(p.dtype)
        return z if expectation.objective.combination == "mean" else torch.cat([super().draw(expectation), z])

    def gradient(self, expectation: Expectation, q: Bernoulli, drawn: Tensor) -> tuple[Terms, Tensor, Tensor | None]:
        """The signals multiply the coupled codes less their mean, divided by 1 - rho."""
        z, coupled = drawn[: self.samples], drawn[-self.samples :]
        if expectation.objective.combination == "mean":
            terms = expectation.terms(z)
            values = terms.signal_terms.detach()  # (K, B)
        else:
            others = values_of_partners(expectation, coupled)  # (K, B)
            z = z.clone()  # else the graph would keep the coupled codes' memory as well
            terms = expectation.terms(z)
            # (K coupled, K replaced, B): each coupled code in the place of each code, summed over the places
            target = expectation.objective.encoder
            values = swap_one(target, terms.log_weights.detach(), others.unsqueeze(1)).sum(1)
        signal = (values - values.mean(0)) / (self.samples - 1)  # (K, B)
        residual = coupled - q.mean.detach()  # (K, B, D)
        return terms, (signal.unsqueeze(-1) * residual).sum(0) * self._decorrelation(q.logits.detach()), None

    def _decorrelation(self, logits: Tensor) -> Tensor:
        """Return 1 / (1 - rho), (B, D), for bits of these logits: p (1 - p) / (p - P(both are one))."""
        # Of the rarer value, probability m <= 1/2, for precision: rho is the same for a bit and its complement.
        m = torch.sigmoid(-logits.abs()).clamp_min(torch.finfo(logits.dtype).tiny)
        if self.copula == "gaussian":
            both = _both_below(torch.special.ndtri(m), -1 / (self.samples - 1))
        else:
            both = (2 * m ** (1 / (self.samples - 1)) - 1).clamp_min(0) ** (self.samples - 1)
        return (1 - m) / (1 - both / m)


def _both_below(limit: Tensor, correlation: float) -> Tensor:
    """Return P(g_1 < a, g_2 < a), (B, D), for standard normals of negative correlation.

    Formula: `Phi(a)^2 - 1/(2 pi) int_{arcsin rho}^0 exp(-a^2 / (1 + sin t)) dt`, by Gauss-Legendre quadrature. Source:
    Owen (1956), https://doi.org/10.1214/aoms/1177728074.

    >>> _both_below(torch.zeros(1), -0.5)  # 1/4 + arcsin(rho) / (2 pi)
    tensor([0.1667])
    """
    nodes, weights = np.polynomial.legendre.leggauss(16)
    low = math.asin(correlation)
    total: Tensor = torch.special.ndtr(limit).square()
    for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        total = total + weight * low / (2 * math.pi) * torch.exp(-limit.square() / (1 + math.sin(low * (1 - node))))
    return total.clamp_min(0)

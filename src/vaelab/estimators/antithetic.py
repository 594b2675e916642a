"""Antithetic pairs of bits: ARM, and DisARM, which integrates out what ARM leaves to chance."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaelab.chains import Chain
from vaelab.conditionals import Code
from vaelab.distributed import uniform
from vaelab.errors import InputError
from vaelab.estimators.contract import Estimate, Estimator, require_bernoulli
from vaelab.models.latent import LatentVariableModel
from vaelab.objectives import Objective

__all__ = ["ARM", "DisARM", "swap_one", "values_of_partners"]


class ARM(Estimator):
    """Augment-REINFORCE-merge: one uniform drives a pair of codes and weighs their difference.

    Formula: with z = 1(u > 1 - p) and z' = 1(u < p), u uniform on (0, 1)^D and p = sigmoid(l),
    grad_l E_q[f(z)] ~ (f(z) - f(z')) (u - 1/2), averaged over K/2 independent u. Shapes: u (K/2, B, D).
    Source: Yin & Zhou (2019), https://arxiv.org/abs/1807.11143.

    Args:
        samples: K, codes decoded for each observation: K/2 pairs.

    Raises:
        InputError: an odd number of codes.

    >>> from vaelab.models import bernoulli_vae
    >>> from vaelab.objectives import ELBO
    >>> ARM(samples=2)(bernoulli_vae(6, latent_dim=3), ELBO(), torch.ones(4, 6)).surrogate.shape
    torch.Size([4])
    """

    name: ClassVar[str] = "arm"
    codes: ClassVar[frozenset[Code]] = frozenset({"bits"})
    objectives: ClassVar[frozenset[str]] = frozenset({"elbo"})

    def __init__(self, samples: int = 2) -> None:
        super().__init__(samples)
        _require_even(samples)

    def draw(self, q: Distribution, objective: Objective) -> Tensor:
        """Draw uniform noise u (K/2, B, D)."""
        p = q.mean.detach()
        return uniform((self.samples // 2, *p.shape), p)

    def score(
        self, model: LatentVariableModel, objective: Objective, x: Tensor, q: Distribution, drawn: Tensor
    ) -> Estimate:
        """The surrogate is the objective of all K codes plus l times the estimate of its gradient."""
        q = require_bernoulli(self.name, q)
        terms = objective.terms(model, x, q, _pairs(drawn, q.mean.detach()))
        first, second = objective.integrand(terms).detach().chunk(2)  # (K/2, B) each
        gradient = ((first - second).unsqueeze(-1) * (drawn - 0.5)).mean(0)  # (B, D)
        return Estimate.of(objective, terms, objective(objective.values(terms)) + (gradient * q.logits).sum(-1))


class DisARM(Estimator):
    """Antithetic pairs of codes, the noise that made them integrated out (DisARM, or U2G).

    Formula: with the pair z = 1(u > 1 - p), z' = 1(u < p), p = sigmoid(l),
    grad_l E_q[f(z)] ~ 1/2 (f(z) - f(z')) (z - z') sigmoid(|l|), averaged over K/2 independent pairs. For the
    importance-weighted bound L of K codes each code z_k has a partner z'_k, and the estimate is
    sum_k 1/2 (L(z_k, z_-k) - L(z'_k, z_-k)) (z_k - z'_k) sigmoid(|l|), averaged with the same under the partners of
    the others, z'_-k in place of z_-k (the authors' symmetrised form, which costs nothing). It decodes 2 K codes.

    A code of several layers has a partner for each: it shares the layers before, is antithetic to z in its own,
    and the layers after it are drawn anew. The gradient of a layer's logits is that of the pairs it parts. In the
    authors' code both codes of a layer's pair are drawn beside the code whose first layers they share, 2 L in all; here
    that code is itself the first of every pair, which takes L. The mean is the same. Several layers under the
    importance-weighted bound are ours.
    Shapes: drawn (M (1 + L), B, D) for L layers, the M codes first, then the partners layer by layer; M is K/2,
    or K for the importance-weighted bound. Sources: Dong, Mnih & Tucker (2020), https://arxiv.org/abs/2006.10680;
    Yin, Ho, Yan, Qian & Zhou (2020), https://arxiv.org/abs/2006.06448.

    Args:
        samples: K: as K/2 pairs, or the K of the importance-weighted bound.

    Raises:
        InputError: an odd number of codes for the evidence lower bound (by ``check``).

    >>> from vaelab.models import bernoulli_vae
    >>> from vaelab.objectives import IWAE
    >>> DisARM(samples=4)(bernoulli_vae(6, latent_dim=3), IWAE(), torch.ones(5, 6)).surrogate.shape
    torch.Size([5])
    """

    name: ClassVar[str] = "disarm"
    codes: ClassVar[frozenset[Code]] = frozenset({"bits"})
    layered: ClassVar[bool] = True

    def __init__(self, samples: int = 2) -> None:
        super().__init__(samples)

    def draw(self, q: Distribution, objective: Objective) -> Tensor:
        """Draw M codes and a partner of each for each layer, (M (1 + L), B, D): pairs, where there is one layer."""
        with torch.no_grad():
            return _branches(_as_chain(q), self.samples // 2 if objective.name == "elbo" else self.samples)

    def score(
        self, model: LatentVariableModel, objective: Objective, x: Tensor, q: Distribution, drawn: Tensor
    ) -> Estimate:
        """The surrogate is the objective of the codes plus l times the estimate of its gradient, for each layer."""
        chain = _as_chain(q)
        count = len(chain.sizes)
        z, *partners = drawn.chunk(1 + count)  # (M, B, D) each
        if objective.name == "elbo":
            terms = objective.terms(model, x, q, drawn)
            first, *others = objective.integrand(terms).detach().chunk(1 + count)
            differences = [(first - other) / len(first) for other in others]  # (M, B) each
        else:
            apart = values_of_partners(objective, model, x, q, torch.cat(partners)).chunk(count)
            z = z.clone()  # else the graph would keep the partners' memory as well
            terms = objective.terms(model, x, q, z)
            values = objective.values(terms).detach()
            differences = []
            for partnered in apart:  # (M, B) each
                among_codes = objective(values) - swap_one(values, partnered)
                among_partners = swap_one(partnered, values) - objective(partnered)
                differences.append((among_codes + among_partners) / 2)
        surrogate = objective(objective.values(terms))  # (B,)
        layers = zip(chain.factors(z), chain.split(z), map(chain.split, partners), differences, strict=True)
        for index, (factor, own, partner, difference) in enumerate(layers):
            logits = require_bernoulli(self.name, factor).logits
            weight = 0.5 * torch.sigmoid(logits.detach().abs())  # (B, D) or (M, B, D)
            gradient = difference.unsqueeze(-1) * (own - partner[index]) * weight  # (M, B, D)
            surrogate = surrogate + (gradient * logits).sum((0, -1))
        return Estimate.of(objective, terms, surrogate)

    def decoder_evaluations(self, objective: Objective, latent_dim: int, layers: int = 1) -> int:
        """K, or 2 K for the importance-weighted bound; half as many again for each further layer."""
        return (1 + layers) * (self.samples // 2 if objective.name == "elbo" else self.samples)

    def check(self, model: LatentVariableModel, objective: Objective) -> None:
        """Refuse an odd number of codes where they form pairs among themselves."""
        super().check(model, objective)
        if objective.name == "elbo":
            _require_even(self.samples)


def values_of_partners(
    objective: Objective, model: LatentVariableModel, x: Tensor, q: Distribution, partners: Tensor
) -> Tensor:
    """Return the values of codes that serve the encoder's gradient alone, (K, B), without a graph."""
    with torch.no_grad():
        return objective.values(objective.terms(model, x, q, partners))


def swap_one(values: Tensor, others: Tensor) -> Tensor:
    """Return the importance-weighted bound with the k-th of K log-weights replaced, shape (..., K, B).

    Formula: log 1/K [w'_k + sum_{j != k} w_j], for log-weights (K, B) and replacements (..., K, B).

    >>> swap_one(torch.tensor([[1.0], [3.0]]), torch.tensor([[3.0], [1.0]]))
    tensor([[3.],
            [1.]])
    """
    own = torch.eye(len(values), dtype=torch.bool, device=values.device).unsqueeze(-1)  # (K, K, 1)
    rest = values.unsqueeze(1).masked_fill(own, -math.inf).logsumexp(0)  # (K, B)
    return torch.logaddexp(rest, others) - math.log(len(values))


def _as_chain(q: Distribution) -> Chain:
    return q if isinstance(q, Chain) else Chain(q, (), q.event_shape)


def _branches(chain: Chain, count: int) -> Tensor:
    """Draw codes and, for each layer, codes that part from them there: ((1 + L) count, B, D)."""
    main: list[Tensor] = []
    partners = []
    for index in range(len(chain.sizes)):
        factor = chain.factor(index, main)
        p = factor.mean.expand(count, *factor.mean.shape[-2:])  # (count, B, D_l)
        own, partner = _pairs(uniform(p.shape, p), p).chunk(2)
        main.append(own)
        partners.append(partner)
    codes = [chain.join(main)]
    for index, partner in enumerate(partners):
        layers = [*main[:index], partner]
        while len(layers) < len(partners):
            layers.append(chain.factor(len(layers), layers).sample())
        codes.append(chain.join(layers))
    return torch.cat(codes)


def _pairs(u: Tensor, p: Tensor) -> Tensor:
    # Numbers are joined, not truth values: a compiler makes vector instructions of the one and not of the other.
    return torch.cat([(u > 1 - p).to(u.dtype), (u < p).to(u.dtype)])


def _require_even(samples: int) -> None:
    if samples % 2:
        raise InputError(f"estimator.samples: expected an even number, for pairs of codes; got {samples}")

"""Antithetic pairs of bits: ARM, and DisARM, which integrates over part of ARM's noise."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaelab.distributed import uniform
from vaelab.distributions import Bernoulli, Chain, Code
from vaelab.estimators.contract import (
    ANY_COMBINATION,
    BernoulliEstimator,
    Cost,
    Estimate,
    Estimator,
    Expectation,
    Sizes,
    direct,
    require_bernoulli,
    require_samples,
)
from vaelab.models.latent import LatentVariableModel
from vaelab.objectives import Combination, Objective, Terms

__all__ = ["ARM", "PAIRS", "DisARM", "as_chain", "pairs_of", "swap_one", "values_of_partners"]

PAIRS = ", for pairs of codes"


class ARM(BernoulliEstimator):
    """Augment-REINFORCE-merge: one vector of uniform noise gives a pair of codes and weights their difference.

    Formula: with `z = 1(u > 1 - p)` and `z' = 1(u < p)`, where `u` is uniform on `(0, 1)^D` and `p = sigmoid(l)`,

    `grad_l E_q[f(z)] ~ (f(z) - f(z')) (u - 1/2)`,

    averaged over `K/2` independent `u`. Shapes: u (K/2, B, D). Source: Yin & Zhou (2019),
    https://arxiv.org/abs/1807.11143.

    Args:
        model: the model that it is for, or its sizes.
        samples: K, codes decoded for each observation: K/2 pairs.

    Raises:
        InputError: an odd number of codes.

    >>> from vaelab.models import bernoulli_vae
    >>> from vaelab.objectives import ELBO
    >>> model = bernoulli_vae(6, latent_dim=3)
    >>> ARM(model, samples=2)(model, ELBO(), torch.ones(4, 6)).surrogate.shape
    torch.Size([4])
    """

    name: ClassVar[str] = "arm"

    def __init__(self, model: LatentVariableModel | Sizes, samples: int = 2) -> None:
        super().__init__(model, samples)
        require_samples(samples, 2, PAIRS, even=True)

    def draw(self, expectation: Expectation) -> Tensor:
        """Draw uniform noise u (K/2, B, D)."""
        p = expectation.q.mean.detach()
        return uniform((self.samples // 2, *p.shape), p)

    def gradient(self, expectation: Expectation, q: Bernoulli, drawn: Tensor) -> tuple[Terms, Tensor, Tensor | None]:
        """The differences within the pairs multiply the noise."""
        terms = expectation.terms(pairs_of(drawn, q.mean.detach()))
        first, second = terms.signal_terms.detach().chunk(2)  # (K/2, B) each
        return terms, ((first - second).unsqueeze(-1) * (drawn - 0.5)).mean(0), None


class DisARM(Estimator):
    """Antithetic pairs of codes; the noise that generated a pair is integrated out (DisARM, or U2G).

    Formula: with the pair `z = 1(u > 1 - p)`, `z' = 1(u < p)` and `p = sigmoid(l)`,

    `grad_l E_q[f(z)] ~ 1/2 (f(z) - f(z')) (z - z') sigmoid(|l|)`,

    averaged over `K/2` independent pairs. For the importance-weighted bound `L` of `K` codes each code `z_k` has a
    partner `z'_k`, and the estimate is

    `sum_k 1/2 (L(z_k, z_-k) - L(z'_k, z_-k)) (z_k - z'_k) sigmoid(|l|)`,

    averaged with the same expression under the partners of the others, `z'_-k` in place of `z_-k` (the authors'
    symmetrised form, which needs no further decoding). It decodes `2 K` codes. The proof holds for any function `L` of
    `K` codes.

    A code of several layers has a partner for each layer. The partner is equal to `z` in the earlier layers and
    antithetic to it in its own layer; the later layers are drawn anew. The gradient for the logits of a layer is
    computed from the pairs of that layer. In the authors' code both codes of a layer's pair are drawn in addition to
    the code whose first layers they share, `2 L` in all; here that code is the first of every pair, which needs `L`.
    The mean is the same. The extension to several layers under the importance-weighted bound is ours.

    Shapes: drawn (M (1 + L), B, D) for L layers, the M codes first, then the partners layer by layer; M is K/2, or K
    for the importance-weighted bound. Sources: Dong, Mnih & Tucker (2020), https://arxiv.org/abs/2006.10680; Yin, Ho,
    Yan, Qian & Zhou (2020), https://arxiv.org/abs/2006.06448.

    Args:
        model: the model that it is for, or its sizes.
        samples: K: as K/2 pairs, or the K of the importance-weighted bound.

    Raises:
        InputError: an odd number of codes for the evidence lower bound (by ``check``).

    >>> from vaelab.models import bernoulli_vae
    >>> from vaelab.objectives import IWAE
    >>> model = bernoulli_vae(6, latent_dim=3)
    >>> DisARM(model, samples=4)(model, IWAE(), torch.ones(5, 6)).surrogate.shape
    torch.Size([5])
    """

    name: ClassVar[str] = "disarm"
    codes: ClassVar[frozenset[Code]] = frozenset({"bits"})
    layered: ClassVar[bool] = True
    cost: ClassVar[Cost] = Cost(0.5, layers=0.5)
    cost_of_others: ClassVar[Cost | None] = Cost(1, layers=1)
    combinations: ClassVar[frozenset[Combination]] = ANY_COMBINATION

    def __init__(self, model: LatentVariableModel | Sizes, samples: int = 2) -> None:
        super().__init__(model, samples)

    def draw(self, expectation: Expectation) -> Tensor:
        """Draw M codes and a partner of each for each layer, (M (1 + L), B, D): pairs, where there is one layer."""
        is_mean = expectation.objective.combination == "mean"
        with torch.no_grad():
            return _branches(as_chain(expectation.q), self.samples // 2 if is_mean else self.samples)

    def score(self, expectation: Expectation, drawn: Tensor) -> Estimate:
        """The surrogate is the objective of the codes plus l times the estimate of its gradient, for each layer."""
        objective, chain = expectation.objective, as_chain(expectation.q)
        terms, z, partners, differences = self._differences(expectation, drawn, len(chain.sizes))
        surrogate = direct(objective, terms)  # (B,)
        layers = zip(chain.factors(z), chain.split(z), map(chain.split, partners), differences, strict=True)
        for index, (factor, code, partner, difference) in enumerate(layers):
            logits = require_bernoulli(self.name, factor).logits
            weight = 0.5 * torch.sigmoid(logits.detach().abs())  # (B, D) or (M, B, D)
            gradient = difference.unsqueeze(-1) * (code - partner[index]) * weight  # (M, B, D)
            surrogate = surrogate + (gradient * logits).sum((0, -1))
        return Estimate.of(objective, terms, surrogate)

    def _differences(
        self, expectation: Expectation, drawn: Tensor, layers: int
    ) -> tuple[Terms, Tensor, list[Tensor], list[Tensor]]:
        """Return the scored codes, the codes and their partners by layer, and the differences by layer, (M, B) each."""
        objective = expectation.objective
        z, *partners = drawn.chunk(1 + layers)  # (M, B, D) each
        if objective.combination == "mean":
            terms = expectation.terms(drawn)
            first, *others = terms.signal_terms.detach().chunk(1 + layers)
            return terms, z, partners, [(first - other) / len(first) for other in others]
        by_layer = values_of_partners(expectation, torch.cat(partners)).chunk(layers)
        z = z.clone()  # else the graph would keep the partners' memory as well
        terms = expectation.terms(z)
        values, objective = terms.log_weights.detach(), objective.encoder
        differences = []
        for partnered in by_layer:  # (M, B) each
            among_codes = objective(values) - swap_one(objective, values, partnered)
            among_partners = swap_one(objective, partnered, values) - objective(partnered)
            differences.append((among_codes + among_partners) / 2)
        return terms, z, partners, differences

    def check(self, model: LatentVariableModel, objective: Objective) -> None:
        """Refuse an odd number of codes where they form pairs among themselves."""
        super().check(model, objective)
        if objective.combination == "mean":
            require_samples(self.samples, 2, PAIRS, even=True, name="estimator.samples")


def values_of_partners(expectation: Expectation, partners: Tensor) -> Tensor:
    """Return the log-weights of codes that serve the encoder's gradient alone, (K, B), without a graph."""
    with torch.no_grad():
        return expectation.terms(partners).log_weights


def swap_one(objective: Objective, values: Tensor, others: Tensor) -> Tensor:
    """Return the objective with the k-th of K log-weights replaced, shape (..., K, B).

    Formula: `L(v with v_k <- v'_k)`, for log-weights (K, B) and replacements (..., K, B).

    >>> from vaelab.objectives import IWAE
    >>> swap_one(IWAE(), torch.tensor([[1.0], [3.0]]), torch.tensor([[3.0], [1.0]]))
    tensor([[3.],
            [1.]])
    """
    itself = torch.eye(len(values), dtype=torch.bool, device=values.device).unsqueeze(-1)  # (K, K, 1)
    if objective.combination != "log-mean-exp":
        between = (1,) * (others.ndim - 2)
        replaced = torch.where(
            itself.view(len(values), *between, len(values), 1),
            others.expand(*others.shape[:-2], *values.shape),
            values.view(len(values), *between, 1, values.shape[-1]),
        )  # (K values, ..., K replaced, B)
        return objective(replaced)
    # log 1/K [w'_k + sum_{j != k} w_j], from sums that are computed once
    rest = values.unsqueeze(1).masked_fill(itself, -math.inf).logsumexp(0)  # (K, B)
    return torch.logaddexp(rest, others) - math.log(len(values))


def as_chain(q: Distribution) -> Chain:
    """Return q as a chain of layers; any other distribution becomes a chain of one layer."""
    return q if isinstance(q, Chain) else Chain(q, (), q.event_shape)


def _branches(chain: Chain, count: int) -> Tensor:
    """Draw codes and, for each layer, codes that part from them there: ((1 + L) count, B, D)."""
    main: list[Tensor] = []
    partners = []
    for index in range(len(chain.sizes)):
        factor = chain.factor(index, main)
        p = factor.mean.expand(count, *factor.mean.shape[-2:])  # (count, B, D_l)
        layer, partner = pairs_of(uniform(p.shape, p), p).chunk(2)
        main.append(layer)
        partners.append(partner)
    codes = [chain.join(main)]
    for index, partner in enumerate(partners):
        layers = [*main[:index], partner]
        while len(layers) < len(partners):
            layers.append(chain.factor(len(layers), layers).sample())
        codes.append(chain.join(layers))
    return torch.cat(codes)


def pairs_of(u: Tensor, p: Tensor) -> Tensor:
    """Return the codes 1(u > 1 - p), then their partners 1(u < p), (2 K, B, D), for noise u (K, B, D)."""
    # Numbers are joined, not truth values: a compiler makes vector instructions of the one and not of the other.
    return torch.cat([(u > 1 - p).to(u.dtype), (u < p).to(u.dtype)])

"""Estimators that flip single bits of a code: they compare the two values of a bit, with the other bits held fixed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaelab.distributed import uniform
from vaelab.distributions import Bernoulli, Code
from vaelab.estimators.antithetic import PAIRS, pairs_of, values_of_partners
from vaelab.estimators.contract import BernoulliEstimator, Cost, Expectation, Sizes, require_samples
from vaelab.likelihoods import ColumnLikelihood
from vaelab.models.latent import LatentVariableModel
from vaelab.networks import MLP, Standardised
from vaelab.objectives import ScoredModel, Terms

__all__ = ["UGC", "BitFlip", "LocalExpectation", "flip_one"]

_AT_ONCE = 1_000_000  # numbers of p(x|z) that are computed at once: four megabytes in float32
_CODES = 10_000_000  # numbers of the flipped codes that are made at once


class BitFlip(BernoulliEstimator):
    """Bitflip-1: one bit of each code, drawn at random, is flipped, and the two values of `f` are compared.

    Formula: with a code `z`, a bit `j` drawn uniformly from the `D` bits, `z^j` the code with that bit flipped, and
    `p = sigmoid(l)`,

    `grad_l E_q[f(z)] ~ D p_j (1 - p_j) (f(z) - f(z^j)) (2 z_j - 1)` for bit `j`, and 0 for all others,

    averaged over K codes. `(f(z) - f(z^j)) (2 z_j - 1)` is `f` with `z_j = 1` less `f` with `z_j = 0`, so its mean over
    the other bits, times `p_j (1 - p_j)`, is the gradient; the bit is drawn with probability `1/D`. The variance
    vanishes with `p_j (1 - p_j)`, so bits that are almost certain have a precise gradient; bits near 1/2 have one that
    varies much. Decoder and prior learn from the K codes alone, because the flipped codes are no draws from q. Shapes:
    drawn (2 K, B, D), the codes first, then each with one bit flipped. Source: Kunes, Yin, Land, Haviv, Pe'er & Tavare
    (2023), https://arxiv.org/abs/2208.06124.

    Args:
        model: the model that it is for, or its sizes.
        samples: K, codes drawn for each observation; two decoder evaluations each.

    >>> from vaelab.models import bernoulli_vae
    >>> from vaelab.objectives import ELBO
    >>> model = bernoulli_vae(6, latent_dim=3)
    >>> BitFlip(model)(model, ELBO(), torch.ones(5, 6)).surrogate.shape
    torch.Size([5])
    """

    name: ClassVar[str] = "bitflip"
    cost: ClassVar[Cost] = Cost(2)  # the codes, and each with one bit flipped

    def draw(self, expectation: Expectation) -> Tensor:
        """Draw K codes, then the same with one bit flipped, (2 K, B, D)."""
        z = super().draw(expectation)
        return torch.cat([z, flip_one(z, torch.ones_like(z[0], dtype=torch.bool))])

    def gradient(self, expectation: Expectation, q: Bernoulli, drawn: Tensor) -> tuple[Terms, Tensor, Tensor | None]:
        """The differences within the pairs are those of the flipped bits."""
        z, flipped = drawn.chunk(2)  # (K, B, D) each
        others = values_of_partners(expectation, flipped)  # (K, B)
        terms = expectation.terms(z.clone())  # else the graph would keep the flipped codes' memory as well
        difference = (terms.log_weights.detach() - others).unsqueeze(-1) * (z - flipped)  # (K, B, D), 0 but at bit j
        return terms, q.variance.detach() * drawn.shape[-1] * difference.mean(0), None


class UGC(BernoulliEstimator):
    """Unbiased gradient variance clipping: DisARM for uncertain bits, bitflip-1 for bits that are almost certain.

    Formula: with an antithetic pair `z = 1(u > 1 - p)`, `z' = 1(u < p)` and `p = sigmoid(l)`, the bits with
    `min(p_j, 1 - p_j) >= 1/(2 D)` get the gradient of DisARM,

    `1/2 (f(z) - f(z')) (z_j - z'_j) sigmoid(|l_j|)`.

    One of the `n` others is drawn uniformly and flipped, which gives the code `z^j`; bit `j` gets

    `n p_j (1 - p_j) (f(z) - f(z^j)) (2 z_j - 1)`,

    and the rest of them 0. Both are averaged over `K/2` pairs, and both are unbiased, so their choice by `p` is. In the
    paper bit `j` is drawn from all `D` bits, and its gradient has the factor `D` in place of `n`: the second moment of
    ours is `n/D` of that. It is at most that of DisARM where

    `2 n m E[(f(z) - f(z^j))^2] <= E[(f(z) - f(z'))^2 | z_j != z'_j]`, `m = min(p_j, 1 - p_j)`.

    Decoder and prior learn from the pairs. Shapes: drawn (3 K/2, B, D), the pairs as DisARM draws them, then the first
    halves with one bit flipped. Source: Kunes, Yin, Land, Haviv, Pe'er & Tavare (2023),
    https://arxiv.org/abs/2208.06124.

    Args:
        model: the model that it is for, or its sizes.
        samples: K: K/2 pairs, with a third code for each.

    Raises:
        InputError: an odd number of codes.

    >>> from vaelab.models import bernoulli_vae
    >>> from vaelab.objectives import ELBO
    >>> model = bernoulli_vae(6, latent_dim=3)
    >>> UGC(model, samples=4)(model, ELBO(), torch.ones(5, 6)).surrogate.shape
    torch.Size([5])
    """

    name: ClassVar[str] = "ugc"
    cost: ClassVar[Cost] = Cost(1.5)  # the pairs, and a flipped code for each

    def __init__(self, model: LatentVariableModel | Sizes, samples: int = 2) -> None:
        super().__init__(model, samples)
        require_samples(samples, 2, PAIRS, even=True)

    def draw(self, expectation: Expectation) -> Tensor:
        """Draw K/2 pairs, then the first halves with one of the almost certain bits flipped, (3 K/2, B, D)."""
        p = expectation.q.mean.detach()
        pairs = pairs_of(uniform((self.samples // 2, *p.shape), p), p)
        return torch.cat([pairs, flip_one(pairs[: self.samples // 2], almost_certain(p))])

    def gradient(self, expectation: Expectation, q: Bernoulli, drawn: Tensor) -> tuple[Terms, Tensor, Tensor | None]:
        """Each bit has the difference of its pair, or that of its flip."""
        pairs, flipped = drawn[: self.samples], drawn[self.samples :]
        others = values_of_partners(expectation, flipped)  # (K/2, B)
        terms = expectation.terms(pairs.clone())
        z, partner = pairs.chunk(2)  # (K/2, B, D) each
        first, second = terms.log_weights.detach().chunk(2)  # (K/2, B) each
        of_pairs = 0.5 * (first - second).unsqueeze(-1) * (z - partner)
        of_flips = (first - others).unsqueeze(-1) * (z - flipped)
        certain = almost_certain(q.mean.detach())  # (B, D)
        weight = certain.sum(-1, keepdim=True) * q.variance.detach()  # (B, D)
        by_pairs = torch.sigmoid(q.logits.detach().abs()) * of_pairs.mean(0)
        return terms, torch.where(certain, weight * of_flips.mean(0), by_pairs), None


class LocalExpectation(BernoulliEstimator):
    """Local expectation gradients: every bit of a code is flipped in turn, so that each is summed over exactly.

    Formula: with a code `z`, `z^j` the code with bit `j` flipped, and `p = sigmoid(l)`,

    `grad_l E_q[f(z)] ~ p_j (1 - p_j) (f(z) - f(z^j)) (2 z_j - 1)` for every bit `j`,

    averaged over K codes. For each bit it is the exact gradient given the others. It is the mean of bitflip over the
    bit that is flipped, so its variance is never larger (Rao-Blackwell), and it vanishes where `f` is a sum of
    functions of single bits. It decodes `(1 + D) K` codes. If the decoder is linear, a flip adds one column of its
    weights to what the decoder returned, and nothing is decoded again. Source: Titsias & Lazaro-Gredilla (2015), https://arxiv.org/abs/1503.01494.

    Args:
        model: the model that it is for, or its sizes.
        samples: K, codes drawn for each observation; `1 + D` decoder evaluations each, or 1 with a linear decoder of a
            model that is not conditional.

    >>> from vaelab.models import bernoulli_vae
    >>> from vaelab.objectives import ELBO
    >>> model = bernoulli_vae(6, latent_dim=3)
    >>> LocalExpectation(model)(model, ELBO(), torch.ones(5, 6)).surrogate.shape
    torch.Size([5])
    """

    name: ClassVar[str] = "local-expectation"
    cost: ClassVar[Cost] = Cost(1, bits=1)

    def gradient(self, expectation: Expectation, q: Bernoulli, drawn: Tensor) -> tuple[Terms, Tensor, Tensor | None]:
        """The differences are those of all bits of all codes."""
        terms = expectation.terms(drawn)
        flipped = values_of_flips(expectation, drawn)  # (K, B, D)
        difference = (terms.log_weights.detach().unsqueeze(-1) - flipped) * (2 * drawn - 1)
        return terms, q.variance.detach() * difference.mean(0), None


def almost_certain(p: Tensor) -> Tensor:
    """Return which bits have a value of probability below `1/(2 D)`, shape of p (B, D)."""
    return torch.minimum(p, 1 - p) < 0.5 / p.shape[-1]


def flip_one(z: Tensor, among: Tensor) -> Tensor:
    """Return codes z (K, B, D) with one bit flipped, drawn uniformly from those that are marked, (B, D).

    A code of a row without a mark stays as it is.

    >>> flip_one(torch.zeros(1, 2, 3), torch.tensor([[False, True, False], [False, False, False]]))
    tensor([[[0., 1., 0.],
             [0., 0., 0.]]])
    """
    count = among.sum(-1, keepdim=True)  # (B, 1)
    number = torch.minimum((uniform((*z.shape[:-1], 1), z) * count).floor(), count - 1)  # (K, B, 1), from 0 on
    chosen = among & (among.cumsum(-1) == number + 1)  # (K, B, D)
    return torch.where(chosen, 1 - z, z)


def values_of_flips(expectation: Expectation, z: Tensor) -> Tensor:
    """Return the log-weights of codes z (K, B, D) with each of their bits flipped in turn, (K, B, D); no graph."""
    model, objective = expectation.model, expectation.objective
    linear = _linear_decoder(model)
    own = torch.eye(z.shape[-1], dtype=z.dtype, device=z.device).unsqueeze(1)  # (D, 1, D)
    values: list[Tensor] = []
    with torch.no_grad():
        for codes in z.split(
            max(1, _CODES // (z[0].numel() * z.shape[-1]))
        ):  # (C, B, D): the flips of C codes at a time
            scored: ScoredModel = model if linear is None else _Flipped(model, *linear, codes)
            flipped = (codes.unsqueeze(1) - own).abs().flatten(0, 1)  # (C D, B, D)
            terms = objective.terms(scored, expectation.x, expectation.q, flipped)
            values.append(terms.log_weights.unflatten(0, (len(codes), -1)))  # (C, D, B)
    return torch.cat(values).transpose(1, 2)


def _linear_decoder(model: LatentVariableModel) -> tuple[ColumnLikelihood, Standardised, Tensor] | None:
    """Return p(x|z), its network, and what each bit adds to the numbers of p(x|z), (D, N), if the network is linear."""
    likelihood = model.likelihood
    if not isinstance(likelihood, ColumnLikelihood) or type(likelihood).forward is not ColumnLikelihood.forward:
        return None
    network = likelihood.network
    layers = list(network.layers) if isinstance(network, Standardised) and isinstance(network.layers, MLP) else []
    if not isinstance(network, Standardised) or len(layers) != 1 or model.given:
        return None
    return likelihood, network, (layers[0].get_parameter("weight") * network.scale).T


@dataclass(frozen=True)
class _Flipped:
    """A model as an objective sees it, for all codes that differ in one bit from its codes (C, B, D)."""

    model: LatentVariableModel
    likelihood: ColumnLikelihood
    network: Standardised
    columns: Tensor
    codes: Tensor

    @property
    def code(self) -> Code:
        return self.model.code

    @property
    def prior_has_posterior(self) -> bool:
        return self.model.prior_has_posterior

    def prior_of(self, q: Distribution) -> Distribution:
        return self.model.prior_of(q)

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """Return log p(x|z) of the codes with each bit flipped, (C D, B), some bits at a time."""
        columns = self.columns.unsqueeze(1)  # (D, 1, N)
        parts = []
        for code in self.codes:
            numbers: Tensor = self.network(code)  # (B, N)
            signs = (1 - 2 * code.T).unsqueeze(-1)  # (D, B, 1): what a flip adds to the bit
            step = max(1, _AT_ONCE // numbers.numel())
            parts += [
                self.model.log_density(self.likelihood.distribution(torch.addcmul(numbers, sign, column)), x)
                for sign, column in zip(signs.split(step), columns.split(step), strict=True)
            ]
        return torch.cat(parts)

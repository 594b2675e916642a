"""The exact gradient, by enumeration or quadrature: affordable for small codes, and the reference for all others."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution

from vaelab.distributions import Code, Reparameterised, all_codes
from vaelab.errors import InputError, require_int
from vaelab.estimators.antithetic import as_chain
from vaelab.estimators.contract import ANY_COMBINATION, Cost, Estimate, Estimator, Expectation, Sizes
from vaelab.estimators.pathwise import along
from vaelab.models.latent import LatentVariableModel
from vaelab.objectives import Combination, Objective, Terms

__all__ = ["Exact"]

_MAX_BITS = 16
_MAX_NUMBERS = 4
_MAX_NODES = 200  # of one number: beyond, numpy loses digits


class Exact(Estimator):
    """The expectation, summed over every code of bits, or by quadrature over real codes of at most 4 numbers: no noise.

    Formula: `E_q[f(z)] = sum_z q(z|x) f(z)` for the evidence lower bound. For the importance-weighted bound the sum is
    over every tuple of `K` codes, `sum q(z_1|x) ... q(z_K|x) log 1/K sum_k w_k`, and likewise for any other function of
    `K` codes. The gradient is that of the sum. It decodes `2^D` codes of bits, which all observations share.

    For real codes `z = t(e)` of standard normal numbers e, such as `mu + sigma e`, the sum is that of the Gauss-Hermite
    rule with `n` nodes for each number,

    `E_q[f(z)] ~ sum_i omega_i f(t(e_i))`,

    over `n^D` nodes `e_i` of weight `omega_i`, and the gradient passes through the codes. The rule is exact for
    polynomials of degree up to `2 n - 1` in each number; else it has an error that falls as `n` grows. In a code of
    several layers each layer has its nodes given the layer before. Each observation has nodes of its own, so `n^D`
    codes are decoded for each of the B. Where the KL has no formula, log q has its parameters held constant, as in
    :class:`~vaelab.objectives.ELBO`; their gradient vanishes for `n` of 2 or more.

    Shapes: codes of bits (2^D, 1, D); real codes (n^D, B, D). Source of the rule: Golub & Welsch (1969),
    https://doi.org/10.1090/S0025-5718-69-99647-1.

    Args:
        model: the model that it is for, or its sizes.
        samples: K of the importance-weighted bound; the evidence lower bound does not depend on it.
        nodes: n, for each number of a real code; bits do not depend on it.

    Raises:
        InputError: more than 16 bits to enumerate, counting all K codes of a tuple, a real code of more than 4 numbers,
            or more than 65 536 tuples of nodes (by ``check``).

    >>> import torch
    >>> from vaelab.models import bernoulli_vae
    >>> from vaelab.objectives import ELBO
    >>> model, x = bernoulli_vae(6, latent_dim=3), torch.ones(4, 6)
    >>> bool(torch.equal(Exact(model)(model, ELBO(), x).bound, Exact(model)(model, ELBO(), x).bound))
    True
    """

    name: ClassVar[str] = "exact"
    codes: ClassVar[frozenset[Code]] = frozenset({"bits", "real"})
    layered: ClassVar[bool] = True

    combinations: ClassVar[frozenset[Combination]] = ANY_COMBINATION
    cost: ClassVar[Cost] = Cost(enumerates=True)  # decoded once for all observations together

    def __init__(self, model: LatentVariableModel | Sizes, samples: int = 1, nodes: int = 6) -> None:
        super().__init__(model, samples)
        self.nodes = require_int("nodes", nodes, 1)
        if self.nodes > _MAX_NODES:
            raise InputError(f"nodes: expected at most {_MAX_NODES} for each number; got {self.nodes}")
        points, weights = np.polynomial.hermite_e.hermegauss(self.nodes)
        self._points: Tensor  # buffers, so that they move to the device of the training
        self._log_weights: Tensor
        log_weights = torch.tensor(weights / math.sqrt(2 * math.pi)).log()
        self.register_buffer("_points", torch.tensor(points).to(self.sizes.like), persistent=False)
        self.register_buffer("_log_weights", log_weights.to(self.sizes.like), persistent=False)

    def draw(self, expectation: Expectation) -> Tensor:
        """Return all codes of bits, (2^D, 1, D), or those of all nodes, (n^D, B, D): nothing is random."""
        q = expectation.q
        if expectation.model.code == "bits":
            return all_codes(q.event_shape[-1], q.mean.detach()).unsqueeze(1)
        return _codes_of(q, self._rule(q.event_shape[-1], expectation.model.any_weight)[0])

    def score(self, expectation: Expectation, drawn: Tensor) -> Estimate:
        """The surrogate is the expected objective."""
        objective, q = expectation.objective.with_closed_form_kl(), expectation.q
        has_two, is_real = objective.encoder is not objective, expectation.model.code == "real"
        z = drawn.detach().requires_grad_() if has_two and is_real else drawn
        terms = objective.terms(expectation.model, expectation.x, q, z)  # (S, B), S codes
        log_q: Tensor = self._rule(q.event_shape[-1], z)[1] if is_real else q.log_prob(z)  # (S, B) or (S, 1)
        probability = log_q.exp()
        if objective.combination == "mean":
            log_likelihood = (probability * terms.log_likelihood).sum(0, keepdim=True)  # (1, B)
            kl = terms.kl if terms.kl.ndim == 1 else (probability * terms.kl).sum(0)  # (B,)
            expected = Terms(log_likelihood, kl, terms.beta, penalty=terms.penalty)
            return Estimate.of(objective, expected, objective(expected.log_weights))
        numbers = torch.arange(len(drawn), device=drawn.device)
        tuples = torch.cartesian_prod(*[numbers] * self.samples).view(-1, self.samples).T  # (K, S^K)
        weight = log_q[tuples].sum(0).exp()  # (S^K, B) or (S^K, 1)
        bound = (weight * objective(terms.log_weights[tuples])).sum(0)  # (B,)
        surrogate, target = bound, objective.encoder
        if has_two:
            of_model = weight.detach() * objective(terms.log_weights_of_model[tuples])
            surrogate = (of_model + weight * target(terms.log_weights_of_encoder[tuples])).sum(0)
        if has_two and is_real:
            surrogate = surrogate + along(drawn, z, (weight * target(terms.log_weights[tuples])).sum(0))
        parts = [(probability * part).sum(0).detach() for part in (terms.log_likelihood, terms.kl)]
        return Estimate(bound.detach(), surrogate, *parts)

    def decoder_evaluations(self, objective: Objective) -> int:
        """Return how many codes a training step decodes: of bits for all observations together."""
        if self.sizes.code == "real":
            return int(self.nodes**self.sizes.latent_dim)
        return super().decoder_evaluations(objective)

    def check(self, model: LatentVariableModel, objective: Objective) -> None:
        """Refuse what cannot be enumerated, and what has too many nodes."""
        super().check(model, objective)
        numbers = model.latent_dim * (1 if objective.combination == "mean" else self.samples)
        if model.code == "bits" and numbers > _MAX_BITS:
            raise InputError(
                f"estimator: 'exact' enumerates at most {_MAX_BITS} bits; this model and objective have {numbers}"
            )
        if model.code == "real" and model.latent_dim > _MAX_NUMBERS:
            raise InputError(
                f"estimator: 'exact' integrates over codes of at most {_MAX_NUMBERS} real numbers; the codes of this "
                f"model have {model.latent_dim}, which go with 'pathwise'"
            )
        if model.code == "real" and self.nodes**numbers > 2**_MAX_BITS:
            raise InputError(
                f"estimator.nodes: expected at most {int(2 ** (_MAX_BITS / numbers) + 1e-9)} for {numbers} numbers, "
                f"counting all K codes of a tuple; got {self.nodes}"
            )

    def _rule(self, dim: int, like: Tensor) -> tuple[Tensor, Tensor]:
        """Return the nodes of a standard normal of D numbers, (n^D, 1, D), and the logarithms of their weights."""
        points, log_weights = (
            torch.cartesian_prod(*[part.to(like)] * dim).view(-1, 1, dim) for part in (self._points, self._log_weights)
        )
        return points, log_weights.sum(-1)


def _codes_of(q: Distribution, noise: Tensor) -> Tensor:
    """Return the codes of standard normal numbers e (S, 1, D), layer by layer, (S, B, D)."""
    chain = as_chain(q)
    layers: list[Tensor] = []
    for index, part in enumerate(chain.split(noise)):
        factor = chain.factor(index, layers)
        if not isinstance(factor, Reparameterised):
            raise InputError(
                "estimator: 'exact' needs a posterior made of normal noise for real codes (DiagonalNormal, FullNormal, "
                f"FlowedNormal, or torch's Independent(Normal, 1)); got {type(factor).__name__}"
            )
        layers.append(factor.from_noise(part))
    return chain.join(layers)

"""The exact gradient, by enumeration: affordable for small codes, and the reference for all other estimators."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from vaelab.distributions import Code, all_codes
from vaelab.errors import InputError
from vaelab.estimators.contract import ANY_COMBINATION, Cost, Estimate, Estimator, Expectation
from vaelab.models.latent import LatentVariableModel
from vaelab.objectives import Combination, Objective, Terms

__all__ = ["Exact"]

_MAX_BITS = 16


class Exact(Estimator):
    """The expectation, summed over every code: no noise, 2^D decoder evaluations.

    Formula: `E_q[f(z)] = sum_z q(z|x) f(z)` for the evidence lower bound. For the importance-weighted bound the sum is
    over every tuple of `K` codes, `sum q(z_1|x) ... q(z_K|x) log 1/K sum_k w_k`, and likewise for any other function of
    `K` codes. The gradient is that of the sum.
    Shapes: codes (2^D, 1, D), shared by all observations.

    Args:
        model: the model that it is for, or its sizes.
        samples: K of the importance-weighted bound; the evidence lower bound does not depend on it.

    Raises:
        InputError: more than 16 bits to enumerate, counting all K codes of a tuple (by ``check``).

    >>> import torch
    >>> from vaelab.models import bernoulli_vae
    >>> from vaelab.objectives import ELBO
    >>> model, x = bernoulli_vae(6, latent_dim=3), torch.ones(4, 6)
    >>> bool(torch.equal(Exact(model)(model, ELBO(), x).bound, Exact(model)(model, ELBO(), x).bound))
    True
    """

    name: ClassVar[str] = "exact"
    codes: ClassVar[frozenset[Code]] = frozenset({"bits"})
    layered: ClassVar[bool] = True

    combinations: ClassVar[frozenset[Combination]] = ANY_COMBINATION
    cost: ClassVar[Cost] = Cost(enumerates=True)  # decoded once for all observations together

    def draw(self, expectation: Expectation) -> Tensor:
        """Return all codes, (2^D, 1, D): nothing is random."""
        q = expectation.q
        return all_codes(q.event_shape[-1], q.mean.detach()).unsqueeze(1)

    def score(self, expectation: Expectation, drawn: Tensor) -> Estimate:
        """The surrogate is the expected objective."""
        objective, q = expectation.objective.with_closed_form_kl(), expectation.q
        terms = objective.terms(expectation.model, expectation.x, q, drawn)  # (2^D, B)
        log_q: Tensor = q.log_prob(drawn)  # (2^D, B)
        probability = log_q.exp()
        if objective.combination == "mean":
            log_likelihood = (probability * terms.log_likelihood).sum(0, keepdim=True)  # (1, B)
            kl = terms.kl if terms.kl.ndim == 1 else (probability * terms.kl).sum(0)  # (B,)
            expected = Terms(log_likelihood, kl, terms.beta, penalty=terms.penalty)
            return Estimate.of(objective, expected, objective(expected.log_weights))
        numbers = torch.arange(len(drawn), device=drawn.device)
        tuples = torch.cartesian_prod(*[numbers] * self.samples).view(-1, self.samples).T  # (K, 2^(D K))
        weight = log_q[tuples].sum(0).exp()  # (2^(D K), B)
        bound = (weight * objective(terms.log_weights[tuples])).sum(0)  # (B,)
        surrogate, target = bound, objective.encoder
        if target is not objective:
            of_model = weight.detach() * objective(terms.log_weights_of_model[tuples])
            surrogate = (of_model + weight * target(terms.log_weights_of_encoder[tuples])).sum(0)
        parts = [(probability * part).sum(0).detach() for part in (terms.log_likelihood, terms.kl)]
        return Estimate(bound.detach(), surrogate, *parts)

    def check(self, model: LatentVariableModel, objective: Objective) -> None:
        """Refuse what cannot be enumerated."""
        super().check(model, objective)
        bits = model.latent_dim * (1 if objective.combination == "mean" else self.samples)
        if bits > _MAX_BITS:
            raise InputError(
                f"estimator: 'exact' enumerates at most {_MAX_BITS} bits; this model and objective have {bits}"
            )

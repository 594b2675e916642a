"""The exact gradient, by enumeration: affordable for small codes, and the oracle for everything else."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaelab.conditionals import Code
from vaelab.distributions import all_codes
from vaelab.errors import InputError
from vaelab.estimators.contract import Estimate, Estimator
from vaelab.models.latent import LatentVariableModel
from vaelab.objectives import Objective, Terms

__all__ = ["Exact"]

_MOST_BITS = 16


class Exact(Estimator):
    """The expectation itself, summed over every code: no noise, 2^D decoder evaluations.

    Formula: E_q[f(z)] = sum_z q(z|x) f(z) for the evidence lower bound. For the importance-weighted bound
    the sum is over every K-tuple of codes, sum q(z_1|x) ... q(z_K|x) log 1/K sum_k w_k. The gradient is
    that of the sum. Shapes: codes (2^D, 1, D), shared by all observations.

    Args:
        samples: K of the importance-weighted bound; the evidence lower bound does not depend on it.

    Raises:
        InputError: more than 16 bits to enumerate, counting all K codes of a tuple (by ``check``).

    >>> import torch
    >>> from vaelab.models import bernoulli_vae
    >>> from vaelab.objectives import ELBO
    >>> model, x = bernoulli_vae(6, latent_dim=3), torch.ones(4, 6)
    >>> bool(torch.equal(Exact()(model, ELBO(), x).bound, Exact()(model, ELBO(), x).bound))
    True
    """

    name: ClassVar[str] = "exact"
    codes: ClassVar[frozenset[Code]] = frozenset({"bits"})
    layered: ClassVar[bool] = True

    def draw(self, q: Distribution, objective: Objective) -> Tensor:
        """Return all codes, (2^D, 1, D): nothing is random."""
        return all_codes(q.event_shape[-1], q.mean.detach()).unsqueeze(1)

    def score(
        self, model: LatentVariableModel, objective: Objective, x: Tensor, q: Distribution, drawn: Tensor
    ) -> Estimate:
        """The surrogate is the expected objective."""
        objective = objective.measured()
        terms = objective.terms(model, x, q, drawn)  # (2^D, B)
        log_q: Tensor = q.log_prob(drawn)  # (2^D, B)
        if objective.closed_form_kl:
            probability = log_q.exp()
            reconstruction = (probability * terms.reconstruction).sum(0, keepdim=True)  # (1, B)
            expected = Terms(reconstruction, (probability * terms.kl).sum(0) if terms.log_q else terms.kl)
            return Estimate.of(objective, expected, objective(objective.values(expected)))
        numbers = torch.arange(len(drawn), device=drawn.device)
        tuples = torch.cartesian_prod(*[numbers] * self.samples).view(-1, self.samples).T  # (K, 2^(D K))
        weight = log_q[tuples].sum(0).exp()  # (2^(D K), B)
        bound = (weight * objective(objective.values(terms)[tuples])).sum(0)  # (B,)
        parts = [(log_q.exp() * part).sum(0).detach() for part in (terms.reconstruction, terms.kl)]
        return Estimate(bound.detach(), bound, *parts)

    def decoder_evaluations(self, objective: Objective, latent_dim: int, layers: int = 1) -> int:
        """2^D, decoded once for all observations together."""
        return int(2**latent_dim)

    def check(self, model: LatentVariableModel, objective: Objective) -> None:
        """Refuse what cannot be enumerated."""
        super().check(model, objective)
        objective = objective.measured()
        bits = model.prior().event_shape[-1] * (1 if objective.closed_form_kl else self.samples)
        if bits > _MOST_BITS:
            raise InputError(
                f"estimator: 'exact' enumerates at most {_MOST_BITS} bits; this model and objective have {bits}"
            )

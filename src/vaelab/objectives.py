"""Objectives: maps from the log-weights of K codes to a bound, with the learning signal of each code."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaelab.chains import Chain, log_factors
from vaelab.distributions import map_parameters
from vaelab.errors import InputError, require_choice, require_number
from vaelab.models.latent import LatentVariableModel

__all__ = ["ELBO", "IWAE", "OBJECTIVES", "Divergence", "Objective", "Reconstruction", "Terms"]

Divergence = Literal["closed-form", "sampled"]


@dataclass(frozen=True)
class Terms:
    """What an objective needs to know of K codes.

    ``reconstruction`` is log p(x|z), shape (K, B); ``kl`` is KL[q || p] in closed form, shape (B,), or
    log q(z|x) - log p(z), shape (K, B). Their difference is the log-weight. In the second case ``log_q`` and
    ``log_p`` hold the factors of q and p, one a layer of the code, (K, B) each.
    """

    reconstruction: Tensor
    kl: Tensor
    log_q: tuple[Tensor, ...] = ()
    log_p: tuple[Tensor, ...] = ()

    @classmethod
    def sampled(cls, reconstruction: Tensor, q: Distribution, p: Distribution, z: Tensor) -> Terms:
        """Return the terms of codes z (K, B, D) under q and p, nothing of the KL in closed form."""
        log_q, log_p = log_factors(q, z), log_factors(p, z)
        return cls(reconstruction, sum(log_q[1:], log_q[0]) - sum(log_p[1:], log_p[0]), log_q, log_p)


class Objective(ABC):
    """What every objective guarantees.

    ``bound(terms)`` is the number to report, shape (B,), free of any beta; ``__call__(values)`` maps K
    values (K, B) to what is maximised; ``values(terms)`` are those values; ``signal(values, baseline)``
    is what multiplies each code's score d log q(z_k|x), shape (K, B), its expectation unchanged by the
    baseline. ``beta`` weighs the KL term while training.
    """

    name: ClassVar[str]
    beta: float

    @property
    def closed_form_kl(self) -> bool:
        """Whether the KL is that of the distributions, (B,), if they have one, and not sampled, (K, B)."""
        return False

    @abstractmethod
    def __call__(self, values: Tensor) -> Tensor:
        """Combine the values of K codes, (K, B) -> (B,)."""

    @abstractmethod
    def signal(self, values: Tensor, baseline: Tensor | float) -> Tensor:
        """Return the learning signal of each code, (K, B)."""

    def terms(self, model: LatentVariableModel, x: Tensor, q: Distribution, z: Tensor) -> Terms:
        """Score codes z (K, B, D) for observations x (B, X): one call of the decoder."""
        reconstruction = model.log_likelihood(x, z)  # (K, B)
        if self.closed_form_kl:
            try:
                return Terms(reconstruction, model.kl(q))
            except NotImplementedError:  # no formula for this pair of distributions, such as two chains
                pass
        return Terms.sampled(reconstruction, q, model.prior_of(q), z)

    def values(self, terms: Terms) -> Tensor:
        """Return the values whose combination is maximised, (K, B): log-weights, the KL scaled by beta."""
        return terms.reconstruction - self.beta * terms.kl

    def integrand(self, terms: Terms) -> Tensor:
        """Return the part of the values that depends on the code, (K, B): what needs a score.

        A closed-form KL does not: its gradient is direct.
        """
        return self.values(terms) if terms.log_q else terms.reconstruction

    def integrands(self, terms: Terms) -> tuple[Tensor, ...]:
        """Return what the signal of each layer of the code is made of, (K, B) each: one, for the code as a whole."""
        return (self.integrand(terms),)

    def measured(self) -> Objective:
        """Return the objective with its KL in closed form if it has one: for values, where no gradient is estimated."""
        return self

    def bound(self, terms: Terms) -> Tensor:
        """Return the bound to report, (B,): the same combination of log-weights with beta = 1."""
        return self(terms.reconstruction - terms.kl)


@dataclass(frozen=True)
class ELBO(Objective):
    """Evidence lower bound: mean_k log p(x|z_k) - beta KL[q(z|x) || p(z)].

    ``kl`` says how the KL enters the gradient. ``closed-form``: as that of the two distributions, whose gradient has
    no noise; a score-function signal is then made of log p(x|z) alone. ``sampled``: as log q(z_k|x) - log p(z_k) of
    the codes, q's parameters held constant in it (their score has mean zero), as in the authors' code of most
    estimators for bits. Near its optimum q makes log q - log p the linear part of log p(x|z), so that a signal made of
    both varies less; early in a training it may vary more. For real codes it is the path derivative of Roeder et al.
    (2017), https://arxiv.org/abs/1703.09194. The gradient's mean is the same. Where ``torch.distributions`` knows no
    KL of the two, as of chains of layers, it is sampled, q's parameters not held constant.

    Sources: Jordan et al. (1999), https://doi.org/10.1023/A:1007665907178; Kingma & Welling (2013),
    https://arxiv.org/abs/1312.6114; beta: Higgins et al. (2017), https://openreview.net/forum?id=Sy2fzU9gl.
    The reported bound always has beta = 1.

    Raises:
        InputError: a negative ``beta``, or another word for ``kl``.
    """

    name: ClassVar[str] = "elbo"
    beta: float = 1.0
    kl: Divergence = "closed-form"

    def __post_init__(self) -> None:
        require_number("objective.beta", self.beta, 0.0)
        require_choice("objective.kl", self.kl, get_args(Divergence))

    @property
    def closed_form_kl(self) -> bool:
        return self.kl == "closed-form"

    def measured(self) -> Objective:
        return ELBO(self.beta)

    def terms(self, model: LatentVariableModel, x: Tensor, q: Distribution, z: Tensor) -> Terms:
        """Score codes z (K, B, D) for observations x (B, X): one call of the decoder."""
        if not self.closed_form_kl and not isinstance(q, Chain):  # of a chain, z depends on some of these parameters
            q = map_parameters(q, torch.Tensor.detach)
        return super().terms(model, x, q, z)

    def integrands(self, terms: Terms) -> tuple[Tensor, ...]:
        """Return the terms that each layer of the code still changes, (K, B) each.

        A mean over codes is a sum of terms, and a layer's bits change only those that it or a later layer is in:
        of the first layer all of them, of layer l from log p(y_l-1|y_l) and log q(y_l|y_l-1) on.
        """
        found = [self.integrand(terms)]
        for layer in range(1, len(terms.log_q)):
            still = [*terms.log_p[layer - 1 :], *(-log_q for log_q in terms.log_q[layer:])]
            found.append(self.beta * sum(still[1:], still[0]))
        return tuple(found)

    def __call__(self, values: Tensor) -> Tensor:
        return values.mean(0)

    def signal(self, values: Tensor, baseline: Tensor | float) -> Tensor:
        # The other codes' values do not depend on z_k, so only its own remains: (f_k - baseline) / K.
        return (values - baseline) / len(values)


@dataclass(frozen=True)
class Reconstruction(Objective):
    """log p(x|z) alone: what a deterministic auto-encoder maximises. It is no bound on log p(x)."""

    name: ClassVar[str] = "reconstruction"
    beta: ClassVar[float] = 0.0  # type: ignore[misc]

    @property
    def closed_form_kl(self) -> bool:
        return True

    def __call__(self, values: Tensor) -> Tensor:
        return values.mean(0)

    def signal(self, values: Tensor, baseline: Tensor | float) -> Tensor:
        return (values - baseline) / len(values)

    def terms(self, model: LatentVariableModel, x: Tensor, q: Distribution, z: Tensor) -> Terms:
        reconstruction = model.log_likelihood(x, z)  # (K, B)
        return Terms(reconstruction, torch.zeros_like(reconstruction))


@dataclass(frozen=True)
class IWAE(Objective):
    """Importance-weighted bound of K codes: log 1/K sum_k w_k, w_k = p(x, z_k) / q(z_k|x).

    Source: Burda, Grosse & Salakhutdinov (2016), https://arxiv.org/abs/1509.00519.
    """

    name: ClassVar[str] = "iwae"
    beta: ClassVar[float] = 1.0  # type: ignore[misc]

    def __call__(self, values: Tensor) -> Tensor:
        # Relative to the largest: of numbers so large that log K is lost in their rounding, the gradient is right too.
        largest = values.detach().amax(0)
        largest = torch.where(largest.isfinite(), largest, 0)
        relative = values - largest
        # A weight below e^-46 = 1e-20 of the largest is lost in the rounding of the sum. It is left out, because its
        # gradients would be denormal numbers, which make products of matrices several times slower.
        seen = torch.where(relative < -46, -math.inf, relative)
        return torch.logsumexp(seen, 0) - math.log(len(values)) + largest

    def signal(self, values: Tensor, baseline: Tensor | float) -> Tensor:
        # Every code enters the whole bound, so the bound itself is each code's signal.
        return (self(values) - baseline).expand_as(values)


OBJECTIVES: dict[str, type[Objective]] = {kind.name: kind for kind in (ELBO, IWAE, Reconstruction)}


def check_objective(model: LatentVariableModel, objective: Objective) -> None:
    """Refuse an objective that the model cannot be trained with, in one sentence."""
    deterministic = model.code == "point"
    if deterministic != (objective.name == "reconstruction"):
        wanted = "'reconstruction'" if deterministic else "'elbo' or 'iwae'"
        raise InputError(f"objective: expected {wanted} for codes of kind {model.code!r}; got {objective.name!r}")

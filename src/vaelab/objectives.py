"""Objectives: each combines the log-weights of K codes into a bound. Every bound of vaelab is computed here.

Training, validation, evaluation and ``model.bound`` all call :meth:`Objective.terms`, which scores codes, and
:meth:`Objective.bound`, which combines the scores.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Protocol, Self, get_args

import torch
from torch import Tensor
from torch.distributions import Distribution, kl_divergence

from vaelab.distributions import Chain, Code, log_factors, map_parameters
from vaelab.errors import InputError, require_choice, require_number, shown

__all__ = [
    "ELBO",
    "IWAE",
    "OBJECTIVES",
    "Combination",
    "Divergence",
    "MeanObjective",
    "Model",
    "Objective",
    "Reconstruction",
    "Terms",
    "check_objective",
    "log_weights",
]

Divergence = Literal["closed-form", "sampled"]
Combination = Literal["mean", "log-mean-exp", "other"]


class Model(Protocol):
    """What an objective needs of a model; :class:`vaelab.models.LatentVariableModel` has it."""

    @property
    def code(self) -> Code: ...

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor: ...

    def prior_of(self, q: Distribution) -> Distribution: ...


@dataclass(frozen=True)
class Terms:
    """The log-densities of K codes z (K, B, D) for observations x (B, X), in nats.

    Attributes:
        log_likelihood: log p(x|z), (K, B).
        kl: KL[q(z|x) || p(z)] in closed form, (B,), or log q(z|x) - log p(z) of each code, (K, B).
        beta: weight of ``kl`` in ``log_weights``.
        log_q: where ``kl`` is that of the codes: log-density under q of each layer of the code, (K, B) each.
        log_p: the same under the prior.
    """

    log_likelihood: Tensor
    kl: Tensor
    beta: float = 1.0
    log_q: tuple[Tensor, ...] = ()
    log_p: tuple[Tensor, ...] = ()

    @classmethod
    def score(
        cls, model: Model, x: Tensor, q: Distribution, z: Tensor, closed_form: bool = False, beta: float = 1.0
    ) -> Terms:
        """Score codes z (K, B, D) drawn from q for observations x (B, X), with one call of the decoder.

        With ``closed_form`` the KL is that of the two distributions, where torch knows a formula for it. It knows none
        for chains of layers, for example; then the KL is that of the codes.
        """
        log_likelihood, p = model.log_likelihood(x, z), model.prior_of(q)
        if closed_form:
            try:
                return cls(log_likelihood, kl_divergence(q, p), beta)
            except NotImplementedError:
                pass
        log_q, log_p = log_factors(q, z), log_factors(p, z)
        kl = sum(log_q[1:], log_q[0]) - sum(log_p[1:], log_p[0])  # (K, B)
        return cls(log_likelihood, kl, beta, log_q, log_p)

    @property
    def log_weights(self) -> Tensor:
        """log p(x|z) - beta kl, (K, B): what an objective combines. With beta = 1 they are log w."""
        return self.log_likelihood - self.beta * self.kl

    @property
    def mean_kl(self) -> Tensor:
        """The KL, averaged over the codes where it is that of the codes, (B,)."""
        return self.kl if self.kl.ndim == 1 else self.kl.mean(0)

    @property
    def signal_terms(self) -> Tensor:
        """The part of the log-weights that depends on the codes, (K, B): their learning signals are made of it.

        A KL in closed form does not depend on the codes. Its gradient is taken directly.
        """
        return self.log_weights if self.log_q else self.log_likelihood

    def signal_terms_by_layer(self) -> tuple[Tensor, ...]:
        """Return, for each layer of the code, the part of the log-weights that the layer still changes, (K, B) each.

        For an objective that is a mean over codes. The first layer changes the whole log-weight; layer l changes
        log p(y_l-1|y_l), log q(y_l|y_l-1) and all terms of the layers after it.
        """
        parts = [self.signal_terms]
        for layer in range(1, len(self.log_q)):
            remaining = [*self.log_p[layer - 1 :], *(-log_q for log_q in self.log_q[layer:])]
            parts.append(self.beta * sum(remaining[1:], remaining[0]))
        return tuple(parts)


def log_weights(model: Model, x: Tensor, q: Distribution, z: Tensor) -> Tensor:
    """Return `log w = log p(x|z) + log p(z) - log q(z|x)`, shape (K, B), for codes z (K, B, D) and x (B, X).

    >>> from vaelab.models import gaussian_vae
    >>> model, x = gaussian_vae(6, latent_dim=2), torch.ones(4, 6)
    >>> q = model.posterior(x)
    >>> log_weights(model, x, q, q.sample((3,))).shape
    torch.Size([3, 4])
    """
    return Terms.score(model, x, q, z).log_weights


@dataclass(frozen=True)
class Objective(ABC):
    """Base of all objectives. A new one is a frozen dataclass with ``__call__``, and a row of ``OBJECTIVES``.

    Attributes:
        name: what users type.
        combination: how log-weights are combined. An estimator that is made for a mean over codes, or for a
            log-mean-exp, asks for it; an objective of another form works with the estimators that take any.
        codes: kinds of code that it is defined for.
        metric: name of its value in a log.
        supports_beta: whether ``beta`` can be set.
        beta: weight of the KL while training.
        kl: whether the KL is that of the distributions (``closed-form``), if torch knows it, or of the codes.
    """

    name: ClassVar[str]
    combination: ClassVar[Combination] = "other"
    codes: ClassVar[frozenset[Code]] = frozenset({"real", "bits"})
    metric: ClassVar[str] = "bound"
    supports_beta: ClassVar[bool] = False

    @property
    def beta(self) -> float:
        return 1.0

    @property
    def kl(self) -> Divergence:
        return "sampled"

    @abstractmethod
    def __call__(self, log_weights: Tensor) -> Tensor:
        """Combine the log-weights of K codes, (K, B) -> (B,)."""

    def signal(self, log_weights: Tensor, baseline: Tensor | float) -> Tensor:
        """Return the learning signal of each code, (K, B): what multiplies d log q(z_k|x).

        In general every code enters the whole bound, so that the bound is the signal of every code. A baseline that
        does not depend on z_k leaves the mean of the gradient as it is.
        """
        return (self(log_weights) - baseline).expand_as(log_weights)

    def terms(self, model: Model, x: Tensor, q: Distribution, z: Tensor) -> Terms:
        """Score codes z (K, B, D) for observations x (B, X), with one call of the decoder."""
        return Terms.score(model, x, q, z, self.kl == "closed-form", self.beta)

    def bound(self, terms: Terms) -> Tensor:
        """Return the bound to report, (B,): the log-weights with beta = 1, combined."""
        return self(terms.log_likelihood - terms.kl)

    def with_beta(self, beta: float) -> Objective:
        """Return the objective with another ``beta``, if it can be set."""
        return replace(self, **{"beta": beta}) if self.supports_beta else self

    def with_closed_form_kl(self) -> Objective:
        """Return the objective with its KL in closed form, if it has one: for values that need no gradient."""
        return self


@dataclass(frozen=True)
class MeanObjective(Objective):
    """Base of the objectives that are a mean over codes."""

    combination: ClassVar[Combination] = "mean"

    def __call__(self, log_weights: Tensor) -> Tensor:
        return log_weights.mean(0)

    def signal(self, log_weights: Tensor, baseline: Tensor | float) -> Tensor:
        # The terms of the other codes do not depend on z_k, so that only its own remains: (f_k - baseline) / K.
        return (log_weights - baseline) / len(log_weights)


@dataclass(frozen=True)
class ELBO(MeanObjective):
    """Evidence lower bound: `mean_k log p(x|z_k) - beta KL[q(z|x) || p(z)]`.

    ``kl`` says how the KL enters the gradient. With ``closed-form`` it is that of the two distributions, whose gradient
    has no noise; a score-function signal then contains log p(x|z) alone. With ``sampled`` it is `log q(z_k|x) - log
    p(z_k)` of the codes, with q's parameters held constant in it (their score has mean zero), as in the authors' code
    of most estimators for bits. Both gradients have the same mean. Near its optimum q makes `log q - log p` the linear
    part of log p(x|z), so that a signal with both varies less; early in a training it may vary more. For real-valued
    codes the sampled form is the path derivative of Roeder et al. (2017), https://arxiv.org/abs/1703.09194. If
    ``torch.distributions`` has no formula for the KL, as for chains of layers, it is sampled, and q's parameters are
    not held constant.

    Sources: Jordan et al. (1999), https://doi.org/10.1023/A:1007665907178; Kingma & Welling (2013),
    https://arxiv.org/abs/1312.6114; beta: Higgins et al. (2017), https://openreview.net/forum?id=Sy2fzU9gl. The
    reported bound always has beta = 1.

    Raises:
        InputError: a negative ``beta``, or another word for ``kl``.

    >>> ELBO()(torch.tensor([[-90.0], [-92.0]]))
    tensor([-91.])
    """

    name: ClassVar[str] = "elbo"
    supports_beta: ClassVar[bool] = True
    beta: float = 1.0
    kl: Divergence = "closed-form"

    def __post_init__(self) -> None:
        require_number("objective.beta", self.beta, 0.0)
        require_choice("objective.kl", self.kl, get_args(Divergence))

    def terms(self, model: Model, x: Tensor, q: Distribution, z: Tensor) -> Terms:
        # In a chain the codes of a later layer depend on some of these parameters, so they are not held constant there.
        if self.kl == "sampled" and not isinstance(q, Chain):
            q = map_parameters(q, torch.Tensor.detach)
        return super().terms(model, x, q, z)

    def with_closed_form_kl(self) -> Self:
        return replace(self, kl="closed-form")


@dataclass(frozen=True)
class Reconstruction(MeanObjective):
    """log p(x|z) alone: what a deterministic auto-encoder maximises. It is not a bound on log p(x).

    >>> Reconstruction()(torch.tensor([[-90.0]]))
    tensor([-90.])
    """

    name: ClassVar[str] = "reconstruction"
    codes: ClassVar[frozenset[Code]] = frozenset({"point"})
    metric: ClassVar[str] = "reconstruction"

    def terms(self, model: Model, x: Tensor, q: Distribution, z: Tensor) -> Terms:
        log_likelihood = model.log_likelihood(x, z)  # (K, B)
        return Terms(log_likelihood, torch.zeros_like(log_likelihood), beta=0.0)


@dataclass(frozen=True)
class IWAE(Objective):
    """Importance-weighted bound of K codes: `log 1/K sum_k w_k` with `w_k = p(x, z_k) / q(z_k|x)`.

    Source: Burda, Grosse & Salakhutdinov (2016), https://arxiv.org/abs/1509.00519.

    >>> IWAE()(torch.tensor([[1.0], [1.0]]))
    tensor([1.])
    """

    name: ClassVar[str] = "iwae"
    combination: ClassVar[Combination] = "log-mean-exp"

    def __call__(self, log_weights: Tensor) -> Tensor:
        # Relative to the largest: where numbers are so large that rounding loses log K, the gradient is still right.
        largest = log_weights.detach().amax(0)
        largest = torch.where(largest.isfinite(), largest, 0)
        relative = log_weights - largest
        # A weight below e^-46 = 1e-20 of the largest is lost in the rounding of the sum. It is left out, because its
        # gradients would be denormal numbers, which make products of matrices several times slower.
        kept = torch.where(relative < -46, -math.inf, relative)
        return torch.logsumexp(kept, 0) - math.log(len(log_weights)) + largest


OBJECTIVES: dict[str, type[Objective]] = {kind.name: kind for kind in (ELBO, IWAE, Reconstruction)}


def check_objective(model: Model, objective: Objective) -> None:
    """Raise an :class:`~vaelab.errors.InputError` for an objective that the model cannot be trained with."""
    if not isinstance(objective, Objective):
        raise InputError(f"objective: expected an objective such as ELBO() or IWAE(); got {shown(objective)}")
    if model.code not in objective.codes:
        wanted = " or ".join(repr(name) for name, kind in OBJECTIVES.items() if model.code in kind.codes)
        raise InputError(f"objective: expected {wanted} for codes of kind {model.code!r}; got {objective.name!r}")

"""The contract of an objective: it combines the log-weights of K codes into a bound."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from torch import Tensor
from torch.distributions import Distribution

from vaelab.distributions import Code
from vaelab.objectives.terms import Model, Terms

__all__ = ["Combination", "Divergence", "MeanObjective", "Objective"]

Divergence = Literal["closed-form", "sampled"]
Combination = Literal["mean", "log-mean-exp", "other"]


@dataclass(frozen=True)
class Objective(ABC):
    """Base of all objectives. A new one is a frozen dataclass with ``__call__``, and a row of ``OBJECTIVES``.

    Attributes:
        name: what users type.
        combination: how log-weights are combined. An estimator that is made for a mean over codes, or for a
            log-mean-exp, asks for it; an objective of another form works with the estimators that take any.
        codes: kinds of code that it is defined for.
        metric: name of its value in a log.
        formula: the combination of log-weights v_k, in LaTeX, for the documentation.
        signal_formula: the signal of code k, in LaTeX, for the documentation.
        supports_beta: whether ``beta`` can be set.
        beta: weight of the KL while training.
        kl: whether the KL is that of the distributions (``closed-form``), if torch knows it, or of the codes.
    """

    name: ClassVar[str]
    combination: ClassVar[Combination] = "other"
    codes: ClassVar[frozenset[Code]] = frozenset({"real", "bits"})
    metric: ClassVar[str] = "bound"
    formula: ClassVar[str] = ""
    signal_formula: ClassVar[str] = r"$L(v) - \text{baseline}$"
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
    formula: ClassVar[str] = r"$L(v) = \frac{1}{K}\sum_k v_k$"
    signal_formula: ClassVar[str] = r"$(v_k - \text{baseline})/K$"

    def __call__(self, log_weights: Tensor) -> Tensor:
        return log_weights.mean(0)

    def signal(self, log_weights: Tensor, baseline: Tensor | float) -> Tensor:
        # The terms of the other codes do not depend on z_k, so that only its own remains: (f_k - baseline) / K.
        return (log_weights - baseline) / len(log_weights)

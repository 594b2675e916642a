"""The contract of an objective: it combines the log-weights of K codes into a bound."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from torch import Tensor
from torch.distributions import Distribution

from vaelab.distributions import Code
from vaelab.objectives.terms import ScoredModel, Terms

__all__ = ["METRICS", "Combination", "Divergence", "MeanObjective", "Metric", "Objective"]

Divergence = Literal["closed-form", "sampled"]
# What a training maximises, in its log: the bound first, which is logged beside a reconstruction.
Metric = Literal["bound", "reconstruction", "log-likelihood", "pseudo-likelihood"]
METRICS: tuple[Metric, ...] = get_args(Metric)
Combination = Literal["mean", "log-mean-exp", "importance-weighted", "thermodynamic", "other"]


@dataclass(frozen=True)
class Objective(ABC):
    """Base of all objectives. A new one is a frozen dataclass with ``__call__``, and a row of ``OBJECTIVES``.

    Attributes:
        name: what users type.
        combination: how log-weights are combined. An estimator that is made for a mean over codes, or for a
            log-mean-exp, asks for it; ``importance-weighted`` are other functions of the weights that have a
            ``path_factor``; an objective of another form works with the estimators that take any.
        codes: kinds of code that it is defined for.
        metric: name of its value in a log.
        metric_of_step: that of the value of a training step, where it is another than that of a validation.
        samples: codes K of an estimator that would draw one, where the user gives no number.
        formula: the combination of log-weights v_k, in LaTeX, for the documentation.
        signal_formula: the signal of code k, in LaTeX, for the documentation.
        beta: weight of the KL while training.
        warm_up: steps over which beta rises from zero to its value.
        free_bits: nats of each unit of the code that cost nothing while training.
        kl: whether the KL is that of the distributions (``closed-form``), if torch knows it, or of the codes.
    """

    name: ClassVar[str]
    combination: ClassVar[Combination] = "other"
    codes: ClassVar[frozenset[Code]] = frozenset({"real", "bits"})
    metric: ClassVar[Metric] = "bound"
    metric_of_step: ClassVar[Metric | None] = None
    samples: ClassVar[int] = 1
    formula: ClassVar[str] = ""
    signal_formula: ClassVar[str] = r"$L(v) - \text{baseline}$"

    @property
    def beta(self) -> float:
        return 1.0

    @property
    def warm_up(self) -> int:
        return 0

    @property
    def free_bits(self) -> float:
        return 0.0

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

    @property
    def encoder(self) -> Objective:
        """What the encoder maximises: the objective itself, unless it gives encoder and decoder different targets."""
        return self

    def path_factor(self, log_weights: Tensor) -> Tensor:
        """Return `1 - L_kk / L_k`, (K, B), with the first and second derivative of L by each log-weight.

        A doubly reparameterised gradient multiplies the path derivative of each code by it.
        """
        raise NotImplementedError(f"{type(self).__name__} has no path_factor")

    def require_samples(self, samples: int) -> int:
        """Return a number of codes K, or raise an :class:`~vaelab.errors.InputError` if they cannot be combined."""
        return samples

    def terms(self, model: ScoredModel, x: Tensor, q: Distribution, z: Tensor) -> Terms:
        """Score codes z (K, B, D) for observations x (B, X), with one call of the decoder."""
        return Terms.score(model, x, q, z, self.kl == "closed-form", self.beta)

    def bound(self, terms: Terms) -> Tensor:
        """Return the bound to report, (B,): the log-weights with beta = 1 and nothing free, combined."""
        return self(terms.log_likelihood - terms.kl)

    def at(self, step: int) -> Objective:
        """Return what is maximised at a step of the training, from 0 on: the loop asks for it before each step."""
        return self

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

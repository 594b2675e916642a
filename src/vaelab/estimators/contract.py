"""The contract of a gradient estimator: it turns a model, an objective and a batch into an estimate."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from vaelab.distributions import Bernoulli, Code
from vaelab.errors import InputError, require_int
from vaelab.inputs import Table
from vaelab.models.latent import LatentVariableModel
from vaelab.objectives import OBJECTIVES, Combination, Estimate, Objective, Terms

__all__ = [
    "ANY_COMBINATION",
    "BernoulliEstimator",
    "Cost",
    "Estimate",
    "Estimator",
    "Expectation",
    "Inference",
    "Sizes",
    "direct",
    "require_bernoulli",
    "require_samples",
]

Inference = Literal["any", "network", "mean-field"]
ANY_COMBINATION: frozenset[Combination] = frozenset(get_args(Combination))


@dataclass(frozen=True)
class Expectation:
    """The expected objective for one batch, whose gradient an estimator estimates.

    Attributes:
        model: the model.
        objective: what is maximised.
        x: observations, (B, X), in the type of the model; NaN marks a missing value.
        q: q(z|x), batch shape (B,), event shape (D,).
    """

    model: LatentVariableModel
    objective: Objective
    x: Tensor
    q: Distribution

    @property
    def filled(self) -> Tensor:
        """The observations with 0 for what is missing, (B, X): for networks that the estimator learns."""
        return self.model.filled(self.x)

    def terms(self, z: Tensor, q: Distribution | None = None) -> Terms:
        """Score codes z (K, B, D), with one call of the decoder; under another q where one is given."""
        return self.objective.terms(self.model, self.x, self.q if q is None else q, z)


@dataclass(frozen=True, eq=False)
class Sizes:
    """What an estimator must know of a model to make the networks that it learns.

    Attributes:
        data_dim: X.
        latent_dim: D.
        layers: layers of a code, L.
        like: an empty tensor of the type and on the device of the model.
        code: kind of code.

    >>> from vaelab.models import bernoulli_vae
    >>> sizes = Sizes.of(bernoulli_vae(6, latent_dim=3))
    >>> sizes.data_dim, sizes.latent_dim, sizes.layers
    (6, 3, 1)
    """

    data_dim: int
    latent_dim: int
    layers: int = 1
    like: Tensor = field(default_factory=lambda: torch.empty(0))
    code: Code = "bits"

    @classmethod
    def of(cls, model: LatentVariableModel | Sizes) -> Sizes:
        """Return the sizes of a model; sizes stay as they are."""
        if isinstance(model, Sizes):
            return model
        if not isinstance(model, LatentVariableModel):
            raise InputError(f"estimator: expected the model that it is for; got {model!r}")
        layers = max(1, len(model.layers))
        return cls(model.data_dim, model.latent_dim, layers, model.any_weight.new_empty(0), model.code)


@dataclass(frozen=True)
class Cost:
    """Codes that a step decodes for an observation: ``samples`` K + ``layers`` L K + ``bits`` D K + ``fixed``, or 2^D.

    One of ``layers`` and ``bits`` may be equal to ``samples``; else they are 0.

    >>> str(Cost(2)), str(Cost(1, fixed=1)), str(Cost(0.5, layers=0.5)), Cost(0.5, layers=0.5).count(4, 200, 2)
    ('2 K', 'K + 1', '(1 + L) K/2', 6)
    >>> str(Cost(1, bits=1)), Cost(1, bits=1).count(4, 200)
    ('(1 + D) K', 804)
    """

    samples: float = 1
    layers: float = 0
    bits: float = 0
    fixed: int = 0
    enumerates: bool = False

    def count(self, samples: int, latent_dim: int, layers: int = 1) -> int:
        """Return the number for K samples of codes of D numbers in L layers."""
        if self.enumerates:
            return int(2**latent_dim)
        return int((self.samples + self.layers * layers + self.bits * latent_dim) * samples) + self.fixed

    def __str__(self) -> str:
        if self.enumerates:
            return "2^D"
        samples = {0: "", 0.5: "K/2", 1: "K"}.get(self.samples, f"{self.samples:g} K")
        factor = "(1 + L) " if self.layers else "(1 + D) " if self.bits else ""
        parts = [factor + samples, str(self.fixed or "")]
        return " + ".join(part for part in parts if part) or "0"


class Estimator(nn.Module, ABC):
    """Base of all gradient estimators. A new one is a class with ``score``, and a row of ``ESTIMATORS``.

    ``draw`` returns everything that is random: K codes from q(z|x), unless a class draws something else. ``score`` is
    a function of it, so that a test can hand in what was drawn. The expectation of the surrogate's gradient is the
    gradient of the expected objective, except for objectives in ``biased``. What an estimator learns, by gradient or as
    an average, is made by the constructor from the sizes of the model, so that ``parameters()`` is complete from the
    start; it is in the ``state_dict``, and changes only in training mode. Noise comes from torch's default generator.

    Attributes:
        name: what users type.
        codes: kinds of code that it works with.
        layered: whether a code may be a chain of layers.
        inference: kind of inference that q(z|x) must be of: ``network`` (an encoder that learns), ``mean-field``, or
            ``any``.
        combinations: combinations of log-weights that it is defined for.
        biased: those among them for which it is biased.
        bias: why it is biased, for the documentation.
        learns: what it learns, for the documentation.
        supports_beta: whether the objective's beta has its effect.
        supports_free_bits: whether the KL in closed form is part of its gradient, so that some of it can be free.
        learning_rate_factor: learning rate of its parameters relative to the model's.
        betas: Adam's for its parameters.
        cost: codes decoded in a step.
        cost_of_others: the same for an objective that is no mean over codes, where it differs.
        variants: options of which a comparison of estimators has a row for each: label -> options.

    Args:
        model: the model that it is for, or its :class:`Sizes`.
        samples: K, codes drawn for each observation.
    """

    name: ClassVar[str]
    codes: ClassVar[frozenset[Code]]
    layered: ClassVar[bool] = False
    inference: ClassVar[Inference] = "any"
    combinations: ClassVar[frozenset[Combination]] = frozenset({"mean", "log-mean-exp"})
    biased: ClassVar[frozenset[Combination]] = frozenset()
    bias: ClassVar[str] = ""
    learns: ClassVar[str] = ""
    supports_beta: ClassVar[bool] = True
    supports_free_bits: ClassVar[bool] = True
    learning_rate_factor: ClassVar[float] = 1.0
    betas: ClassVar[tuple[float, float]] = (0.9, 0.999)
    cost: ClassVar[Cost] = Cost()
    cost_of_others: ClassVar[Cost | None] = None
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    def __init__(self, model: LatentVariableModel | Sizes, samples: int = 1) -> None:
        super().__init__()
        self.sizes = Sizes.of(model)
        self.samples = require_int("samples", samples, 1)

    @abstractmethod
    def score(self, expectation: Expectation, drawn: Tensor) -> Estimate:
        """Estimate the gradient of the expectation from what was drawn."""

    def draw(self, expectation: Expectation) -> Tensor:
        """Draw what is random: K codes z (K, B, D) from q(z|x), without a gradient."""
        z: Tensor = expectation.q.sample((self.samples,))
        return z

    def forward(self, model: LatentVariableModel, objective: Objective, x: Table) -> Estimate:
        """Check the model, the objective and observations of any kind of number (B, X), then estimate.

        Where gradients are disabled, as in ``torch.no_grad``, the estimate has the same numbers and no graph.

        Raises:
            InputError: what this estimator cannot work with, or observations that do not fit the model.
        """
        self.check(model, objective)
        x = model.observations(x)
        if x.shape[-1] != self.sizes.data_dim:
            raise InputError(
                f"x: expected {self.sizes.data_dim} columns, as p(x|z) of the model has; got {x.shape[-1]}"
            )
        if torch.is_grad_enabled():
            return self.estimate(model, objective, x)
        with torch.inference_mode(False), torch.enable_grad():  # some estimators differentiate the decoder
            return self.estimate(model, objective, x.clone()).detached()

    def estimate(self, model: LatentVariableModel, objective: Objective, x: Tensor) -> Estimate:
        """Draw and score, with one call of the encoder: a training step, in which everything was checked before."""
        expectation = Expectation(model, objective, x, model.posterior(x))
        return self.score(expectation, self.draw(expectation))

    def decoder_evaluations(self, objective: Objective) -> int:
        """Return how many codes a training step decodes for each observation."""
        of_others = None if objective.combination == "mean" else self.cost_of_others
        return (of_others or self.cost).count(self.samples, self.sizes.latent_dim, self.sizes.layers)

    @classmethod
    def objectives(cls) -> list[str]:
        """Return the names of the objectives that it is defined for."""
        return [
            name for name, kind in OBJECTIVES.items() if kind.combination in cls.combinations and kind.codes & cls.codes
        ]

    def check(self, model: LatentVariableModel, objective: Objective) -> None:
        """Raise an :class:`~vaelab.errors.InputError` if this estimator cannot work with the model and objective."""
        from vaelab.estimators.checks import check_together  # which knows what an estimator is

        check_together(self, model, objective)


class BernoulliEstimator(Estimator):
    """Base of the estimators that give a gradient for the logits l of independent bits.

    ``gradient`` estimates `grad_l E_q[f(z)]`. The surrogate is the objective of the scored codes plus l times that
    estimate, held constant: its gradient reaches the encoder through the logits.
    """

    codes: ClassVar[frozenset[Code]] = frozenset({"bits"})
    combinations: ClassVar[frozenset[Combination]] = frozenset({"mean"})

    @abstractmethod
    def gradient(self, expectation: Expectation, q: Bernoulli, drawn: Tensor) -> tuple[Terms, Tensor, Tensor | None]:
        """Return the scored codes, the estimate of `grad_l E_q[f(z)]`, (B, D), and the auxiliary loss, if any."""

    def score(self, expectation: Expectation, drawn: Tensor) -> Estimate:
        """The surrogate is the objective of the codes plus l times the estimate of its gradient."""
        q, objective = require_bernoulli(self.name, expectation.q), expectation.objective
        terms, gradient, auxiliary = self.gradient(expectation, q, drawn)
        surrogate = direct(objective, terms) + (gradient.detach() * q.logits).sum(-1)  # (B,)
        return Estimate.of(objective, terms, surrogate, auxiliary)


def direct(objective: Objective, terms: Terms) -> Tensor:
    """Return a surrogate, (B,), of scored codes that are held constant: the objective of their log-weights.

    If the encoder has a target of its own, the gradient of p(x, z) is that of the objective, and that of q that of the
    target.
    """
    target = objective.encoder
    if target is objective:
        return objective(terms.log_weights)
    return objective(terms.log_weights_of_model) + target(terms.log_weights_of_encoder)


def require_bernoulli(name: str, q: Distribution, part: str = "posterior") -> Bernoulli:
    """Return q as independent bits, or raise an :class:`~vaelab.errors.InputError` for an estimator of that name."""
    if not isinstance(q, Bernoulli):
        raise InputError(
            f"estimator: {name!r} needs a {part} of independent bits (Bernoulli, or torch's "
            f"Independent(Bernoulli, 1)); got {type(q).__name__}"
        )
    return q


def require_samples(samples: int, least: int, reason: str, even: bool = False, name: str = "samples") -> None:
    """Raise an :class:`~vaelab.errors.InputError` for fewer codes than ``least``, or an odd number of them."""
    if samples < least or (even and samples % 2):
        wanted = "an even number" if even else f"at least {least}"
        raise InputError(f"{name}: expected {wanted}{reason}; got {samples}")

"""The contract of a gradient estimator: it turns a model, an objective and a batch into an estimate."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from vaelab.conditionals import Code
from vaelab.distributions import Bernoulli
from vaelab.errors import InputError, require_int
from vaelab.models.inputs import as_observations
from vaelab.models.latent import LatentVariableModel, Table
from vaelab.objectives import Objective, Terms, check_objective

__all__ = ["Estimate", "Estimator", "require_bernoulli", "require_encoder", "require_prepared"]

M = TypeVar("M", bound=nn.Module)


class Estimate(NamedTuple):
    """What an estimator returns for a batch, in nats, each of shape (B,) unless said otherwise.

    ``bound`` is the number to report. The gradient of ``surrogate`` is the estimate of the gradient of
    the objective, for all parameters of the model; its value means nothing. ``reconstruction`` and ``kl``
    are the two parts of the evidence lower bound that the same codes give, for the log. ``auxiliary``,
    shape (), is a loss whose gradient is for the estimator's own parameters and never reaches the model.
    ``relaxed`` is the bound under relaxed codes, where that is what is trained.
    """

    bound: Tensor
    surrogate: Tensor
    reconstruction: Tensor
    kl: Tensor
    auxiliary: Tensor | None = None
    relaxed: Tensor | None = None

    @classmethod
    def of(
        cls,
        objective: Objective,
        terms: Terms,
        surrogate: Tensor,
        auxiliary: Tensor | None = None,
        relaxed: Tensor | None = None,
    ) -> Estimate:
        """Gather what there is to report of the scored codes; only the two losses keep their graphs."""
        kl = terms.kl if terms.kl.ndim == 1 else terms.kl.mean(0)  # (B,)
        return cls(
            objective.bound(terms).detach(),
            surrogate,
            terms.reconstruction.mean(0).detach(),
            kl.detach(),
            auxiliary,
            None if relaxed is None else relaxed.detach(),
        )

    def loss(self) -> Tensor:
        """Return what is minimised, shape (): minus the mean surrogate, plus the auxiliary loss."""
        loss = -self.surrogate.mean()
        return loss if self.auxiliary is None else loss + self.auxiliary

    def means(self) -> Tensor:
        """Return the means over the batch that a log wants: bound, reconstruction, KL and, if there is one, relaxed."""
        parts = (self.bound, self.reconstruction, self.kl, *(() if self.relaxed is None else (self.relaxed,)))
        return torch.stack(parts).mean(1)


class Estimator(nn.Module, ABC):
    """What every estimator guarantees.

    ``draw`` returns everything that is random (codes, or the uniform noise they are made of; ``extend`` adds
    what the model itself draws), and ``score`` is a function of it, so that a test can hand in what was drawn.
    The expectation of the surrogate's gradient is the gradient of the expected objective, unless the
    objective's name is in ``biased``. Whatever it learns (a running average, a network) is in its
    ``state_dict`` and changes only in training mode. It draws from torch's default generator.

    ``codes`` and ``objectives`` are what it is defined for, ``layered`` whether a code may be a chain of
    layers; ``learning_rate_factor`` and ``betas`` are Adam's for its own parameters, the factor relative to
    the model's learning rate; ``supports_beta`` says whether the objective's beta has its effect.

    Args:
        samples: K, codes drawn for each observation.
    """

    name: ClassVar[str]
    codes: ClassVar[frozenset[Code]]
    objectives: ClassVar[frozenset[str]] = frozenset({"elbo", "iwae"})
    biased: ClassVar[frozenset[str]] = frozenset()
    layered: ClassVar[bool] = False
    learning_rate_factor: ClassVar[float] = 1.0
    betas: ClassVar[tuple[float, float]] = (0.9, 0.999)
    supports_beta: ClassVar[bool] = True

    def __init__(self, samples: int = 1) -> None:
        super().__init__()
        self.samples = require_int("estimator.samples", samples, 1)

    @abstractmethod
    def draw(self, q: Distribution, objective: Objective) -> Tensor:
        """Draw what is random: codes z (K, B, D) from q(z|x), or uniform noise."""

    @abstractmethod
    def score(
        self, model: LatentVariableModel, objective: Objective, x: Tensor, q: Distribution, drawn: Tensor
    ) -> Estimate:
        """Score what was drawn from q for observations x (B, X)."""

    def forward(self, model: LatentVariableModel, objective: Objective, x: Table) -> Estimate:
        """Check the model, the objective and observations of any kind of number (B, X), then estimate.

        Raises:
            InputError: what this estimator cannot work with, or observations that do not fit the model.
        """
        self.check(model, objective)
        return self.estimate(model, objective, as_observations(x, model.any_weight))

    def estimate(self, model: LatentVariableModel, objective: Objective, x: Tensor) -> Estimate:
        """Draw and score, with one call of the encoder: a training step, in which everything was checked before."""
        q: Distribution = model.posterior(x)
        self.prepare(x, q)
        drawn = self.extend(model, x, self.draw(q, objective))
        return self.score(model, objective, x, q, drawn)

    def extend(self, model: LatentVariableModel, x: Tensor, drawn: Tensor) -> Tensor:
        """Add to what was drawn from q what is drawn from the model itself: nothing, but for wake-sleep."""
        return drawn

    def prepare(self, x: Tensor, q: Distribution) -> None:
        """Create, once, the parameters whose sizes depend on the observations (B, X) or the codes (B, D)."""

    def decoder_evaluations(self, objective: Objective, latent_dim: int, layers: int = 1) -> int:
        """Return how many codes of ``latent_dim`` numbers a training step decodes for each observation."""
        return self.samples

    def check(self, model: LatentVariableModel, objective: Objective) -> None:
        """Raise a :class:`InputError` if this estimator cannot work with this model and objective."""
        check_objective(model, objective)
        if model.code not in self.codes:
            wanted = " or ".join(sorted(self.codes))
            raise InputError(
                f"estimator: {self.name!r} needs codes of kind {wanted}; the model's codes are of kind {model.code!r}"
            )
        if len(model.layers) > 1 and not self.layered:
            raise InputError(
                f"estimator: {self.name!r} needs a code of one layer; "
                f"the model's posterior is a chain of layers of sizes {list(model.layers)}"
            )
        if objective.name not in self.objectives:
            wanted = " or ".join(sorted(self.objectives))
            raise InputError(f"estimator: {self.name!r} is defined for the objective {wanted}; got {objective.name!r}")


def require_encoder(name: str, model: LatentVariableModel) -> None:
    """Raise a :class:`InputError` if q(z|x) has nothing to learn, as under mean-field inference."""
    if not any(weight.requires_grad for weight in model.posterior.parameters()):
        raise InputError(
            f"estimator: {name!r} trains a recognition network; q(z|x) of this model has no parameters "
            "(inference=mean-field goes with estimator.name=mean-field)"
        )


def require_bernoulli(name: str, q: Distribution, part: str = "posterior") -> Bernoulli:
    """Return q as independent bits, or raise an :class:`InputError` that names the estimator."""
    if not isinstance(q, Bernoulli):
        raise InputError(
            f"estimator: {name!r} needs a {part} of independent bits (Bernoulli, or torch's "
            f"Independent(Bernoulli, 1)); "
            f"got {type(q).__name__}"
        )
    return q


def require_prepared(name: str, part: M | None) -> M:
    """Return a network that ``prepare`` has made, or raise a :class:`InputError` where it was not called."""
    if part is None:
        raise InputError(
            f"estimator: {name!r} learns a network of the size of the data; call prepare(x, q) before score"
        )
    return part

"""The contract of a gradient estimator: it turns a model, an objective and a batch into an estimate."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

from torch import Tensor, nn
from torch.distributions import Distribution

from vaelab.conditionals import Code
from vaelab.models.latent import LatentVariableModel
from vaelab.objectives import Objective, Terms, check_objective
from vaelab.refusals import Refusal, require_int

__all__ = ["Estimate", "Estimator"]


class Estimate(NamedTuple):
    """What an estimator returns for a batch, each of shape (B,).

    ``bound`` is the number to report. The gradient of ``surrogate`` is the estimate of the gradient of
    the objective, for all parameters; its value means nothing. ``reconstruction`` and ``kl`` are the two
    parts of the evidence lower bound that the same codes give, for the log.
    """

    bound: Tensor
    surrogate: Tensor
    reconstruction: Tensor
    kl: Tensor

    @classmethod
    def of(cls, objective: Objective, terms: Terms, surrogate: Tensor) -> Estimate:
        """Gather what there is to report of the scored codes; only the surrogate keeps its graph."""
        kl = terms.kl if terms.kl.ndim == 1 else terms.kl.mean(0)  # (B,)
        parts = (objective.bound(terms), surrogate, terms.reconstruction.mean(0), kl)
        return cls(*(part if part is surrogate else part.detach() for part in parts))


class Estimator(nn.Module, ABC):
    """What every estimator guarantees.

    It draws codes in ``draw`` and scores them in ``score``, so that a test can hand in the codes. The
    expectation of the surrogate's gradient over the codes is the gradient of the expected objective (unless
    the class says it is biased). Whatever it learns (a running average, a network) is in its
    ``state_dict`` and changes only in training mode. It draws from torch's default generator.

    Args:
        samples: K, codes drawn for each observation.
    """

    name: ClassVar[str]
    codes: ClassVar[frozenset[Code]]

    def __init__(self, samples: int = 1) -> None:
        super().__init__()
        self.samples = require_int("estimator.samples", samples, 1)

    @abstractmethod
    def draw(self, q: Distribution) -> Tensor:
        """Draw codes z (K, B, D) from q(z|x)."""

    @abstractmethod
    def score(
        self, model: LatentVariableModel, objective: Objective, x: Tensor, q: Distribution, z: Tensor
    ) -> Estimate:
        """Score codes z (K, B, D) that were drawn from q for observations x (B, X)."""

    def forward(self, model: LatentVariableModel, objective: Objective, x: Tensor) -> Estimate:
        """Draw and score: one call of the encoder, one of the decoder."""
        q: Distribution = model.posterior(x)
        return self.score(model, objective, x, q, self.draw(q))

    def check(self, model: LatentVariableModel, objective: Objective) -> None:
        """Raise a :class:`Refusal` if this estimator cannot work with this model and objective."""
        check_objective(model, objective)
        if model.code not in self.codes:
            wanted = " or ".join(sorted(self.codes))
            raise Refusal(
                f"estimator: {self.name!r} needs codes of kind {wanted}; the model's codes are of kind {model.code!r}"
            )

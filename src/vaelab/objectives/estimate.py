"""What there is to know of a batch after a step: the number to report, and the loss whose gradient is taken."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from vaelab.objectives.contract import Objective
from vaelab.objectives.terms import Terms

__all__ = ["Estimate"]


class Estimate(NamedTuple):
    """What an estimator, or a density model, returns for a batch, in nats, each of shape (B,) unless another is given.

    Attributes:
        bound: the number to report.
        surrogate: its gradient is the estimate of the gradient of the objective, for all parameters of the model; its
            value has no meaning.
        log_likelihood: mean of log p(x|z) over the codes, for the log.
        kl: KL part of the evidence lower bound that the same codes give, for the log.
        auxiliary: loss of shape () for the parameters of the estimator; its gradient never reaches the model.
        relaxed: bound under relaxed codes, where that is what is trained.
    """

    bound: Tensor
    surrogate: Tensor
    log_likelihood: Tensor
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
        """Gather what there is to report of scored codes; only the two losses keep their graphs."""
        reported = replace(terms, log_likelihood=terms.log_likelihood.detach(), kl=terms.kl.detach())
        return cls(
            objective.bound(reported),
            surrogate,
            reported.log_likelihood.mean(0),
            reported.mean_kl,
            auxiliary,
            None if relaxed is None else relaxed.detach(),
        )

    @classmethod
    def of_log_density(cls, log_density: Tensor) -> Estimate:
        """Return the estimate of a model that knows log p(x) of each row, (B,), itself: no codes, and no KL."""
        value = log_density.detach()
        return cls(value, log_density, value, torch.zeros_like(value))

    def detached(self) -> Estimate:
        """Return the same numbers without graphs."""
        return self._replace(**{name: part.detach() for name, part in self._asdict().items() if part is not None})

    def loss(self, weights: Tensor | None = None) -> Tensor:
        """Return what is minimised, shape (): minus the mean surrogate, plus the auxiliary loss.

        With weights (B,), whose mean over all rows of the data is 1, a row of weight 2 is two rows. The auxiliary loss
        is not weighted: it changes the variance of the gradient, not its mean.
        """
        loss = -(self.surrogate if weights is None else self.surrogate * weights).mean()
        return loss if self.auxiliary is None else loss + self.auxiliary

    def means(self, weights: Tensor | None = None) -> Tensor:
        """Return the means over the batch for a log: bound, log-likelihood, KL and, if there is one, relaxed bound."""
        parts = (self.bound, self.log_likelihood, self.kl, *(() if self.relaxed is None else (self.relaxed,)))
        values = torch.stack(parts)
        return (values if weights is None else values * weights).mean(1)

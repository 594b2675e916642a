"""The average of the weights along a training, which is as good at any time as weights at a lower learning rate."""

from __future__ import annotations

import copy
from typing import Any, Generic, TypeVar

import torch

from vaelab.models import Model

__all__ = ["WeightAverage"]

_EVERY = 4  # steps between updates, after the first few: consecutive weights differ little, and this costs less
_ETA = 7
M = TypeVar("M", bound=Model)


class WeightAverage(Generic[M]):
    """A copy of a model that holds the average of its weights along a training, with a polynomial decay.

    Formula: with the n-th weights taken in, `m <- m + (eta + 1) / (n + eta) (w - m)`, `eta = 7`, so that the average
    looks back over about an eighth of the past, and the first weights are taken whole. Buffers are copied. Source:
    Shamir & Zhang (2013), https://arxiv.org/abs/1212.1824. ``torch.optim.swa_utils.AveragedModel`` computes the same,
    but walks through all modules at every update, which counts in the steps of small networks.

    Attributes:
        module: the copy.
        count: how many weights it has taken in.

    >>> from vaelab.models import gaussian_vae
    >>> model = gaussian_vae(6, latent_dim=2, hidden_dims=[8])
    >>> average = WeightAverage(model)
    >>> average.update(step=1)
    >>> all(map(torch.equal, average.module.parameters(), model.parameters()))
    True
    """

    def __init__(self, model: M) -> None:
        self.module = copy.deepcopy(model).requires_grad_(False)
        self.count = 0
        self._weights = list(zip(self.module.parameters(), model.parameters(), strict=True))
        self._buffers = list(zip(self.module.buffers(), model.buffers(), strict=True))

    @torch.no_grad()
    def update(self, step: int, start: int = 0) -> None:
        """Take in the weights after a step; of most steps nothing is taken.

        The average begins anew after the step ``start``: weights from a rise of beta were trained for another
        objective.
        """
        if step == start:
            self.count = 0
        elif step > _EVERY and step % _EVERY:
            return
        self.count += 1
        share = (_ETA + 1) / (self.count + _ETA)
        for mean, weight in self._weights:
            mean.lerp_(weight, share)
        for own, buffer in self._buffers:
            own.copy_(buffer)

    def state_dict(self) -> dict[str, Any]:
        return {"count": self.count, "weights": self.module.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state."""
        self.count = int(state["count"])
        self.module.load_state_dict(state["weights"])

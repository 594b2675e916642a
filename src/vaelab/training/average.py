"""The average of the weights along a training: what a lower learning rate would have reached, at any time."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

from vaelab.models import LatentVariableModel

__all__ = ["Average"]

_EVERY = 4  # steps, after the first few: neighbours differ little, and the average then costs next to nothing
_ETA = 7


class Average:
    """Polynomial-decay average of the weights, which looks back over about an eighth of the past.

    Formula: with the n-th weights taken in, m <- m + (eta + 1) / (n + eta) (w - m), eta = 7, so that the first are
    taken whole. Source: Shamir & Zhang (2013), https://arxiv.org/abs/1212.1824. It begins anew after the step
    ``start``: weights from a rise of beta were trained for another objective.

    >>> from vaelab.models import gaussian_vae
    >>> model = gaussian_vae(6, latent_dim=2, hidden_dims=[8])
    >>> average = Average(model)
    >>> average.add(step=1)
    >>> torch.equal(average.model.likelihood.logits.weight, model.likelihood.logits.weight)
    True
    """

    def __init__(self, model: LatentVariableModel, start: int = 0) -> None:
        self.start = start
        self.model = copy.deepcopy(model).requires_grad_(False)
        self.count = 0
        self.means: list[Tensor] = list(self.model.parameters())
        self.weights: list[Tensor] = list(model.parameters())

    def add(self, step: int) -> None:
        """Take in the weights after a step; of most steps nothing is taken."""
        if step == self.start:
            self.count = 0
        elif step > _EVERY and step % _EVERY:
            return
        self.count += 1
        with torch.no_grad():
            torch._foreach_lerp_(self.means, self.weights, (_ETA + 1) / (self.count + _ETA))

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed training needs."""
        return {"model": self.model.state_dict(), "count": self.count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self.model.load_state_dict(state["model"])
        self.count = state["count"]

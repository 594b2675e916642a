"""Codes that all observations share: each is decoded once, and every observation is scored against it."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from vaelab.data import Observations
from vaelab.distributions import Bernoulli
from vaelab.models import LatentVariableModel

__all__ = ["CHUNK", "SharedCodes"]

CHUNK = 4096  # codes that are decoded at once
_ROWS = 2000  # observations that are scored at once
_ELEMENTS = 4_000_000  # numbers of the codes times the observations, where each pair takes room for all columns


class SharedCodes:
    """Observations that are scored against the same codes.

    Those of a conditional model are grouped by what they are given, because a code is decoded with it.

    Args:
        model: the model.
        observed: the observations.
    """

    def __init__(self, model: LatentVariableModel, observed: Observations) -> None:
        self.model = model
        rows = observed.bits(slice(None)).to(model.any_weight)  # (N, X + Y)
        self.x, y = model.split(rows)
        self.given: Tensor
        self.given, group = y.unique(dim=0, return_inverse=True) if model.given else (y[:1], y.new_zeros(len(y)))
        self.members = [(group == number).nonzero()[:, 0] for number in range(len(self.given))]

    def log_likelihoods(self, codes: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield places of observations (B,) with log p(x|z), (G, B), for codes (G, D)."""
        for y, members in zip(self.given, self.members, strict=True):
            conditional = self.model.conditional(codes.unsqueeze(1), y[None])  # (G, 1)
            # of bits it is a product of matrices
            rows = _ROWS if isinstance(conditional, Bernoulli) else max(1, _ELEMENTS // (len(codes) * self.x.shape[1]))
            for places in members.split(rows):
                yield places.cpu(), self.model.log_density(conditional, self.x[places])

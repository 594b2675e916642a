"""Training batches from resident pixels: the batch of any step depends on (seed, step) alone."""

from __future__ import annotations

import torch
from torch import Tensor

from vaelab.data.binarise import Observations
from vaelab.randomness import derive_seed

__all__ = ["Batches"]


class Batches:
    """Hands out the batch of any step: a fresh permutation an epoch, whole batches only."""

    def __init__(self, observed: Observations, batch_size: int, seed: int) -> None:
        self.observed = observed
        self.batch_size = min(batch_size, len(observed))
        self.steps_per_epoch = len(observed) // self.batch_size
        self.seed = seed
        self._epoch = -1
        self._order = torch.empty(0, dtype=torch.long)

    def __call__(self, step: int) -> Tensor:
        """Return the observations of ``step``, float32 of shape (B, X)."""
        epoch, position = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            generator = torch.Generator().manual_seed(derive_seed(self.seed, "epoch", epoch))
            order = torch.randperm(len(self.observed), generator=generator)
            self._epoch, self._order = epoch, order.to(self.observed.pixels.device)
        start = position * self.batch_size
        return self.observed.bits(self._order[start : start + self.batch_size])  # (B, X)

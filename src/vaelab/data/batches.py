"""Training batches from resident pixels: the batch of any step depends on (seed, step) alone."""

from __future__ import annotations

import torch
from torch import Tensor

from vaelab.data.binarise import Observations
from vaelab.randomness import derive_seed
from vaelab.ranks import ALONE, Ranks
from vaelab.refusals import Refusal

__all__ = ["Batches"]


class Batches:
    """Hands out the batch of any step, or a rank's share of it: a fresh permutation an epoch, whole batches only.

    Raises:
        Refusal: a batch that does not divide among the ranks.
    """

    def __init__(self, observed: Observations, batch_size: int, seed: int, ranks: Ranks = ALONE) -> None:
        self.observed, self.ranks = observed, ranks
        self.batch_size = min(batch_size, len(observed))
        if self.batch_size % ranks.count:
            raise Refusal(
                f"training.batch_size: expected a multiple of {ranks.count}, the number of ranks; got {self.batch_size}"
            )
        self.steps_per_epoch = len(observed) // self.batch_size
        self.seed = seed
        self._epoch = -1
        self._order = torch.empty(0, dtype=torch.long)

    def __call__(self, step: int) -> Tensor:
        """Return the observations of ``step``, float32 of shape (B, X), or (B / ranks, X)."""
        return self.observed.bits(self.ranks.share(self.rows(step)), self.ranks)

    def rows(self, step: int) -> Tensor:
        """Return which rows are in the whole batch of ``step``, shape (B,)."""
        epoch, position = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            generator = torch.Generator().manual_seed(derive_seed(self.seed, "epoch", epoch))
            order = torch.randperm(len(self.observed), generator=generator)
            self._epoch, self._order = epoch, order.to(self.observed.pixels.device)
        start = position * self.batch_size
        return self._order[start : start + self.batch_size]

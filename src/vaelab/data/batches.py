"""Training batches: the batch of any step depends on (seed, step) alone, in memory or on the disk."""

from __future__ import annotations

import torch
from torch import Tensor

from vaelab.data.observations import Observations
from vaelab.data.streaming.observations import Streamed
from vaelab.data.streaming.order import Windows
from vaelab.distributed import ALONE, Ranks
from vaelab.errors import InputError
from vaelab.seeds import derive_seed

__all__ = ["Batches"]


class Batches:
    """Hands out the batch of any step, or a rank's share of it: every row once an epoch, in a new order, whole batches.

    Raises:
        InputError: a batch that does not divide among the ranks.

    >>> from vaelab.data import load_data
    >>> batches = Batches(load_data("mnist").train.observations(), batch_size=100, seed=0)
    >>> rows = batches.rows(7)
    >>> rows.shape, batches(7).shape, batches.bits(7, rows[:10]).shape
    (torch.Size([100]), torch.Size([100, 784]), torch.Size([10, 784]))
    """

    def __init__(self, observed: Observations, batch_size: int, seed: int, ranks: Ranks = ALONE) -> None:
        self.observed, self.ranks = observed, ranks
        self._weights = (
            None if observed.weights is None else observed.weights / observed.weights.double().mean().float()
        )
        self.batch_size = min(batch_size, len(observed))
        if self.batch_size % ranks.count:
            all_of = f", all there are of the {batch_size} asked for" if self.batch_size < batch_size else ""
            raise InputError(
                f"batch_size: expected a multiple of {ranks.count}, the number of ranks; got {self.batch_size}{all_of}"
            )
        self.steps_per_epoch = len(observed) // self.batch_size
        self._order = Windows(observed, seed) if isinstance(observed, Streamed) else _Permutation(observed, seed)

    def __call__(self, step: int) -> Tensor:
        """Return the observations of ``step``, float32 of shape (B, X), or (B / ranks, X)."""
        return self.bits(step, self.ranks.share(self.rows(step)))

    def rows(self, step: int) -> Tensor:
        """Return the numbers of the rows of the whole batch of ``step``, shape (B,); nothing is read for it."""
        return self._order.rows(*self._places(step))

    def weights(self, step: int) -> Tensor | None:
        """Return the weights of the observations of ``step``, (B,) or (B / ranks,); their mean over the split is 1."""
        if self._weights is None:
            return None
        return self._weights.index_select(0, self.ranks.share(self.rows(step)))

    def bits(self, step: int, rows: Tensor) -> Tensor:
        """Return the observations of some of the rows of ``step``."""
        return self._order.bits(*self._places(step), rows, self.ranks)

    def _places(self, step: int) -> tuple[int, int, int]:
        epoch, position = divmod(step, self.steps_per_epoch)
        return epoch, position * self.batch_size, (position + 1) * self.batch_size


class _Permutation:
    """The order of rows in memory: a fresh permutation an epoch."""

    def __init__(self, observed: Observations, seed: int) -> None:
        self.observed, self.seed = observed, seed
        self._epoch = -1
        self._order = torch.empty(0, dtype=torch.long)

    def rows(self, epoch: int, start: int, stop: int) -> Tensor:
        if epoch != self._epoch:
            generator = torch.Generator().manual_seed(derive_seed(self.seed, "epoch", epoch))
            order = torch.randperm(len(self.observed), generator=generator)
            self._epoch, self._order = epoch, order.to(self.observed.device)
        return self._order[start:stop]

    def bits(self, epoch: int, start: int, stop: int, rows: Tensor, ranks: Ranks) -> Tensor:
        return self.observed.bits(rows, ranks)

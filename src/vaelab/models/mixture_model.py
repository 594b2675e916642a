"""What the models that are mixtures share: their options, and the search for the best on the validation rows."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from itertools import product
from typing import ClassVar

import torch
from torch import Tensor

from vaelab.data import Dataset, DataSpec, Observations
from vaelab.distributions import Mixture
from vaelab.errors import require_int
from vaelab.inputs import Table
from vaelab.models.contest import Passes, State
from vaelab.models.contested import Auto, Contested, require_smoothing
from vaelab.models.density import Pass
from vaelab.seeds import derive_seed

__all__ = ["MixtureModel", "shares_and_density"]


class MixtureModel(Contested):
    """A density model that is a mixture, learned by expectation maximisation from several starts.

    The starts are those of every number of components, every smoothing and every repetition; which of them is kept the
    validation rows decide. A subclass has :meth:`distribution_of`, which makes a mixture of what is learned, and
    :meth:`passes` of one start. The first axis of each learned tensor is that of the components.

    Attributes:
        numbers_of_components: those that are compared, as far as the training rows are enough for them.
        smoothings: those that are compared.
        rows_each: the training rows that each component needs at least, where the number is chosen.

    Args:
        data: the data set, its spec, or the number of columns X.
        components: how many, or ``auto`` for the best on the validation rows.
        restarts: starts of each setting.
        smoothing: rows, of what is in the whole table, that are added to those of each component; or ``auto``.

    Raises:
        InputError: an option out of range, or columns of another kind.
    """

    numbers_of_components: ClassVar[tuple[int, ...]]
    smoothings: ClassVar[tuple[float, ...]]
    rows_each: ClassVar[int]

    def __init__(
        self,
        data: Dataset | DataSpec | int,
        components: int | Auto = "auto",
        restarts: int = 2,
        smoothing: float | Auto = "auto",
    ) -> None:
        super().__init__(data)
        self.components = components if components == "auto" else require_int("components", components, 1)
        self.restarts = require_int("restarts", restarts, 1)
        self.smoothing = require_smoothing(smoothing)

    @abstractmethod
    def distribution_of(self, state: State) -> Mixture:
        """Return the mixture of what was learned."""

    @abstractmethod
    def passes(self, train: Observations, components: int, smoothing: float, generator: torch.Generator) -> Passes:
        """Yield what is learned after each pass over the training rows, without end."""

    def learn(self, train: Observations, validation: Observations, seed: int) -> Iterator[Pass]:
        """Passes of all starts, those of the better ones last."""
        most = max(1, len(train) // self.rows_each)
        counts = (self.components,) if self.components != "auto" else self.numbers_of_components
        smoothings = self.smoothings if self.smoothing == "auto" else (self.smoothing,)
        if self.components == "auto":
            counts = tuple(count for count in counts if count <= most) or (1,)
        settings = product(counts, smoothings, range(self.restarts))
        starts = [
            self.passes(train, count, smoothing, torch.Generator().manual_seed(derive_seed(seed, "start", number)))
            for number, (count, smoothing, _) in enumerate(settings)
        ]
        yield from self.best_of(starts, validation)

    def responsibilities(self, x: Table) -> Tensor:
        """Return the probability of each component given x, shape (B, C), for rows x (B, X)."""
        with torch.no_grad():
            mixture = self.distribution()
            assert isinstance(mixture, Mixture)
            return mixture.log_joint(self.observations(x), observed=self.may_be_missing).softmax(-1)


def shares_and_density(joint: Tensor) -> tuple[Tensor, Tensor]:
    """Return softmax and logsumexp over the last axis of `log w_c + log p_c(x)`, (N, C).

    They are computed together. A component less probable than the best by `exp(-80)` counts as that: numbers below
    1e-38 make a processor slow.
    """
    best = joint.amax(-1, keepdim=True)
    shares = (joint - best).clamp_min_(-80).exp_()
    total = shares.sum(-1, keepdim=True)
    return shares.div_(total), (best + total.log()).squeeze(-1)

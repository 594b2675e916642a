"""What the models that are mixtures share: their options, and the search for the best on the validation rows."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator
from itertools import product
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor

from vaelab.data import Dataset, DataSpec, Observations
from vaelab.distributions import Mixture
from vaelab.errors import InputError, require_choice, require_int
from vaelab.inputs import Table
from vaelab.models.contest import Passes, State
from vaelab.models.contested import Auto, Contested
from vaelab.models.density import Pass, require_smoothing
from vaelab.seeds import derive_seed

__all__ = ["MixtureModel", "Selection", "Start", "shares_and_density"]

Selection = Literal["validation", "bic"]
# From a number of components, a smoothing and a generator of random numbers to the passes of a start, without end.
Start = Callable[[int, float, torch.Generator], Passes]


class MixtureModel(Contested):
    """A density model that is a mixture, learned by expectation maximisation from several starts.

    The starts are those of every number of components, every smoothing and every repetition. Which pass of which start
    is kept, the mean log p(x) of the validation rows decides, or with ``selection="bic"`` the Bayesian information
    criterion of the N training rows,

    `mean log p(x) - k log N / (2 N)`, in nats a row, with k numbers that are learned.

    It has no penalty for a small smoothing, so ``auto`` then is the smallest. A subclass has :meth:`distribution_of`,
    which makes a mixture of what is learned, and :meth:`starts`. The first axis of each learned tensor is that of the
    components.

    Source: Schwarz (1978), https://doi.org/10.1214/aos/1176344136, of the criterion.

    Attributes:
        numbers_of_components: those that are compared, as far as the training rows are enough for them.
        smoothings: those that are compared.
        rows_each: the training rows that each component needs at least, where the number is chosen.

    Args:
        data: the data set, its spec, or the number of columns X.
        components: how many, or ``auto`` for the best.
        restarts: starts of each setting.
        smoothing: rows, of what is in the whole table, that are added to those of each component; or ``auto``.
        selection: what decides which is the best: the ``validation`` rows, or ``bic``.

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
        selection: Selection = "validation",
    ) -> None:
        super().__init__(data)
        self.components = components if components == "auto" else require_int("components", components, 1, "auto")
        self.restarts = require_int("restarts", restarts, 1)
        self.smoothing = smoothing if smoothing == "auto" else require_smoothing(smoothing, "auto")
        require_choice("selection", selection, get_args(Selection))
        self.selection = selection

    @abstractmethod
    def distribution_of(self, state: State) -> Mixture:
        """Return the mixture of what was learned."""

    @abstractmethod
    def starts(self, train: Observations) -> Start:
        """Count once what all starts share, and return what makes a start, which yields what each pass has learned."""

    @abstractmethod
    def size(self, components: int) -> int:
        """Return how many numbers are learned of so many components, those that others determine not counted."""

    def learn(self, train: Observations, validation: Observations, seed: int) -> Iterator[Pass]:
        """Passes of all starts, those of the better ones last."""
        most = max(1, len(train) // self.rows_each)
        counts = (self.components,) if self.components != "auto" else self.numbers_of_components
        smoothings = self.smoothings if self.smoothing == "auto" else (self.smoothing,)
        if self.selection == "bic":
            smoothings = (min(smoothings),)
        if self.components == "auto":
            counts = tuple(count for count in counts if count <= most) or (1,)
        settings, start = product(counts, smoothings, range(self.restarts)), self.starts(train)
        starts = [
            start(count, smoothing, torch.Generator().manual_seed(derive_seed(seed, "start", number)))
            for number, (count, smoothing, _) in enumerate(settings)
        ]
        score = None if self.selection == "validation" else lambda state: self.bic(state, train)
        yield from self.best_of(starts, validation, score)

    def bic(self, state: State, train: Observations) -> float:
        """Return the Bayesian information criterion of what was learned, in nats a row: the larger, the better.

        Raises:
            InputError: weights that sum to less than 2, as a row of weight 2 counts as two rows, and the criterion has
                no penalty for one row.
        """
        rows = float(len(train)) if train.weights is None else float(train.weights.double().sum())
        if rows < 2:
            raise InputError(
                f"selection: expected at least 2 training rows for 'bic', counted by their weights; got {rows:g} "
                "(multiply the weights so that they sum to the number of rows)"
            )
        return self.mean_of(state, train) - self.size(len(state["log_weights"])) * math.log(rows) / (2 * rows)

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

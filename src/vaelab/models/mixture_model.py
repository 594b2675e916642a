"""What the models that are mixtures share: their options, and the search for the best on the validation rows."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from itertools import product
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from vaelab.data import Dataset, DataSpec, Observations
from vaelab.data.weights import weighted_mean
from vaelab.distributions import Mixture
from vaelab.errors import InputError, require_int, require_number
from vaelab.inputs import Table
from vaelab.models.contest import Passes, State, contest
from vaelab.models.density import Counted, Pass
from vaelab.seeds import derive_seed

__all__ = ["Auto", "MixtureModel", "shares_and_density"]

Auto = Literal["auto"]


class MixtureModel(Counted):
    """A density model that is a mixture, learned by expectation maximisation from several starts.

    The starts are those of every number of components, every smoothing and every repetition; which of them is kept the
    validation rows decide, in a :func:`~vaelab.models.contest.contest`. A subclass has :meth:`mixture`, which makes a
    mixture of what is learned, and :meth:`passes` of one start.

    Attributes:
        numbers_of_components: those that are compared, as far as the training rows are enough for them.
        smoothings: those that are compared.
        rows_each: the training rows that each component needs at least, where the number is chosen.
        patience: passes without a gain after which a start ends.
        first: passes that every start makes.

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
    patience: ClassVar[int]
    first: ClassVar[int]

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
        self.smoothing = smoothing if smoothing == "auto" else require_number("smoothing", smoothing, 0)
        if self.smoothing == 0:
            raise InputError("smoothing: expected a number above 0, as a value that never occurred is possible; got 0")

    @abstractmethod
    def mixture(self, state: State) -> Mixture:
        """Return the mixture of what was learned."""

    @abstractmethod
    def passes(self, train: Observations, components: int, smoothing: float, generator: torch.Generator) -> Passes:
        """Yield what is learned after each pass over the training rows, without end."""

    def distribution(self) -> Mixture:
        return self.mixture({name: getattr(self, name) for name in self.learned})

    @property
    @abstractmethod
    def learned(self) -> tuple[str, ...]:
        """The names of the tensors that are learned; the first axis of each is that of the components."""

    def keep(self, state: State) -> None:
        """Take on what was learned, of any number of components."""
        for name, value in state.items():
            if value.is_floating_point():
                setattr(self, name, nn.Parameter(value.clone()))
            else:
                self.register_buffer(name, value.clone())

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
        yield from contest(starts, lambda state: self._score(state, validation), self.keep, self.patience, self.first)

    def _score(self, state: State, rows: Observations) -> float:
        """Return the mean log p(x) of rows, in nats, under what was learned."""
        mixture = self.mixture(state)
        values = self.values_of(rows, lambda x: self.log_density(mixture, x))
        return float(weighted_mean(values, None if rows.weights is None else rows.weights.cpu()))

    def responsibilities(self, x: Table) -> Tensor:
        """Return the probability of each component given x, shape (B, C), for rows x (B, X)."""
        with torch.no_grad():
            joint = self.distribution().log_joint(self.observations(x), observed=self.may_be_missing)
            return joint.softmax(-1)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        """Make room for as many components as the weights have."""
        for name in self.learned:
            value, own = state_dict.get(prefix + name), getattr(self, name)
            if isinstance(value, Tensor) and value.shape[1:] == own.shape[1:]:
                self.keep({name: own.new_zeros(value.shape)})
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


def shares_and_density(joint: Tensor) -> tuple[Tensor, Tensor]:
    """Return softmax and logsumexp over the last axis of `log w_c + log p_c(x)`, (N, C).

    They are computed together. A component less probable than the best by `exp(-80)` counts as that: numbers below
    1e-38 make a processor slow.
    """
    best = joint.amax(-1, keepdim=True)
    shares = (joint - best).clamp_min_(-80).exp_()
    total = shares.sum(-1, keepdim=True)
    return shares.div_(total), (best + total.log()).squeeze(-1)

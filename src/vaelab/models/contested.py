"""A model that learns from several starts, the best of which is kept."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from vaelab.data import Observations
from vaelab.data.weights import weighted_mean
from vaelab.models.contest import Passes, State, contest
from vaelab.models.density import Counted, Pass

__all__ = ["Auto", "Contested"]

Auto = Literal["auto"]


class Contested(Counted):
    """A density model that learns from several starts, in a :func:`~vaelab.models.contest.contest`.

    Attributes:
        patience: passes without a gain on the validation rows after which a start ends.
        first: passes that every start makes.
    """

    patience: ClassVar[int]
    first: ClassVar[int]

    @property
    @abstractmethod
    def learned(self) -> tuple[str, ...]:
        """The names of the tensors that are learned; their sizes may be others than those of a model as it is built."""

    @abstractmethod
    def distribution_of(self, state: State) -> Distribution:
        """Return p(x) of what was learned."""

    def distribution(self) -> Distribution:
        return self.distribution_of(self._learned_state)

    @property
    def _learned_state(self) -> State:
        """What the model has learned."""
        return {name: getattr(self, name) for name in self.learned}

    def rows_at_once_of(self, state: State) -> int:
        """Return how many densities of rows are computed at once under what was learned."""
        return super().rows_at_once

    @property
    def rows_at_once(self) -> int:
        return self.rows_at_once_of(self._learned_state)

    def keep(self, state: State) -> None:
        """Take on what was learned, of any size."""
        for name, value in state.items():
            if value.is_floating_point():
                setattr(self, name, nn.Parameter(value.clone()))
            else:
                self.register_buffer(name, value.clone())

    def best_of(
        self,
        starts: Sequence[Passes],
        validation: Observations,
        score: Callable[[State], float] | None = None,
        above: float = float("-inf"),
    ) -> Iterator[Pass]:
        """Make the passes of all starts, those of the better ones last; keep what is best, and better than ``above``.

        It is the best on the validation rows, or by a score of what was learned.
        """

        def validate(state: State) -> float:
            return self.mean_of(state, validation)

        yield from contest(starts, validate, self.keep, self.patience, self.first, score, above)

    def mean_of(self, state: State, rows: Observations) -> float:
        """Return the mean log p(x) of rows, in nats, under what was learned."""
        distribution = self.distribution_of(state)
        score = lambda x: self.log_density(distribution, x)  # noqa: E731
        values = self.values_of(rows, score, at_once=self.rows_at_once_of(state))
        return float(weighted_mean(values, None if rows.weights is None else rows.weights.cpu()))

    def _may_have_shape(self, name: str, shape: torch.Size) -> bool:
        """Return whether a learned tensor may have a shape: another first axis, that of the components."""
        own: Tensor = getattr(self, name)
        return shape[1:] == own.shape[1:]

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        """Make room for weights of other sizes."""
        for name in self.learned:
            value, own = state_dict.get(prefix + name), getattr(self, name)
            if isinstance(value, Tensor) and self._may_have_shape(name, value.shape):
                self.keep({name: own.new_zeros(value.shape)})
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

"""Several starts of a learning procedure, of which those with the better validation go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from torch import Tensor

from vaelab.models.density import Pass

__all__ = ["Passes", "State", "contest"]

State = dict[str, Tensor]
Passes = Iterator[tuple[State, float]]  # after each pass what was learned, and the mean log p(x) of the training rows

_LEAST = 1e-3  # nats a row: a smaller gain of the validation counts as none
_MOST = 300  # passes of a start


class _Start:
    """One start: its passes, its best validation, and how many passes ago that was."""

    def __init__(self, passes: Passes, patience: int) -> None:
        self.passes, self.patience, self.made, self.idle, self.best = passes, patience, 0, 0, float("-inf")

    @property
    def has_ended(self) -> bool:
        return self.idle >= self.patience or self.made >= _MOST

    @property
    def room(self) -> int:
        """The passes that it can still make, at most."""
        return 0 if self.has_ended else _MOST - self.made


def contest(
    starts: Sequence[Passes],
    validate: Callable[[State], float],
    keep: Callable[[State], None],
    patience: int = 5,
    first: int = 3,
    score: Callable[[State], float] | None = None,
    above: float = float("-inf"),
) -> Iterator[Pass]:
    """Let all starts make ``first`` passes, then the better third three times as many, and so on until one is left.

    A start ends when its validation has not gained 0.001 nats a row for ``patience`` passes, or after 300. ``keep`` is
    called with each state whose validation is the best of all so far, and higher than ``above``. A ``score`` decides
    instead of the validation where it is given. The number of passes that a :class:`Pass` states as the most there can
    be falls where a start ends early; it never grows.

    Source: successive halving, Jamieson & Talwalkar (2016), https://arxiv.org/abs/1502.07943, with thirds for halves.

    >>> import torch
    >>> def climb(top):
    ...     for step in range(1, 100):
    ...         yield {"x": torch.tensor(min(step, top))}, 0.0
    >>> best = []
    >>> passes = list(contest([climb(2), climb(20)], lambda state: float(state["x"]), best.append))
    >>> len(passes), best[-1]["x"]
    (28, tensor(20))
    """
    left, best = [_Start(passes, patience) for passes in starts], above
    done, number, due = 0, first, first  # due: the passes of a start by the end of this round
    while (start := _next(left, due)) is not None:
        state, train = next(start.passes)
        validation = validate(state)
        value = validation if score is None else score(state)
        start.made, start.idle, done = start.made + 1, start.idle + 1, done + 1
        if value > start.best + _LEAST:
            start.best, start.idle = value, 0
        if value > best:
            best = value
            keep(state)
        while _next(left, due) is None and not all(start.has_ended for start in left):
            left = sorted(left, key=lambda start: -start.best)[: -(-len(left) // 3)]
            number, due = 3 * number, due + 3 * number
        yield Pass(train, validation, done + _to_come(left, due, number), value)


def _next(left: Sequence[_Start], due: int) -> _Start | None:
    """Return the start whose pass is the next of a round; None where the round is over."""
    return next((start for start in left if start.made < due and not start.has_ended), None)


def _to_come(left: Sequence[_Start], due: int, number: int) -> int:
    """Return how many passes there can be still, at most: those left of this round, and those of all later rounds.

    >>> _to_come([_Start(iter(()), 5), _Start(iter(()), 5)], 3, 3)
    303
    """
    rooms, total = [(start.room, due - start.made) for start in left], 0
    while any(room for room, _ in rooms):
        total += sum(min(pair) for pair in rooms)
        after = sorted((room - min(room, quota) for room, quota in rooms), reverse=True)
        number *= 3
        rooms = [(room, number) for room in after[: -(-len(after) // 3)]]
    return total

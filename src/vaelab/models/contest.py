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


def contest(
    starts: Sequence[Passes],
    validate: Callable[[State], float],
    keep: Callable[[State], None],
    patience: int = 5,
    first: int = 3,
) -> Iterator[Pass]:
    """Let all starts make ``first`` passes, then the better third three times as many, and so on until one is left.

    A start ends when its validation has not gained 0.001 nats a row for ``patience`` passes, or after 300. ``keep`` is
    called with each state whose validation is the best of all so far.

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
    left, best = [_Start(passes, patience) for passes in starts], float("-inf")
    done, number = 0, first
    while True:
        for start in left:
            for _ in range(number):
                if start.has_ended:
                    break
                state, train = next(start.passes)
                validation = validate(state)
                start.made, start.idle = start.made + 1, start.idle + 1
                if validation > start.best + _LEAST:
                    start.best, start.idle = validation, 0
                if validation > best:
                    best = validation
                    keep(state)
                done += 1
                yield Pass(train, validation, done + _to_come(left, number))
        if all(start.has_ended for start in left):
            return
        left = sorted(left, key=lambda start: -start.best)[: -(-len(left) // 3)]
        number *= 3


def _to_come(left: Sequence[_Start], number: int) -> int:
    """Return about how many passes there are still to come."""
    return 0 if all(start.has_ended for start in left) else len(left) * number

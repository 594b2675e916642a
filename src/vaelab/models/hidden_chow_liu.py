"""A hidden Chow-Liu tree: each column has a hidden state, and the states form a tree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import torch
from torch import Tensor, nn

from vaelab.data import Dataset, DataSpec, Observations
from vaelab.distributions import Bernoulli, Forest, HiddenTree
from vaelab.errors import require_int
from vaelab.likelihoods.chow_liu import PairCounts, chow_liu_tree, require_pairs
from vaelab.models.bernoulli_mixture import first_classes, whole_table
from vaelab.models.build import builder
from vaelab.models.contest import Passes, State
from vaelab.models.contested import Auto, Contested
from vaelab.models.density import Pass, require_smoothing
from vaelab.seeds import derive_seed

__all__ = ["HiddenChowLiuTree", "hidden_chow_liu"]

_BLOCKS = 16  # of training rows, after each of which the parameters are learned again
_SMALLEST = 500  # rows of a block, at least
_ELEMENTS = 2_000_000  # states of all columns of the rows that are computed at once: 8 MB
_PAIRS = 10.0  # rows of independent columns that are added to the counts of each pair of columns
_MEANS = 0.1  # rows of each value that are added to the mean of a column
_CERTAIN = 1e-6  # no probability is nearer to 0 or 1
_FORGETTING = 0.7  # how fast early blocks are forgotten: step t counts as t^-0.7
_OF_MIXTURE = 1.0  # its smoothing
_SAME = 0.9  # how probable it is at the start that a column has the state of its parent
_GAIN = 0.01  # nats a row: a smaller one of more states on the validation rows counts as none
_LARGEST = 5.0  # logit of a bit at the start


class HiddenChowLiuTree(Contested):
    """p(x) of bits with a hidden state each: `log p(x) = log sum_h prod_j p(h_j | h_pa(j)) p(x_j | h_j)`.

    The states, C of each column, form the Chow-Liu tree of the columns (:func:`~vaelab.models.chow_liu`); x_j is
    Bernoulli given its state. With two states that equal the bits it is that tree itself; with states that are the same
    in all columns it is a mixture of C classes. It is learned by stepwise expectation maximisation: the training rows
    are cut into at most 16 blocks, and after each block

    `p(h_j = h | g) = (n_j(g, h) + s / C) / (n_j(g) + s)`, `p(x_j = 1 | h) = (n_j(h, 1) + s p_j) / (n_j(h) + s)`

    where n_j are expected counts of the states given the rows, of all training rows: an average over the blocks, in
    which later blocks count more, and which is exact where there is one block. p_j is how frequent a one is in the
    whole table, to which one row of every value is added; s rows of it are added to each state. It begins with the
    classes of a few passes of :class:`~vaelab.models.BernoulliMixture`: a column has nearly always the state of its
    parent. A row of weight 2 counts as two; missing values are left out.

    Sources: Choi, Tan, Anandkumar & Willsky (2011), https://www.jmlr.org/papers/v12/choi11b.html, of trees of hidden
    variables; Liu & Van den Broeck (2021), https://arxiv.org/abs/2106.02264, of hidden Chow-Liu trees; Cappe & Moulines
    (2009), https://arxiv.org/abs/0712.4273, of stepwise expectation maximisation.

    Args:
        data: the data set, its spec, or the number of columns X.
        states: C, or ``auto`` for the best on the validation rows.
        restarts: starts of each number of states.
        smoothing: s, rows that are added to each state.

    Attributes:
        numbers_of_states: those that are compared, one after the other, until more are no better.
        rows_each: the training rows that each state needs at least, where the number is chosen.
        parents: the parent of each column, (X,); -1 for the root. Before it has learned, each column is a root.

    Raises:
        InputError: an option out of range, columns that are no bits, or more than 5,000.
    """

    numbers_of_states: ClassVar[tuple[int, ...]] = (2, 8, 16, 32, 64)
    rows_each: ClassVar[int] = 4
    patience: ClassVar[int] = 5
    first: ClassVar[int] = 5
    parents: Tensor

    def __init__(
        self,
        data: Dataset | DataSpec | int,
        states: int | Auto = "auto",
        restarts: int = 1,
        smoothing: float = 0.3,
    ) -> None:
        super().__init__(data)
        self.states = states if states == "auto" else require_int("states", states, 1, "auto")
        self.restarts = require_int("restarts", restarts, 1)
        self.smoothing = require_smoothing(smoothing)
        require_pairs("data: hidden-chow-liu", self.data_dim, "bernoulli-mixture has no limit")
        count = 1 if states == "auto" else states
        self.transitions = nn.Parameter(torch.zeros(self.data_dim, count, count))
        self.emissions = nn.Parameter(torch.zeros(self.data_dim, count))
        self.register_buffer("parents", torch.full((self.data_dim,), -1))
        self._forest: tuple[Tensor, Forest] | None = None

    @property
    def learned(self) -> tuple[str, ...]:
        return ("transitions", "emissions", "parents")

    def _may_have_shape(self, name: str, shape: torch.Size) -> bool:
        """Return whether a learned tensor may have a shape: the first axis is that of the columns."""
        own = getattr(self, name).shape
        return len(shape) == len(own) and shape[:1] == own[:1]

    def rows_at_once_of(self, state: State) -> int:
        return max(1, min(super().rows_at_once_of(state), _ELEMENTS // state["emissions"].numel()))

    def distribution_of(self, state: State) -> HiddenTree:
        parents = state["parents"]
        if self._forest is None or self._forest[0] is not parents:
            self._forest = parents, Forest.of(parents)
        return HiddenTree(state["transitions"], state["emissions"], self._forest[1])

    def learn(self, train: Observations, validation: Observations, seed: int) -> Iterator[Pass]:
        """Passes of all starts of a number of states, then of the next, until more states are no better."""
        counts = PairCounts.of(train, self.data_dim).cpu()
        parents = chow_liu_tree(counts.smoothed(counts.independent(_MEANS), _PAIRS).mutual_information())
        enough = tuple(states for states in self.numbers_of_states if states * self.rows_each <= len(train))
        numbers = (enough or (1,)) if self.states == "auto" else (self.states,)
        best, made, most = float("-inf"), 0, 0  # most: passes of a number of states
        for later, states in zip(reversed(range(len(numbers))), numbers, strict=True):
            seeds = [derive_seed(seed, "start", states, restart) for restart in range(self.restarts)]
            starts = [
                self.passes(train, parents, states, self.smoothing, torch.Generator().manual_seed(number))
                for number in seeds
            ]
            found: list[float] = []
            for done in self.best_of(starts, validation, above=best):
                found.append(done.validation)
                most = most or done.of
                is_last = len(found) == done.of and max(found) < best + _GAIN
                yield done._replace(of=made + done.of + (0 if is_last else later * most))
            if max(found) < best + _GAIN:
                return
            best, made = max(found), made + len(found)

    def passes(
        self, train: Observations, parents: Tensor, states: int, smoothing: float, generator: torch.Generator
    ) -> Passes:
        """Yield what is learned after each pass over the training rows, without end."""
        weights = torch.ones(len(train)) if train.weights is None else train.weights
        weights = weights.double().to(train.device)
        frequent = whole_table(train, torch.full((self.data_dim,), 2.0))[1].to(self.any_weight)
        state = self._start(train, parents.to(frequent.device), states, generator)
        order = torch.randperm(len(train), generator=generator).to(train.device)
        blocks = order.tensor_split(max(1, min(_BLOCKS, len(train) // _SMALLEST)))
        blocks = tuple(rows for rows in blocks if float(weights[rows].sum()) > 0)
        counts: list[Tensor] = []
        total, step = float(weights.sum()), 0
        while True:
            likelihood = 0.0
            for rows in blocks:
                found, value = self._counts(train, rows, weights[rows], state)
                found = [part * (total / float(weights[rows].sum())) for part in found]
                step, likelihood = step + 1, likelihood + value
                rate = max(1 / len(blocks), step**-_FORGETTING)
                counts = [old.lerp(new, rate) for old, new in zip(counts or found, found, strict=True)]
                state = self._maximised(state, counts, smoothing, frequent)
            yield state, likelihood / total

    def _start(self, train: Observations, parents: Tensor, states: int, generator: torch.Generator) -> State:
        """Return the mixture of so many classes after a few passes: all columns have the state of the row's class.

        The state of a column differs from that of its parent with a small probability, so that the columns can part.
        """
        classes = first_classes(self, train)(states, _OF_MIXTURE, generator)
        assert isinstance(classes.components, Bernoulli)
        weights, logits = classes.log_weights.softmax(0), classes.components.logits
        same = torch.eye(states).to(logits)
        after = (_SAME * same + (1 - _SAME) * weights).expand(self.data_dim, -1, -1)  # (X, C, C)
        after = torch.where(parents[:, None, None] < 0, weights, after)
        emissions = logits.T.clamp(-_LARGEST, _LARGEST)
        return {"transitions": after.log(), "emissions": emissions, "parents": parents}

    def _counts(self, train: Observations, rows: Tensor, weights: Tensor, state: State) -> tuple[list[Tensor], float]:
        """Return the expected counts of some rows (transitions, ones, observed), and the sum of their log p(x)."""
        tree, likelihood = self.distribution_of(state), 0.0
        counts: list[Tensor] = []
        size = max(1, _ELEMENTS // state["emissions"].numel())
        for part, of_part in zip(rows.split(size), weights.split(size), strict=True):
            x = train.bits(part).to(self.any_weight)
            *found, log_prob = tree.expected_counts(x, of_part.to(x))
            likelihood += float(torch.where(of_part > 0, of_part * log_prob, 0).sum())
            counts = (
                [old + new for old, new in zip(counts, found, strict=True)]
                if counts
                else [each.double() for each in found]
            )
        return counts, likelihood

    def _maximised(self, state: State, counts: list[Tensor], smoothing: float, frequent: Tensor) -> State:
        transitions, ones, observed = counts
        after = (transitions + smoothing / transitions.shape[-1]) / (transitions.sum(-1, keepdim=True) + smoothing)
        means = (ones + smoothing * frequent.unsqueeze(-1)) / (observed + smoothing)
        return {
            "transitions": after.clamp_min(_CERTAIN).log().to(frequent),
            "emissions": means.clamp(_CERTAIN, 1 - _CERTAIN).logit().to(frequent),
            "parents": state["parents"],
        }


@builder
def hidden_chow_liu(
    data: Dataset | DataSpec | int,
    states: int | Auto = "auto",
    restarts: int = 1,
    smoothing: float = 0.3,
    seed: int | None = None,
) -> HiddenChowLiuTree:
    """Build a hidden Chow-Liu tree: each column has a hidden state, and the states form a tree.

    Formula: `log p(x) = log sum_h prod_j p(h_j | h_pa(j)) p(x_j | h_j)`, where h_j is one of C states. Learned by
    expectation maximisation; what is ``auto`` is chosen on the validation rows. Source: Liu & Van den Broeck (2021),
    https://arxiv.org/abs/2106.02264; the class :class:`HiddenChowLiuTree` names those of the learning.

    Args:
        data: the data set, its spec, or the number of columns X, which are bits, at most 5,000.
        states: C, or ``auto`` for the best of 2, 8, 16, 32 and 64 with at least four rows for each state; the search
            ends where more are no better.
        restarts: starts from different random rows, of each number of states.
        smoothing: s, rows that are added to each state.
        seed: not used, as the training has a seed of its own.

    Raises:
        InputError: an option out of range, or columns of another kind.

    >>> hidden_chow_liu(6, states=3)()
    HiddenTree(transitions: (6, 3, 3), emissions: (6, 3))
    """
    return HiddenChowLiuTree(data, states, restarts, smoothing)

"""A mixture of Chow-Liu trees."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor, nn

from vaelab.data import Dataset, DataSpec, Observations
from vaelab.distributions import Forest, Mixture, Stacked, Tree
from vaelab.likelihoods.chow_liu import PairCounts, Pairs, chow_liu_tree, require_pairs
from vaelab.models.bernoulli_mixture import first_classes
from vaelab.models.build import builder
from vaelab.models.contest import Passes, State
from vaelab.models.contested import Auto
from vaelab.models.mixture_model import MixtureModel, Selection, Start, shares_and_density

__all__ = ["TreeMixture", "tree_mixture"]

_ROWS = 4096  # at once
_INDEPENDENT = 10.0  # rows of independent columns that are added to the pairs of the whole table
_MEANS = 0.1  # rows of each value that are added to the mean of a column
_CERTAIN = 1e-6  # no probability is nearer to 0 or 1


class TreeMixture(MixtureModel):
    """p(x) of a mixture of C trees of the columns, each with edges of its own: `log p(x) = log sum_c w_c T_c(x)`.

    In the tree T_c each bit depends on one other. It is learned by expectation maximisation: in each pass the tree of
    component c is that of Chow and Liu for the pairs of columns counted with its share of each row,

    `p_c,ij(a, b) = (n_c,ij(a, b) + s p_ij(a, b)) / (n_c,ij + s)`

    where p_ij are the pairs of the whole table. So s rows of the whole table are added to each component, and one
    component is the Chow-Liu tree. It begins with the components of a few passes of
    :class:`~vaelab.models.BernoulliMixture`. A row of weight 2 counts as two; missing values are left out of the
    counts, and of the densities exactly.

    Source: Meila & Jordan (2000), "Learning with Mixtures of Trees", https://www.jmlr.org/papers/v1/meila00a.html.
    """

    numbers_of_components: ClassVar[tuple[int, ...]] = (1, 2, 4, 8, 16, 32)
    smoothings: ClassVar[tuple[float, ...]] = (5.0, 50.0)
    rows_each: ClassVar[int] = 100
    patience: ClassVar[int] = 2
    first: ClassVar[int] = 2
    parents: Tensor

    def __init__(
        self,
        data: Dataset | DataSpec | int,
        components: int | Auto = "auto",
        restarts: int = 1,
        smoothing: float | Auto = "auto",
        selection: Selection = "validation",
    ) -> None:
        super().__init__(data, components, restarts, smoothing, selection)
        require_pairs("data: tree-mixture", self.data_dim, "bernoulli-mixture has no limit")
        shape = 1 if components == "auto" else components, self.data_dim
        self.log_weights = nn.Parameter(torch.zeros(shape[:1]))
        self.off, self.on = nn.Parameter(torch.zeros(shape)), nn.Parameter(torch.zeros(shape))
        self.register_buffer("parents", torch.full(shape, -1))
        self._forests: tuple[Tensor, list[Forest]] | None = None

    @property
    def learned(self) -> tuple[str, ...]:
        return ("log_weights", "off", "on", "parents")

    def distribution_of(self, state: State) -> Mixture:
        parents = state["parents"]
        if self._forests is None or self._forests[0] is not parents:
            self._forests = parents, [Forest.of(of_tree) for of_tree in parents]
        parts = zip(state["off"], state["on"], self._forests[1], strict=True)
        return Mixture(state["log_weights"], Stacked([Tree(off, on, forest) for off, on, forest in parts]))

    def size(self, components: int) -> int:
        return components * (2 * self.data_dim - 1) + components - 1  # a root has one number, each other column two

    def starts(self, train: Observations) -> Start:
        counts = PairCounts.of(train, self.data_dim)
        whole = counts.smoothed(counts.independent(_MEANS), _INDEPENDENT)
        return partial(self._passes, train, whole, first_classes(self, train))

    def _passes(
        self,
        train: Observations,
        whole: Pairs,
        begin: Callable[[int, float, torch.Generator], Mixture],
        components: int,
        smoothing: float,
        generator: torch.Generator,
    ) -> Passes:
        """Yield what is learned after each pass over the training rows, without end."""
        mixture = begin(components, smoothing, generator)
        while True:
            shares, value = self._shares(train, mixture)
            state = self._maximised(train, shares, whole, smoothing)
            mixture = self.distribution_of(state)
            yield state, value

    def _shares(self, train: Observations, mixture: Mixture) -> tuple[Tensor, float]:
        """Return how probable each component is given each row, (N, C), and the mean log p(x)."""
        shares, value, total = [], 0.0, 0.0
        for start in range(0, len(train), _ROWS):
            rows = slice(start, start + _ROWS)
            joint = mixture.log_joint(train.bits(rows).to(self.any_weight), observed=self.may_be_missing)
            of_rows, density = shares_and_density(joint)
            weights = torch.ones_like(density) if train.weights is None else train.weights[rows].to(density)
            shares.append(of_rows)
            value += float(torch.where(weights > 0, weights * density, 0).sum())
            total += float(weights.sum())
        return torch.cat(shares), value / total

    def _maximised(self, train: Observations, shares: Tensor, whole: Pairs, smoothing: float) -> State:
        weights = shares if train.weights is None else shares * train.weights.to(shares).unsqueeze(-1)
        rows = weights.sum(0)
        trees = [
            _tree(PairCounts.of(train, self.data_dim, of_component).smoothed(whole, smoothing))
            for of_component in shares.unbind(-1)
        ]
        parents, off, on = (torch.stack(parts).to(self.any_weight.device) for parts in zip(*trees, strict=True))
        log_weights = ((rows + 1 / len(rows)) / (rows.sum() + 1)).log()
        return {"log_weights": log_weights, "off": off.to(shares), "on": on.to(shares), "parents": parents}


def _tree(pairs: Pairs) -> tuple[Tensor, Tensor, Tensor]:
    """Return the parents of the Chow-Liu tree of these pairs, and its logits for either value of the parent."""
    short = Pairs(pairs.one.float(), pairs.both.float())  # logarithms take a quarter of the time
    parents = chow_liu_tree(short.mutual_information().cpu()).to(pairs.one.device)
    off, on = pairs.tables(parents, least=_CERTAIN)
    return parents, off.logit(), on.logit()


@builder
def tree_mixture(
    data: Dataset | DataSpec | int,
    components: int | Auto = "auto",
    restarts: int = 1,
    smoothing: float | Auto = "auto",
    selection: Selection = "validation",
    seed: int | None = None,
) -> TreeMixture:
    """Build a mixture of Chow-Liu trees: each row belongs to one of C classes, with a tree of the columns in each.

    Formula: `log p(x) = log sum_c w_c T_c(x)`, where in the tree T_c each bit depends on one other. Learned by
    expectation maximisation; what is ``auto`` is chosen on the validation rows, or by a criterion of the training rows.
    Source: Meila & Jordan (2000), https://www.jmlr.org/papers/v1/meila00a.html.

    Args:
        data: the data set, its spec, or the number of columns X, which are bits, at most 5,000.
        components: C, or ``auto`` for the best of 1, 2, 4, 8, 16 and 32.
        restarts: starts from different random rows, of each number of components and smoothing.
        smoothing: s, rows of the whole table that are added to each component; or ``auto``, of 5 and 50.
        selection: what chooses: the ``validation`` rows, or ``bic``, the Bayesian information criterion of the training
            rows (Schwarz, 1978, https://doi.org/10.1214/aos/1176344136), for which the smoothing ``auto`` is 5. It
            counts the numbers of a tree, not which columns its edges join.
        seed: not used, as the training has a seed of its own.

    Raises:
        InputError: an option out of range, or columns of another kind.

    >>> tree_mixture(6, components=3)()
    Mixture(log_weights: (3,), Stacked(3 x Tree(off: (6,), on: (6,))))
    """
    return TreeMixture(data, components, restarts, smoothing, selection)

"""The tree of Chow and Liu as a model of its own: each column depends on one other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from vaelab.data import Dataset, DataSpec, Observations
from vaelab.distributions import Forest, Tree
from vaelab.likelihoods.chow_liu import PairCounts, chow_liu_tree, require_pairs
from vaelab.models.build import builder
from vaelab.models.density import Counted, Pass, require_smoothing

__all__ = ["ChowLiuTree", "chow_liu"]

_LEAST = 1e-6  # of a probability: the smallest whose logit is exact enough in float32
_MEANS = 0.1  # rows of each value that are added to the mean of a column


class ChowLiuTree(Counted):
    """p(x) of bits along a tree: `log p(x) = sum_j log p(x_j | x_pa(j))`, with one parent pa(j) for each column.

    The tree is the spanning tree with the largest sum of the mutual informations of its edges, which no other tree
    beats in likelihood (Chow & Liu, 1968). Missing values have exact marginals, by sums along the tree.

    Args:
        data: the data set, its spec, or the number of columns X.
        smoothing: s, rows of independent columns that are added to the counts of each pair of columns.

    Attributes:
        parents: the parent of each column, (X,); -1 for the root. Before it has learned, each column is a root.

    Raises:
        InputError: a smoothing that is not above zero, columns that are no bits, or more than 5,000.
    """

    parents: Tensor

    def __init__(self, data: Dataset | DataSpec | int, smoothing: float = 10.0) -> None:
        super().__init__(data)
        self.smoothing = require_smoothing(smoothing)
        require_pairs("data: chow-liu", self.data_dim, "independent and bernoulli-vae have no limit")
        self.register_buffer("parents", torch.full((self.data_dim,), -1))
        self.forest = Forest.of(self.parents)
        self.off, self.on = (nn.Parameter(torch.zeros(self.data_dim)) for _ in range(2))

    def distribution(self) -> Tree:
        return Tree(self.off, self.on, self.forest)

    def learn(self, train: Observations, validation: Observations, seed: int) -> Iterator[Pass]:
        """One pass: the counts of all pairs of columns, of which the tree and its tables are made."""
        counts = PairCounts.of(train, self.data_dim).cpu()
        pairs = counts.smoothed(counts.independent(_MEANS), self.smoothing)
        parents = chow_liu_tree(pairs.mutual_information())
        for own, table in zip((self.off, self.on), pairs.tables(parents, _LEAST), strict=True):
            own.copy_(table.logit())
        self.forest = Forest.of(parents)
        self.parents.copy_(parents)
        yield Pass(self.mean_log_prob(train), self.mean_log_prob(validation))

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self.forest = Forest.of(self.parents)


@builder
def chow_liu(data: Dataset | DataSpec | int, smoothing: float = 10.0, seed: int | None = None) -> ChowLiuTree:
    """Build a Chow-Liu tree: bits of which each depends on one other, learned from the counts of all pairs of columns.

    Formula: `log p(x) = sum_j log p(x_j | x_pa(j))`. The counts n of two columns become probabilities,
    `p_ij(a, b) = (n_ij(a, b) + s p_i(a) p_j(b)) / (n_ij + s)`, and the tree is the spanning tree of the columns with
    the largest sum of their mutual informations. Source: Chow & Liu (1968), https://doi.org/10.1109/TIT.1968.1054142.

    Args:
        data: the data set, its spec, or the number of columns X.
        smoothing: s, rows of independent columns that are added to the counts of each pair of columns.
        seed: not used, as nothing is random here.

    Raises:
        InputError: a smoothing that is not above zero, columns that are no bits, or more than 5,000.

    >>> model = chow_liu(6)
    >>> model.log_prob(torch.ones(4, 6)).shape, model.sample(3).shape
    (torch.Size([4]), torch.Size([3, 6]))
    """
    return ChowLiuTree(data, smoothing)

"""The tree of Chow and Liu: the spanning tree of the columns with the largest mutual informations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vaelab.data import Dataset, Observations
from vaelab.errors import InputError

__all__ = ["MOST_COLUMNS", "PairCounts", "Pairs", "chow_liu_tree", "require_pairs"]

_ROWS = 4096  # rows at once: their counts are exact in float32
_SMOOTHING = 10.0  # rows of independent columns that are added to the counts of each pair
MOST_COLUMNS = 5_000  # of which all pairs need 200 MB as float64


def require_pairs(what: str, columns: int, way_out: str) -> None:
    """Refuse more columns than those of which all pairs are counted.

    Raises:
        InputError: more than 5,000 columns; it names what is refused, and a way out.
    """
    if columns > MOST_COLUMNS:
        raise InputError(
            f"{what} is for at most {MOST_COLUMNS:,} columns, as it compares all pairs; the data have {columns:,} "
            f"({way_out})"
        )


@dataclass(frozen=True, eq=False)
class PairCounts:
    """Sums over rows for each pair of columns, weighted if the rows have weights; missing values are left out.

    Attributes:
        seen: of the rows in which columns i and j are observed, (X, X).
        one: of those of them with a one in column i, (X, X).
        both: of those with a one in both, (X, X).
    """

    seen: Tensor
    one: Tensor
    both: Tensor

    @classmethod
    def of(cls, rows: Observations, columns: int, shares: Tensor | None = None) -> PairCounts:
        """Return the sums over all rows, in float64.

        Args:
            rows: a split.
            columns: X, of which the first of each row are counted.
            shares: by which each row is weighted besides, (N,), in [0, 1].

        Raises:
            InputError: more than 5,000 columns.
        """
        require_pairs("likelihood: tree", columns, "likelihood=bernoulli has no limit")
        exact = torch.float32 if rows.weights is None else torch.float64
        seen, one, both = (torch.zeros(columns, columns, dtype=torch.float64, device=rows.device) for _ in range(3))
        for start in range(0, len(rows), _ROWS):
            part = slice(start, start + _ROWS)
            x = rows.bits(part)[:, :columns].to(exact)  # without what a conditional model is given
            weights = x.new_ones(len(x)) if rows.weights is None else rows.weights[part].to(exact)
            weights = (weights if shares is None else weights * shares[part].to(exact)).unsqueeze(1)
            missing = x.isnan()
            if not bool(missing.any()):  # one product of matrices instead of three
                of_part = (weights * x).T @ x
                seen, one, both = seen + weights.sum(), one + of_part.diagonal().unsqueeze(1), both + of_part
                continue
            observed, x = (~missing).to(exact), x.nan_to_num(0)
            both += (weights * x).T @ x
            one += (weights * x).T @ observed
            seen += (weights * observed).T @ observed
        return cls(seen, one, both)

    def cpu(self) -> PairCounts:
        """Return the sums in the memory of the processor, where a tree is found."""
        return PairCounts(self.seen.cpu(), self.one.cpu(), self.both.cpu())

    def independent(self, added: float = 0.0) -> Pairs:
        """Return the pairs of independent columns with these means, after so many rows of each value are added."""
        mean = ((self.one.diagonal() + added) / (self.seen.diagonal() + 2 * added)).nan_to_num(0.5)  # (X,)
        return Pairs(mean.unsqueeze(1).expand_as(self.one), mean.outer(mean))

    def smoothed(self, others: Pairs, rows: float) -> Pairs:
        """Return the probabilities of the pairs, after so many rows of others are added."""
        total = self.seen + rows
        return Pairs((self.one + rows * others.one) / total, (self.both + rows * others.both) / total)


@dataclass(frozen=True, eq=False)
class Pairs:
    """Probabilities of the values of each pair of columns, estimated from the rows in which both are observed.

    Formula: `p_ij(a, b) = (n_ij(a, b) + 10 p_i(a) p_j(b)) / (n_ij + 10)`, with the counts n of rows, weighted if they
    have weights. The ten rows of independent columns leave the means of complete data as they are, and make the mutual
    information of two columns small that are rarely observed together.

    Attributes:
        one: the probability of a one in column i, in the rows in which column j is observed too, (X, X).
        both: that of a one in both, (X, X).
    """

    one: Tensor
    both: Tensor

    @classmethod
    def of(cls, data: Dataset) -> Pairs:
        """Return the probabilities of the pairs of columns in the training split.

        Bits that the training draws anew from grey levels are those of ``static`` binarisation; of rows on the disk
        50 000 are read.

        Raises:
            InputError: more than 5,000 columns.
        """
        fixed = data.with_binarisation("static") if data.binarisation == "dynamic" else data
        counts = PairCounts.of(fixed.train.observations().sample(), data.spec.dim)
        return counts.smoothed(counts.independent(), _SMOOTHING)

    def mutual_information(self) -> Tensor:
        """Return the mutual information of each pair, in nats, (X, X); symmetric.

        Formula: `I_ij = sum_ab p_ij(a, b) log [p_ij(a, b) / (p_ij(a) p_ij(b))]`, as a sum of terms p log p.
        """
        one, other = self.one, self.one.T
        joint = (self.both, one - self.both, other - self.both, 1 - one - other + self.both)
        total = torch.zeros_like(one)
        for sign, parts in ((1, joint), (-1, (one, other, 1 - one, 1 - other))):
            for p in parts:
                total += sign * torch.xlogy(p.clamp_min(0), p.clamp_min(0))
        return total

    def tables(self, parents: Tensor, least: float = 0.001) -> tuple[Tensor, Tensor]:
        """Return the probability of a one in each column where its parent is 0, and where it is 1, (X,) each.

        They are clipped to [least, 1 - least]; of a root both are its mean.
        """
        columns, source = torch.arange(len(parents)), parents.clamp_min(0)
        both, one, parent = self.both[columns, source], self.one[columns, source], self.one[source, columns]
        low, high = (one - both) / (1 - parent), both / parent
        root = parents < 0
        mean = self.one.diagonal()
        low, high = (torch.where(root, mean, p.nan_to_num(0.5)).clamp(least, 1 - least).float() for p in (low, high))
        return low, high


def chow_liu_tree(information: Tensor) -> Tensor:
    """Return the parents of the columns in the spanning tree with the largest sum of mutual informations, (X,).

    Its distribution is the closest to that of the data among all trees, in Kullback-Leibler divergence. The root, which
    has parent -1, is in the middle of the longest path, so that the tree has as few levels as possible.

    Source: Chow & Liu (1968), https://doi.org/10.1109/TIT.1968.1054142.

    Args:
        information: the mutual information of each pair of columns, (X, X).

    >>> chow_liu_tree(torch.tensor([[0.0, 0.3, 0.1], [0.3, 0.0, 0.2], [0.1, 0.2, 0.0]]))
    tensor([ 1, -1,  1])
    """
    from scipy.sparse import csr_array  # here: it takes time to load, and only this function needs it
    from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree

    values = np.triu(information.numpy(), 1)
    lengths = np.triu(values.max(initial=0) + 1 - values, 1)  # above 0: scipy reads a 0 as no edge
    tree = minimum_spanning_tree(csr_array(lengths))
    some_end = breadth_first_order(tree, 0, directed=False)[0][-1]
    path = _path_back(*breadth_first_order(tree, some_end, directed=False))
    _, parents = breadth_first_order(tree, path[len(path) // 2], directed=False)
    return torch.from_numpy(np.where(parents < 0, -1, parents).astype(np.int64))


def _path_back(order: npt.NDArray[Any], parents: npt.NDArray[Any]) -> list[int]:
    """Return the path of a search of a tree from the column found last, the farthest, to the first."""
    path = [int(order[-1])]
    while path[-1] != order[0]:
        path.append(int(parents[path[-1]]))
    return path

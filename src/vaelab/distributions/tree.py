"""Bits that depend on each other along the edges of a tree, as one distribution over vectors."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import constraints

from vaelab.distributed import uniform
from vaelab.distributions.bernoulli import Bernoulli
from vaelab.distributions.vector import VectorDistribution
from vaelab.errors import InputError

__all__ = ["Forest", "Tree"]


@dataclass(frozen=True, eq=False)
class Forest:
    """The parent of each column: a tree, or several. Its levels are computed one after the other, without recursion.

    Attributes:
        parents: the parent of each column, (X,); -1 for a column without one, a root.
        order: the columns by level, (X,): the roots first, then those whose parent is a root, and so on.
        place: where each column is in that order, (X,).
        sizes: the number of columns of each level.
        above: for each level, where the parents of its columns are in the level above; empty for the roots.
    """

    parents: Tensor
    order: Tensor
    place: Tensor
    sizes: tuple[int, ...]
    above: tuple[Tensor, ...]

    @classmethod
    def of(cls, parents: Sequence[int] | Tensor) -> Forest:
        """Return the forest of these parents.

        Raises:
            InputError: a parent that is no other column, or columns that are their own ancestors.

        >>> Forest.of([-1, 0, 0, 2]).sizes
        (1, 2, 1)
        """
        chosen = torch.as_tensor(parents, device="cpu")
        count = len(chosen)
        if chosen.dtype != torch.int64 or chosen.ndim != 1 or bool(((chosen < -1) | (chosen >= count)).any()):
            raise InputError(f"parents: expected whole numbers from -1 to {count - 1}, one for each column")
        level, within = (chosen == -1).nonzero().flatten(), torch.zeros_like(chosen)
        levels: list[Tensor] = []
        above: list[Tensor] = []
        while len(level):
            above.append(within[chosen[level]] if levels else level[:0])
            levels.append(level)
            within[level] = torch.arange(len(level))
            level = torch.isin(chosen, level).nonzero().flatten()
            if len(levels) > count:
                break
        order = torch.cat(levels) if levels else chosen[:0]
        if len(order) != count:
            raise InputError("parents: expected a tree, or several; some columns are their own ancestors")
        return cls(chosen, order, order.argsort(), tuple(map(len, levels)), tuple(above))

    def to(self, device: torch.device) -> Forest:
        """Return the forest on a device: itself if it is there."""
        if self.parents.device == device:
            return self
        parents, order, place, *above = (
            part.to(device) for part in (self.parents, self.order, self.place, *self.above)
        )
        return Forest(parents, order, place, self.sizes, tuple(above))

    def by_level(self, values: Tensor) -> tuple[Tensor, ...]:
        """Return the columns of values (..., X) as one tensor for each level."""
        return torch.split(values.index_select(-1, self.order), list(self.sizes), -1)

    def joined(self, levels: Sequence[Tensor]) -> Tensor:
        """Return the columns of all levels in the order of the columns, (..., X)."""
        return torch.cat(list(levels), -1).index_select(-1, self.place)

    def of_parent(self, values: Tensor) -> Tensor:
        """Return for each column the value of its parent, (..., X); 0 for a root."""
        return values.index_select(-1, self.parents.clamp_min(0)).masked_fill(self.parents < 0, 0)


class Tree(VectorDistribution):
    """Bits of which each depends on one other, its parent: a logit for either value of the parent.

    Formula: `log p(x) = sum_j [x_j l_j - softplus(l_j)]` with `l_j = off_j` where the parent is 0, `l_j = on_j` where
    it is 1; a root has `off_j` alone.

    The density of some of the columns is a sum over the others, which is exact: from the leaves to the roots, each
    column sums over its two values if it is missing. With `r_j` the log-ratio of what is observed below column j,

    `r_j = sum_c [s_c(on_c) - s_c(off_c)]` over the children c, `s_c(l) = g_c(l + r_c) - softplus(l)`

    where `g_c(u) = x_c u` if x_c is observed, and softplus(u) if it is missing; `log p(x_observed) = sum_j s_j(off_j)`.
    The columns of a level are computed at once.

    Sources: Chow & Liu (1968), https://doi.org/10.1109/TIT.1968.1054142; Pearl (1988), "Probabilistic Reasoning in
    Intelligent Systems", chapter 4, of the messages.

    Args:
        off: logits where the parent is 0, shape (..., X). The value of ``log_prob`` may lack leading axes.
        on: logits where the parent is 1, shape (..., X).
        forest: the parents of the columns, as a :class:`Forest` or X numbers; None if they are not known, so that
            everything but the shapes is refused.
        validate_args: check parameters and values, as in torch; false by default.

    Raises:
        InputError: a forest of another number of columns; from any method, one that is not known.

    >>> p = Tree(torch.zeros(2), torch.tensor([0.0, 2.0]), [-1, 0])  # the second bit depends on the first
    >>> p.log_prob(torch.tensor([1.0, 1.0])).exp(), p.mean
    (tensor(0.4404), tensor([0.5000, 0.6904]))
    """

    arg_constraints = {"off": constraints.real_vector, "on": constraints.real_vector}  # noqa: RUF012
    constants: ClassVar[tuple[str, ...]] = ("forest",)
    support = constraints.independent(constraints.boolean, 1)
    has_rsample = False

    def __init__(
        self, off: Tensor, on: Tensor, forest: Forest | Sequence[int] | None, validate_args: bool = False
    ) -> None:
        self.off, self.on = torch.broadcast_tensors(off, on)
        known = forest if forest is None or isinstance(forest, Forest) else Forest.of(forest)
        if known is not None and len(known.parents) != off.shape[-1]:
            raise InputError(f"forest: expected the parents of {off.shape[-1]} columns; got {len(known.parents)}")
        self.forest = None if known is None else known.to(off.device)
        super().__init__(self.off, validate_args)

    @property
    def mean(self) -> Tensor:
        """The probability of a one in each column, from the roots to the leaves."""
        forest = self._known()
        means: list[Tensor] = []
        for off, on, above in zip(forest.by_level(self.off), forest.by_level(self.on), forest.above, strict=True):
            low = torch.sigmoid(off)
            means.append(torch.lerp(low, torch.sigmoid(on), means[-1].index_select(-1, above)) if means else low)
        return forest.joined(means)

    @property
    def variance(self) -> Tensor:
        mean = self.mean
        return mean * (1 - mean)

    @property
    def mode(self) -> Tensor:
        """The most probable vector: as the sums over missing values, with the larger of both values in place of sums.

        Among vectors that are equally probable it is the one with a 0 where the choice is free.
        """
        ratios = self._ratios(F.relu)
        return Tree(self.off + ratios, self.on + ratios, self.forest)._downwards(lambda logits, _: logits > 0)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draw from the roots to the leaves: uniform noise compared with the probabilities."""
        with torch.no_grad():
            shape = self._extended_shape(sample_shape)
            noise = self._known().by_level(uniform(shape, self.off))
            return self._downwards(lambda logits, level: noise[level] < torch.sigmoid(logits))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        forest, value = self._known(), value.to(self.off.dtype)
        of_parent = forest.of_parent(value)
        if value.ndim == 2 and (self.off.ndim == 1 or (self.off.ndim == 3 and self.off.shape[1] == 1)):
            # The same K codes for every observation: products of matrices instead of a (K, B, X) tensor.
            off, on = (part.reshape(-1, part.shape[-1]) for part in self._finite())
            sums = F.softplus(off), F.softplus(on)
            ones = off @ value.T + (on - off) @ (value * of_parent).T
            table = ones - (sums[1] - sums[0]) @ of_parent.T - sums[0].sum(-1, keepdim=True)  # (K, B)
            return table if self.off.ndim == 3 else table[0]
        return Bernoulli(torch.where(of_parent > 0.5, self.on, self.off)).log_prob(value)

    def log_prob_of_observed(self, value: Tensor) -> Tensor:
        ratios, (off, _) = self._ratios(F.softplus, value), self._finite()
        logits = off + ratios
        known = value.masked_fill(value.isnan(), 0) * logits
        return (torch.where(value.isnan(), F.softplus(logits), known) - F.softplus(off)).sum(-1)

    def given_observed(self, value: Tensor) -> Self:
        """Return p(x | the values that are not NaN): a tree with the same parents, whose observed columns are certain.

        >>> p = Tree(torch.zeros(2), torch.tensor([0.0, 2.0]), [-1, 0])
        >>> p.given_observed(torch.tensor([torch.nan, 1.0])).mean
        tensor([0.6379, 1.0000])
        """
        ratios = self._ratios(F.softplus, value)
        certain = ((value > 0.5).to(self.off.dtype) - 0.5) * self._limit
        off, on = (torch.where(value.isnan(), logits + ratios, certain) for logits in self._finite())
        return type(self)(off, on, self.forest)

    def entropy(self) -> Tensor:
        """Return the entropy in nats: of each column given its parent, for either value of it, shape batch_shape."""
        of_parent = self._known().of_parent(self.mean)
        low, high = (_entropy(logits) for logits in self._finite())
        return torch.lerp(low, high, of_parent).sum(-1)

    @property
    def _limit(self) -> float:
        """The largest logit that counts: a sum of so many of them is finite."""
        return math.sqrt(torch.finfo(self.off.dtype).max)

    def _finite(self) -> tuple[Tensor, Tensor]:
        return self.off.clamp(-self._limit, self._limit), self.on.clamp(-self._limit, self._limit)

    def _ratios(self, reduce: Callable[[Tensor], Tensor], value: Tensor | None = None) -> Tensor:
        """Return r_j of each column, (..., X), from the leaves to the roots.

        Args:
            reduce: of the values 0 and 1 of a missing column: softplus sums over both, relu takes the more probable.
            value: values, NaN where they are missing; all are if it is None.
        """
        forest = self._known()
        shape = self.off.shape if value is None else torch.broadcast_shapes(self.off.shape, value.shape)
        off, on = map(forest.by_level, self._finite())
        values = None if value is None else forest.by_level(value.to(self.off.dtype))
        ratios = [off[-1].new_zeros(*shape[:-1], forest.sizes[-1])]
        for level in range(len(off) - 1, 0, -1):
            sums = []
            for logits in (off[level], on[level]):
                total = logits + ratios[0]
                reduced = reduce(total)
                if values is not None:
                    missing = values[level].isnan()
                    reduced = torch.where(missing, reduced, values[level].masked_fill(missing, 0) * total)
                sums.append(reduced - F.softplus(logits))
            none = off[level].new_zeros(*shape[:-1], forest.sizes[level - 1])
            ratios.insert(0, none.index_add(-1, forest.above[level], sums[1] - sums[0]))
        return forest.joined(ratios)

    def _downwards(self, choose: Callable[[Tensor, int], Tensor]) -> Tensor:
        """Return bits that are chosen by their logits, level by level, each given that of its parent."""
        forest = self._known()
        levels: list[Tensor] = []
        for level, (off, on) in enumerate(zip(forest.by_level(self.off), forest.by_level(self.on), strict=True)):
            if levels:
                off = torch.where(levels[-1].index_select(-1, forest.above[level]) > 0.5, on, off)
            levels.append(choose(off, level).to(self.off.dtype))
        return forest.joined(levels)

    def _known(self) -> Forest:
        if self.forest is None:
            raise InputError(
                "likelihood: tree needs the training rows, from which its edges are learned; give the data set to the "
                "function that builds the model, not its spec or a number of columns"
            )
        return self.forest


def _entropy(logits: Tensor) -> Tensor:
    """Return the entropy of each bit, `softplus(-|l|) + |l| sigmoid(-|l|)`."""
    size = logits.abs()
    return F.softplus(-size) + size * torch.sigmoid(-size)

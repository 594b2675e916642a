"""Independent categorical variables, each a group of one-hot columns, as one distribution over vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import constraints

from vaelab.distributed import uniform
from vaelab.distributions.vector import VectorDistribution
from vaelab.errors import InputError

__all__ = ["Groups", "OneHotCategorical"]


@dataclass(frozen=True)
class Groups:
    """Groups of columns that follow each other, of any sizes, so that a reduction needs no loop over the groups.

    Attributes:
        sizes: number of columns of each group.
        columns: for each different size S the columns of all its groups, (groups, S).
        place: the place of each group in the order of ``columns``, (number of groups,).
        of_column: the group of each column, (X,).
    """

    sizes: tuple[int, ...]
    columns: tuple[Tensor, ...]
    place: Tensor
    of_column: Tensor

    @classmethod
    def of(cls, sizes: Sequence[int]) -> Groups:
        """Return groups of these sizes.

        >>> Groups.of((2, 3, 2)).columns
        (tensor([[0, 1],
                [5, 6]]), tensor([[2, 3, 4]]))
        """
        starts = [0, *accumulate(sizes)]
        by_size: dict[int, list[int]] = {}
        for group, size in enumerate(sizes):
            by_size.setdefault(size, []).append(group)
        columns = tuple(
            torch.tensor([range(starts[group], starts[group] + size) for group in groups])
            for size, groups in by_size.items()
        )
        order = [group for groups in by_size.values() for group in groups]
        of_column = [group for group, size in enumerate(sizes) for _ in range(size)]
        return cls(tuple(sizes), columns, torch.tensor(order).argsort(), torch.tensor(of_column))

    def to(self, device: torch.device) -> Groups:
        """Return the groups on a device: themselves if they are there."""
        if self.place.device == device:
            return self
        columns = tuple(part.to(device) for part in self.columns)
        return Groups(self.sizes, columns, self.place.to(device), self.of_column.to(device))

    def reduce(self, numbers: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
        """Apply a function (..., groups, S) -> (..., groups) to the columns of all groups, (..., X)."""
        if len(self.columns) == 1:
            return function(numbers.unflatten(-1, self.columns[0].shape))
        parts = [function(numbers[..., of_size]) for of_size in self.columns]
        return torch.cat(parts, -1).index_select(-1, self.place)

    def repeat(self, of_groups: Tensor) -> Tensor:
        """Repeat the number of each group for its columns: (..., groups) as (..., X)."""
        return of_groups.index_select(-1, self.of_column)

    def largest(self, scores: Tensor) -> Tensor:
        """Return a one at the largest score of each group, the first of several, and zeros elsewhere, (..., X)."""
        found = torch.zeros_like(scores)
        for columns in self.columns:
            best = scores[..., columns].argmax(-1)
            found[..., columns] = F.one_hot(best, columns.shape[1]).to(scores.dtype)
        return found


class OneHotCategorical(VectorDistribution):
    """Independent categorical variables: the columns of each are 0 but for a 1 at its level.

    Formula: `log p(x) = sum_g [sum_j x_gj l_gj - log sum_j exp l_gj]`, over the groups g of columns, which follow each
    other. A logit beyond a quarter of the largest number of its type counts as that.

    Args:
        logits: l, shape (..., X). The value of ``log_prob`` may lack leading axes: it is never copied K times.
        groups: the numbers of columns of the groups, X in total, or the :class:`Groups` of them.
        validate_args: check parameters and values, as in torch; false by default.

    Raises:
        InputError: groups that are not of X columns in total.

    >>> p = OneHotCategorical(torch.zeros(5), groups=(2, 3))
    >>> p.log_prob(torch.tensor([0.0, 1.0, 1.0, 0.0, 0.0])).exp()
    tensor(0.1667)
    >>> p.log_prob_of_entries(torch.tensor([0.0, 1.0, 1.0, 0.0, 0.0])).exp()
    tensor([0.5000, 0.3333])
    """

    arg_constraints = {"logits": constraints.real_vector}  # noqa: RUF012
    constants: ClassVar[tuple[str, ...]] = ("groups",)
    has_rsample = False

    def __init__(self, logits: Tensor, groups: Sequence[int] | Groups, validate_args: bool = False) -> None:
        self.groups = (groups if isinstance(groups, Groups) else Groups.of(groups)).to(logits.device)
        if len(self.groups.of_column) != logits.shape[-1]:
            raise InputError(f"groups: expected {logits.shape[-1]} columns in total; got {len(self.groups.of_column)}")
        limit = torch.finfo(logits.dtype).max / 4  # a difference of two logits is finite
        self.logits = logits.clamp(-limit, limit)
        super().__init__(logits, validate_args)

    @property
    def support(self) -> constraints.Constraint:
        """Zeros, and a one in each group."""
        return _OneHotGroups(self.groups)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The numbers of columns of the groups."""
        return self.groups.sizes

    @property
    def log_probs(self) -> Tensor:
        """The log-probability of each level, shape (..., X)."""
        return self.logits - self.groups.repeat(self._log_totals())

    @property
    def mean(self) -> Tensor:
        """The probability of each level: a softmax over each group."""
        return self.log_probs.exp()

    @property
    def variance(self) -> Tensor:
        return self.mean * (1 - self.mean)

    @property
    def mode(self) -> Tensor:
        return self.groups.largest(self.logits)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draw a level of each variable: the one with the largest logit plus Gumbel noise."""
        with torch.no_grad():
            noise = uniform(self._extended_shape(sample_shape), self.logits)
            return self.groups.largest(self.logits - (-noise.log()).log())

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        if value.ndim == 2 and self.logits.ndim == 3 and self.logits.shape[1] == 1:
            # The same K codes for every observation: a product of matrices instead of a (K, B, X) tensor.
            return self.log_probs[:, 0] @ value.T.to(self.logits.dtype)  # (K, B)
        return (self.log_probs * value).sum(-1)

    def log_prob_of_entries(self, value: Tensor) -> Tensor:
        """Return the log-probability of each variable's level, shape (..., number of variables)."""
        return self.groups.reduce(self.log_probs * value, lambda group: group.sum(-1))

    def observed_entries(self, observed: Tensor) -> Tensor:
        return self.groups.reduce(observed, lambda group: group.all(-1))

    def entropy(self) -> Tensor:
        """Return the entropy in nats, `-sum_j p_j log p_j`, shape batch_shape."""
        return -(self.mean * self.log_probs).sum(-1)

    def __repr__(self) -> str:
        levels = f"{min(self.sizes)} to {max(self.sizes)}" if len(set(self.sizes)) > 1 else self.sizes[0]
        count = f"{len(self.sizes)} variable{'s' * (len(self.sizes) > 1)}"
        return f"OneHotCategorical(logits: {tuple(self.logits.shape)}, {count} of {levels} levels)"

    def _log_totals(self) -> Tensor:
        """Return `log sum_j exp l_j` of each group, shape (..., number of groups)."""
        return self.groups.reduce(self.logits, lambda group: group.logsumexp(-1))


class _OneHotGroups(constraints.Constraint):
    """Vectors whose groups of columns are zeros and a one."""

    is_discrete, event_dim = True, 1

    def __init__(self, groups: Groups) -> None:
        self.groups = groups

    def check(self, value: Tensor) -> Tensor:
        bits = ((value == 0) | (value == 1)).all(-1)
        ones: Tensor = self.groups.reduce(value, lambda group: group.sum(-1)) == 1
        return bits & ones.all(-1)

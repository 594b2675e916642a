"""Independent categorical variables, each a group of one-hot columns, as one distribution over vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import constraints

from vaelab.distributed import uniform
from vaelab.distributions.vector import VectorDistribution
from vaelab.errors import InputError

__all__ = ["OneHotCategorical"]


class OneHotCategorical(VectorDistribution):
    """Independent categorical variables: the columns of each are 0 but for a 1 at its level.

    Formula: `log p(x) = sum_g [sum_j x_gj l_gj - log sum_j exp l_gj]`, over the groups g of columns, which follow each
    other. A logit beyond a quarter of the largest number of its type counts as that.

    Args:
        logits: l, shape (..., X). The value of ``log_prob`` may lack leading axes: it is never copied K times.
        sizes: number of columns of each group, X in total: the numbers of levels.
        validate_args: check parameters and values, as in torch; false by default.

    Raises:
        InputError: sizes that are not X columns in total.

    >>> p = OneHotCategorical(torch.zeros(5), sizes=(2, 3))
    >>> p.log_prob(torch.tensor([0.0, 1.0, 1.0, 0.0, 0.0])).exp()
    tensor(0.1667)
    >>> p.log_prob_of_entries(torch.tensor([0.0, 1.0, 1.0, 0.0, 0.0])).exp()
    tensor([0.5000, 0.3333])
    """

    arg_constraints = {"logits": constraints.real_vector}  # noqa: RUF012
    constants: ClassVar[tuple[str, ...]] = ("sizes",)
    has_rsample = False

    def __init__(self, logits: Tensor, sizes: Sequence[int], validate_args: bool = False) -> None:
        self.sizes = tuple(sizes)
        if sum(self.sizes) != logits.shape[-1]:
            raise InputError(f"sizes: expected {logits.shape[-1]} columns in total; got {sum(self.sizes)}")
        limit = torch.finfo(logits.dtype).max / 4  # a difference of two logits is finite
        self.logits = logits.clamp(-limit, limit)
        super().__init__(logits, validate_args)

    @property
    def support(self) -> constraints.Constraint:
        """Zeros, and a one in each group."""
        return _OneHotGroups(self.sizes)

    @property
    def log_probs(self) -> Tensor:
        """The log-probability of each level, shape (..., X)."""
        return self.logits - _of_columns(self._log_totals(), self.sizes)

    @property
    def mean(self) -> Tensor:
        """The probability of each level: a softmax over each group."""
        return self.log_probs.exp()

    @property
    def variance(self) -> Tensor:
        return self.mean * (1 - self.mean)

    @property
    def mode(self) -> Tensor:
        return _largest(self.logits, self.sizes)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draw a level of each variable: the one with the largest logit plus Gumbel noise."""
        with torch.no_grad():
            noise = uniform(self._extended_shape(sample_shape), self.logits)
            return _largest(self.logits - (-noise.log()).log(), self.sizes)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        if value.ndim == 2 and self.logits.ndim == 3 and self.logits.shape[1] == 1:
            # The same K codes for every observation: a product of matrices instead of a (K, B, X) tensor.
            return self.log_probs[:, 0] @ value.T.to(self.logits.dtype)  # (K, B)
        return (self.log_probs * value).sum(-1)

    def log_prob_of_entries(self, value: Tensor) -> Tensor:
        """Return the log-probability of each variable's level, shape (..., number of variables)."""
        return _over_groups(self.log_probs * value, self.sizes, lambda group: group.sum(-1))

    def observed_entries(self, observed: Tensor) -> Tensor:
        return _over_groups(observed, self.sizes, lambda group: group.all(-1))

    def entropy(self) -> Tensor:
        """Return the entropy in nats, `-sum_j p_j log p_j`, shape batch_shape."""
        return -(self.mean * self.log_probs).sum(-1)

    def __repr__(self) -> str:
        levels = f"{min(self.sizes)} to {max(self.sizes)}" if len(set(self.sizes)) > 1 else self.sizes[0]
        count = f"{len(self.sizes)} variable{'s' * (len(self.sizes) > 1)}"
        return f"OneHotCategorical(logits: {tuple(self.logits.shape)}, {count} of {levels} levels)"

    def _log_totals(self) -> Tensor:
        """Return `log sum_j exp l_j` of each group, shape (..., number of groups)."""
        return _over_groups(self.logits, self.sizes, lambda group: group.logsumexp(-1))


class _OneHotGroups(constraints.Constraint):
    """Vectors whose groups of columns are zeros and a one."""

    is_discrete, event_dim = True, 1

    def __init__(self, sizes: tuple[int, ...]) -> None:
        self.sizes = sizes

    def check(self, value: Tensor) -> Tensor:
        bits = ((value == 0) | (value == 1)).all(-1)
        ones: Tensor = _over_groups(value, self.sizes, lambda group: group.sum(-1)) == 1
        return bits & ones.all(-1)


@cache
def _places(sizes: tuple[int, ...], device: torch.device) -> tuple[list[tuple[int, Tensor]], Tensor, Tensor]:
    """Return, for groups of columns of given sizes, what makes reductions fast without a loop over the groups.

    For each different size S the columns of all its groups, (groups, S); the place of each group in this order; and the
    group of each column.
    """
    widths = torch.tensor(sizes)
    starts = widths.cumsum(0) - widths
    columns, order = [], []
    for size in dict.fromkeys(sizes):
        groups = (widths == size).nonzero().squeeze(1)
        columns.append((size, (starts[groups].unsqueeze(1) + torch.arange(size)).to(device)))
        order.append(groups)
    place = torch.cat(order).argsort()
    return columns, place.to(device), torch.arange(len(sizes)).repeat_interleave(widths).to(device)


def _over_groups(numbers: Tensor, sizes: tuple[int, ...], reduce: Callable[[Tensor], Tensor]) -> Tensor:
    """Apply a function (..., groups, S) -> (..., groups) to all groups of columns; numbers are (..., X)."""
    if len(set(sizes)) == 1:
        return reduce(numbers.unflatten(-1, (len(sizes), sizes[0])))
    columns, place, _ = _places(sizes, numbers.device)
    parts = [reduce(numbers.index_select(-1, of_size.flatten()).unflatten(-1, (-1, size))) for size, of_size in columns]
    return torch.cat(parts, -1).index_select(-1, place)


def _of_columns(of_groups: Tensor, sizes: tuple[int, ...]) -> Tensor:
    """Repeat the number of each group for its columns: (..., groups) as (..., X)."""
    return of_groups.index_select(-1, _places(sizes, of_groups.device)[2])


def _largest(scores: Tensor, sizes: tuple[int, ...]) -> Tensor:
    """Return a one at the largest score of each group, the first of several, and zeros elsewhere."""
    found = torch.zeros_like(scores)
    for size, columns in _places(sizes, scores.device)[0]:
        best = scores.index_select(-1, columns.flatten()).unflatten(-1, (-1, size)).argmax(-1)
        found[..., columns.flatten()] = F.one_hot(best, size).to(scores.dtype).flatten(-2)
    return found

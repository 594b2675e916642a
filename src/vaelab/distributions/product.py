"""Groups of columns with a distribution each, as one distribution over vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

import torch
from torch import Tensor
from torch.distributions import constraints

from vaelab.distributions.vector import ParametricDistribution
from vaelab.errors import InputError

__all__ = ["Product"]


class Product(ParametricDistribution):
    """Independent groups of columns, each with a distribution of its own.

    Formula: `log p(x) = sum_g log p_g(x_g)`, where x_g are the columns of group g, in any order and place.

    Args:
        parts: the distributions, of one batch shape.
        columns: for each the numbers of its columns, a tensor of whole numbers; together 0...X - 1.
        validate_args: check the values that ``log_prob`` gets, as in torch; false by default.

    Raises:
        InputError: columns that do not fit the parts, or are not all columns once.

    >>> from vaelab.distributions import Bernoulli, DiagonalNormal
    >>> parts = Bernoulli(torch.zeros(5, 2)), DiagonalNormal(torch.zeros(5, 1), torch.zeros(5, 1))
    >>> p = Product(parts, (torch.tensor([0, 2]), torch.tensor([1])))
    >>> p, p.log_prob(torch.tensor([1.0, 0.0, 1.0]))[0]
    (Product(Bernoulli(logits: (5, 2)), DiagonalNormal(loc: (5, 1), log_scale: (5, 1))), tensor(-2.3052))
    """

    arg_constraints = {}  # noqa: RUF012 - its parameters are those of the parts

    def __init__(
        self, parts: Sequence[ParametricDistribution], columns: Sequence[Tensor], validate_args: bool = False
    ) -> None:
        self.parts, self.columns = tuple(parts), tuple(columns)
        widths = [part.event_shape[0] for part in self.parts]
        if [len(places) for places in self.columns] != widths:
            got = [len(places) for places in self.columns]
            raise InputError(f"columns: expected the places of {widths} columns; got those of {got}")
        super().__init__(self.parts[0].batch_shape, torch.Size([sum(widths)]), validate_args=validate_args)

    @property
    def support(self) -> constraints.Constraint:
        """The vectors whose groups are in the supports of the parts."""
        return _Groups(self)

    @property
    def mean(self) -> Tensor:
        return self._joined([part.mean for part in self.parts])

    @property
    def mode(self) -> Tensor:
        return self._joined([part.mode for part in self.parts])

    @property
    def variance(self) -> Tensor:
        return self._joined([part.variance for part in self.parts])

    def sample(self, sample_shape: Any = ()) -> Tensor:
        return self._joined([part.sample(torch.Size(sample_shape)) for part in self.parts])

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        first, *others = (part.log_prob(group) for part, group in self.split(value))
        return sum(others, first)

    def log_prob_of_entries(self, value: Tensor) -> Tensor:
        """Return the log-density of each entry, those of the first part first, shape (..., number of entries)."""
        return torch.cat([part.log_prob_of_entries(group) for part, group in self.split(value)], -1)

    def observed_entries(self, observed: Tensor) -> Tensor:
        return torch.cat([part.observed_entries(group) for part, group in self.split(observed)], -1)

    def log_prob_of_observed(self, value: Tensor) -> Tensor:
        first, *others = (part.log_prob_of_observed(group) for part, group in self.split(value))
        return sum(others, first)

    def given_observed(self, value: Tensor) -> Self:
        parts = [part.given_observed(group) for part, group in self.split(value)]
        return type(self)(parts, self.columns, self._validate_args)

    def entropy(self) -> Tensor:
        """Return the sum of the entropies of the parts, in nats, shape batch_shape."""
        first, *others = (part.entropy() for part in self.parts)
        return sum(others, first)

    def split(self, value: Tensor) -> list[tuple[ParametricDistribution, Tensor]]:
        """Return each part with its columns of a value (..., X)."""
        return [(part, value.index_select(-1, places)) for part, places in zip(self.parts, self.columns, strict=True)]

    def expand(self, batch_shape: Any, _instance: Any = None) -> Self:
        """Return the product with the parameters of its parts repeated along new axes."""
        parts = [part.expand(torch.Size(batch_shape)) for part in self.parts]
        return type(self)(parts, self.columns, self._validate_args)

    def map_parameters(self, function: Callable[[Tensor], Tensor]) -> Self:
        parts = [part.map_parameters(function) for part in self.parts]
        return type(self)(parts, self.columns, self._validate_args)

    def __repr__(self) -> str:
        return f"Product({', '.join(map(repr, self.parts))})"

    def _joined(self, groups: Sequence[Tensor]) -> Tensor:
        """Return groups of columns as rows (..., X), in the order of the columns."""
        return torch.cat(list(groups), -1).index_select(-1, torch.cat(self.columns).argsort())


class _Groups(constraints.Constraint):
    """Vectors whose groups of columns are each in the support of their part."""

    event_dim = 1

    def __init__(self, product: Product) -> None:
        self.product = product
        self.is_discrete = all(part.support is not None and part.support.is_discrete for part in product.parts)

    def check(self, value: Tensor) -> Tensor:
        inside = value.new_ones(value.shape[:-1], dtype=torch.bool)
        for part, group in self.product.split(value):
            if part.support is not None:
                inside = inside & part.support.check(group)
        return inside

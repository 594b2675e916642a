"""A normal distribution seen through invertible functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution, Transform, constraints

from vaelab.distributions.vector import VectorDistribution

__all__ = ["Flow"]


class Flow(Distribution):
    """`p(z) = b(f(z)) |det df/dz|`: a base distribution b of `f(z)`, with `f = f_L o ... o f_1` invertible.

    zuko's ``NormalizingFlow`` is the same distribution; torch does not capture it as one graph, and it captures this
    one. It has no formula for its mean. Source: Rezende & Mohamed (2015), https://arxiv.org/abs/1505.05770.

    Args:
        transforms: `f_1, ..., f_L`, from z to the base; each has zuko's ``call_and_ladj``, the value and the logarithm
            of the determinant.
        base: the distribution of `f(z)`, batch shape (...), event shape (D,).

    >>> from zuko.flows import NSF
    >>> from vaelab.distributions import DiagonalNormal
    >>> p = Flow([layer() for layer in NSF(2).transform.transforms], DiagonalNormal(torch.zeros(2), torch.zeros(2)))
    >>> p, p.log_prob(p.sample((5,))).shape
    (Flow(3 transforms, DiagonalNormal(loc: (2,), log_scale: (2,))), torch.Size([5]))
    """

    arg_constraints = {}  # noqa: RUF012 - its parameters are those of the transforms and of the base
    support = constraints.real_vector
    has_rsample = True

    def __init__(self, transforms: Sequence[Transform], base: VectorDistribution) -> None:
        super().__init__(base.batch_shape, base.event_shape, validate_args=False)
        self.transforms: tuple[Any, ...] = tuple(transforms)  # torch's class has no call_and_ladj; zuko adds it
        self.base = base

    def log_prob(self, value: Tensor) -> Tensor:
        """Return log p(z), (...), of values (..., D)."""
        volume = value.new_zeros(value.shape[:-1])
        for transform in self.transforms if value.numel() else ():  # zuko does not take zero rows
            value, change = transform.call_and_ladj(value)
            volume = volume + change
        return self.base.log_prob(value) + volume

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Return draws, shape sample_shape + (..., D), that are differentiable functions of noise."""
        value = self.base.rsample(torch.Size(sample_shape))
        for transform in reversed(self.transforms):
            value = transform.inv(value)
        return value

    def sample(self, sample_shape: Any = ()) -> Tensor:
        with torch.no_grad():
            return self.rsample(sample_shape)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Flow:
        """Return the flow with a base of another batch shape; the transforms are for all."""
        return Flow(self.transforms, self.base.expand(batch_shape))

    def __repr__(self) -> str:
        return f"Flow({len(self.transforms)} transforms, {self.base!r})"

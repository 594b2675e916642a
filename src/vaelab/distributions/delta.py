"""All probability on one vector."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.distributions import constraints

from vaelab.distributions.vector import VectorDistribution

__all__ = ["Delta"]


class Delta(VectorDistribution):
    """All probability on one vector: the code of a deterministic auto-encoder. It has no density.

    Args:
        loc: the vector, shape (..., D).
        validate_args: check the parameter, as in torch; false by default.

    >>> Delta(torch.zeros(5, 2)).sample((3,)).shape
    torch.Size([3, 5, 2])
    """

    arg_constraints = {"loc": constraints.real_vector}  # noqa: RUF012
    support = constraints.real_vector
    has_rsample = True

    def __init__(self, loc: Tensor, validate_args: bool = False) -> None:
        self.loc = loc
        super().__init__(loc, validate_args)

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        return torch.zeros_like(self.loc)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Return the vector itself, shape sample_shape + (..., D)."""
        return self.loc.expand(self._extended_shape(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        raise NotImplementedError("Delta has no density: all its probability is on one vector")

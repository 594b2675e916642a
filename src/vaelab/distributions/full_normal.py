"""The normal distribution with correlated units."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.distributions import constraints
from torch.distributions.kl import kl_divergence, register_kl

from vaelab.distributions.normal import LOG_2PI, DiagonalNormal, limited
from vaelab.distributions.vector import Reparameterised
from vaelab.errors import InputError

__all__ = ["FullNormal"]


class FullNormal(Reparameterised):
    """Normal distribution over vectors with a covariance matrix, given by a lower triangular factor of it.

    Formula: `z = mu + L e` with `e ~ N(0, I)` and `L = diag(sigma) (I + B)`, B strictly lower triangular, so that the
    covariance matrix is `L L^T` and

    `log N(z; mu, L L^T) = -1/2 [|L^-1 (z - mu)|^2 + 2 sum_j log sigma_j + D log 2 pi]`.

    With B = 0 it is the :class:`DiagonalNormal` of the same mu and sigma. The density solves a triangular system of D
    equations, and never inverts a matrix. ``log_scale`` is limited as in :class:`DiagonalNormal`; B is
    not, and where it is infinite, densities are NaN. Source of the factor:
    Rezende, Mohamed & Wierstra (2014), https://arxiv.org/abs/1401.4082, section 4.3 and appendix B.

    Args:
        loc: mean mu, shape (..., D).
        log_scale: log sigma, (..., D).
        below: B, its rows one after the other, (..., D (D - 1) / 2): B_21, B_31, B_32, and so on.
        validate_args: check parameters and values, as in torch; false by default.

    Raises:
        InputError: ``loc`` or ``below`` without an axis, or another number of columns in ``below``.

    >>> q = FullNormal(torch.zeros(2), torch.zeros(2), torch.tensor([1.0]))
    >>> q.log_prob(torch.zeros(2)), q.variance
    (tensor(-1.8379), tensor([1., 2.]))
    >>> FullNormal(torch.zeros(64, 20), torch.zeros(64, 20), torch.zeros(64, 190))
    FullNormal(loc: (64, 20), log_scale: (64, 20), below: (64, 190))
    """

    arg_constraints = {  # noqa: RUF012
        "loc": constraints.real_vector,
        "log_scale": constraints.real_vector,
        "below": constraints.real_vector,
    }
    support = constraints.real_vector
    log_scale: Tensor
    below: Tensor

    def __init__(self, loc: Tensor, log_scale: Tensor, below: Tensor, validate_args: bool = False) -> None:
        if not (loc.ndim and below.ndim):
            raise InputError(
                f"loc, below: expected at least one axis; got shapes {tuple(loc.shape)} and {tuple(below.shape)}"
            )
        size = loc.shape[-1]
        if below.shape[-1] != size * (size - 1) // 2:
            raise InputError(f"below: expected {size * (size - 1) // 2} columns for D = {size}; got {below.shape[-1]}")
        self.loc, self.log_scale = torch.broadcast_tensors(loc, limited(log_scale))
        self.below = below.expand(*self.loc.shape[:-1], below.shape[-1])
        super().__init__(self.loc, validate_args)

    @property
    def factor(self) -> Tensor:
        """I + B, shape (..., D, D)."""
        size, count = self.loc.shape[-1], self.below.shape[-1]
        column = torch.arange(size, device=self.below.device)
        row = column.unsqueeze(1)
        places = torch.where(column < row, row * (row - 1) // 2 + column, torch.where(column == row, count + 1, count))
        ends = self.below.new_tensor([0.0, 1.0]).expand(*self.below.shape[:-1], 2)
        values = torch.cat([self.below, ends], -1)
        factor: Tensor = values.index_select(-1, places.flatten()).unflatten(-1, (size, size))
        return factor

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        return (2 * self.log_scale).exp() * self.factor.square().sum(-1)

    def marginals(self) -> DiagonalNormal:
        """Return the distribution of each unit alone, as if the units were independent."""
        return DiagonalNormal(self.loc, self.log_scale + 0.5 * self.factor.square().sum(-1).log())

    def from_noise(self, noise: Tensor) -> Tensor:
        """Return `z = mu + L e` of standard normal numbers e (..., D)."""
        return self.loc + self.log_scale.exp() * self._by_columns(torch.matmul, noise)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        noise = self._by_columns(_solve, (value - self.loc) * (-self.log_scale).exp())
        return -0.5 * (noise.square().sum(-1) + (2 * self.log_scale + LOG_2PI).sum(-1))

    def _by_columns(self, function: Callable[[Tensor, Tensor], Tensor], vectors: Tensor) -> Tensor:
        """Return a function of I + B and of the matrix whose columns are the vectors, (..., D) both.

        Axes that B does not have, such as that of K codes, are columns, so that B is not repeated for them.
        """
        if vectors.ndim == 2 and len(self.batch_shape) == 1:  # one vector for each row
            return function(self.factor, vectors.unsqueeze(-1)).squeeze(-1)
        axes = max(vectors.ndim - 1, len(self.batch_shape))
        batch = torch.Size((1,) * (axes - len(self.batch_shape))) + self.batch_shape
        vectors = vectors.expand(*(-1 if size == 1 else size for size in batch), -1)
        own, shared = ([axis for axis in range(axes) if (batch[axis] != 1) == kept] for kept in (True, False))
        order = [*own, axes, *shared]
        moved = vectors.permute(order)  # own axes, D, shared axes
        factor = self.factor.reshape(*(batch[axis] for axis in own), *self.factor.shape[-2:])
        kept, columns = moved.shape[: len(own) + 1], math.prod(moved.shape[len(own) + 1 :])
        found = function(factor, moved.reshape(*kept, columns)).reshape(moved.shape)
        return found.permute([order.index(axis) for axis in range(axes + 1)])

    def entropy(self) -> Tensor:
        """Return the entropy in nats, `sum_j log sigma_j + 1/2 (1 + log 2 pi)`, shape batch_shape."""
        return (self.log_scale + 0.5 * (1 + LOG_2PI)).sum(-1)


def _solve(factor: Tensor, columns: Tensor) -> Tensor:
    # torch has no such solver for bfloat16 and float16
    wide, vectors = (part.to(torch.promote_types(part.dtype, torch.float32)) for part in (factor, columns))
    solved: Tensor = torch.linalg.solve_triangular(wide, vectors, upper=False, unitriangular=True)
    return solved.to(columns.dtype)


def _kl(q: FullNormal, p: DiagonalNormal) -> Tensor:
    # For p = N(0, I): 1/2 sum_j (sum_k L_jk^2 + mu_j^2 - 1 - 2 log sigma_j)
    spread = q.variance * (-2 * p.log_scale).exp()
    distance = ((q.loc - p.loc) * (-p.log_scale).exp()).square()
    return 0.5 * (spread + distance - 1 - 2 * (q.log_scale - p.log_scale)).sum(-1)


register_kl(FullNormal, DiagonalNormal)(_kl)
_example: Any = FullNormal(torch.zeros(1), torch.zeros(1), torch.zeros(0))
kl_divergence(_example, DiagonalNormal(torch.zeros(1), torch.zeros(1)))  # torch caches the formula, as for normal.py

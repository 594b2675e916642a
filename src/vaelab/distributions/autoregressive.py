"""Bits of which each depends on all before it, as one distribution over vectors."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar, Self

import torch
from torch import Tensor
from torch.distributions import constraints

from vaelab.distributed import uniform
from vaelab.distributions.bernoulli import Bernoulli
from vaelab.distributions.vector import VectorDistribution

__all__ = ["Autoregressive"]

_DRAWS = 64  # of which a mean is the average
_ELEMENTS = 4_000_000  # numbers of draws at once: 16 MB in float32
_BLOCK = 32  # columns


class Autoregressive(VectorDistribution):
    """Bits of which each depends on all columns before it, through a hidden unit for each column.

    Formula: `log p(x) = sum_j [x_j l_j - softplus(l_j)]`, `l_j = b_j + sum_(i<j) A_ji x_i + sum_(i<=j) V_ji h_i`,
    `h_i = max(0, c_i + sum_(k<i) W_ik x_k)`: the parts of A and W on and above the diagonal, and of V above it, are not
    used. The order is that of the columns.

    ``log_prob`` and ``sample`` are exact; a draw takes X steps, one for each column. The ``mean`` has no formula: it is
    estimated from 64 draws, with the same noise at every call, as the average of the probabilities of a one given the
    columns before; each of them has a standard error of at most 0.0625, and no gradient. The most probable vector
    cannot be found in general: ``mode`` takes for each column the more probable value given those before, so another
    vector may be more probable. There is no density of some of the columns.

    Source: MADE, Germain et al. (2015), https://arxiv.org/abs/1502.03509, with one hidden unit for each column and
    direct connections.

    Args:
        logits: b, shape (..., X). The value of ``log_prob`` may lack leading axes.
        shifts: c, shape (..., X).
        direct: A, shape (X, X).
        inward: W, shape (X, X).
        outward: V, shape (X, X).
        validate_args: check parameters and values, as in torch; false by default.

    >>> copies = torch.tensor([[0.0, 0.0], [8.0, 0.0]])  # the second bit repeats the first
    >>> p = Autoregressive(torch.tensor([0.0, -4.0]), torch.zeros(2), copies, torch.zeros(2, 2), torch.zeros(2, 2))
    >>> p.log_prob(torch.tensor([1.0, 1.0])).exp(), p
    (tensor(0.4910), Autoregressive(logits: (2,), shifts: (2,)))
    """

    arg_constraints = {"logits": constraints.real_vector, "shifts": constraints.real_vector}  # noqa: RUF012
    constants: ClassVar[tuple[str, ...]] = ("direct", "inward", "outward")
    support = constraints.independent(constraints.boolean, 1)
    has_rsample = False

    def __init__(
        self,
        logits: Tensor,
        shifts: Tensor,
        direct: Tensor,
        inward: Tensor,
        outward: Tensor,
        validate_args: bool = False,
    ) -> None:
        self.logits, self.shifts = torch.broadcast_tensors(logits, shifts)
        self.direct, self.inward, self.outward = direct.tril(-1), inward.tril(-1), outward.tril()
        super().__init__(self.logits, validate_args)

    @property
    def mean(self) -> Tensor:
        """The probability of a one in each column, estimated from 64 draws; without a gradient."""
        generator = torch.Generator().manual_seed(0)
        noise = torch.rand(_DRAWS, self.event_shape[0], generator=generator).to(self.logits)
        total = self.logits.new_zeros(self.logits.shape)
        at_once = max(1, _ELEMENTS // max(1, self.logits.numel()))
        for part in noise.split(at_once):  # (draws, X)
            shape = torch.Size([len(part), *self.logits.shape])
            wide = part.view(len(part), *(1 for _ in self.batch_shape), -1).expand(shape)
            total += self._in_turn(wide)[1].sum(0)
        mean: Tensor = total / _DRAWS
        return mean

    @property
    def variance(self) -> Tensor:
        mean = self.mean
        return mean * (1 - mean)

    @property
    def mode(self) -> Tensor:
        """For each column the more probable value given those before; another vector may be more probable."""
        return self._in_turn(torch.full_like(self.logits, 0.5))[0]

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draw column by column: uniform noise compared with the probability given the columns before."""
        return self._in_turn(uniform(self._extended_shape(sample_shape), self.logits))[0]

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        value = value.to(self.logits.dtype)
        return Bernoulli(self.conditional_logits(value)).log_prob(value)

    def conditional_logits(self, value: Tensor) -> Tensor:
        """Return l_j, the logit of each column given those before it in a value (..., X)."""
        hidden = self._rectified(self.shifts + value @ self.inward.T)
        logits: Tensor = self.logits + value @ self.direct.T + hidden @ self.outward.T
        return logits

    def map_parameters(self, function: Callable[[Tensor], Tensor]) -> Self:
        names = (*self.arg_constraints, *self.constants)
        return type(self)(**{name: function(getattr(self, name)) for name in names}, validate_args=self._validate_args)

    def _rectified(self, inputs: Tensor) -> Tensor:
        """Return max(0, inputs); an infinite one counts as the root of the largest number, so that sums are finite."""
        return inputs.clamp(0, math.sqrt(torch.finfo(inputs.dtype).max))

    def _in_turn(self, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Return bits (..., X), and the probabilities of ones given the bits before, that noise on [0, 1) determines.

        What all columns of earlier blocks contribute to a block is one product of matrices.
        """
        size, columns = noise.shape[-1], noise.reshape(-1, noise.shape[-1]).T  # (X, N)
        with torch.no_grad():
            logits, inputs = (
                part.expand(noise.shape).reshape(-1, size).T.clone() for part in (self.logits, self.shifts)
            )
            x, hidden, found = (torch.zeros_like(logits) for _ in range(3))
            for start in range(0, size, _BLOCK):
                block, before = slice(start, start + _BLOCK), slice(0, start)
                inputs[block] += self.inward[block, before] @ x[before]
                logits[block] += self.direct[block, before] @ x[before] + self.outward[block, before] @ hidden[before]
                for column in range(start, min(start + _BLOCK, size)):
                    since = slice(start, column)
                    hidden[column] = self._rectified(inputs[column] + self.inward[column, since] @ x[since])
                    logits[column] += self.direct[column, since] @ x[since]
                    since = slice(start, column + 1)
                    found[column] = torch.sigmoid(logits[column] + self.outward[column, since] @ hidden[since])
                    x[column] = columns[column] < found[column]
        return x.T.reshape(noise.shape), found.T.reshape(noise.shape)

"""Bits of which each depends on all before it in an order, as one distribution over vectors."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any, ClassVar, Self

import torch
from torch import Tensor
from torch.distributions import constraints

from vaelab.distributed import uniform
from vaelab.distributions.bernoulli import Bernoulli
from vaelab.distributions.vector import VectorDistribution
from vaelab.errors import InputError

__all__ = ["Autoregressive"]

_DRAWS = 64  # of which a mean is the average
_ELEMENTS = 4_000_000  # numbers of draws at once: 16 MB in float32
_BLOCK = 32  # columns


class Autoregressive(VectorDistribution):
    """Bits that come one after the other in an order of the columns, each given all before it, through hidden units.

    Formula: `log p(x) = sum_j [x_j l_j - softplus(l_j)]`, `l_j = b_j + sum_i A_ji x_i + sum_k V_jk h_k`,
    `h_k = max(0, c_k + sum_i W_ki x_i)`. Column i counts in `l_j` if it comes before column j. Hidden unit k of H reads
    the first `d_k = floor(k X / H)` columns of the order, and counts in the columns after those. What A, W and V have
    in other places is not used.

    ``log_prob`` and ``sample`` are exact; a draw takes X steps, one for each column. The ``mean`` has no formula: it is
    estimated from 64 draws, with the same noise at every call, as the average of the probabilities of a one given the
    columns before; each of them has a standard error of at most 0.0625, and no gradient. The most probable vector
    cannot be found in general: ``mode`` takes for each column the more probable value given those before, so another
    vector may be more probable. There is no density of some of the columns.

    Source: MADE, Germain et al. (2015), https://arxiv.org/abs/1502.03509, with one layer of hidden units, whose masks
    are spread evenly, and direct connections.

    Args:
        logits: b, shape (..., X). The value of ``log_prob`` may lack leading axes.
        shifts: c, shape (..., H).
        direct: A, shape (X, X).
        inward: W, shape (H, X).
        outward: V, shape (X, H).
        order: the columns in the order in which they come, shape (X,); None is their own order.
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
        order: Tensor | None = None,
        validate_args: bool = False,
    ) -> None:
        shape = torch.broadcast_shapes(logits.shape[:-1], shifts.shape[:-1])
        self.logits, self.shifts = logits.expand(*shape, -1), shifts.expand(*shape, -1)
        self.order = order
        columns, units = logits.shape[-1], shifts.shape[-1]
        places = torch.arange(columns, device=logits.device) if order is None else order.argsort()
        reads = torch.arange(units, device=logits.device) * columns // units  # of each unit, d_k
        self.direct = direct.masked_fill(places >= places.unsqueeze(1), 0)
        self.inward = inward.masked_fill(places >= reads.unsqueeze(1), 0)
        self.outward = outward.masked_fill(places.unsqueeze(1) < reads, 0)
        super().__init__(self.logits, validate_args)

    def around(self, centre: Tensor) -> Self:
        """Return the distribution in which `x_i - m_i` stands for `x_i` in the sums, for a centre m, shape (X,)."""
        shifted = copy.copy(self)
        shifted.logits = self.logits - self.direct @ centre
        shifted.shifts = self.shifts - self.inward @ centre
        return shifted

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
        return self.logits_of(value, self.hidden_units(value))

    def hidden_units(self, value: Tensor) -> Tensor:
        """Return h_k, (..., H), for a value (..., X)."""
        return self._rectified(self.shifts + value @ self.inward.T)

    def logits_of(self, value: Tensor, hidden: Tensor) -> Tensor:
        """Return l_j, (..., X), for a value (..., X) and hidden units (..., H)."""
        logits: Tensor = self.logits + value @ self.direct.T + hidden @ self.outward.T
        return logits

    def given_observed(self, value: Tensor) -> Self:
        """Refuse values of which some are missing: the distribution of those given the others has no formula."""
        raise InputError(
            "likelihood: expected a distribution with a density of the observed columns alone, as values of x are "
            f"missing; {type(self).__name__} has no density of some of its columns"
        )

    def expand(self, batch_shape: Any, _instance: Any = None) -> Self:
        """Return the distribution with its parameters repeated along new axes, as views."""
        expanded, shape = copy.copy(self), torch.Size(batch_shape)
        expanded.logits, expanded.shifts = (part.expand(*shape, -1) for part in (self.logits, self.shifts))
        expanded._batch_shape = shape
        return expanded

    def map_parameters(self, function: Callable[[Tensor], Tensor]) -> Self:
        names = (*self.arg_constraints, *self.constants)
        parts = {name: function(getattr(self, name)) for name in names}
        return type(self)(**parts, order=self.order, validate_args=self._validate_args)

    def _rectified(self, inputs: Tensor) -> Tensor:
        """Return max(0, inputs); an infinite one counts as the root of the largest number, so that sums are finite."""
        return inputs.clamp(0, math.sqrt(torch.finfo(inputs.dtype).max))

    def _in_turn(self, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Return bits (..., X), and the probabilities of ones given the bits before, that noise on [0, 1) determines.

        What all columns of earlier blocks contribute to a block is one product of matrices. The rows of each tensor
        below are columns in their order, or units, which are in the order of what they read.
        """
        columns, units = self.event_shape[0], self.shifts.shape[-1]
        order = slice(None) if self.order is None else self.order
        direct, inward, outward = self.direct[order][:, order], self.inward[:, order], self.outward[order]
        with torch.no_grad():
            chosen, logits, inputs = (
                part.expand(*noise.shape[:-1], -1).reshape(-1, part.shape[-1]).T.clone()
                for part in (noise[..., order], self.logits[..., order], self.shifts)
            )
            x, found, hidden = torch.zeros_like(logits), torch.zeros_like(logits), torch.zeros_like(inputs)
            for start in range(0, columns, _BLOCK):
                stop, first = min(start + _BLOCK, columns), _units_before(start, columns, units)
                block, own = slice(start, stop), slice(first, _units_before(stop, columns, units))
                inputs[own] += inward[own, :start] @ x[:start]
                logits[block] += direct[block, :start] @ x[:start] + outward[block, :first] @ hidden[:first]
                for column in range(start, stop):
                    new = slice(_units_before(column, columns, units), _units_before(column + 1, columns, units))
                    hidden[new] = self._rectified(inputs[new] + inward[new, start:column] @ x[start:column])
                    logits[column] += direct[column, start:column] @ x[start:column]
                    found[column] = torch.sigmoid(
                        logits[column] + outward[column, first : new.stop] @ hidden[first : new.stop]
                    )
                    x[column] = chosen[column] < found[column]
            back = slice(None) if self.order is None else self.order.argsort()
            return x[back].T.reshape(noise.shape), found[back].T.reshape(noise.shape)


def _units_before(column: int, columns: int, units: int) -> int:
    """Return how many units read fewer than so many columns: the k with `floor(k X / H) < column`."""
    return -(-column * units // columns)

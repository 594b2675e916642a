"""Mixtures of distributions over vectors, and several distributions as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor
from torch.distributions import constraints

from vaelab.distributed import uniform
from vaelab.distributions.vector import ParametricDistribution
from vaelab.errors import InputError

__all__ = ["Mixture", "Stacked"]

_AT_ONCE = 4_000_000  # log-densities of components that are computed at once without a gradient


class Stacked(ParametricDistribution):
    """C distributions as one with a last batch axis of C: for those that differ in more than their parameters.

    Such are trees with different edges. Distributions that differ in their parameters alone need no such class: one of
    them holds the parameters of all.

    Args:
        parts: the distributions, of one batch shape (...) and event shape; the stack has batch shape (..., C).
        validate_args: check the values that ``log_prob`` gets, as in torch; false by default.

    Raises:
        InputError: parts of different shapes, or none.

    >>> from vaelab.distributions import Tree
    >>> Stacked([Tree(torch.zeros(2), torch.ones(2), parents) for parents in ([-1, 0], [1, -1], [-1, -1])])
    Stacked(3 x Tree(off: (2,), on: (2,)))
    """

    arg_constraints = {}  # noqa: RUF012 - its parameters are those of the parts

    def __init__(self, parts: Sequence[ParametricDistribution], validate_args: bool = False) -> None:
        self.parts = tuple(parts)
        shapes = {(part.batch_shape, part.event_shape) for part in self.parts}
        if len(shapes) != 1:
            raise InputError(f"parts: expected distributions of one shape; got {len(shapes)} shapes")
        (batch, event), *_ = shapes
        super().__init__(torch.Size([*batch, len(self.parts)]), event, validate_args=validate_args)

    @property
    def support(self) -> constraints.Constraint | None:
        """The support of the first part; all have the same."""
        return self.parts[0].support

    @property
    def mean(self) -> Tensor:
        return torch.stack([part.mean for part in self.parts], -2)

    @property
    def mode(self) -> Tensor:
        return torch.stack([part.mode for part in self.parts], -2)

    @property
    def variance(self) -> Tensor:
        return torch.stack([part.variance for part in self.parts], -2)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        return torch.stack([part.sample(torch.Size(sample_shape)) for part in self.parts], -2)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        return torch.stack([part.log_prob(x) for part, x in self._pairs(value)], -1)

    def log_prob_of_observed(self, value: Tensor) -> Tensor:
        return torch.stack([part.log_prob_of_observed(x) for part, x in self._pairs(value)], -1)

    def given_observed(self, value: Tensor) -> Self:
        return type(self)([part.given_observed(x) for part, x in self._pairs(value)], self._validate_args)

    def entropy(self) -> Tensor:
        """Return the entropy of each part, in nats, shape batch_shape."""
        return torch.stack([part.entropy() for part in self.parts], -1)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Self:
        """Return the stack with the parameters of its parts repeated along new axes before the last."""
        batch = torch.Size(batch_shape)
        if batch[-1:] != self.batch_shape[-1:]:
            raise InputError(f"batch_shape: expected one that ends in {len(self.parts)}; got {tuple(batch)}")
        return type(self)([part.expand(batch[:-1]) for part in self.parts], self._validate_args)

    def map_parameters(self, function: Callable[[Tensor], Tensor]) -> Self:
        return type(self)([part.map_parameters(function) for part in self.parts], self._validate_args)

    def chosen(self, numbers: Tensor) -> Tensor:
        """Draw from the part with each number (...), shape (..., X)."""
        draws: Tensor | None = None
        for number in numbers.unique().tolist():
            where = numbers == number
            part = self.parts[number]
            if part.batch_shape:
                found = part.map_parameters(_rows(where)).sample()
            else:
                found = part.sample(torch.Size([int(where.sum())]))
            draws = found.new_zeros(*numbers.shape, *self.event_shape) if draws is None else draws
            draws[where] = found
        assert draws is not None
        return draws

    def _pairs(self, value: Tensor) -> list[tuple[ParametricDistribution, Tensor]]:
        """Return each part with its value, of (..., 1, X) or (..., C, X)."""
        if value.ndim < 2:
            value = value.unsqueeze(-2)
        return list(zip(self.parts, value.expand(*value.shape[:-2], len(self.parts), -1).unbind(-2), strict=True))

    def __repr__(self) -> str:
        return f"Stacked({len(self.parts)} x {self.parts[0]!r})"


def _rows(where: Tensor) -> Callable[[Tensor], Tensor]:
    """Return a function that takes from parameters (..., X) those of the places that are true, (number, X)."""
    return lambda parameter: parameter.expand(*where.shape, -1)[where]


class Mixture(ParametricDistribution):
    """A mixture of C distributions over vectors: one of them is drawn, and then x from it.

    Formula: `log p(x) = log sum_c w_c p_c(x)`, with weights w that sum to 1.

    Where values of x are missing, `p(x_observed) = sum_c w_c p_c(x_observed)`, and
    `p(x_missing|x_observed) = sum_c v_c p_c(x_missing|x_observed)`, v_c proportional to `w_c p_c(x_observed)`.
    Density, draws, mean and variance are exact. The most probable x cannot be found in general: ``mode`` is the best of
    the modes of the components, so another x may be more probable. The entropy has no formula.

    Components of batch shape (C,) are one for all rows: their densities are products of matrices where they can be.

    Source: McLachlan & Peel (2000), "Finite Mixture Models", https://doi.org/10.1002/0471721182.

    Args:
        log_weights: log w, or logits of it, shape (..., C). One beyond a quarter of the largest number of its type
            counts as that.
        components: distributions of batch shape (..., C), or (C,).
        validate_args: check the values that ``log_prob`` gets, as in torch; false by default.

    Raises:
        InputError: weights of another number of components.

    >>> from vaelab.distributions import Bernoulli
    >>> p = Mixture(torch.zeros(2), Bernoulli(torch.tensor([[4.0, 4.0], [-4.0, -4.0]])))
    >>> p.log_prob(torch.tensor([1.0, 1.0])).exp(), p.mean
    (tensor(0.4823), tensor([0.5000, 0.5000]))
    >>> p.given_observed(torch.tensor([1.0, torch.nan])).mean[1]
    tensor(0.9647)
    """

    arg_constraints = {"log_weights": constraints.real_vector}  # noqa: RUF012

    def __init__(self, log_weights: Tensor, components: ParametricDistribution, validate_args: bool = False) -> None:
        if components.batch_shape[-1:] != log_weights.shape[-1:]:
            raise InputError(
                f"components: expected a distribution whose batch shape ends in {log_weights.shape[-1]}, the number of "
                f"weights; got {tuple(components.batch_shape)}"
            )
        shape = np.broadcast_shapes(
            log_weights.shape, components.batch_shape
        )  # torch's loads sympy, which takes a second
        limit = _limit(log_weights)
        weights = log_weights.clamp(-limit, limit).log_softmax(-1)
        self.log_weights, self.components = weights.expand(shape), components
        super().__init__(torch.Size(shape[:-1]), components.event_shape, validate_args=validate_args)

    @property
    def support(self) -> constraints.Constraint | None:
        """The support of the components."""
        return self.components.support

    @property
    def mean(self) -> Tensor:
        return self._average(self.components.mean)

    @property
    def variance(self) -> Tensor:
        mean = self.components.mean
        return self._average(self.components.variance + mean.square()) - self._average(mean).square()

    @property
    def mode(self) -> Tensor:
        """The most probable of the modes of the components; another vector may be more probable."""
        modes = self.components.mode
        modes = modes.expand(*self.batch_shape, *modes.shape[-2:])  # (..., C, X)
        best = self.log_prob(modes.movedim(-2, 0)).argmax(0)  # (...)
        return _taken(best)(modes)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draw the component with the largest log-weight plus Gumbel noise, then from it."""
        with torch.no_grad():
            shape = self._extended_shape(sample_shape)[:-1]
            noise = uniform([*shape, self.log_weights.shape[-1]], self.log_weights)
            numbers = (self.log_weights - (-noise.log()).log()).argmax(-1)
            if isinstance(self.components, Stacked):
                return self.components.chosen(numbers)
            return self.components.map_parameters(_taken(numbers)).sample()

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        return self._log_density(value, observed=False)

    def log_prob_of_observed(self, value: Tensor) -> Tensor:
        return self._log_density(value, observed=True)

    def _log_density(self, value: Tensor, observed: bool) -> Tensor:
        """Return log p of values (..., X): where no gradient is needed, of some rows at a time."""
        rows = max(1, _AT_ONCE // self.log_weights.shape[-1])
        if torch.is_grad_enabled() or self.batch_shape or value[..., 0].numel() <= rows:
            return self.log_joint(value, observed).logsumexp(-1)
        parts = value.reshape(-1, value.shape[-1]).split(rows)
        return torch.cat([self.log_joint(part, observed).logsumexp(-1) for part in parts]).view(value.shape[:-1])

    def given_observed(self, value: Tensor) -> Mixture:
        """Return p(x | the values that are not NaN): the mixture of what each component says of the others."""
        components = self.components.given_observed(value.unsqueeze(-2))
        return Mixture(self.log_joint(value, observed=True), components, bool(self._validate_args))

    def log_joint(self, value: Tensor, observed: bool = False) -> Tensor:
        """Return `log w_c + log p_c(x)` of each component, shape (..., C), for values (..., X).

        A softmax of it is the probability of each component given x.

        Args:
            value: x.
            observed: whether NaN in x marks a missing value, which is left out.
        """
        of_components = self._of_components(value, observed)
        return self.log_weights + of_components.clamp_min(-_limit(of_components))  # so that gradients are no NaN

    def _of_components(self, value: Tensor, observed: bool) -> Tensor:
        components = self.components
        if len(components.batch_shape) > 1 or isinstance(components, Stacked):
            value = value.unsqueeze(-2)
            return components.log_prob_of_observed(value) if observed else components.log_prob(value)
        wide, rows = components.map_parameters(lambda p: p.unsqueeze(-2)), value.reshape(-1, value.shape[-1])
        table = wide.log_prob_of_observed(rows) if observed else wide.log_prob(rows)  # (C, N)
        return table.T.reshape(*value.shape[:-1], len(table))

    def expand(self, batch_shape: Any, _instance: Any = None) -> Mixture:
        """Return the mixture with its weights repeated along new axes; components need no copies."""
        log_weights = self.log_weights.expand(*torch.Size(batch_shape), -1)
        return Mixture(log_weights, self.components, bool(self._validate_args))

    def map_parameters(self, function: Callable[[Tensor], Tensor]) -> Self:
        components = self.components.map_parameters(function)
        return type(self)(function(self.log_weights), components, bool(self._validate_args))

    def detached(self) -> Self:
        return type(self)(self.log_weights.detach(), self.components.detached(), bool(self._validate_args))

    def _average(self, values: Tensor) -> Tensor:
        """Return the weighted mean of values (..., C, X) over components, (..., X)."""
        return (self.log_weights.exp().unsqueeze(-2) @ values).squeeze(-2)

    def __repr__(self) -> str:
        return f"Mixture(log_weights: {tuple(self.log_weights.shape)}, {self.components!r})"


def _limit(logits: Tensor) -> float:
    """The largest number that counts as it is: a difference of two of them is finite."""
    return torch.finfo(logits.dtype).max / 4


def _taken(numbers: Tensor) -> Callable[[Tensor], Tensor]:
    """Return a function that takes from parameters (..., C, X) those of the components with numbers (...), (..., X)."""

    def take(parameter: Tensor) -> Tensor:
        wide = parameter.expand(*numbers.shape, *parameter.shape[-2:])
        return torch.take_along_dim(wide, numbers[..., None, None], -2).squeeze(-2)

    return take

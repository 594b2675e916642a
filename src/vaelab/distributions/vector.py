"""The base of vaelab's distributions over vectors."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Self

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaelab.distributed import normal
from vaelab.errors import InputError

__all__ = ["ParametricDistribution", "Reparameterised", "VectorDistribution"]


class ParametricDistribution(Distribution, ABC):
    """A distribution whose parameters can be passed through a function; it may have a density for each entry."""

    @abstractmethod
    def map_parameters(self, function: Callable[[Tensor], Tensor]) -> Self:
        """Return the same distribution with the parameters of its rows passed through ``function``."""

    def detached(self) -> Self:
        """Return the same distribution with all of its parameters held constant: none gets a gradient."""
        return self.map_parameters(Tensor.detach)

    def log_prob_of_entries(self, value: Tensor) -> Tensor:
        """Return the log-density of each entry of a value (..., X), in nats; ``log_prob`` is their sum.

        An entry is a column, shape (..., X), or a group of columns that belong together, shape (..., number of groups).
        A class has this method if its entries are independent. Value and gradient are finite where a value is
        replaced by 0, as :func:`~vaelab.distributions.observed_log_prob` does with one that is missing.

        Raises:
            InputError: the entries depend on each other, so that none has a density of its own.
        """
        raise InputError(
            "likelihood: expected a distribution of independent entries, as values of x are missing; "
            f"{type(self).__name__} has no density of some of its columns"
        )

    def observed_entries(self, observed: Tensor) -> Tensor:
        """Return which entries are observed, given which columns are, (..., X): an entry needs all of its columns."""
        return observed

    def log_prob_of_observed(self, value: Tensor) -> Tensor:
        """Return the log-density of the values (..., X) that are not NaN, in nats: the sum over the observed entries.

        A class whose entries depend on each other has a method of its own.

        Raises:
            InputError: there is no density of some of the columns.
        """
        observed = ~value.isnan()
        entries = self.log_prob_of_entries(value.masked_fill(~observed, 0))
        return torch.where(self.observed_entries(observed), entries, 0).sum(-1)

    def given_observed(self, value: Tensor) -> Self:
        """Return the distribution given the values (..., X) that are not NaN, as it is in the columns that are missing.

        That is this distribution, as the entries are independent; a class whose entries depend on each other has a
        method of its own.
        """
        return self


class VectorDistribution(ParametricDistribution):
    """A distribution over vectors whose parameters are vectors: ``batch_shape + (D,)``, or of another length than D.

    A subclass names its parameters in ``arg_constraints``, and in ``constants`` its other arguments, sets them all as
    attributes, then calls this ``__init__``.
    Parameters and values are checked if ``validate_args`` is true. It is false by default, other than in torch: the
    check reads every number, and it refuses bits between zero and one, which relaxed estimators need.

    Args:
        parameter: any of the parameters.
        validate_args: check the parameters now, and the values that ``log_prob`` gets.
    """

    constants: ClassVar[tuple[str, ...]] = ()

    def __init__(self, parameter: Tensor, validate_args: bool = False) -> None:
        super().__init__(parameter.shape[:-1], parameter.shape[-1:], validate_args=validate_args)

    def map_parameters(self, function: Callable[[Tensor], Tensor]) -> Self:
        build: Callable[..., Self] = type(self)
        parameters = {name: function(getattr(self, name)) for name in self.arg_constraints}
        constants = {name: getattr(self, name) for name in self.constants}
        return build(**parameters, **constants, validate_args=self._validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Self:
        """Return the distribution with its parameters repeated along new axes, as views."""
        batch_shape = torch.Size(batch_shape)
        expanded = copy.copy(self)
        for name in self.arg_constraints:
            parameter = getattr(self, name)
            setattr(expanded, name, parameter.expand(batch_shape + parameter.shape[-1:]))
        expanded._batch_shape = batch_shape
        return expanded

    def sample(self, sample_shape: Any = ()) -> Tensor:
        with torch.no_grad():
            return self.rsample(torch.Size(sample_shape))

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name}: {tuple(getattr(self, name).shape)}" for name in self.arg_constraints)
        return f"{type(self).__name__}({shapes})"


class Reparameterised(VectorDistribution):
    """A distribution whose draws are a differentiable function of as many standard normal numbers.

    A subclass has the parameter ``loc``, (..., D).
    """

    has_rsample = True
    loc: Tensor

    @abstractmethod
    def from_noise(self, noise: Tensor) -> Tensor:
        """Return the values (..., D) of standard normal numbers (..., D)."""

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Return a draw that is differentiable in the parameters, shape sample_shape + (..., D)."""
        return self.from_noise(normal(self._extended_shape(sample_shape), self.loc))

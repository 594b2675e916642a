"""Chains: a code of several layers as one distribution over the concatenated layers.

Posterior: `q(y_1|x) q(y_2|y_1) ... q(y_L|y_L-1)`. Prior: `p(y_L) p(y_L-1|y_L) ... p(y_1|y_2)`.

A code z is the concatenation of the layers `y_1, ..., y_L`. The layer nearest to the observation comes first; D is
the sum of their sizes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints

from vaelab.distributions.conversion import as_vector, map_parameters
from vaelab.distributions.vector import ParametricDistribution

__all__ = ["Chain", "log_factors"]

Step = Callable[[Tensor], Distribution]


class Chain(ParametricDistribution):
    """A chain of conditional distributions: each layer given the one drawn before it.

    Formula: `log q(z) = log q(y_1) + sum_l log q(y_l+1|y_l)`, or downwards `log p(y_L) + sum_l log p(y_l|y_l+1)`.
    Shapes: z (..., D), D the sum of the layers' sizes.

    Args:
        first: distribution of the layer that is drawn first.
        steps: from a layer to the distribution of the next, in the order in which they are drawn.
        sizes: sizes of the layers, y_1 first.
        downwards: whether y_L is drawn first, as by a prior.
        validate_args: check the values that ``log_prob`` gets, as in torch; false by default.

    >>> from vaelab.distributions import Bernoulli
    >>> chain = Chain(Bernoulli(torch.zeros(5, 3)), [lambda y: Bernoulli(y[..., :2])], (3, 2))
    >>> chain
    Chain(Bernoulli(logits: (5, 3)), sizes: (3, 2))
    >>> chain.sample((7,)).shape, chain.log_prob(torch.zeros(7, 5, 5))[0, 0]
    (torch.Size([7, 5, 5]), tensor(-3.4657))
    """

    arg_constraints = {}  # noqa: RUF012 - its parameters are those of the conditional distributions

    def __init__(
        self,
        first: Distribution,
        steps: Sequence[Step],
        sizes: Sequence[int],
        downwards: bool = False,
        validate_args: bool = False,
    ) -> None:
        self.first, self.steps, self.sizes, self.downwards = as_vector(first), list(steps), tuple(sizes), downwards
        super().__init__(first.batch_shape, torch.Size([sum(sizes)]), validate_args=validate_args)

    def __repr__(self) -> str:
        return f"Chain({self.first}, sizes: {self.sizes})"

    @property
    def support(self) -> constraints.Constraint | None:
        """The support of the first layer; all layers have the same kind of units."""
        return self.first.support

    def expand(self, batch_shape: Any, _instance: Any = None) -> Self:
        """Return the chain with the parameters of its first layer repeated along new axes."""
        first = self.first.expand(torch.Size(batch_shape))
        return type(self)(first, self.steps, self.sizes, self.downwards, self._validate_args)

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]
        return bool(self.first.has_rsample)

    def split(self, z: Tensor) -> list[Tensor]:
        """Return the layers of codes z (..., D) in the order in which they are drawn."""
        layers = list(z.split(self.sizes, -1))
        return layers[::-1] if self.downwards else layers

    def join(self, layers: Sequence[Tensor]) -> Tensor:
        """Return codes (..., D) from layers in the order in which they are drawn."""
        return torch.cat(list(layers)[::-1] if self.downwards else list(layers), -1)

    def factor(self, index: int, layers: Sequence[Tensor]) -> Distribution:
        """Return the distribution of the index-th layer to be drawn, given those before it."""
        return self.first if index == 0 else as_vector(self.steps[index - 1](layers[index - 1]))

    def factors(self, z: Tensor) -> list[Distribution]:
        """Return the distribution of each layer of z (..., D) given the one before, as they are drawn."""
        layers = self.split(z)
        return [self.factor(index, layers) for index in range(len(layers))]

    def log_factors(self, z: Tensor) -> tuple[Tensor, ...]:
        """Return the log-density of each layer given the one before, y_1 first, each of z's batch shape."""
        densities = [q.log_prob(layer) for q, layer in zip(self.factors(z), self.split(z), strict=True)]
        return tuple(densities[::-1] if self.downwards else densities)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        first, *others = self.log_factors(value)
        return sum(others, first)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        with torch.no_grad():
            return self._pass(lambda q: q.sample(torch.Size(sample_shape)), lambda q: q.sample())

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return self._pass(lambda q: q.rsample(torch.Size(sample_shape)), lambda q: q.rsample())

    @property
    def mean(self) -> Tensor:
        """The mean of each layer given the mean of the one before; exact for the layer that is drawn first only."""
        return self._pass(lambda q: q.mean, lambda q: q.mean)

    @property
    def mode(self) -> Tensor:
        """The most probable value of each layer given that of the one before."""
        return self._pass(lambda q: q.mode, lambda q: q.mode)

    @property
    def variance(self) -> Tensor:
        """The variance of each layer given the mean of the one before."""
        layers = self.split(self.mean)
        return self.join([self.factor(index, layers).variance for index in range(len(layers))])

    def map_parameters(self, function: Callable[[Tensor], Tensor]) -> Self:
        """Return the chain with every parameter of every factor passed through ``function``."""
        steps = [lambda y, step=step: map_parameters(as_vector(step(y)), function) for step in self.steps]
        first = map_parameters(self.first, function)
        return type(self)(first, steps, self.sizes, self.downwards, self._validate_args)

    def _pass(self, start: Callable[[Distribution], Tensor], follow: Callable[[Distribution], Tensor]) -> Tensor:
        layers = [start(self.first)]
        for step in self.steps:
            layers.append(follow(as_vector(step(layers[-1]))))
        return self.join(layers)


def log_factors(distribution: Distribution, z: Tensor) -> tuple[Tensor, ...]:
    """Return the log-density of each layer of z given the one before; for one that is not a chain, its log-density."""
    if isinstance(distribution, Chain):
        return distribution.log_factors(z)
    whole: Tensor = distribution.log_prob(z)
    return (whole,)

"""A normal distribution that passes through an invertible function."""

from __future__ import annotations

from functools import cached_property
from typing import Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import constraints
from torch.func import functional_call

from vaelab.distributions.normal import LOG_2PI, limited
from vaelab.distributions.vector import Reparameterised

__all__ = ["FlowedNormal", "fixed_noise"]

_POINTS = 512  # with which the mean and the variance are estimated
_AT_ONCE = 64  # of them, which limits the memory


class FlowedNormal(Reparameterised):
    """Normal distribution whose draws pass through an invertible function with parameters for each row, a flow.

    Formula: `z = mu + sigma f^-1(e; c)` with `e ~ N(0, I)`, so that with `u = (z - mu) / sigma`

    `log q(z) = log N(f(u; c); 0, I) + log |det df/du| - sum_j log sigma_j`.

    The flow is a module that is called with u (..., D) and the context c (..., C). It returns f(u; c) with `log |det
    df/du|`, (...,), and with ``inverse=True`` `f^-1(u; c)` with None.

    The mean and the variance have no formula. They are those of 512 fixed values of e that are symmetric about 0 and
    have variance 1 in each unit; up to D = 256 the units are also uncorrelated, so that both are exact where f is
    linear. They are the same at every call, and have no gradient with respect to f and c. The entropy and the mode are
    not known. Source: Rezende & Mohamed (2015), https://arxiv.org/abs/1505.05770.

    Args:
        loc: mu, shape (..., D).
        log_scale: log sigma, (..., D); limited as in :class:`DiagonalNormal`.
        context: c, (..., C).
        flow: the module of f.
        held: whether log q is computed with the weights of f held constant.
        validate_args: check parameters and values, as in torch; false by default.

    >>> class Doubled(nn.Module):
    ...     def forward(self, u, context, inverse=False):
    ...         return (u / 2, None) if inverse else (2 * u, u.new_tensor(2.0).log() * u.shape[-1])
    >>> q = FlowedNormal(torch.zeros(5, 1), torch.zeros(5, 1), torch.zeros(5, 3), Doubled())
    >>> q, q.log_prob(torch.zeros(5, 1))[0], q.stddev[0]
    (FlowedNormal(loc: (5, 1), log_scale: (5, 1), context: (5, 3)), tensor(-0.2258), tensor([0.5000]))
    """

    arg_constraints = {  # noqa: RUF012
        "loc": constraints.real_vector,
        "log_scale": constraints.real_vector,
        "context": constraints.real_vector,
    }
    constants = ("flow", "held")
    support = constraints.real_vector
    log_scale: Tensor
    context: Tensor

    def __init__(
        self,
        loc: Tensor,
        log_scale: Tensor,
        context: Tensor,
        flow: nn.Module,
        held: bool = False,
        validate_args: bool = False,
    ) -> None:
        self.loc, self.log_scale = torch.broadcast_tensors(loc, limited(log_scale))
        self.context, self.flow, self.held = context.expand(*self.loc.shape[:-1], context.shape[-1]), flow, held
        super().__init__(self.loc, validate_args)

    def detached(self) -> Self:
        """Return the same distribution with its parameters, and the weights of the flow in log q, held constant."""
        rows = self.map_parameters(Tensor.detach)
        rows.held = True
        return rows

    def from_noise(self, noise: Tensor) -> Tensor:
        """Return `z = mu + sigma f^-1(e; c)` of standard normal numbers e (..., D)."""
        return self.loc + self.log_scale.exp() * self._inverse(noise)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        given = self._with_context((value - self.loc) * (-self.log_scale).exp())
        weights = {name: weight.detach() for name, weight in self.flow.named_parameters()} if self.held else {}
        noise, log_det = functional_call(self.flow, weights, given) if weights else self.flow(*given)
        density: Tensor = log_det - (self.log_scale + 0.5 * LOG_2PI + 0.5 * noise.square()).sum(-1)
        return density

    def _inverse(self, noise: Tensor) -> Tensor:
        u: Tensor = self.flow(*self._with_context(noise), inverse=True)[0]
        return u

    def _with_context(self, value: Tensor) -> tuple[Tensor, Tensor]:
        value = torch.broadcast_tensors(value, self.loc)[0]
        return value, self.context.expand(*value.shape[:-1], -1)

    @cached_property
    def _moments(self) -> tuple[Tensor, Tensor]:
        """Mean and variance of f^-1(e; c) over the fixed values of e, (..., D) each; constants in every graph."""
        noise = fixed_noise(self.event_shape[0]).to(self.loc).view(_POINTS, *(1 for _ in self.batch_shape), -1)
        with torch.no_grad():
            parts = noise.expand(_POINTS, *self.loc.shape).split(_AT_ONCE)
            u = torch.cat([self._inverse(part) for part in parts])
            mean = u.sum(0) / _POINTS
            return mean, (u - mean).square().sum(0) / _POINTS

    @property
    def mean(self) -> Tensor:
        """The mean, estimated with fixed noise, (..., D)."""
        return self.loc + self.log_scale.exp() * self._moments[0]

    @property
    def variance(self) -> Tensor:
        """The variance, estimated with fixed noise, (..., D)."""
        return (2 * self.log_scale).exp() * self._moments[1]


def fixed_noise(dim: int) -> Tensor:
    """Return the values of e, (512, D): mean 0 and variance 1; of up to 256 units, the covariance matrix is I."""
    half = np.random.default_rng(0).standard_normal((_POINTS // 2, dim))
    if dim <= len(half):
        half = np.linalg.qr(half)[0]
    half /= np.sqrt(np.square(half).mean(0))
    return torch.from_numpy(np.concatenate([half, -half]))

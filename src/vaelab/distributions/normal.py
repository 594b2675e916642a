"""The diagonal normal distribution."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import constraints
from torch.distributions.kl import kl_divergence, register_kl

from vaelab.distributions.vector import Reparameterised

__all__ = ["LOG_2PI", "DiagonalNormal", "limited"]

LOG_2PI = math.log(2 * math.pi)
_SHARED = 4  # components from which on products of matrices are worth while
_NARROW = -8.0  # log sigma, from which on squares are precise enough to be taken apart in float64


class DiagonalNormal(Reparameterised):
    """Normal distribution over vectors with a diagonal covariance matrix.

    Formula: `log N(z; mu, sigma) = -1/2 sum_j [((z_j - mu_j) / sigma_j)^2 + 2 log sigma_j + log 2 pi]`.

    A value of `log sigma` whose square would overflow is replaced by the nearest that does not: in float32 `log sigma`
    is in [-39.9, 39.9], in float64 in [-319, 319]. Draws, densities and divergences all belong to the resulting
    distribution, so a bound that uses it remains a bound, and none is NaN.

    Args:
        loc: mean mu, shape (..., D).
        log_scale: log sigma, of the same shape, or of one that broadcasts with it.
        validate_args: check parameters and values, as in torch; false by default.

    >>> DiagonalNormal(torch.zeros(2), torch.zeros(2)).log_prob(torch.zeros(2))
    tensor(-1.8379)
    >>> DiagonalNormal(torch.zeros(64, 20), torch.zeros(64, 20))
    DiagonalNormal(loc: (64, 20), log_scale: (64, 20))
    """

    arg_constraints = {"loc": constraints.real_vector, "log_scale": constraints.real_vector}  # noqa: RUF012
    support = constraints.real_vector

    def __init__(self, loc: Tensor, log_scale: Tensor, validate_args: bool = False) -> None:
        log_scale = limited(log_scale)
        if loc.ndim != log_scale.ndim or loc.shape != log_scale.shape:
            loc, log_scale = torch.broadcast_tensors(loc, log_scale)
        self.loc, self.log_scale = loc, log_scale
        super().__init__(loc, validate_args)

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def stddev(self) -> Tensor:
        return self.log_scale.exp()

    @property
    def variance(self) -> Tensor:
        return (2 * self.log_scale).exp()

    def from_noise(self, noise: Tensor) -> Tensor:
        """Return `z = mu + sigma eps` of standard normal numbers eps (..., D)."""
        return self.loc + self.stddev * noise

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        if self._shares_components(value):
            return self._log_prob_by_products(value)
        standard = (value - self.loc) * (-self.log_scale).exp()
        return -0.5 * (standard.square() + 2 * self.log_scale + LOG_2PI).sum(-1)

    def _shares_components(self, value: Tensor) -> bool:
        """Return whether C distributions, mu (C, 1, D), score the same values (B, D), and products of matrices are
        precise and faster.
        """
        if value.ndim != 2 or self.loc.ndim != 3 or self.loc.shape[1] != 1 or len(self.loc) < _SHARED:
            return False
        if self.loc.device.type != "cpu" or torch.compiler.is_compiling():  # there one kernel computes all of it
            return False
        return float(self.log_scale.detach().min()) > _NARROW

    def _log_prob_by_products(self, value: Tensor) -> Tensor:
        """Return log N(z_b; mu_c, sigma_c), (C, B), from `sum_j (z_j^2 - 2 z_j mu_j + mu_j^2) / sigma_j^2` in float64.

        Then no tensor of (C, B, D) is needed. The three terms are much larger than their sum where sigma is small.
        """
        loc, log_scale, rows = (part.double() for part in (self.loc[:, 0], self.log_scale[:, 0], value))
        precision = (-2 * log_scale).exp()  # (C, D)
        ends = (precision * loc.square() + 2 * log_scale + LOG_2PI).sum(-1, keepdim=True)
        terms = precision @ rows.square().T - 2 * (precision * loc) @ rows.T + ends  # (C, B)
        return (-0.5 * terms).to(self.loc.dtype)

    def log_prob_of_entries(self, value: Tensor) -> Tensor:
        """Return the log-density of each number, shape (..., D)."""
        standard = (value - self.loc) * (-self.log_scale).exp()
        return -0.5 * (standard.square() + 2 * self.log_scale + LOG_2PI)

    def entropy(self) -> Tensor:
        """Return the entropy in nats, `sum_j log sigma_j + 1/2 (1 + log 2 pi)`, shape batch_shape."""
        return (self.log_scale + 0.5 * (1 + LOG_2PI)).sum(-1)


def limited(log_scale: Tensor) -> Tensor:
    """Return log sigma, replaced by the nearest value whose sigma^2 and 1 / sigma^2 are far from overflow."""
    limit = 0.45 * math.log(torch.finfo(log_scale.dtype).max)
    return F.hardtanh(log_scale, -limit, limit)


def _kl_normal(q: DiagonalNormal, p: DiagonalNormal) -> Tensor:
    # For p = N(0, I): -1/2 sum (1 + log sigma^2 - mu^2 - sigma^2)   (Kingma & Welling 2013, appendix B)
    ratio = 2 * (q.log_scale - p.log_scale)
    distance = ((q.loc - p.loc) * (-p.log_scale).exp()).square()
    return -0.5 * (1 + ratio - distance - ratio.exp()).sum(-1)


register_kl(DiagonalNormal, DiagonalNormal)(_kl_normal)
_example = DiagonalNormal(torch.zeros(1), torch.zeros(1))
kl_divergence(
    _example, _example
)  # torch caches the formula that it finds; later, a step that is already compiled would be compiled again

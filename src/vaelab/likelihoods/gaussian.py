"""The likelihood of real numbers."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vaelab.data import Dataset, DataSpec
from vaelab.data.variables import ColumnKind
from vaelab.distributions import DiagonalNormal
from vaelab.likelihoods.columns import ColumnLikelihood, Measure
from vaelab.networks import MLP, Build, Size

__all__ = ["GaussianLikelihood", "SharedGaussianLikelihood"]

_LEAST = math.log(1e-3)
_LOG_ONE = math.log(math.expm1(-_LEAST)) + _LEAST  # of ``log_scale``, where log s = 0


class GaussianLikelihood(ColumnLikelihood):
    """p(x|z): the numbers of x are independent given z, normal with a mean from a network and a learned scale each.

    Formula: `x_j ~ N(m_j + d_j f_j(z), d_j s_j)`, where m and d are mean and standard deviation of the column in the
    training data (0 and 1 if they are not known, and d = 1 for a constant column), so that x stays in the user's units.
    The scale s_j is learned, starts at 1 and is above 0.001: without a limit, the density of a column that the network
    can reproduce grows without end. The values are log-densities with their constant, and may be positive.

    Source, of the limit: Mattei & Frellsen (2018), https://arxiv.org/abs/1802.04826.

    Args:
        latent_dim: size of the code D.
        data: the data set or its spec, of real numbers.
        network: from the sizes of input and output to a module; a linear map by default.

    Raises:
        InputError: columns that are not numbers.

    >>> GaussianLikelihood(3, DataSpec((5,), kind="real"))(torch.zeros(7, 2, 3))
    DiagonalNormal(loc: (7, 2, 5), log_scale: (7, 2, 5))
    """

    name: ClassVar[str] = "gaussian"
    measure: Measure = "density"
    kinds: ClassVar[tuple[ColumnKind, ...]] = ("real", "unit", "count")
    mean: Tensor
    deviation: Tensor

    def __init__(self, latent_dim: Size, data: Dataset | DataSpec | int, network: Build | None = MLP) -> None:
        super().__init__(latent_dim, data, network)
        spec = self.spec
        deviation = torch.ones(spec.dim) if spec.deviation is None else spec.deviation
        deviation = self.scales(torch.where(deviation > 0, deviation, 1))
        self.register_buffer("mean", torch.zeros(spec.dim) if spec.mean is None else spec.mean.clone())
        self.register_buffer("deviation", deviation.clone())
        self.log_scale = nn.Parameter(torch.full_like(deviation, _LOG_ONE))

    def distribution(self, numbers: Tensor) -> DiagonalNormal:
        log_scale = _LEAST + F.softplus(self.log_scale - _LEAST)
        return DiagonalNormal(self.mean + self.deviation * numbers, self.deviation.log() + log_scale)

    def at_moments(self, mean: Tensor, deviation: Tensor) -> Tensor:
        with torch.no_grad():
            self.mean.copy_(mean)
            self.deviation.copy_(self.scales(deviation))
            self.log_scale.fill_(_LOG_ONE)
        return torch.zeros_like(mean)

    @classmethod
    def start(cls, spec: DataSpec) -> Tensor | None:
        return torch.zeros(spec.dim)

    @classmethod
    def scales(cls, deviation: Tensor) -> Tensor:
        """Return d: of each column its own."""
        return deviation


class SharedGaussianLikelihood(GaussianLikelihood):
    """p(x|z): the numbers of x are independent given z, normal with a mean from a network and one scale for all.

    Formula: `x_j ~ N(m_j + d f_j(z), d s)`, where m is the mean of the column in the training data, d^2 the mean of the
    columns' variances, and s is learned. For columns of one unit, such as grey levels.

    Args:
        latent_dim: size of the code D.
        data: the data set or its spec, of real numbers.
        network: from the sizes of input and output to a module; a linear map by default.

    Raises:
        InputError: columns that are not numbers.

    >>> likelihood = SharedGaussianLikelihood(3, DataSpec((5,), kind="real"))
    >>> likelihood.log_scale.shape
    torch.Size([1])
    """

    name: ClassVar[str] = "gaussian-shared"

    @classmethod
    def scales(cls, deviation: Tensor) -> Tensor:
        """Return d: the root of the mean of the columns' variances."""
        return deviation.square().mean(0, keepdim=True).sqrt()

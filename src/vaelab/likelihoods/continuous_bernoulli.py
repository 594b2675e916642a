"""The likelihood of numbers in [0, 1]."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from vaelab.data import DataSpec
from vaelab.data.variables import ColumnKind
from vaelab.distributions import ContinuousBernoulli
from vaelab.likelihoods.columns import ColumnLikelihood, Measure

__all__ = ["ContinuousBernoulliLikelihood"]


class ContinuousBernoulliLikelihood(ColumnLikelihood):
    """p(x|z): the numbers of x in [0, 1] are independent given z, with a continuous Bernoulli distribution each.

    Formula: `log p(x|z) = sum_j [x_j f_j - log((exp f_j - 1) / f_j)]`, with the numbers f(z) of a network.

    The values are log-densities, which may be positive: of a column that is always 0 or 1 it grows without end. Where
    the data have a mean, and the network ends in a bias for each column, that bias starts where p(x|z) has this mean,
    clipped to [0.01, 0.99].

    Source: Loaiza-Ganem & Cunningham (2019), https://arxiv.org/abs/1907.06845.

    Args:
        latent_dim: size of the code D.
        data: the data set or its spec, of numbers in [0, 1].
        network: from the sizes of input and output to a module; a linear map by default.

    Raises:
        InputError: columns that are not numbers in [0, 1].

    >>> greys = DataSpec((5,), kind="grey", binarisation="none")
    >>> ContinuousBernoulliLikelihood(3, greys)(torch.zeros(7, 2, 3))
    ContinuousBernoulli(logits: (7, 2, 5))
    """

    name: ClassVar[str] = "continuous-bernoulli"
    measure: Measure = "density"
    kinds: ClassVar[tuple[ColumnKind, ...]] = ("unit",)

    def distribution(self, numbers: Tensor) -> ContinuousBernoulli:
        return ContinuousBernoulli(numbers)

    @classmethod
    def start(cls, spec: DataSpec) -> Tensor | None:
        if spec.mean is None:
            return None
        mean = spec.mean.clamp(0.01, 0.99)
        low, high = torch.full_like(mean, -200), torch.full_like(mean, 200)
        for _ in range(40):  # the mean rises with the logit
            middle = (low + high) / 2
            below = ContinuousBernoulli(middle).mean < mean
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        return (low + high) / 2

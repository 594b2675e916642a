"""The likelihood of independent bits."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from vaelab.data import DataSpec
from vaelab.data.variables import ColumnKind
from vaelab.distributions import Bernoulli
from vaelab.likelihoods.columns import ColumnLikelihood

__all__ = ["BernoulliLikelihood"]


class BernoulliLikelihood(ColumnLikelihood):
    """p(x|z): the bits of x are independent given z, and a network of z returns their logits f(z).

    Formula: `log p(x|z) = sum_j [x_j f_j - log(1 + exp f_j)]`.

    Where the data have a mean, and the network ends in a bias for each column, that bias starts at the logit of the
    mean, clipped to [0.001, 0.999].

    Args:
        latent_dim: size of the code D.
        data: the data set, its spec, or the number of columns X.
        network: from the sizes of input and output to a module; a linear map by default.

    Raises:
        InputError: columns that are no bits.

    >>> BernoulliLikelihood(3, 5)(torch.zeros(7, 2, 3))
    Bernoulli(logits: (7, 2, 5))
    """

    name: ClassVar[str] = "bernoulli"
    kinds: ClassVar[tuple[ColumnKind, ...]] = ("binary",)

    def distribution(self, numbers: Tensor) -> Bernoulli:
        return Bernoulli(numbers)

    def at_moments(self, mean: Tensor, deviation: Tensor) -> Tensor:
        return torch.logit(mean)

    @classmethod
    def start(cls, spec: DataSpec) -> Tensor | None:
        return None if spec.mean is None else torch.logit(spec.mean.clamp(0.001, 0.999))

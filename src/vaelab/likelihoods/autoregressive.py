"""The likelihood of bits of which each depends on all before it."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from vaelab.data import Dataset, DataSpec
from vaelab.data.variables import ColumnKind
from vaelab.distributions import Autoregressive
from vaelab.likelihoods.columns import ColumnLikelihood
from vaelab.networks import MLP, Build, Size

__all__ = ["AutoregressiveLikelihood"]


class AutoregressiveLikelihood(ColumnLikelihood):
    """p(x|z): each bit of x depends on z and on all columns before it, in the order of the data.

    Formula: `log p(x|z) = sum_j [x_j l_j - log(1 + exp l_j)], l_j = f_j0 + sum_(i<j) A_ji x_i + sum_(i<=j) V_ji h_i`
    with a hidden unit for each column, `h_i = max(0, f_i1 + sum_(k<i) W_ik x_k)`, and two numbers f(z) of a network for
    each column. A, V and W are learned; A and V start at 0, so that the training starts with independent bits.

    Every value has to be observed: there is no density of some of the columns. Draws take a step for each column. The
    mean of p(x|z) is estimated from 64 draws, and its mode is found column by column
    (:class:`~vaelab.distributions.Autoregressive`).

    Source: MADE, Germain et al. (2015), https://arxiv.org/abs/1502.03509.

    Args:
        latent_dim: size of the code D.
        data: the data set, its spec, or the number of columns X.
        network: from the sizes of input and output to a module; a linear map by default.

    Raises:
        InputError: columns that are no bits, or whose values may be missing.

    >>> AutoregressiveLikelihood(3, 5)(torch.zeros(7, 2, 3))
    Autoregressive(logits: (7, 2, 5), shifts: (7, 2, 5))
    """

    name: ClassVar[str] = "autoregressive"
    kinds: ClassVar[tuple[ColumnKind, ...]] = ("binary",)
    numbers: ClassVar[int] = 2
    has_marginals: ClassVar[bool] = False

    def __init__(self, latent_dim: Size, data: Dataset | DataSpec | int, network: Build | None = MLP) -> None:
        super().__init__(latent_dim, data, network)
        columns = self.spec.dim
        self.direct = nn.Parameter(torch.zeros(columns, columns))
        self.inward = nn.Parameter(torch.randn(columns, columns) / columns**0.5)
        self.outward = nn.Parameter(torch.zeros(columns, columns))

    def distribution(self, numbers: Tensor) -> Autoregressive:
        logits, shifts = numbers.split(self.spec.dim, -1)
        return Autoregressive(logits, shifts, self.direct, self.inward, self.outward)

    @classmethod
    def start(cls, spec: DataSpec) -> Tensor | None:
        if spec.mean is None:
            return None
        return torch.cat([torch.logit(spec.mean.clamp(0.001, 0.999)), torch.zeros(spec.dim)])

"""The likelihood of rows of counts."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from vaelab.data import Dataset, DataSpec
from vaelab.data.variables import ColumnKind
from vaelab.distributions import Multinomial
from vaelab.likelihoods.columns import ColumnLikelihood, Measure
from vaelab.networks import MLP, Build, Size

__all__ = ["MultinomialLikelihood"]


class MultinomialLikelihood(ColumnLikelihood):
    """p(x|z): the n things of a row fall on the columns with the probabilities of a softmax over all columns.

    Formula: `log p(x|z) = log n! - sum_j log x_j! + sum_j x_j log softmax(f)_j`, with the numbers f(z) of a network.

    n is the row's own sum, which is given: `log p(x|z)` is the log-probability of how its things fall. A row that is
    drawn, and a mean, have the mean sum of the training rows, rounded; if it is not known, draws are refused. Where the
    data have a mean, and the network ends in a bias for each column, that bias starts at the logarithms of the columns'
    shares, of at least a thousandth of an equal share.

    Source: Liang et al. (2018), https://arxiv.org/abs/1802.05814, for clicks.

    Args:
        latent_dim: size of the code D.
        data: the data set or its spec, of counts or bits.
        network: from the sizes of input and output to a module; a linear map by default.

    Raises:
        InputError: columns that are not counts.

    >>> clicks = DataSpec((5,), torch.full((5,), 0.6), kind="count")
    >>> MultinomialLikelihood(3, clicks)(torch.zeros(7, 2, 3))
    Multinomial(logits: (7, 2, 5), total: 3)
    """

    name: ClassVar[str] = "multinomial"
    kinds: ClassVar[tuple[ColumnKind, ...]] = ("count", "binary")
    has_marginals: ClassVar[bool] = False
    measure: Measure = "probability given the sum"
    total: Tensor

    def __init__(self, latent_dim: Size, data: Dataset | DataSpec | int, network: Build | None = MLP) -> None:
        super().__init__(latent_dim, data, network)
        mean = self.spec.mean
        total = 0 if mean is None else max(1, round(float(mean.double().sum())))
        self.register_buffer("total", torch.tensor(total))  # 0: not known

    def distribution(self, numbers: Tensor) -> Multinomial:
        return Multinomial(numbers, self.total)

    @classmethod
    def start(cls, spec: DataSpec) -> Tensor | None:
        if spec.mean is None or not float(spec.mean.sum()) > 0:
            return None
        shares = spec.mean / spec.mean.sum()
        return shares.clamp_min(0.001 / spec.dim).log()

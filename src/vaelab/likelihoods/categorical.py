"""The likelihood of categorical variables."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from vaelab.data import Dataset, DataSpec
from vaelab.data.variables import ColumnKind
from vaelab.distributions import Groups, OneHotCategorical
from vaelab.likelihoods.columns import ColumnLikelihood
from vaelab.networks import MLP, Build, Size

__all__ = ["CategoricalLikelihood"]


class CategoricalLikelihood(ColumnLikelihood):
    """p(x|z): the categorical variables of x are independent given z; a softmax of the numbers of its columns for each.

    Formula: `log p(x|z) = sum_g [sum_j x_gj f_gj - log sum_j exp f_gj]`, with the numbers f(z) of a network.

    Where the data have a mean, and the network ends in a bias for each column, that bias starts at the logarithms of
    the levels' frequencies, of at least 0.001.

    Args:
        latent_dim: size of the code D.
        data: the data set or its spec, whose groups of columns are the variables.
        network: from the sizes of input and output to a module; a linear map by default.

    Raises:
        InputError: columns that are not categorical.

    >>> import torch
    >>> from vaelab.data import Column
    >>> spec = DataSpec((3,), kind="mixed", variables=(Column("colour", "categorical", ("blue", "green", "red")),))
    >>> CategoricalLikelihood(2, spec)(torch.zeros(7, 2))
    OneHotCategorical(logits: (7, 3), 1 variable of 3 levels)
    """

    name: ClassVar[str] = "categorical"
    kinds: ClassVar[tuple[ColumnKind, ...]] = ("categorical",)
    by_groups: ClassVar[bool] = True

    def __init__(self, latent_dim: Size, data: Dataset | DataSpec | int, network: Build | None = MLP) -> None:
        super().__init__(latent_dim, data, network)
        self.groups = Groups.of([stop - start for _, start, stop in self.spec.groups])

    def distribution(self, numbers: Tensor) -> OneHotCategorical:
        self.groups = self.groups.to(numbers.device)
        return OneHotCategorical(numbers, self.groups)

    def at_moments(self, mean: Tensor, deviation: Tensor) -> Tensor:
        return mean.log()

    @classmethod
    def start(cls, spec: DataSpec) -> Tensor | None:
        return None if spec.mean is None else spec.mean.clamp_min(0.001).log()

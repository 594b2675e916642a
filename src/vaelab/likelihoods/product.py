"""The likelihood of a table with columns of several kinds."""

from __future__ import annotations

from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from vaelab.data import Column, Dataset, DataSpec
from vaelab.data.variables import ColumnKind, kind_of
from vaelab.distributions import ParametricDistribution, Product
from vaelab.likelihoods.bernoulli import BernoulliLikelihood
from vaelab.likelihoods.categorical import CategoricalLikelihood
from vaelab.likelihoods.columns import ColumnLikelihood
from vaelab.likelihoods.continuous_bernoulli import ContinuousBernoulliLikelihood
from vaelab.likelihoods.gaussian import GaussianLikelihood
from vaelab.networks import MLP, Build, Size

__all__ = ["OF_KIND", "ProductLikelihood"]

# The likelihood of a column of each kind in a table of several. A multinomial distribution is of rows of counts: of one
# column it says nothing, as the sum is given.
OF_KIND: dict[ColumnKind, type[ColumnLikelihood]] = {
    "binary": BernoulliLikelihood,
    "categorical": CategoricalLikelihood,
    "unit": ContinuousBernoulliLikelihood,
    "real": GaussianLikelihood,
    "count": GaussianLikelihood,
}


class ProductLikelihood(ColumnLikelihood):
    """p(x|z): the columns of a table are independent given z, each with the likelihood of its kind.

    Formula: `log p(x|z) = sum_g log p_g(x_g|z)`, over the groups g of columns of one likelihood.

    Bits are ``bernoulli``, categorical columns ``categorical``, real numbers in [0, 1] ``continuous-bernoulli``, real
    numbers and counts ``gaussian``. One network returns the numbers of all columns.

    Args:
        latent_dim: size of the code D.
        data: the data set or its spec, whose columns have kinds.
        network: from the sizes of input and output to a module; a linear map by default.

    >>> columns = Column("age", "real"), Column("answer", "binary"), Column("weight", "real")
    >>> ProductLikelihood(2, DataSpec((3,), kind="mixed", variables=columns))(torch.zeros(7, 2))
    Product(DiagonalNormal(loc: (7, 2), log_scale: (7, 2)), Bernoulli(logits: (7, 1)))
    """

    name: ClassVar[str] = "product"
    kinds: ClassVar[tuple[ColumnKind, ...]] = tuple(OF_KIND)
    by_groups: ClassVar[bool] = True

    def __init__(self, latent_dim: Size, data: Dataset | DataSpec | int, network: Build | None = MLP) -> None:
        super().__init__(latent_dim, data, network)
        self.parts = nn.ModuleDict()
        for number, (build, spec, places) in enumerate(_parts(self.spec)):
            self.parts[build.name] = build(latent_dim, spec, None)
            self.register_buffer(f"_columns_{number}", places, persistent=False)
        measures = {part.measure for part in self.parts.values() if isinstance(part, ColumnLikelihood)}
        self.measure = measures.pop() if len(measures) == 1 else "probability and density"

    def distribution(self, numbers: Tensor) -> Product:
        columns = [self.get_buffer(f"_columns_{number}") for number in range(len(self.parts))]
        parts: list[ParametricDistribution] = [
            part(numbers.index_select(-1, places)) for part, places in zip(self.parts.values(), columns, strict=True)
        ]
        return Product(parts, columns)

    def at_moments(self, mean: Tensor, deviation: Tensor) -> Tensor:
        numbers = torch.zeros_like(mean)
        for number, (name, _) in enumerate(self.parts.items()):
            part = cast(ColumnLikelihood, self.parts[name])
            places = self.get_buffer(f"_columns_{number}")
            numbers[..., places] = part.at_moments(mean[..., places], deviation[..., places])
        return numbers

    @classmethod
    def start(cls, spec: DataSpec) -> Tensor | None:
        numbers = torch.zeros(spec.dim)
        for build, part, places in _parts(spec):
            start = build.start(part)
            if start is None:
                return None
            numbers[places] = start
        return numbers


def _parts(spec: DataSpec) -> list[tuple[type[ColumnLikelihood], DataSpec, Tensor]]:
    """Return the likelihood of each part, the spec of its columns, and their places among all columns."""
    if spec.variables is None:
        return [(OF_KIND[spec.groups[0][0]], spec, torch.arange(spec.dim))]
    columns: dict[type[ColumnLikelihood], list[Column]] = {}
    places: dict[type[ColumnLikelihood], list[int]] = {}
    start = 0
    for column in spec.variables:
        build = OF_KIND[column.kind]
        columns.setdefault(build, []).append(column)
        places.setdefault(build, []).extend(range(start, start + column.width))
        start += column.width
    return [(build, _of_columns(spec, columns[build], places[build]), torch.tensor(places[build])) for build in columns]


def _of_columns(spec: DataSpec, columns: list[Column], places: list[int]) -> DataSpec:
    """Return the spec of some columns of a table."""
    mean = None if spec.mean is None else spec.mean[places]
    deviation = None if spec.deviation is None else spec.deviation[places]
    variables = tuple(columns)
    return DataSpec((len(places),), mean, kind=kind_of(variables), variables=variables, deviation=deviation)

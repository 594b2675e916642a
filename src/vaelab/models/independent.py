"""Independent columns: the simplest model of a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar, get_args

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from vaelab.data import Dataset, DataSpec, Observations
from vaelab.data.deviation import deviation_of
from vaelab.data.variables import ColumnKind
from vaelab.likelihoods import LIKELIHOODS, ColumnLikelihood, likelihood_for
from vaelab.models.build import builder
from vaelab.models.density import Counted, Pass, require_smoothing

__all__ = ["Independent", "independent"]

_ROWS = 4096  # at once


class Independent(Counted):
    """p(x) of independent columns: `log p(x) = sum_j log p(x_j)`, each with the distribution of its kind.

    Bits have a Bernoulli distribution, levels a categorical one; numbers in [0, 1] are continuous Bernoulli, real
    numbers and counts normal, and rows of counts alone multinomial. Each has the mean of its column, and the normal
    ones its standard deviation. The probability of each value v of a bit or of a variable of L levels is

    `p_j(v) = (n_j(v) + s) / (n_j + L s)`, with n_j the rows in which it is observed, L = 2 for bits, and smoothing s.

    Args:
        data: the data set, its spec, or the number of columns X.
        smoothing: s, rows of each value that are added to those of the data; above zero, so that no value is
            impossible.

    Raises:
        InputError: a smoothing that is not above zero.
    """

    kinds: ClassVar[tuple[ColumnKind, ...]] = get_args(ColumnKind)

    def __init__(self, data: Dataset | DataSpec | int, smoothing: float = 1.0) -> None:
        super().__init__(data)
        self.smoothing = require_smoothing(smoothing)
        spec = DataSpec.of(data)
        columns = LIKELIHOODS[likelihood_for(spec)](1, spec, None)
        assert isinstance(columns, ColumnLikelihood)
        self.columns, self.has_marginals, self.measure = columns, columns.has_marginals, columns.measure
        start = columns.start(spec)
        self.numbers = nn.Parameter(torch.zeros(spec.dim) if start is None else start.float().clone())

    def distribution(self) -> Distribution:
        return self.columns.distribution(self.numbers)

    def learn(self, train: Observations, validation: Observations, seed: int) -> Iterator[Pass]:
        """One pass: the means of the columns, smoothed, and their standard deviations."""
        counts, sums = _sums(train, lambda x: x)
        mean = (sums / counts).nan_to_num(0.5)
        squares = _sums(train, lambda x: (x - mean).square())[1] if self._has_numbers else torch.zeros_like(mean)
        deviation = deviation_of((squares / counts).nan_to_num(0).cpu().numpy(), mean.cpu().numpy())
        self.numbers.copy_(self.columns.at_moments(self._smoothed(mean, counts), torch.from_numpy(deviation).to(mean)))
        yield Pass(self.mean_log_prob(train), self.mean_log_prob(validation))

    @property
    def _has_numbers(self) -> bool:
        """Whether some columns are real numbers or counts, which have a standard deviation."""
        return any(kind in ("real", "unit", "count") for kind, _, _ in self.columns.spec.groups)

    def _smoothed(self, mean: Tensor, counts: Tensor) -> Tensor:
        """Return the means of bits and levels with ``smoothing`` rows of each value; those of numbers as they are."""
        levels = torch.zeros_like(mean)
        for kind, start, stop in self.columns.spec.groups:
            levels[start:stop] = {"binary": 2, "categorical": stop - start}.get(kind, 0)
        added = self.smoothing * levels
        smoothed = (counts * mean + self.smoothing) / (counts + added)
        return torch.where(levels > 0, smoothed, mean)


def _sums(train: Observations, function: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    """Return the count of the observed values of each column and the sum of a function of them, weighted, (X,) each."""
    counts, sums = torch.zeros(2, train.dim, dtype=torch.float64, device=train.device)
    for start in range(0, len(train), _ROWS):
        rows = slice(start, start + _ROWS)
        x = train.bits(rows).double()
        weights = x.new_ones(len(x)) if train.weights is None else train.weights[rows].to(x)
        counts += weights @ (~x.isnan()).to(x)
        sums += weights @ function(x).nan_to_num(0)
    return counts, sums


@builder
def independent(data: Dataset | DataSpec | int, smoothing: float = 1.0, seed: int | None = None) -> Independent:
    """Build a model of independent columns: each has its own distribution, and none says anything about another.

    It is the floor of every comparison: a model that is not above it has learned nothing about how columns go together.

    Formula, of bits: `log p(x) = sum_j [x_j log p_j + (1 - x_j) log(1 - p_j)]`, `p_j = (n_j1 + s) / (n_j + 2 s)`, with
    the number n_j1 of ones among the n_j observed values of column j, and smoothing s. Source, of the smoothing:
    Manning, Raghavan & Schuetze (2008), https://nlp.stanford.edu/IR-book/, chapter 13.

    Args:
        data: the data set, its spec, or the number of columns X.
        smoothing: s, rows of each value that are added to those of the data; above zero, so that no value is
            impossible.
        seed: not used, as nothing is random here.

    Raises:
        InputError: a smoothing that is not above zero, or data with what a conditional model is given.

    >>> model = independent(6)
    >>> model.log_prob(torch.ones(4, 6)).shape, model.sample(3).shape
    (torch.Size([4]), torch.Size([3, 6]))
    """
    return Independent(data, smoothing)

"""A mixture of independent columns: the latent class model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import ClassVar

import torch
from torch import Tensor, nn

from vaelab.data import Dataset, DataSpec, Observations
from vaelab.data.variables import ColumnKind
from vaelab.distributions import Mixture, ParametricDistribution
from vaelab.likelihoods import LIKELIHOODS, ColumnLikelihood, likelihood_for
from vaelab.models.build import builder
from vaelab.models.contest import Passes, State
from vaelab.models.contested import Auto
from vaelab.models.density import DensityModel
from vaelab.models.mixture_model import MixtureModel, Selection, Start, shares_and_density

__all__ = ["BernoulliMixture", "bernoulli_mixture", "first_classes", "whole_table"]

_BLOCKS = 16  # of training rows, after each of which the parameters are learned again
_SMALLEST = 500  # rows of a block, at least
_LARGEST = 8_000_000  # numbers of a block and of its responsibilities, at most: 32 MB
_CERTAIN = 1e-7  # no probability is nearer to 0 or 1
_FIRST = 5  # passes of the mixture with which another model begins


@dataclass(frozen=True)
class _Counts:
    """Sums over rows, weighted by how much each belongs to each component.

    Attributes:
        rows: of the rows, (C,).
        ones: of the values, (C, X).
        observed: of the observed values, (C, X); None if all are.
    """

    rows: Tensor
    ones: Tensor
    observed: Tensor | None

    def plus(self, other: _Counts, sign: int = 1) -> _Counts:
        seen = None if self.observed is None or other.observed is None else self.observed + sign * other.observed
        return _Counts(self.rows + sign * other.rows, self.ones + sign * other.ones, seen)


class BernoulliMixture(MixtureModel):
    """p(x) of a mixture of C distributions with independent columns: `log p(x) = log sum_c w_c prod_j p_cj(x_j)`.

    Bits have a Bernoulli distribution, levels of a categorical column a categorical one. It is learned by incremental
    expectation maximisation: the training rows are cut into at most 16 blocks or so, and after each block

    `p_cj(v) = (n_cj(v) + s p_j(v)) / (n_cj + s)`, `w_c = (n_c + 1/C) / (n + 1)`

    where n_cj(v) sums, over the rows in which column j is observed and is v, how probable component c is given the row,
    by the parameters that were in use when the row was last seen; p_j(v) is how frequent v is in the whole table. So s
    rows of the whole table are added to each component. A row of weight 2 counts as two; missing values are left out.

    Sources: Lazarsfeld & Henry (1968), "Latent Structure Analysis", of the model; Dempster, Laird & Rubin (1977),
    https://doi.org/10.1111/j.2517-6161.1977.tb01600.x, of expectation maximisation; Neal & Hinton (1998),
    https://doi.org/10.1007/978-94-011-5014-9_12, of its incremental form.
    """

    kinds: ClassVar[tuple[ColumnKind, ...]] = ("binary", "categorical")
    numbers_of_components: ClassVar[tuple[int, ...]] = (1, 3, 10, 30, 100, 300)
    smoothings: ClassVar[tuple[float, ...]] = (0.5, 5.0, 20.0)
    rows_each: ClassVar[int] = 4
    patience: ClassVar[int] = 5
    first: ClassVar[int] = 3

    def __init__(
        self,
        data: Dataset | DataSpec | int,
        components: int | Auto = "auto",
        restarts: int = 2,
        smoothing: float | Auto = "auto",
        selection: Selection = "validation",
    ) -> None:
        super().__init__(data, components, restarts, smoothing, selection)
        spec = DataSpec.of(data)
        columns = LIKELIHOODS[likelihood_for(spec)](1, spec, None)
        assert isinstance(columns, ColumnLikelihood)
        self.columns = columns
        start, count = columns.start(spec), 1 if components == "auto" else components
        numbers = torch.zeros(spec.dim) if start is None else start.float()
        self.log_weights, self.numbers = nn.Parameter(torch.zeros(count)), nn.Parameter(numbers.repeat(count, 1))

    @property
    def learned(self) -> tuple[str, ...]:
        return ("log_weights", "numbers")

    def distribution_of(self, state: State) -> Mixture:
        components = self.columns.distribution(state["numbers"])
        assert isinstance(components, ParametricDistribution)
        return Mixture(state["log_weights"], components)

    def size(self, components: int) -> int:
        variables = sum(kind == "categorical" for kind, _, _ in self.columns.spec.groups)
        return components * (self.data_dim - variables) + components - 1  # the levels of a variable sum to one

    def starts(self, train: Observations) -> Start:
        return partial(self._passes, train, *whole_table(train, self._levels()))

    def _passes(
        self,
        train: Observations,
        total: float,
        frequent: Tensor,
        components: int,
        smoothing: float,
        generator: torch.Generator,
    ) -> Passes:
        """Yield what is learned after each pass over the training rows, without end."""
        state = self._start(train, frequent, components, generator)
        order = torch.randperm(len(train), generator=generator).to(train.device)
        size = max(_SMALLEST, -(-len(train) // _BLOCKS))
        blocks = order.split(max(1, min(size, _LARGEST // (train.dim + components))))
        kept: list[_Counts] = []
        counts: _Counts | None = None
        while True:
            likelihood = 0.0
            for number, rows in enumerate(blocks):
                of_block, value = self._counts(train, rows, state)
                counts = of_block if counts is None else counts.plus(of_block)
                if number < len(kept):
                    counts = counts.plus(kept[number], -1)
                    kept[number] = of_block
                else:
                    kept.append(of_block)
                likelihood += value
                if 4 * len(kept) >= len(blocks):  # fewer rows are not enough to say what a component is
                    state = self._maximised(counts, smoothing, frequent)
            yield state, likelihood / total

    def _start(self, train: Observations, frequent: Tensor, components: int, generator: torch.Generator) -> State:
        """Return components that are each the mean of three random rows and of the whole table."""
        weights = torch.ones(len(train)) if train.weights is None else train.weights.cpu()
        until = weights.double().cumsum(0)  # so that a row of weight 2 is chosen as two rows are
        chosen = torch.rand(3 * components, generator=generator, dtype=until.dtype) * until[-1]
        chosen = torch.searchsorted(until, chosen, right=True)
        x = train.bits(chosen.to(train.device)).double().unflatten(0, (components, 3))
        means = (torch.where(x.isnan(), frequent, x).sum(1) + frequent) / 4
        return self._state(torch.zeros(components).to(means), means)

    def _counts(self, train: Observations, rows: Tensor, state: State) -> tuple[_Counts, float]:
        """Return the counts of some rows, and the sum of their log p(x)."""
        x = train.bits(rows).to(self.any_weight)
        shares, value = shares_and_density(self.distribution_of(state).log_joint(x, observed=self.may_be_missing))
        if train.weights is not None:
            weights = train.weights[rows].to(x)
            shares, value = shares * weights.unsqueeze(-1), torch.where(weights > 0, value * weights, 0)
        observed = None
        if self.may_be_missing:
            observed = (shares.T @ (~x.isnan()).to(x)).double()
            x = x.nan_to_num(0)
        return _Counts(shares.sum(0).double(), (shares.T @ x).double(), observed), float(value.sum())

    def _maximised(self, counts: _Counts, smoothing: float, frequent: Tensor) -> State:
        rows, ones = counts.rows.clamp_min(0), counts.ones.clamp_min(0)
        observed = rows.unsqueeze(-1) if counts.observed is None else counts.observed.clamp_min(0)
        weights = (rows + 1 / len(rows)) / (rows.sum() + 1)
        return self._state(weights.log(), (ones + smoothing * frequent) / (observed + smoothing))

    def _state(self, log_weights: Tensor, means: Tensor) -> State:
        numbers = self.columns.at_moments(means.clamp(_CERTAIN, 1 - _CERTAIN), torch.zeros_like(means))
        return {"log_weights": log_weights.to(self.any_weight), "numbers": numbers.to(self.any_weight)}

    def _levels(self) -> Tensor:
        """Return the number of values that each column, or the variable that it belongs to, can have, (X,)."""
        levels = torch.full((self.data_dim,), 2.0)
        for kind, start, stop in self.columns.spec.groups:
            if kind == "categorical":
                levels[start:stop] = stop - start
        return levels


def whole_table(train: Observations, levels: Tensor) -> tuple[float, Tensor]:
    """Return the total weight of the rows, and how frequent a one is in each column, with one row of every value."""
    total = float(len(train)) if train.weights is None else float(train.weights.double().sum())
    mean = train.mean(train.weights).double()
    return total, (total * mean + 1 / levels.to(mean)) / (total + 1)


def first_classes(model: DensityModel, train: Observations) -> Callable[[int, float, torch.Generator], Mixture]:
    """Return what makes the mixture of a few passes with which a model of bits begins: of so many components.

    It gets the components, the smoothing, and a generator of random numbers. What all starts share is counted once.
    """
    mixture = BernoulliMixture(model.data_dim).to(model.any_weight)
    mixture.may_be_missing = model.may_be_missing
    start = mixture.starts(train)

    def classes(components: int, smoothing: float, generator: torch.Generator) -> Mixture:
        passes = start(components, smoothing, generator)
        return mixture.distribution_of(next(islice(passes, _FIRST - 1, None))[0])

    return classes


@builder
def bernoulli_mixture(
    data: Dataset | DataSpec | int,
    components: int | Auto = "auto",
    restarts: int = 2,
    smoothing: float | Auto = "auto",
    selection: Selection = "validation",
    seed: int | None = None,
) -> BernoulliMixture:
    """Build a mixture of independent columns: each row belongs to one of C classes, which is not observed.

    Formula: `log p(x) = log sum_c w_c prod_j p_cj(x_j)`. Learned by incremental expectation maximisation; what is
    ``auto`` is chosen on the validation rows, or by a criterion of the training rows. Source: Lazarsfeld & Henry
    (1968), "Latent Structure Analysis"; the class :class:`BernoulliMixture` names those of the learning.

    Args:
        data: the data set, its spec, or the number of columns X: bits and categorical columns.
        components: C, or ``auto`` for the best of 1, 3, 10, 30, 100 and 300.
        restarts: starts from different random rows, of each number of components and smoothing.
        smoothing: s, rows of the whole table that are added to each component; or ``auto``, of 0.5, 5 and 20.
        selection: what chooses: the ``validation`` rows, or ``bic``, the Bayesian information criterion of the training
            rows (Schwarz, 1978, https://doi.org/10.1214/aos/1176344136), for which the smoothing ``auto`` is 0.5.
        seed: not used, as the training has a seed of its own.

    Raises:
        InputError: an option out of range, or columns of another kind.

    >>> model = bernoulli_mixture(6, components=3)
    >>> model()
    Mixture(log_weights: (3,), Bernoulli(logits: (3, 6)))
    """
    return BernoulliMixture(data, components, restarts, smoothing, selection)

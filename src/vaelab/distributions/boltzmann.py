"""Bits that depend on each other through hidden bits without edges between them: a restricted Boltzmann machine."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import constraints

from vaelab.distributed import uniform
from vaelab.distributions.boltzmann_path import BoltzmannPath
from vaelab.distributions.codes import codes_between, codes_of
from vaelab.distributions.vector import ParametricDistribution
from vaelab.errors import InputError

__all__ = ["MOST_UNITS", "RestrictedBoltzmann"]

MOST_UNITS = 20  # of a side whose states are enumerated
_ELEMENTS = 4_000_000  # of a chunk of states times columns, hidden units or rows
_PROBABILITIES = 30_000_000  # of states times rows that are drawn at once
_TEMPERATURES = 1000  # of a draw where both sides are large
_DRAWS, _STARTS, _CLIMB = 1000, 64, 100


class RestrictedBoltzmann(ParametricDistribution):
    """A restricted Boltzmann machine: p(x) of X bits, with H hidden bits summed out.

    Formula: `log p(x) = log f(x) - log Z`, `log f(x) = log sum_h exp(x b + h c + x W h) = x b + sum_j softplus(c_j +
    (x W)_j)`, `Z = sum_x f(x)`. If one side has at most 20 units, Z is a sum over the states of that side, for instance
    `Z = sum_h exp(h c) prod_i [1 + exp(b_i + (W h)_i)]`; so is the sum over missing columns. Otherwise
    ``log_partition`` is needed, and no columns can be summed out. Sources: Smolensky (1986), "Information processing in
    dynamical systems", in Parallel Distributed Processing 1; Hinton (2002), https://doi.org/10.1162/089976602760128018.

    Draws are exact where Z is; otherwise they come from annealed Gibbs sampling over 1 000 temperatures
    (:class:`~vaelab.distributions.boltzmann_path.BoltzmannPath`), and means are those of 1 000 draws.

    Args:
        visible: b, (X,).
        hidden: c, (H,).
        weights: W, (X, H).
        base: logits of the independent bits from which annealing starts, (X,); None is one half.
        log_partition: log Z, shape (), or a function that returns it, which is called when it is needed; None sums.
        known: columns that are given, shape (..., X), NaN elsewhere: then this is p(x | the columns that are given), of
            batch shape (...).
        validate_args: check values, as in torch; false by default.

    Raises:
        InputError: from a method that needs a sum over more than 2^20 states.

    >>> p = RestrictedBoltzmann(torch.zeros(2), torch.zeros(1), torch.tensor([[3.0], [3.0]]))
    >>> p, p.log_prob(torch.tensor([[1.0, 1.0], [1.0, 0.0]])).exp()
    (RestrictedBoltzmann(visible: (2,), hidden: (1,)), tensor([0.9015, 0.0470]))
    """

    arg_constraints = {}  # noqa: RUF012 - its parameters do not have the shape of the batch
    support = constraints.independent(constraints.boolean, 1)
    has_rsample = False

    def __init__(
        self,
        visible: Tensor,
        hidden: Tensor,
        weights: Tensor,
        base: Tensor | None = None,
        log_partition: Tensor | Callable[[], Tensor] | None = None,
        known: Tensor | None = None,
        validate_args: bool = False,
    ) -> None:
        self.visible, self.hidden, self.weights = visible, hidden, weights
        self.base = torch.zeros_like(visible) if base is None else base
        self.log_partition, self.known = log_partition, known
        batch = torch.Size() if known is None else known.shape[:-1]
        super().__init__(batch, visible.shape, validate_args=validate_args)

    @property
    def is_enumerable(self) -> bool:
        """Whether one side has at most 20 units, so that sums over its states are possible."""
        return min(self.weights.shape) <= MOST_UNITS

    @property
    def path(self) -> BoltzmannPath:
        """The path from independent bits to this distribution."""
        return BoltzmannPath(self.visible, self.hidden, self.weights, self.base)

    @cached_property
    def log_normaliser(self) -> Tensor:
        """log of the sum of f(x) over all x with the columns that are given; log Z if none are. Of batch shape."""
        if self.known is not None:
            return self._log_sum(self._rows).view(self.batch_shape)
        if self.log_partition is None:
            return self._log_sum(self._rows)[0]
        return self.log_partition() if callable(self.log_partition) else self.log_partition

    def log_factor(self, x: Tensor) -> Tensor:
        """Return log f(x) of values (..., X), shape (...): the log-density up to a constant."""
        return x @ self.visible + F.softplus(self._inputs(x)).sum(-1)

    def log_partition_from(self, x: Tensor, temperatures: int) -> tuple[Tensor, Tensor]:
        """Return log Z, estimated by walks backwards from some x (K, X), and its standard error, shape () each.

        Formula: the mean of `log f(x) - log w`, with w of :meth:`BoltzmannPath.backwards`. Of x from p(x) it is at
        least log Z in expectation. The mean of log f(x) over any rows, less the estimate from these rows, is at most
        the mean of `log p_T(x)` in expectation, with p_T the probability that a walk forwards ends at x: then it is a
        bound on the log-likelihood of the rows that :meth:`sample` draws.
        """
        with torch.no_grad():
            each = self.log_factor(x).double() - self.path.backwards(x, temperatures)
            return each.mean(), each.std() / math.sqrt(len(each))

    def log_partition_forwards(self, count: int, temperatures: int) -> tuple[Tensor, Tensor]:
        """Return log of the mean weight of walks forwards, at most log Z in expectation, and its standard error."""
        log_weights = self.path.forwards(count, temperatures)[1]
        log_mean = log_weights.logsumexp(0) - math.log(count)
        return log_mean, (log_weights - log_mean).exp().std() / math.sqrt(count)

    @property
    def mean(self) -> Tensor:
        """The probability of a one in each column: exact where Z is, otherwise estimated from 1 000 draws."""
        known = self._rows
        if not self.is_enumerable:
            inputs = self._inputs(self.sample((_DRAWS,)))
            h = (uniform(inputs.shape, inputs) < torch.sigmoid(inputs)).to(inputs)
            return torch.sigmoid(self.visible + h @ self.weights.T).mean(0)
        total, mean = self._log_sum(known), torch.zeros_like(known)
        for log_density, means in self._states(known):
            mean = mean + (log_density - total).exp().T @ means
        return torch.where(known.isnan(), mean, known).view(self._extended_shape())

    @property
    def variance(self) -> Tensor:
        mean = self.mean
        return mean * (1 - mean)

    @property
    def mode(self) -> Tensor:
        """The most probable vector of at most 20 columns; of more, the best that is reached from 64 draws.

        From each draw, `x <- [b + W E[h|x] > 0]` is repeated until it changes nothing; it never lowers p(x), as it is
        expectation maximisation over h.
        """
        if len(self.visible) > MOST_UNITS:
            x = self.sample((_STARTS,))
            for _ in range(_CLIMB):
                expected = self._as_given(torch.sigmoid(self._inputs(x)) @ self.weights.T + self.visible > 0)
                if torch.equal(expected, x):
                    break
                x = expected
            best = self.log_factor(x).argmax(0, keepdim=True)
            return x.gather(0, best.unsqueeze(-1).expand(1, *x.shape[1:])).squeeze(0)
        found, best = torch.zeros_like(self._rows), self.visible.new_full((len(self._rows),), -torch.inf)
        for log_density, rows in self._states(self._rows, over_hidden=False):
            most, place = log_density.max(0)
            found = torch.where((most > best).unsqueeze(-1), rows[place], found)
            best = torch.maximum(best, most)
        return found.view(self._extended_shape())

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draw a state of the smaller side, then x given it; where both are large, by annealed Gibbs sampling."""
        shape = self._extended_shape(sample_shape)
        count = torch.Size(sample_shape).numel()
        with torch.no_grad():
            if self.is_enumerable:
                drawn = [self._drawn(rows, count) for rows in self._rows.split(self._rows_at_once)]
                return torch.cat(drawn, 1).view(shape)
            self._require_all_free()
            return self.path.forwards(shape[:-1].numel(), _TEMPERATURES)[0].view(shape)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        log_density = self.log_factor(value.to(self.visible)) - self.log_normaliser
        if self.known is None:
            return log_density
        return log_density.masked_fill(((value != self.known) & ~self.known.isnan()).any(-1), -torch.inf)

    def log_prob_of_observed(self, value: Tensor) -> Tensor:
        """Return the log-density of the columns of a value (..., X) that are not NaN, in nats.

        Raises:
            InputError: columns are missing, and both sides have more than 20 units.
        """
        if not bool(value.isnan().any()):
            return self.log_prob(value)
        return self.given_observed(value).log_normaliser - self.log_normaliser

    def given_observed(self, value: Tensor) -> Self:
        """Return p(x | the columns of a value (..., X) that are not NaN), in which these columns are certain.

        >>> p = RestrictedBoltzmann(torch.zeros(2), torch.zeros(1), torch.tensor([[3.0], [3.0]]))
        >>> p.given_observed(torch.tensor([1.0, torch.nan])).mean
        tensor([1.0000, 0.9504])
        """
        value = value.to(self.visible)
        return self._like(self.known_and(value))

    def known_and(self, value: Tensor) -> Tensor:
        """Return the columns that are given here or in a value (..., X), NaN elsewhere."""
        return value if self.known is None else torch.where(self.known.isnan(), value, self.known)

    def entropy(self) -> Tensor:
        """Return the entropy in nats, of batch shape: a sum over at most 2^20 vectors.

        Raises:
            NotImplementedError: more than 20 columns.
        """
        if len(self.visible) > MOST_UNITS:
            raise NotImplementedError(f"the entropy of more than {MOST_UNITS} columns is not known")
        known = self._rows
        total, entropy = self._log_sum(known), self.visible.new_zeros(len(known))
        for log_density, _ in self._states(known, over_hidden=False):
            log_prob = log_density - total
            entropy = entropy - (log_prob.exp() * log_prob.clamp_min(torch.finfo(log_prob.dtype).min)).sum(0)
        return entropy.view(self.batch_shape)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Self:
        """Return the distribution with a larger batch shape."""
        known = self.visible.new_full(self.event_shape, torch.nan) if self.known is None else self.known
        return self._like(known.expand(*torch.Size(batch_shape), -1))

    def map_parameters(self, function: Callable[[Tensor], Tensor]) -> Self:
        log_partition = None if self.log_partition is None else lambda: function(self.log_normaliser)
        visible, hidden, weights, base = map(function, (self.visible, self.hidden, self.weights, self.base))
        known = None if self.known is None else function(self.known)
        return type(self)(visible, hidden, weights, base, log_partition, known, self._validate_args)

    def __repr__(self) -> str:
        named = {"visible": self.visible, "hidden": self.hidden, "known": self.known}
        shapes = ", ".join(f"{name}: {tuple(part.shape)}" for name, part in named.items() if part is not None)
        return f"RestrictedBoltzmann({shapes})"

    def _like(self, known: Tensor) -> Self:
        parts = (self.visible, self.hidden, self.weights, self.base, self.log_partition)
        return type(self)(*parts, known, self._validate_args)

    @property
    def _rows(self) -> Tensor:
        """The columns that are given, as rows (B, X); one row of NaN if none are."""
        known = torch.full_like(self.visible, torch.nan) if self.known is None else self.known
        return known.reshape(-1, len(self.visible))

    def _as_given(self, x: Tensor) -> Tensor:
        """Return values (..., X) with the columns that are given in their place, in the type of the parameters."""
        x = x.to(self.visible)
        return x if self.known is None else torch.where(self.known.isnan(), x, self.known)

    def _inputs(self, x: Tensor) -> Tensor:
        return self.hidden + x @ self.weights

    def _log_sum(self, known: Tensor) -> Tensor:
        """Return the log of the sum of f over all x with given columns, (B,), from rows (B, X)."""
        total = known.new_full((len(known),), -torch.inf)
        for log_density, _ in self._states(known):
            total = torch.logaddexp(total, log_density.logsumexp(0))
        return total

    @property
    def _over_hidden(self) -> bool:
        columns, hidden = self.weights.shape
        return hidden <= min(columns, MOST_UNITS) or columns > MOST_UNITS

    def _states(self, known: Tensor, over_hidden: bool | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the states of a side in chunks of C, for rows of given columns (B, X), NaN elsewhere.

        Each chunk has the logs of the sums of f over all x of these states, (C, B), and the means of x in them, (C, X).
        """
        over_hidden = self._over_hidden if over_hidden is None else over_hidden
        units = self.weights.shape[1 if over_hidden else 0]
        if units > MOST_UNITS:
            self._refuse()
        free, value = known.isnan(), known.nan_to_num(0.0)
        if not over_hidden and bool(((value != 0) & (value != 1)).any()):
            raise InputError(
                "x: expected bits where values are observed, as sums run over all rows of bits; got others"
            )
        size = max(1, _ELEMENTS // max(*self.weights.shape, len(known)))
        for start in range(0, 2**units, size):
            codes = codes_between(start, min(start + size, 2**units), units, self.visible)
            if over_hidden:
                logits = self.visible + codes @ self.weights.T  # (C, X)
                of_free = F.softplus(logits) @ free.to(logits).T
                yield codes @ self._inputs(value).T + of_free + value @ self.visible, torch.sigmoid(logits)
            else:
                zeros, ones = (~free & (value == bit) for bit in (0, 1))
                wrong = codes @ zeros.to(codes).T + (1 - codes) @ ones.to(codes).T  # (C, B)
                yield self.log_factor(codes).unsqueeze(1).masked_fill(wrong > 0.5, -torch.inf), codes

    @property
    def _rows_at_once(self) -> int:
        return max(1, int(_PROBABILITIES // 2 ** min(self.weights.shape)))

    def _drawn(self, known: Tensor, count: int) -> Tensor:
        """Draw x for some rows of given columns (B, X): (count, B, X)."""
        log_density = torch.cat([chunk for chunk, _ in self._states(known)])  # (states, B)
        states = torch.multinomial(log_density.T.softmax(-1), count, replacement=True).T  # (count, B)
        if not self._over_hidden:
            return codes_of(states, len(self.visible), self.visible)
        logits = self.visible + codes_of(states, len(self.hidden), self.visible) @ self.weights.T
        x = (uniform(logits.shape, logits) < torch.sigmoid(logits)).to(logits)
        return torch.where(known.isnan(), x, known)

    def _require_all_free(self) -> None:
        if self.known is not None and not bool(self.known.isnan().all()):
            self._refuse()

    def _refuse(self) -> None:
        columns, hidden = self.weights.shape
        raise InputError(
            f"rbm: expected at most {MOST_UNITS} hidden units or {MOST_UNITS} columns, so that a sum over their states "
            f"is exact; got {hidden} and {columns}"
        )

"""Predicted probabilities against what happened, and numbers among their draws, each with its null distribution."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Ranks", "Reliability", "p_value"]

_SURE = 0.01  # a predicted probability below it, or above 1 minus it, is in a bin of its own
_BINS, _FEWEST = 10, 20  # of the others, at most so many bins, of at least so many events each
_PARTS = 20  # of the histogram of predictions
_STEADY = 0.25  # added to the variance of a column, so that one event of a tiny probability is no finding


def p_value(statistics: Tensor) -> float:
    """Return the share of statistics that are at least the first, which is among them."""
    return float((statistics >= statistics[0]).double().mean())


@dataclass(frozen=True)
class Reliability:
    """The reliability of predicted probabilities of events.

    Formula: with the bins `b` of events whose predicted probabilities are alike, `p_b` their mean prediction and `f_b`
    the share that happened, the calibration error is `sum_b n_b |f_b - p_b| / sum_b n_b`. Probabilities below 1 % and
    above 99 % are a bin each; the others are in at most ten bins of equally many events, of at least 20.

    Null distribution: the same numbers from draws of the model, jointly for the events of a row. If the predictions
    are right, the truth is like one of the draws, so that its rank among R draws is uniform, and a number that is
    larger than in all of them is a false alarm with probability `1 / (R + 1)`. Sources: Nixon et al. (2019),
    https://arxiv.org/abs/1904.01685 (bins); Broecker & Smith (2007), https://doi.org/10.1175/WAF993.1 (draws).

    Args:
        predicted: probabilities, (M,) in float64.
        happened: zeros and ones, (1 + R, M): the truth, then R draws.
        weights: of the events, (M,).
        columns: of the events, (M,).
    """

    predicted: Tensor
    happened: Tensor
    weights: Tensor
    columns: Tensor

    @property
    def uncertain(self) -> Tensor:
        """Which events are predicted with a probability from 1 % to 99 %, (M,)."""
        return (self.predicted >= _SURE) & (self.predicted <= 1 - _SURE)

    def bins(self) -> Tensor:
        """Return the bin of each event, (M,)."""
        between = self.uncertain
        count = int(between.sum())
        number = max(1, min(_BINS, count // _FEWEST))
        rank = self.predicted[between].argsort().argsort()
        bins = torch.where(self.predicted < _SURE, 0, number + 1)
        bins[between] = 1 + rank * number // max(1, count)
        places: Tensor = bins.unique(return_inverse=True)[1]  # without empty ones
        return places

    def curve(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return weight and mean prediction of each bin, and the share that happened, (C,), (C,), (1 + R, C)."""
        bins = self.bins()
        weight = _sums(self.weights, bins)
        predicted = _sums(self.weights * self.predicted, bins) / weight
        return weight, predicted, _sums(self.weights * self.happened, bins) / weight

    def errors(self) -> tuple[Tensor, Tensor]:
        """Return the calibration error of all events, and of the uncertain ones alone, (1 + R,) each."""
        weight, predicted, shares = self.curve()
        apart = weight * (shares - predicted).abs()
        between = (predicted >= _SURE) & (predicted <= 1 - _SURE)
        uncertain = apart[:, between].sum(1) / weight[between].sum().clamp_min(1e-300)
        return apart.sum(1) / weight.sum(), uncertain

    def confidence(self) -> tuple[float, float]:
        """Return how probable the likelier outcome is on average, and how often it happened, of uncertain events."""
        between, p = self.uncertain, self.predicted
        weights = self.weights[between] / self.weights[between].sum().clamp_min(1e-300)
        right = torch.where(p > 0.5, self.happened[0], 1 - self.happened[0])
        return float(weights @ torch.maximum(p, 1 - p)[between]), float(weights @ right[between])

    def worst_columns(self) -> list[int]:
        """Return the columns that are further off than the furthest of any draw, the worst first; usually none.

        A column is off by `|sum (happened - predicted)| / sqrt(sum p (1 - p) + 1/4)`. A false alarm has probability
        `1 / (R + 1)`, over all columns together.
        """
        apart = _sums(self.weights * (self.happened - self.predicted), self.columns).abs()  # (1 + R, X)
        variance = _sums(self.weights.square() * self.predicted * (1 - self.predicted), self.columns)
        off = apart / (variance + _STEADY).sqrt()
        order = off[0].argsort(descending=True)
        return [int(column) for column in order if off[0, column] > off[1:].max()]

    def histogram(self) -> Tensor:
        """Return the share of events in each twentieth of the predictions, (20,)."""
        places = (self.predicted * _PARTS).long().clamp(max=_PARTS - 1)
        return _sums(self.weights, places, _PARTS) / self.weights.sum()


@dataclass(frozen=True)
class Ranks:
    """Where numbers lie among draws of their predictive distribution.

    Formula: the rank of a number among R draws, the number of draws below it with ties broken at random, is uniform on
    0...R if the predictive distribution is right (the probability integral transform, from draws). The distance is
    Kolmogorov's, `max_k |F_k - (k + 1) / (R + 1)|`, `F_k` the share of ranks up to k. Its null distribution are the
    distances of the draws, each ranked among the others and the truth. Source: Gneiting, Balabdaoui & Raftery (2007),
    https://doi.org/10.1111/j.1467-9868.2007.00587.x.

    Args:
        values: the numbers, then R draws of each, (1 + R, M).
        weights: of the numbers, (M,).
    """

    values: Tensor
    weights: Tensor

    def places(self) -> Tensor:
        """Return the rank of the truth and of each draw among all, (1 + R, M), from 0; ties are broken at random."""
        shuffled = torch.rand_like(self.values).argsort(0)
        order = shuffled.gather(0, self.values.gather(0, shuffled).sort(dim=0, stable=True).indices)
        numbers = torch.arange(len(order), device=order.device).unsqueeze(1).expand_as(order)
        return torch.empty_like(order).scatter_(0, order, numbers)

    def shares(self, places: Tensor) -> Tensor:
        """Return the share of the numbers of each row that has each rank, (1 + R, 1 + R)."""
        return torch.stack([_sums(self.weights, row, len(places)) for row in places]) / self.weights.sum()

    @staticmethod
    def distances(shares: Tensor) -> Tensor:
        """Return the distance of each row's shares from uniform, (1 + R,)."""
        count = shares.shape[1]
        return (shares.cumsum(1) - torch.arange(1, count + 1) / count).abs().amax(1)


def _sums(values: Tensor, groups: Tensor, count: int | None = None) -> Tensor:
    """Return the sums of values (..., M) over groups (M,), (..., number of groups)."""
    total = values.new_zeros(*values.shape[:-1], int(groups.max()) + 1 if count is None else count)
    return total.index_add(-1, groups, values)

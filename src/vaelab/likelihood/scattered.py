"""log p(x) from points that are spread evenly over p(z), which need no grid: for codes of three or four numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.distributions import Distribution
from torch.quasirandom import SobolEngine

from vaelab.data import Observations
from vaelab.data.weights import weighted_mean
from vaelab.distributions import Chain, DiagonalNormal
from vaelab.errors import InputError
from vaelab.likelihood.contract import BoundEstimate, Callback
from vaelab.likelihood.shared import CHUNK, SharedCodes
from vaelab.models import LatentVariableModel
from vaelab.seeds import derive_seed

__all__ = ["integrate_scattered", "require_transformable"]

SCATTERED = "log p(x) itself, averaged over {:,} points spread evenly over p(z); its error is {:.1g} nat"
_REPLICATES = 16  # independent sets of points, whose differences show the error
_SMALLEST, _LARGEST = 1024, 32_768  # points of a set
_TOLERANCE = 0.02  # nats: the error of the mean over the observations, below which no more points are taken
_TRIED = 200  # observations on which the number of points is chosen


def integrate_scattered(
    model: LatentVariableModel, observed: Observations, seed: int, callback: Callback | None
) -> BoundEstimate:
    """Return the mean of p(x|z) over points that p(z) turns into equal shares, and its error.

    Formula: `log 1/(R n) sum_r sum_i p(x|T(u_ri))`: T takes uniform numbers to p(z), and each of R = 16 sets of n
    points `u_r1, ..., u_rn` is a Sobol sequence that is scrambled anew. The expectation of the mean is p(x), so that of
    its logarithm is slightly too low. All observations share the points: each is decoded once. n is doubled up to
    32 768 until the error of the mean over 200 observations is below 0.02 nat.

    ``diagnostics`` has ``error``, of each observation, (N,), and ``details`` that of the mean over them: the standard
    error by the jackknife over the R sets, and in the mean also the bias of the logarithm that the jackknife finds.

    Sources: Owen (1997), https://doi.org/10.1214/aos/1031594731 (scrambled sequences; their error falls faster than
    that of random points); Dick, Kuo & Sloan (2013), https://doi.org/10.1017/S0962492913000044, section 2.9 (the error
    from randomised sets); Efron & Stein (1981), https://doi.org/10.1214/aos/1176345462 (the jackknife).

    Raises:
        InputError: a prior that is not made of independent normal numbers, layer by layer.
    """
    few, points = observed.first(_TRIED), _SMALLEST
    while points < _LARGEST and _error(_integrate(model, few, points, seed, None), few.weights) > _TOLERANCE:
        points *= 2
    of_sets = _integrate(model, observed, points, seed, callback)  # (R, N)
    error, total = _error(of_sets, observed.weights), points * _REPLICATES
    return BoundEstimate(
        of_sets.logsumexp(0) - math.log(_REPLICATES),
        diagnostics={"error": _jackknife(_without_each(of_sets))},
        details={"error": error, "points": total},
        note=SCATTERED.format(total, error),
        weights=observed.weights,
    )


def _integrate(
    model: LatentVariableModel, observed: Observations, points: int, seed: int, callback: Callback | None
) -> Tensor:
    """Return the log-mean of p(x|z) over each set of points, (R, N)."""
    rows = SharedCodes(model, observed)
    totals = torch.full((_REPLICATES, len(observed)), -math.inf, dtype=torch.float64)
    steps = _REPLICATES * math.ceil(points / CHUNK)
    for done, (number, codes) in enumerate(_codes(model, points, seed)):
        for places, log_likelihood in rows.log_likelihoods(codes):
            part = log_likelihood.logsumexp(0).double().cpu()
            totals[number, places] = torch.logaddexp(totals[number, places], part)
        if callback is not None:
            callback(done + 1, steps)
    return totals - math.log(points)


def _codes(model: LatentVariableModel, points: int, seed: int) -> Iterator[tuple[int, Tensor]]:
    """Yield the codes of each set in chunks, (G, D), with the number of the set."""
    prior, like = model.prior(), model.any_weight
    for number in range(_REPLICATES):
        engine = SobolEngine(model.latent_dim, scramble=True, seed=derive_seed(seed, "points", number))
        for start in range(0, points, CHUNK):
            uniform = engine.draw(min(CHUNK, points - start), dtype=torch.float64) + 2.0**-31  # they are k / 2^30
            yield number, _transform(prior, torch.special.ndtri(uniform).to(like))


def _transform(prior: Distribution, noise: Tensor) -> Tensor:
    """Return codes of the prior from standard normal numbers, (G, D) both."""
    if isinstance(prior, DiagonalNormal):
        return prior.loc + prior.log_scale.exp() * noise
    if isinstance(prior, Chain):
        layers: list[Tensor] = []
        for part in prior.split(noise):
            layers.append(_transform(prior.factor(len(layers), layers), part))
        return prior.join(layers)
    raise InputError(
        "quadrature: expected a prior of independent normal numbers, or a chain of such layers; got "
        f"{type(prior).__name__}; --bound ais takes any prior"
    )


def require_transformable(model: LatentVariableModel) -> None:
    """Raise an :class:`~vaelab.errors.InputError` for a prior that points cannot be spread over."""
    with torch.no_grad():
        _transform(model.prior(), model.any_weight.new_zeros(1, model.latent_dim))


def _without_each(of_sets: Tensor) -> Tensor:
    """Return the log-mean over all sets but one, for each that is left out, (R, N)."""
    others = torch.stack([torch.cat([of_sets[:number], of_sets[number + 1 :]]) for number in range(len(of_sets))])
    return others.logsumexp(1) - math.log(len(of_sets) - 1)


def _jackknife(without_each: Tensor) -> Tensor:
    """Return the standard error of what was computed without each of R sets, (R, ...)."""
    return without_each.std(0, correction=0) * math.sqrt(len(without_each) - 1)


def _error(of_sets: Tensor, weights: Tensor | None) -> float:
    """Return the error of the mean over the observations: of the points, and of the logarithm, which is too low."""
    means = torch.stack([weighted_mean(each, weights) for each in _without_each(of_sets)])  # (R,)
    mean = weighted_mean(of_sets.logsumexp(0) - math.log(len(of_sets)), weights)
    bias = (len(of_sets) - 1) * float(means.mean() - mean)
    return math.hypot(float(_jackknife(means)), bias)

"""Importance sampling with q(z|x) as proposal: the estimate that papers quote."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from vaelab.data.weights import weighted_mean, weighted_median
from vaelab.likelihood.contract import BoundEstimate, Callback, Observed, as_split, finished
from vaelab.likelihood.curve import FEWEST_OF_A_LIMIT, block_means, decades, limit_of, log_blocks
from vaelab.likelihood.objective import Score, posterior_score, score_split
from vaelab.likelihood.pareto import FEWEST, HEAVY, pareto_shape
from vaelab.models import LatentVariableModel, require_latent
from vaelab.objectives import IWAE, Terms

__all__ = ["effective_samples", "importance_weighted", "log_mean_weight"]


def importance_weighted(
    model: LatentVariableModel,
    observed: Observed,
    samples: int = 1,
    seed: int = 0,
    callback: Callback | None = None,
) -> BoundEstimate:
    """Importance-weighted estimate of log p(x): `log 1/K sum_k p(x, z_k) / q(z_k|x)` with `z_k ~ q(z|x)`.

    A lower bound on log p(x) in expectation, tighter as K grows. ``diagnostics`` has ``effective_samples``, `(sum_k
    w_k)^2 / sum_k w_k^2`, between 1 and K, and ``pareto_shape``, how heavy the tail of the weights is
    (:func:`~vaelab.likelihood.pareto_shape`). ``details`` has the bound of k = 1, 10, 100, ... codes from the same
    weights, each with its standard error (``curve``), and from 64 codes its limit as K grows
    (:func:`~vaelab.likelihood.curve.limit_of`). ``vaelab.evaluate`` says in words when not to quote it.
    Source: Burda, Grosse & Salakhutdinov (2016), https://arxiv.org/abs/1509.00519.

    Raises:
        InputError: the model has no likelihood of x, or ``samples`` is less than 1.

    >>> from vaelab.models import gaussian_vae
    >>> importance_weighted(gaussian_vae(6, latent_dim=2), torch.ones(3, 6), samples=5).values.shape
    torch.Size([3])
    """
    require_latent(model, "iwae").require_likelihood()
    return log_mean_weight(model, observed, samples, seed, callback, posterior_score(model, IWAE()))


def log_mean_weight(
    model: LatentVariableModel,
    observed: Observed,
    samples: int,
    seed: int,
    callback: Callback | None,
    score: Score,
) -> BoundEstimate:
    """Return `log 1/K sum_k w_k` of every observation for the log-weights of a score, and the effective samples."""
    split = as_split(model, observed)
    chunks = score_split(model, split, samples, seed, score, callback)

    def estimate(done: list[_OfWeights]) -> BoundEstimate:
        values = torch.cat([part.values for part in done])
        effective, shape = torch.cat([part.effective for part in done]), torch.cat([part.shape for part in done])
        weights = None if split.weights is None else split.weights[: len(values)]
        median = float(weighted_median(effective, weights))
        details = {"median_effective_samples": median, "curve": _curve(done, samples, weights)}
        if samples >= FEWEST:
            heavy = float(weighted_mean((shape > HEAVY).double(), weights))
            details |= {"median_pareto_shape": float(weighted_median(shape, weights)), "heavy_tailed": heavy}
        if samples >= FEWEST_OF_A_LIMIT:
            limit = limit_of(torch.cat([part.blocks for part in done], 1), weights)
            details |= {} if limit is None else limit.details()
        diagnostics = {"effective_samples": effective, "pareto_shape": shape}
        return BoundEstimate(values, {}, diagnostics, details, weights=weights)

    return finished((_of_weights(terms) for _, terms in chunks), estimate)


class _OfWeights(NamedTuple):
    """What is kept of the weights of some observations: for each, (B,), but (P, B) and (32, B) of the last two."""

    values: Tensor
    effective: Tensor
    shape: Tensor
    curve: Tensor
    blocks: Tensor


def _of_weights(terms: Terms) -> _OfWeights:
    log_weights = terms.log_weights
    enough = len(log_weights) >= FEWEST_OF_A_LIMIT
    return _OfWeights(
        IWAE().bound(terms),
        effective_samples(log_weights),
        pareto_shape(log_weights),
        block_means(log_weights),
        log_blocks(log_weights) if enough else log_weights[:0],
    )


def _curve(done: list[_OfWeights], samples: int, weights: Tensor | None) -> list[dict[str, Any]]:
    """Return the mean bound of 1, 10, 100, ..., K codes with its standard error."""
    points = zip(decades(samples), torch.cat([part.curve for part in done], 1), strict=True)
    means = {count: BoundEstimate(values, weights=weights) for count, values in points}
    return [
        {
            "samples": count,
            "value": mean.mean,
            "standard_error": None if math.isnan(mean.standard_error) else mean.standard_error,
        }
        for count, mean in means.items()
    ]


def effective_samples(log_weights: Tensor) -> Tensor:
    """Return `(sum_k w_k)^2 / sum_k w_k^2`, shape (B,), of log-weights (K, B); 1 where every weight is zero.

    >>> effective_samples(torch.tensor([[0.0, 0.0], [0.0, -torch.inf]]))
    tensor([2., 1.])
    """
    total = log_weights.logsumexp(0)
    return torch.where(total.isneginf(), 0, 2 * total - (2 * log_weights).logsumexp(0)).exp()

"""Importance sampling with q(z|x) as proposal: the estimate that papers quote."""

from __future__ import annotations

import torch
from torch import Tensor

from vaelab.likelihood.contract import BoundEstimate, Callback, Observed, as_split, finished
from vaelab.likelihood.objective import Score, posterior_score, score_split
from vaelab.likelihood.pareto import FEWEST, HEAVY, pareto_shape
from vaelab.models import LatentVariableModel
from vaelab.objectives import IWAE, Terms

__all__ = ["effective_samples", "importance_weighted", "log_mean_weight"]

_SHARE = 0.1  # of the observations with weights of a heavy tail, above which the number is marked
TOO_HEAVY = (
    "a lower bound that may be far below log p(x): for {:.0%} of the observations a few weights decide (Pareto shape "
    "above 0.7); give it with its K, and see --bound ais"
)


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
    (:func:`~vaelab.likelihood.pareto_shape`). Source: Burda, Grosse & Salakhutdinov (2016),
    https://arxiv.org/abs/1509.00519.

    Raises:
        InputError: the model has no likelihood of x, or ``samples`` is less than 1.

    >>> from vaelab.models import gaussian_vae
    >>> importance_weighted(gaussian_vae(6, latent_dim=2), torch.ones(3, 6), samples=5).values.shape
    torch.Size([3])
    """
    model.require_likelihood()
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

    def estimate(done: list[tuple[Tensor, Tensor, Tensor]]) -> BoundEstimate:
        values, effective, shape = (torch.cat(part) for part in zip(*done, strict=True))
        weights = None if split.weights is None else split.weights[: len(values)]
        details = {"median_effective_samples": float(effective.median())}
        note = ""
        if samples >= FEWEST:
            heavy = float((shape > HEAVY).double().mean())
            details |= {"median_pareto_shape": float(shape.nanmedian()), "heavy_tailed": heavy}
            note = TOO_HEAVY.format(heavy) if heavy > _SHARE else ""
        diagnostics = {"effective_samples": effective, "pareto_shape": shape}
        return BoundEstimate(values, {}, diagnostics, details, note, weights)

    return finished((_of_weights(terms) for _, terms in chunks), estimate)


def _of_weights(terms: Terms) -> tuple[Tensor, Tensor, Tensor]:
    """Return the estimate, the effective samples and the shape of the tail of each observation, (B,) each."""
    log_weights = terms.log_weights
    return IWAE().bound(terms), effective_samples(log_weights), pareto_shape(log_weights)


def effective_samples(log_weights: Tensor) -> Tensor:
    """Return `(sum_k w_k)^2 / sum_k w_k^2`, shape (B,), of log-weights (K, B); 1 where every weight is zero.

    >>> effective_samples(torch.tensor([[0.0, 0.0], [0.0, -torch.inf]]))
    tensor([2., 1.])
    """
    total = log_weights.logsumexp(0)
    return torch.where(total.isneginf(), 0, 2 * total - (2 * log_weights).logsumexp(0)).exp()

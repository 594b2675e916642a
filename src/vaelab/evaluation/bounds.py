"""Bounds and likelihood estimates over a split, streamed in chunks, each with its standard error."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from vaelab.data import Observations
from vaelab.data.observations import Resident
from vaelab.distributed import ALONE, Ranks
from vaelab.errors import require_int
from vaelab.inference import Enumeration
from vaelab.inputs import Table, as_observations
from vaelab.models import LatentVariableModel
from vaelab.objectives import ELBO, Objective, log_weights
from vaelab.seeds import seeded

__all__ = [
    "BoundEstimate",
    "Observed",
    "as_split",
    "elbo",
    "exact",
    "importance_weighted",
    "objective_bound",
    "prior_average",
]

Observed = Observations | Table  # a split, or observations (N, X) of any kind of number
Watch = Callable[[int, int], None]
_ELEMENTS = 4_000_000  # of a (K, B, X) chunk: 16 MB in float32, about what a processor's cache holds
_ROWS = 1000


@dataclass(frozen=True)
class BoundEstimate:
    """Values for each observation, shape (N,), in nats; ``parts`` holds others of the same shape.

    ``sampled`` says that the KL among them is an average over the codes drawn, for want of a closed form.
    """

    values: Tensor
    parts: dict[str, Tensor]
    sampled: bool = False

    @property
    def mean(self) -> float:
        """Mean over the observations."""
        return float(self.values.double().mean())

    @property
    def standard_error(self) -> float:
        """Standard error of the mean over the observations (nan for a single one)."""
        if len(self.values) < 2:
            return math.nan
        return float(self.values.double().std() / math.sqrt(len(self.values)))


def as_split(model: LatentVariableModel, observed: Observed) -> Observations:
    """Return observations of any kind of number (N, X) as a split, and a split as it is.

    Raises:
        InputError: observations that are no table of numbers in [0, 1] on the model's device.
    """
    if isinstance(observed, Observations):
        return observed
    return Resident(as_observations(observed, model.any_weight), 1, redraw=False)


def _batches(model: LatentVariableModel, observed: Observations, rows: int) -> Iterator[Tensor]:
    for start in range(0, len(observed), rows):
        yield observed.bits(slice(start, start + rows)).to(model.any_weight)  # (B, X)


def _chunks(samples: int, size: int) -> Iterator[int]:
    for start in range(0, samples, size):
        yield min(size, samples - start)


def objective_bound(
    model: LatentVariableModel,
    observed: Observations,
    objective: Objective,
    samples: int,
    seed: int,
    ranks: Ranks = ALONE,
) -> BoundEstimate:
    """Estimate an objective's bound with ``samples`` codes an observation: what validation needs.

    Of several ``ranks`` each takes every so-many-th chunk and leaves the rest at zero, for a sum over the ranks.
    """
    objective = objective.with_closed_form_kl()
    found = torch.zeros(3, len(observed))  # values, reconstruction, kl
    rows = max(1, min(_ROWS, _ELEMENTS // (samples * observed.dim)))
    for number, start in enumerate(range(0, len(observed), rows)):
        if number % ranks.count != ranks.rank:
            continue
        chunk = slice(start, start + rows)
        with torch.no_grad(), seeded(seed, "bound", number):
            x = observed.bits(chunk).to(model.any_weight)  # (B, X)
            q = model.posterior(x)
            terms = objective.terms(model, x, q, q.sample((samples,)))
            parts = [objective.bound(terms), terms.log_likelihood.mean(0), terms.mean_kl]
            found[:, chunk] = torch.stack(parts).float().cpu()
    return BoundEstimate(found[0], {"reconstruction": found[1], "kl": found[2]})


def elbo(
    model: LatentVariableModel,
    observed: Observed,
    samples: int = 1,
    seed: int = 0,
    watch: Watch | None = None,
) -> BoundEstimate:
    """Evidence lower bound of every observation: mean_k log p(x|z_k) - KL[q(z|x) || p(z)], in nats.

    Its ``parts`` are ``reconstruction`` and ``kl``, with bound = reconstruction - kl. A KL without a closed form
    is averaged over the same codes. Source: Kingma & Welling (2013), https://arxiv.org/abs/1312.6114.

    Raises:
        InputError: the model has no likelihood of x, or ``samples`` is less than 1.
    """
    model.require_likelihood()
    require_int("samples", samples, 1)
    reconstruction, kl, sampled = [], [], False
    with torch.no_grad(), seeded(seed, "elbo"):
        for x in _watched(model, as_split(model, observed), samples, watch):
            q = model.posterior(x)
            total = torch.zeros(2, len(x), dtype=torch.float64)
            for count in _chunks(samples, max(1, _ELEMENTS // x.numel())):
                z = q.sample((count,))  # (k, B, D)
                terms = ELBO().terms(model, x, q, z)
                sampled = terms.kl.ndim > 1
                total += torch.stack([terms.log_likelihood.sum(0), terms.mean_kl * count]).double().cpu()
            reconstruction.append(total[0] / samples)
            kl.append(total[1] / samples)
    parts = {"reconstruction": torch.cat(reconstruction), "kl": torch.cat(kl)}
    return BoundEstimate(parts["reconstruction"] - parts["kl"], parts, sampled)


def importance_weighted(
    model: LatentVariableModel,
    observed: Observed,
    samples: int,
    seed: int = 0,
    watch: Watch | None = None,
) -> BoundEstimate:
    """Importance-weighted estimate of log p(x): log 1/K sum_k p(x, z_k) / q(z_k|x), z_k ~ q(z|x).

    A lower bound on log p(x) in expectation, tighter as K grows. ``parts`` holds ``effective_samples``,
    (sum w)^2 / sum w^2, between 1 and K. Source: Burda, Grosse & Salakhutdinov (2016),
    https://arxiv.org/abs/1509.00519.
    """

    def draw(x: Tensor, count: int) -> Tensor:
        q = model.posterior(x)
        return log_weights(model, x, q, q.sample((count,)))

    return _log_mean_exp(model, observed, samples, seed, watch, draw)


def prior_average(
    model: LatentVariableModel,
    observed: Observed,
    samples: int,
    seed: int = 0,
    watch: Watch | None = None,
) -> BoundEstimate:
    """Plain Monte-Carlo estimate of log p(x): log 1/K sum_k p(x|z_k), z_k ~ p(z).

    Its variance is huge unless the code is tiny: hardly any code drawn from the prior explains a given x,
    so at any affordable K it lies far below log p(x). Here to show why q(z|x) is needed; quote
    :func:`importance_weighted` instead.
    """

    def draw(x: Tensor, count: int) -> Tensor:
        z = model.prior().sample((count, len(x)))  # (K, B, D)
        return model.log_likelihood(x, z)

    return _log_mean_exp(model, observed, samples, seed, watch, draw)


def _log_mean_exp(
    model: LatentVariableModel,
    observed: Observed,
    samples: int,
    seed: int,
    watch: Watch | None,
    draw: Callable[[Tensor, int], Tensor],
) -> BoundEstimate:
    model.require_likelihood()
    require_int("samples", samples, 1)
    values, effective = [], []
    with torch.no_grad(), seeded(seed, "log-mean-exp"):
        for x in _watched(model, as_split(model, observed), samples, watch):
            first = second = torch.full((len(x),), -math.inf, dtype=torch.float64)
            for count in _chunks(samples, max(1, _ELEMENTS // x.numel())):
                log_w = draw(x, count).double().cpu()  # (k, B)
                first = torch.logaddexp(first, log_w.logsumexp(0))
                second = torch.logaddexp(second, (2 * log_w).logsumexp(0))
            values.append(first - math.log(samples))
            effective.append(torch.where(first.isneginf(), 0, 2 * first - second).exp())
    return BoundEstimate(torch.cat(values), {"effective_samples": torch.cat(effective)})


def _watched(model: LatentVariableModel, observed: Observations, samples: int, watch: Watch | None) -> Iterator[Tensor]:
    rows = max(1, min(_ROWS, _ELEMENTS // (min(samples, 40) * observed.dim)))
    done = 0
    for x in _batches(model, observed, rows):
        yield x
        done += len(x)
        if watch is not None:
            watch(done, len(observed))


def exact(
    model: LatentVariableModel, observed: Observed, double: bool = False, watch: Watch | None = None
) -> BoundEstimate:
    """Exact log p(x) = log sum_z p(z) p(x|z) over every code of at most 20 bits, in float64 if ``double``.

    Raises:
        InputError: codes that are not bits, or more than 20 of them.
    """
    observed = as_split(model, observed)
    model = copy.deepcopy(model).double() if double else model
    enumeration = Enumeration(model)
    values: list[Tensor] = []
    with torch.no_grad():
        for x in _batches(model, observed, _ROWS):
            values.append(enumeration.log_likelihood(x).cpu())  # (B,)
            if watch is not None:
                watch(sum(map(len, values)), len(observed))
    return BoundEstimate(torch.cat(values), {})

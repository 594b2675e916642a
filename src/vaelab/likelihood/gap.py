"""log p(x) bounded from both sides by annealing forwards and backwards, on rows that the model draws."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from vaelab.errors import require_int
from vaelab.likelihood.annealing import Start
from vaelab.likelihood.contract import BoundEstimate, Callback, Effort, Observed, as_split, finished
from vaelab.likelihood.walk import Annealing, Walked, estimate_of, rows_at_once, walked
from vaelab.models import LatentVariableModel
from vaelab.networks import evaluation_mode
from vaelab.seeds import seeded

__all__ = ["Bracket", "annealed_gap", "bracket"]

GAP = (
    "Of {rows} that the model drew, not of the rows of the split. Their mean log p(x) lies between {lower} "
    "and {upper}, up to noise, so on such rows {name} is too low by at most the gap; for the rows of the split this is "
    "a hint."
)


@dataclass(frozen=True)
class Bracket:
    """log p(x) of rows that the model drew, bounded from both sides: the gap bounds the error of either estimate.

    Attributes:
        lower: annealed importance sampling, a lower bound in expectation.
        upper: the same path walked backwards from the codes of the rows, an upper bound in expectation.
        rows: the rows, (N, X + Y).
    """

    lower: BoundEstimate
    upper: BoundEstimate
    rows: Tensor

    @property
    def gap(self) -> BoundEstimate:
        """Upper minus lower estimate of each row, in nats; its mean is at least 0 in expectation."""
        return BoundEstimate(self.upper.values - self.lower.values)


@torch.inference_mode(False)  # a kernel needs gradients
def bracket(
    model: LatentVariableModel,
    rows: int | Observed = 100,
    samples: int = Effort.chains,
    seed: int = 0,
    callback: Callback | None = None,
    *,
    temperatures: int = Effort.temperatures,
    start: Start = "posterior",
    kernel: str | None = None,
    given: object = None,
) -> Bracket:
    """Bound log p(x) of rows that the model draws from both sides, by annealing forwards and backwards.

    Formula: a row `z* ~ p(z)`, `x ~ p(x|z*)` comes with an exact code of `p(z|x)`. From it the path is walked
    backwards, with the reversed kernels; the mean of `1 / w` is `1 / p(x)`, so that `-log 1/K sum_k 1 / w_k` is an
    upper bound on log p(x) in expectation. The gap says how far either estimate can be from the truth on such rows;
    for real rows it is a hint. Source: Grosse, Ghahramani & Adams (2015), https://arxiv.org/abs/1511.02543.

    Args:
        model: the model.
        rows: how many rows are drawn; or observed rows (N, X + Y), so that as many are drawn, each with what is missing
            of one of these and what it gives a conditional model.
        samples: K, the number of chains of a row, in each direction.
        seed: of the rows and the codes.
        callback: called with the finished and the total work.
        temperatures, start, kernel: as for :func:`annealed_importance`.
        given: y of a conditional model, as for ``model.sample``, where ``rows`` is a number.

    Raises:
        InputError: a model without likelihood, or an argument out of range.

    >>> from vaelab.models import bernoulli_vae
    >>> found = bracket(bernoulli_vae(6, latent_dim=3, seed=0), rows=20, samples=8, temperatures=50)
    >>> abs(found.gap.mean) < 0.1
    True
    """
    annealing = Annealing.of(model, temperatures, start, kernel)
    if isinstance(rows, int):
        x, z = _drawn(model, model.given_rows(given, require_int("rows", rows, 1)), seed)
    else:
        x, z = _drawn_like(model, rows, seed)
    return _bracket(list(_both_ways(annealing, x, z, samples, seed, callback)), annealing, x)


@torch.inference_mode(False)  # a kernel needs gradients
def annealed_gap(
    model: LatentVariableModel,
    observed: Observed,
    samples: int = Effort.chains,
    seed: int = 0,
    callback: Callback | None = None,
    *,
    temperatures: int = Effort.temperatures,
    start: Start = "posterior",
    kernel: str | None = None,
) -> BoundEstimate:
    """Gap between an upper and a lower bound on log p(x), of as many rows as are observed, in nats.

    The rows are drawn from the model (:func:`bracket`); of those that are observed they take what is missing, and what
    a conditional model is given. ``parts`` has both bounds, ``ais-lower-T`` and ``ais-upper-T``. The gap is at least 0
    in expectation, and bounds the error of annealed importance sampling with the same temperatures and chains on rows
    of the model. Source: Grosse, Ghahramani & Adams (2015), https://arxiv.org/abs/1511.02543.

    Args:
        model: the model.
        observed: a split, or observations (N, X).
        samples: K, the number of chains of a row, in each direction.
        seed: of the rows and the codes.
        callback: called with the finished and the total work.
        temperatures, start, kernel: as for :func:`annealed_importance`.

    Raises:
        InputError: a model without likelihood, or an argument out of range.

    >>> from vaelab.models import bernoulli_vae
    >>> gap = annealed_gap(bernoulli_vae(6, latent_dim=3), torch.ones(20, 6), samples=8, temperatures=50)
    >>> sorted(gap.parts), abs(gap.mean) < 0.1
    (['ais-lower-50', 'ais-upper-50'], True)
    """
    annealing = Annealing.of(model, temperatures, start, kernel)
    x, z = _drawn_like(model, observed, seed)

    def estimate(done: list[tuple[Walked, Walked]]) -> BoundEstimate:
        return _gap_estimate(_bracket(done, annealing, x), temperatures)

    return finished(_both_ways(annealing, x, z, samples, seed, callback), estimate)


def _drawn(model: LatentVariableModel, y: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """Draw rows of the model for what is given, y (N, Y): rows (N, X + Y) and the codes (N, D) from which they come."""
    with torch.no_grad(), evaluation_mode(model), seeded(seed, "ais-rows"):
        z = model.prior().sample((len(y),))
        x = model.conditional(z, y).sample()
    return torch.cat([x, y.to(x)], -1), z


def _drawn_like(model: LatentVariableModel, observed: Observed, seed: int) -> tuple[Tensor, Tensor]:
    """Draw as many rows as are observed, with what these are given and without what of them is missing."""
    rows = as_split(model, observed).bits(slice(None)).to(model.any_weight)  # (N, X + Y)
    x, z = _drawn(model, model.split(rows)[1], seed)
    if model.may_be_missing:
        x = torch.where(rows.isnan(), torch.nan, x)  # z stays an exact code of what is left of x
    return x, z


def _both_ways(
    annealing: Annealing, x: Tensor, z: Tensor, samples: int, seed: int, callback: Callback | None
) -> Iterator[tuple[Walked, Walked]]:
    """Yield for consecutive rows a walk forwards and one backwards from their codes."""
    size = rows_at_once(require_int("samples", samples, 1), x.shape[1])
    parts = list(zip(x.split(size), z.split(size), strict=True))
    length, count = len(annealing.temperatures) - 1, 2 * len(parts)
    with evaluation_mode(annealing.model):
        annealing.tune(x, seed)
        for number, (row, code) in enumerate(parts):
            path = annealing.path(row)
            with seeded(seed, "ais", number):
                forth = walked(annealing.forwards(path, samples), length, 2 * number, count, callback)
            with seeded(seed, "ais-backwards", number):
                walk = annealing.backwards(path, code.expand(samples, -1, -1))
                back = walked(walk, length, 2 * number + 1, count, callback)
            yield forth, back


def _bracket(walks: Sequence[tuple[Walked, Walked]], annealing: Annealing, x: Tensor) -> Bracket:
    forth, back = ([pair[way] for pair in walks] for way in (0, 1))
    lower, upper = estimate_of(forth, 1, annealing), estimate_of(back, -1, annealing)
    return Bracket(lower, upper, x[: len(lower.values)])


def _gap_estimate(found: Bracket, temperatures: int) -> BoundEstimate:
    """Return the gap of a bracket with both bounds, each marked as one of rows of the model."""
    names = f"ais-lower-{temperatures}", f"ais-upper-{temperatures}"
    both = [replace(each, details={**each.details, "rows_of_model": True}) for each in (found.lower, found.upper)]
    details = {key: both[0].details[key] for key in ("temperatures", "kernel", "start", "rows_of_model")}
    gap = found.gap
    words = {"name": f"ais-{temperatures}", "lower": names[0], "upper": names[1]}
    note = GAP.format(rows="1 row" if len(gap.values) == 1 else f"{len(gap.values):,} rows", **words)
    return replace(gap, parts=dict(zip(names, both, strict=True)), details=details, note=note)

"""When a number should not be quoted, and which one to quote instead: one decision, shown wherever numbers are."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from vaelab.errors import InputError
from vaelab.likelihood import BOUNDS
from vaelab.likelihood.curve import FEWEST_OF_A_LIMIT, SLOW
from vaelab.models import Model

if TYPE_CHECKING:
    from vaelab.evaluation.result import EvaluationRecord

__all__ = ["advice", "best_estimate", "has_quotable_limit"]

_QUOTED = 5000  # K of the importance-weighted bounds in papers
_SMALL = 1000  # a smaller K is small
_LOW = 0.1  # nats that a bound of few effective samples may be low
_HEAVY = 0.1  # share of the rows with weights of a heavy tail
_COARSE = 0.05  # nats that halving the step of a grid may change
_SCATTERED = 0.1  # nats that an integral over scattered points may be wrong by
_FEW_ROWS = 100
_ITSELF = ("exact", "quadrature")  # log p(x) itself
_BEST = (*_ITSELF, "ais")  # estimates of log p(x), the closest first


def best_estimate(model: Model) -> str | None:
    """Return the name of the estimate that is closest to log p(x) for a model; None for one without a likelihood."""
    for name in _BEST:
        try:
            BOUNDS[name].require(model)
        except InputError:
            continue
        return name
    return None


def advice(records: Sequence[EvaluationRecord]) -> list[str]:
    """Return which numbers of an evaluation should not be quoted, why, and what to quote instead; then what to add.

    A bound of K codes with n effective samples is low by `(1 / n - 1 / K) / 2` nat, to first order: half the relative
    variance of the mean weight, and by more where few weights decide. Where the K-curve has a limit that may be quoted,
    that is taken instead. Source: Nowozin (2018),
    https://openreview.net/forum?id=HyZoi-WRb.

    >>> from vaelab.evaluation import EvaluationRecord
    >>> facts = {"split": "test", "binarisation": "none", "data": "x", "seed": 0, "observations": 500}
    >>> print(*advice([EvaluationRecord(name="iwae-50", samples=50, value=-3.0, best_estimate="exact", **facts)]))
    iwae-50: do not quote it: K = 50 is small. Quote exact, which is log p(x) itself.
    """
    kinds = {_kind(record) for record in records if not record.rows_of_model}
    lines = []
    for record in records:
        faults = list(_faults(record, kinds))
        if faults:
            reasons, remedies = "; ".join(reason for reason, _ in faults), dict.fromkeys(way for _, way in faults)
            lines.append(f"{record.name}: do not quote it: {reasons}. {' '.join(remedies)}")
    return [*lines, *dict.fromkeys(sentence for record in records for sentence in _to_add(record))]


def _kind(record: EvaluationRecord) -> str:
    """Return the name of a number without its K."""
    return record.name.partition("-")[0] if record.samples is not None else record.name


def _faults(record: EvaluationRecord, kinds: set[str]) -> Iterator[tuple[str, str]]:
    """Yield why a number should not be quoted, with what to do instead."""
    kind, small = _kind(record), (record.samples or 0) < _SMALL
    of_weights = list(_of_weights(record)) if kind == "iwae" else []
    more = "Quote ais." if of_weights else f"Take K = {_QUOTED:,}, as papers do."
    if not math.isfinite(record.value):
        yield "it is not finite", "Look at the values of its rows."
    if record.interrupted:
        yield f"it was interrupted after {record.observations or 0:,} rows", "Let it finish."
    if kind == "prior":
        yield (
            "few codes of the prior explain a row as a rule, and then it lies far below log p(x)",
            _closer(record) or "Quote iwae.",
        )
    if kind == "elbo" and not kinds & {"iwae", *_BEST}:
        yield "it is low by the error of q(z|x), which differs between models", _closer(record) or "Quote iwae."
    if kind == "iwae" and small:
        yield f"K = {record.samples or 0:,} is small", _closer(record) or more
    yield from ((reason, _closer(record) or "Quote ais.") for reason in of_weights)
    low = _low(record)
    if low > _LOW and kind in ("iwae", "ais") and not record.rows_of_model:
        ways = {"iwae": more if small else "Quote ais.", "ais": "Take more temperatures."}
        yield f"it is low by {_how_low(record, low)}", _closer(record) or ways[kind]
    if kind == "quadrature" and abs(record.change or 0.0) > _COARSE:
        yield f"halving the step of the grid changed it by {record.change:.2g} nat", "Quote ais."
    if kind == "quadrature" and (record.error or 0.0) > _SCATTERED:
        yield (
            f"few of its {record.points or 0:,} points explain a row, so its error is {record.error:.2g} nat",
            "Quote ais.",
        )


def _closer(record: EvaluationRecord) -> str:
    """Return the advice to quote log p(x) itself, where the model has it."""
    best = record.best_estimate
    return f"Quote {best}, which is log p(x) itself." if best in _ITSELF else ""


def _of_weights(record: EvaluationRecord) -> Iterator[str]:
    """Yield what the importance weights and the K-curve say against a bound."""
    if (record.heavy_tailed or 0.0) > _HEAVY:
        yield f"for {record.heavy_tailed:.0%} of the rows a few weights decide (Pareto shape above 0.7)"
    if record.exponent is not None and record.exponent < SLOW:
        yield f"its gap falls only as K^-{record.exponent:.2f}, so its limit means nothing"
    if record.limit is None and record.curve is not None and (record.samples or 0) >= FEWEST_OF_A_LIMIT:
        yield "it rises by as much from K/4 to K codes as from K/16 to K/4, without a limit in sight"


def has_quotable_limit(record: EvaluationRecord) -> bool:
    """Return whether the limit of the K-curve of a bound may be quoted: there is one, and nothing against it."""
    return record.limit is not None and not any(_of_weights(record))


def _how_low(record: EvaluationRecord, low: float) -> str:
    """Return how low a bound is, and how that is known."""
    if has_quotable_limit(record):
        return f"{low:.1g} nat, as its limit is {record.limit:.2f}"
    return (
        f"at least about {low:.1g} nat, as the median row has {record.median_effective_samples:.3g} effective samples"
    )


def _low(record: EvaluationRecord) -> float:
    """Return how low a bound is, in nats: from its limit as K grows, if it may be quoted, else from its weights."""
    if record.limit is not None and has_quotable_limit(record):
        return record.limit - record.value
    if not record.median_effective_samples or not record.samples:
        return 0.0
    return (1 / record.median_effective_samples - 1 / record.samples) / 2


def _to_add(record: EvaluationRecord) -> Iterator[str]:
    """Yield what has to be said with a number where it is quoted."""
    count = record.observations
    if count is not None and record.rows_of_split is not None and not record.rows_of_model:
        yield f"Of the first {count:,} of {record.rows_of_split:,} rows: say so with the numbers."
    if count is not None and count < _FEW_ROWS:
        yield (
            f"{count:,} rows are few: the standard errors are themselves uncertain."
            if count > 1
            else "A single row has no standard error, and does not show whether a unit of the code changes with x."
        )
    if record.trained_binarisation is not None:
        trained = record.trained_binarisation
        yield f"Of the binarisation {record.binarisation}, and trained under {trained}: say both with the numbers."

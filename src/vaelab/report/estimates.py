"""The section on estimates of log p(x): the bound of more and more codes, and what it tends to."""

from __future__ import annotations

from collections.abc import Sequence

from vaelab import plots
from vaelab.evaluation import EvaluationRecord, has_quotable_limit
from vaelab.report.member import ReportedRun
from vaelab.report.section import Section

__all__ = ["bounds_and_codes"]

_NAMES = ("exact", "quadrature", "ais")


def bounds_and_codes(members: Sequence[ReportedRun]) -> Section | None:
    """The K-curve of every run, beside estimates of log p(x) that do not depend on q(z|x)."""
    found = {member.title: (member, record) for member in members if (record := _longest(member)) is not None}
    if not found:
        return None
    curves, finding = {}, []
    for title, (member, record) in found.items():
        others = {other.name: other.value for name in _NAMES if (other := _of_same_rows(member, name, record))}
        panel = title + _rows(record)
        curves[panel] = _curve(record, others)
        finding.append(f"{panel}: {_words(record, others)}")
    guide = (
        "Each point is the importance-weighted bound of K codes, all from the same weights. The bound rises with K "
        "towards log p(x). The broken line continues it by the power law through its last points, and the square is "
        "its limit, with twice its error. A dotted line and an open square are not to be quoted: a few weights decide, "
        "or the curve is too slow. Horizontal lines are estimates that do not rely on q(z|x). Where one lies above the "
        "limit, q(z|x) misses codes that also explain an observation."
    )
    figure = plots.png(plots.bound_curves(curves))
    return Section(
        "bounds-and-codes", "How the bound rises with the number of codes", guide, "\n".join(finding), figure
    )


def _longest(member: ReportedRun) -> EvaluationRecord | None:
    """Return the importance-weighted bound of the most codes, also of some rows alone, if it has a curve."""
    records = [record for record in member.evaluations_of("iwae") if len(record.curve or ()) > 1]
    return max(records, key=lambda record: (record.samples or 0, record.observations or 0), default=None)


def _of_same_rows(member: ReportedRun, name: str, record: EvaluationRecord) -> EvaluationRecord | None:
    """Return the estimate of that name, of AIS that of the most temperatures, over the rows of another record."""
    rows = record.observations, record.rows_of_split
    records = [other for other in member.evaluations_of(name) if (other.observations, other.rows_of_split) == rows]
    return max(records, key=lambda other: (other.temperatures or 0, other.samples or 0), default=None)


def _rows(record: EvaluationRecord) -> str:
    """Return which rows a record is of, for the end of a title; nothing for the whole split."""
    return "" if record.rows_of_split is None else f", first {record.observations:,} of {record.rows_of_split:,} rows"


def _curve(record: EvaluationRecord, others: dict[str, float]) -> plots.BoundCurve:
    points = record.curve or []
    limit = None
    if record.limit is not None:
        limit = (record.limit, record.limit_standard_error or 0.0, record.exponent or 1.0)
    samples, values = [point.samples for point in points], [point.value for point in points]
    return plots.BoundCurve(samples, values, limit, has_quotable_limit(record), others)


def _words(record: EvaluationRecord, others: dict[str, float]) -> str:
    """Return what the curve of a run shows."""
    first = (record.curve or [])[0]
    text = f"{first.value:.2f} with one code, {record.value:.2f} with {record.samples:,}"
    if record.limit is None:
        text += "; no limit is in sight"
    else:
        text += f"; its limit is {record.limit:.2f} ± {record.limit_standard_error:.2f}"
        text += "" if has_quotable_limit(record) else ", which is not to be quoted"
    for name, value in others.items():
        text += f"; {name} is {value:.2f}"
    return f"{text}."

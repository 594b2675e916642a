"""Differences of runs over the same observations: their mean with the standard error of the differences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from vaelab.errors import InputError
from vaelab.evaluation import EvaluationRecord
from vaelab.evaluation.protocol import Role, differences
from vaelab.likelihood import BoundEstimate
from vaelab.report.member import ReportedRun
from vaelab.report.numbers import LOG_LIKELIHOOD, MARK, numbers_of

__all__ = ["Difference", "Kinds", "compared_kinds", "paired_differences", "values_of"]

Kinds = tuple[tuple[str, ...], ...]  # groups of names of numbers: of each group the first that both runs have
_OF_ROWS: tuple[Role, ...] = ("rows",)
_BY_DEFAULT: Kinds = ((*LOG_LIKELIHOOD, "iwae", "ais", "elbo"),)


@dataclass(frozen=True)
class Difference:
    """How much higher a number of a run is than that of another, over the same observations.

    Attributes:
        model: the title of the run.
        other: the title of the run that it is compared with.
        bound: the name of the number.
        value: mean of the differences, in nats per observation; weighted, where the rows have weights.
        standard_error: of that mean, from the differences.
        observations: how many.
        higher: for how many the number of ``model`` is the higher one.
        differs: in what the two do not compare, where that was forced.
    """

    model: str
    other: str
    bound: str
    value: float
    standard_error: float
    observations: int
    higher: int
    differs: tuple[str, ...] = ()

    def cells(self) -> list[str]:
        """Return the difference as it is printed."""
        share, mark = f"{self.higher / self.observations:.0%}", MARK if self.differs else ""
        bound = f"{self.bound}, {self.observations:,} rows"
        return [f"{self.model} - {self.other}", bound, f"{self.value:+.2f} ± {self.standard_error:.2f}{mark}", share]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def compared_kinds(bounds: Sequence[str] | None) -> Kinds:
    """Return the names of the numbers to compare: of each bound that is asked for, or of the closest to log p(x)."""
    if not bounds:
        return _BY_DEFAULT
    return tuple(LOG_LIKELIHOOD if name in LOG_LIKELIHOOD else (name,) for name in bounds)


def paired_differences(
    members: Sequence[ReportedRun], kinds: Kinds = _BY_DEFAULT, force: bool = False
) -> tuple[list[Difference], list[str]]:
    """Return the difference of each run from the first, and a sentence for each for which there is none.

    The standard error is that of the differences, which is smaller than those of the two means: what is hard for one
    model is hard for the other. With ``force`` numbers of different protocols are paired if they are of the same rows.
    """
    found, reasons = [], []
    first, *others = members
    for names in kinds:
        for member in others:
            result = _difference(member, first, names, force)
            if isinstance(result, Difference):
                found.append(result)
            elif result:
                reasons.append(f"{member.title} - {first.title}: {result}")
    return found, reasons


def _difference(member: ReportedRun, other: ReportedRun, names: Sequence[str], force: bool) -> Difference | str:
    """Return the difference of two runs, or why there is none; an empty text for a run without any such number."""
    pairs = list(_pairs(other, member, names, force))
    if not pairs:
        return _no_pair(other, member, names)
    for record, same, differs in pairs:
        low, high = other.values(record), member.values(same)
        if low is None or high is None:
            continue
        differences_of_rows = high.double() - low.double()
        infinite = int((~differences_of_rows.isfinite()).sum())
        if infinite:
            return f"{infinite:,} of {len(low):,} rows have no finite {same.name}, so there is no mean difference"
        try:
            estimate = BoundEstimate(differences_of_rows, weights=other.row_weights(record))
        except InputError as refusal:
            return f"the weights of the rows are not known ({refusal})"
        higher = int((differences_of_rows > 0).sum())
        bound = same.name if same.name == record.name else f"{same.name} - {record.name}"
        value, error = estimate.mean, estimate.standard_error
        return Difference(member.title, other.title, bound, value, error, len(low), higher, differs)
    return "values of the rows are not stored; evaluate both alike"


def _pairs(
    first: ReportedRun, other: ReportedRun, names: Sequence[str], force: bool
) -> Iterator[tuple[EvaluationRecord, EvaluationRecord, tuple[str, ...]]]:
    """Yield pairs of numbers of one protocol, the best first; with ``force`` others of the same rows after them."""
    if first.run.config["data"]["sha256"] != other.run.config["data"]["sha256"]:
        return
    forced = []
    for record in numbers_of(first, names):
        for same in numbers_of(other, names):
            both = {first.title: first.fields(record), other.title: other.fields(same)}
            differs = tuple(differences(both))
            if not differs:
                yield record, same, ()
            elif force and not differences(both, _OF_ROWS):
                forced.append((record, same, differs))
    yield from forced


def _no_pair(first: ReportedRun, other: ReportedRun, names: Sequence[str]) -> str:
    """Return why two runs have no numbers that compare."""
    one, two = numbers_of(first, names), numbers_of(other, names)
    if first.run.config["data"]["sha256"] != other.run.config["data"]["sha256"]:
        return "the runs have other data, so no rows in common"
    if not one or not two:
        lacking = [member.title for member, found in ((first, one), (other, two)) if not found]
        return "" if not (first.is_generative and other.is_generative) else _lacking(lacking, names)
    texts = differences({first.title: first.fields(one[0]), other.title: other.fields(two[0])})
    return f"the numbers differ in {' and '.join(texts)}; evaluate both alike"


def _lacking(titles: Sequence[str], names: Sequence[str]) -> str:
    which = f"{' or '.join(names)} " if len(names) < len(_BY_DEFAULT[0]) else ""
    return f"{' and '.join(titles)} {'has' if len(titles) == 1 else 'have'} no {which}number of the test split"


def values_of(member: ReportedRun, record: EvaluationRecord) -> Tensor | None:
    """Return the values of the observations of a number in float64; None where they are not stored or not finite."""
    values = member.values(record)
    return None if values is None or not bool(values.isfinite().all()) else values.double()

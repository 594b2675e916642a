"""Comparisons of runs over the same observations, and over trainings that differ in their seed alone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from torch import Tensor

from vaelab.evaluation import EvaluationRecord
from vaelab.report.member import ReportedRun

__all__ = ["Difference", "Replicates", "paired_differences", "replicates"]

_BOUNDS = ("iwae", "elbo")  # what is compared: the first that both runs have, under one protocol
_PROTOCOL = ("name", "samples", "split", "binarisation", "data", "observations", "rows_of_split")


@dataclass(frozen=True)
class Difference:
    """How much higher a bound of a run is than that of another, over the same observations.

    Attributes:
        model: the title of the run.
        other: the title of the run that it is compared with.
        bound: the name of the bound.
        value: mean of the differences, in nats per observation.
        standard_error: of that mean, from the differences.
        observations: how many.
        higher: for how many the bound of ``model`` is the higher one.
    """

    model: str
    other: str
    bound: str
    value: float
    standard_error: float
    observations: int
    higher: int

    def cells(self) -> list[str]:
        """Return the difference as it is printed."""
        share = f"{self.higher / self.observations:.0%}"
        bound = f"{self.bound}, {self.observations:,} rows"
        return [f"{self.model} - {self.other}", bound, f"{self.value:+.2f} ± {self.standard_error:.2f}", share]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Replicates:
    """Trainings that differ in their seed alone: the mean of a bound over them, and its spread.

    Attributes:
        models: the titles of the runs.
        bound: the name of the bound.
        value: mean over the runs, in nats per observation.
        standard_error: of that mean, over the runs.
        deviation: standard deviation over the runs.
    """

    models: tuple[str, ...]
    bound: str
    value: float
    standard_error: float
    deviation: float

    def cells(self) -> list[str]:
        """Return the row as it is printed."""
        return [
            ", ".join(self.models),
            self.bound,
            f"{self.value:.2f} ± {self.standard_error:.2f} over {len(self.models)} seeds",
            f"{self.deviation:.2f}",
        ]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def paired_differences(members: Sequence[ReportedRun]) -> tuple[list[Difference], list[str]]:
    """Return the difference of each run from the first, and a sentence for each run for which there is none.

    The standard error is that of the differences, which is smaller than those of the two means: what is hard for one
    model is hard for the other.
    """
    found, reasons = [], []
    first, *others = members
    for member in others:
        pairs = list(_common(first, member))
        stored = next(_stored(first, member, pairs), None)
        if stored is not None:
            record, low, high = stored
            differences = (high.double() - low.double()).numpy()
            mean, error, higher = float(differences.mean()), _standard_error(differences), int((differences > 0).sum())
            found.append(Difference(member.title, first.title, record.name, mean, error, len(differences), higher))
            continue
        reason = "values of the rows are not stored" if pairs else "no bound with the same K on the same rows"
        reasons.append(f"{member.title} - {first.title}: {reason}; evaluate both alike")
    return found, reasons


def replicates(members: Sequence[ReportedRun]) -> list[Replicates]:
    """Return a row for each group of runs whose settings differ in the seed alone."""
    groups: dict[str, list[ReportedRun]] = {}
    for member in members:
        groups.setdefault(member.run.settings.model_copy(update={"seed": 0}).model_dump_json(), []).append(member)
    return [row for group in groups.values() for row in _replicate(group)]


def _replicate(group: Sequence[ReportedRun]) -> Iterator[Replicates]:
    """Yield the row of a group of at least two seeds."""
    if len({member.seed for member in group}) < 2:
        return
    for name in _BOUNDS:
        records = [member.evaluation(name) for member in group]
        known = [record for record in records if record is not None]
        if len(known) == len(group) and len(set(map(_protocol, known))) == 1:
            values, titles = np.array([record.value for record in known]), tuple(member.title for member in group)
            error, deviation = _standard_error(values), float(values.std(ddof=1))
            yield Replicates(titles, known[0].name, float(values.mean()), error, deviation)
            return


def _common(first: ReportedRun, other: ReportedRun) -> Iterator[tuple[EvaluationRecord, EvaluationRecord]]:
    """Yield pairs of numbers of two runs: of the same bound, with the same K, of the same rows."""
    if first.run.config["data"]["sha256"] != other.run.config["data"]["sha256"]:
        return
    for name in _BOUNDS:
        for record in _of_bound(first, name):
            yield from ((record, same) for same in _of_bound(other, name) if _protocol(record) == _protocol(same))


def _stored(
    first: ReportedRun, other: ReportedRun, pairs: Iterable[tuple[EvaluationRecord, EvaluationRecord]]
) -> Iterator[tuple[EvaluationRecord, Tensor, Tensor]]:
    """Yield the pairs of which the values of the observations are stored, with these."""
    for record, same in pairs:
        low, high = first.values(record), other.values(same)
        if low is not None and high is not None:
            yield record, low, high


def _of_bound(member: ReportedRun, name: str) -> Iterable[EvaluationRecord]:
    """Return the numbers of a bound on the test split, that of the whole split and the largest K first."""
    found = [
        record
        for record in member.evaluations()
        if record.split == "test"
        and record.binarisation == member.run.binarisation
        and not record.interrupted
        and record.name in (name, f"{name}-{record.samples}")
    ]
    return sorted(found, key=lambda record: (record.rows_of_split is not None, -(record.samples or 0)))


def _protocol(record: EvaluationRecord) -> tuple[Any, ...]:
    return tuple(getattr(record, name) for name in _PROTOCOL)


def _standard_error(values: np.ndarray[Any, Any]) -> float:
    return float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan

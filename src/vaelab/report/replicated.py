"""Runs whose settings differ in the seed alone: their mean, and the difference of two groups of them."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from vaelab.errors import InputError
from vaelab.evaluation import EvaluationRecord
from vaelab.likelihood import BoundEstimate
from vaelab.report.member import ReportedRun
from vaelab.report.numbers import column
from vaelab.report.paired import Kinds, compared_kinds, values_of
from vaelab.settings import OBSERVATIONS

__all__ = ["GroupDifference", "Replicates", "group_differences", "groups_of", "replicates"]

_NO_EFFECT = {"seed", "device", *OBSERVATIONS}  # data and rules have names of their own


@dataclass(frozen=True)
class Replicates:
    """Trainings that differ in their seed alone: the mean of a number over them, and its spread.

    Attributes:
        models: the titles of the runs.
        bound: the name of the number.
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
        value = f"{self.value:.2f} ± {self.standard_error:.2f} over {len(self.models)} seeds"
        return [", ".join(self.models), self.bound, value, f"{self.deviation:.2f}"]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class GroupDifference:
    """How much higher a number is for one group of replicates than for another.

    Attributes:
        models: the titles of the runs of the group.
        others: the titles of the runs of the group that it is compared with.
        bound: the name of the number.
        value: difference of the means over the seeds, in nats per observation.
        standard_error_over_seeds: `sqrt(s_1^2 / n_1 + s_2^2 / n_2)`, of trainings anew with other seeds.
        degrees_of_freedom: of that error (Welch, 1947, https://doi.org/10.1093/biomet/34.1-2.28).
        standard_error_over_rows: of other rows for these weights, from the differences of the rows' means over the
            seeds; None where the values of the rows are not stored.
    """

    models: tuple[str, ...]
    others: tuple[str, ...]
    bound: str
    value: float
    standard_error_over_seeds: float
    degrees_of_freedom: float
    standard_error_over_rows: float | None

    def cells(self) -> list[str]:
        """Return the row as it is printed."""
        seeds = (
            f"{self.value:+.2f} ± {self.standard_error_over_seeds:.2f} over {len(self.models)} and {len(self.others)}"
        )
        rows = "-" if self.standard_error_over_rows is None else f"{self.standard_error_over_rows:.2f}"
        return [f"{', '.join(self.models)} - {', '.join(self.others)}", self.bound, f"{seeds} seeds", rows]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def groups_of(members: Sequence[ReportedRun]) -> tuple[list[list[ReportedRun]], list[str]]:
    """Return the groups of runs whose settings differ in the seed alone, each seed once, and what was left out."""
    groups: dict[str, dict[int, ReportedRun]] = {}
    left_out = []
    for member in members:
        group = groups.setdefault(_settings_of(member), {})
        if member.seed in group:
            twin = group[member.seed].title
            left_out.append(f"{member.title} has the settings and the seed of {twin}, so it is no replicate of it")
        group.setdefault(member.seed, member)
    return [list(group.values()) for group in groups.values() if len(group) > 1], left_out


def _settings_of(member: ReportedRun) -> str:
    """Return what defines a training, without its seed: the data by their checksum, however they are read."""
    run = member.run
    condition = None if run.spec.condition is None else run.spec.condition.words
    settings = run.settings.model_dump(mode="json", exclude=_NO_EFFECT)
    return json.dumps([settings, run.config["data"]["sha256"], run.binarisation, condition])


def replicates(groups: Sequence[Sequence[ReportedRun]], kinds: Kinds | None = None) -> list[Replicates]:
    """Return a row for each group and each kind of number."""
    rows = []
    for names in kinds or compared_kinds(None):
        for group in groups:
            numbers = _common(group, names)
            if numbers:
                values = torch.tensor([record.value for record in numbers], dtype=torch.float64)
                error, deviation = _standard_error(values), float(values.std())
                titles = tuple(member.title for member in group)
                rows.append(Replicates(titles, numbers[0].name, float(values.mean()), error, deviation))
    return rows


def group_differences(groups: Sequence[Sequence[ReportedRun]], kinds: Kinds | None = None) -> list[GroupDifference]:
    """Return the difference of each group from the first, for each kind of number that all their runs have."""
    found = []
    for names in kinds or compared_kinds(None):
        for group in groups[1:]:
            both = [*groups[0], *group]
            numbers = _common(both, names)
            if numbers:
                found.append(_group_difference(groups[0], group, numbers))
    return found


def _common(members: Sequence[ReportedRun], names: Sequence[str]) -> list[EvaluationRecord]:
    """Return a number of each run, all of one protocol and finite; none if they have no such numbers."""
    for name in names:
        each = column(members, (name,))
        numbers = list(each.numbers.values())
        if len(numbers) == len(members) and not each.differs and all(math.isfinite(record.value) for record in numbers):
            return numbers
    return []


def _group_difference(
    others: Sequence[ReportedRun], group: Sequence[ReportedRun], numbers: Sequence[EvaluationRecord]
) -> GroupDifference:
    means = torch.tensor([record.value for record in numbers], dtype=torch.float64)
    low, high = means[: len(others)], means[len(others) :]
    variances = [float(part.var()) / len(part) for part in (low, high)]
    total = sum(variances)
    parts = sum(variance**2 / (len(part) - 1) for variance, part in zip(variances, (low, high), strict=True))
    return GroupDifference(
        tuple(member.title for member in group),
        tuple(member.title for member in others),
        numbers[0].name,
        float(high.mean() - low.mean()),
        math.sqrt(total),
        total**2 / parts if parts > 0 else math.inf,
        _error_over_rows(others, group, numbers),
    )


def _error_over_rows(
    others: Sequence[ReportedRun], group: Sequence[ReportedRun], numbers: Sequence[EvaluationRecord]
) -> float | None:
    """Return the standard error over the rows of the difference of the two groups' means over the seeds."""
    values = [values_of(member, record) for member, record in zip([*others, *group], numbers, strict=True)]
    known = [each for each in values if each is not None]
    if len(known) < len(values):
        return None
    low, high = torch.stack(known[: len(others)]).mean(0), torch.stack(known[len(others) :]).mean(0)
    try:
        return BoundEstimate(high - low, weights=others[0].row_weights(numbers[0])).standard_error
    except InputError:
        return None


def _standard_error(values: torch.Tensor) -> float:
    return float(values.std() / math.sqrt(len(values)))

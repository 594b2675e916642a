"""Runs beside each other: their table, paired differences, means over seeds; as text, in files, as plain values."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, ClassVar

from vaelab.errors import InputError, require_choice
from vaelab.likelihood import BOUNDS
from vaelab.report.member import ReportedRun
from vaelab.report.numbers import MARK, numbers_of
from vaelab.report.paired import Difference, compared_kinds, paired_differences
from vaelab.report.replicated import GroupDifference, Replicates, group_differences, groups_of, replicates
from vaelab.report.tables import Row, models_advice, models_protocol, models_table, summary
from vaelab.report.written import NOTES, csv_table, latex_table, markdown_table

__all__ = ["Comparison"]

_DIFFERENCES = ["difference, paired", "number", "nats", "rows where it is higher"]
_REPLICATES = ["runs that differ in their seed", "number", "mean", "standard deviation"]
_GROUPS = ["difference over seeds", "number", "nats", "± over rows"]
_FORMATS: dict[str, Callable[[Row, Sequence[Row]], str]] = {
    ".md": markdown_table,
    ".tex": latex_table,
    ".csv": csv_table,
}


class Comparison:
    """Runs beside each other.

    Args:
        members: the runs; the others are compared with the first.
        mark: a sentence if their numbers are not comparable; what does not compare is then marked with a dagger.
        bounds: the numbers to compare, by the names of bounds; by default the closest to log p(x) that two runs have.

    Raises:
        InputError: a bound that there is not, or that no run has a number of.
    """

    endings: ClassVar[tuple[str, ...]] = (*_FORMATS, ".json")

    def __init__(
        self, members: Sequence[ReportedRun], mark: str | None = None, bounds: Sequence[str] | None = None
    ) -> None:
        for name in bounds or ():
            require_choice("bound", name, [bound for bound in BOUNDS if bound != "ais-gap"])  # of rows of the model
            if not any(numbers_of(member, (name,)) for member in members):
                way = f"vaelab evaluate RUN --bound {name} makes one"
                raise InputError(f"bound: expected a number that the runs have; none has {name} ({way})")
        self.members, self.mark, self.kinds = members, mark, compared_kinds(bounds)

    @cached_property
    def _paired(self) -> tuple[list[Difference], list[str]]:
        return paired_differences(self.members, self.kinds, force=self.mark is not None)

    @cached_property
    def _groups(self) -> tuple[list[list[ReportedRun]], list[str]]:
        return groups_of(self.members)

    @property
    def _averaged(self) -> tuple[list[Replicates], list[GroupDifference]]:
        groups = self._groups[0]
        return replicates(groups, self.kinds), group_differences(groups, self.kinds)

    def tables(self) -> list[tuple[Row, list[Row]]]:
        """Return the header and the rows of each table: the runs, paired differences, means over seeds."""
        averaged, of_groups = self._averaged
        further = ((_DIFFERENCES, self._paired[0]), (_REPLICATES, averaged), (_GROUPS, of_groups))
        return [models_table(self.members), *((head, [row.cells() for row in rows]) for head, rows in further if rows)]

    def sentences(self) -> list[str]:
        """Return the protocol of the numbers, which of them not to quote, and what cannot be compared, and why."""
        marked = [] if self.mark is None else [f"{MARK.strip()} {self.mark}"]
        protocol = models_protocol(self.members) if self.mark is None else ""
        advice = models_advice(self.members)
        return [*([protocol] if protocol else []), *advice, *self._paired[1], *self._groups[1], *marked]

    def to_dict(self) -> dict[str, Any]:
        """Return everything in plain values."""
        averaged, of_groups = self._averaged
        return {
            "mark": self.mark,
            "protocol": models_protocol(self.members),
            "advice": models_advice(self.members),
            "differences": [row.to_dict() for row in self._paired[0]],
            "replicates": [row.to_dict() for row in averaged],
            "differences_over_seeds": [row.to_dict() for row in of_groups],
            "sentences": [*self._paired[1], *self._groups[1]],
            "runs": [summary(member) for member in self.members],
        }

    def text(self, ending: str) -> str:
        """Return the content of a file with one of the ``endings``."""
        if ending == ".json":
            return json.dumps(self.to_dict(), indent=1) + "\n"
        notes = self.sentences()
        parts = [_FORMATS[ending](*table) for table in self.tables()]
        return "\n".join([*parts, *([NOTES[ending](notes)] if notes else [])])

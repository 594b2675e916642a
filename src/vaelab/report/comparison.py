"""Runs beside each other: their table, paired differences, means over seeds; as text, in files, as plain values."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, ClassVar

from vaelab.report.member import ReportedRun
from vaelab.report.paired import Difference, paired_differences, replicates
from vaelab.report.tables import Row, models_table, summary
from vaelab.report.written import csv_table, latex_table, markdown_table

__all__ = ["Comparison"]

_DIFFERENCES = ["difference, paired", "bound", "nats", "rows where it is higher"]
_REPLICATES = ["runs that differ in their seed", "bound", "mean", "standard deviation"]
_FORMATS: dict[str, Callable[[Row, Sequence[Row]], str]] = {
    ".md": markdown_table,
    ".tex": latex_table,
    ".csv": csv_table,
}


class Comparison:
    """Runs beside each other.

    Args:
        members: the runs; the others are compared with the first.
        mark: a sentence if their numbers are not comparable.
    """

    endings: ClassVar[tuple[str, ...]] = (*_FORMATS, ".json")

    def __init__(self, members: Sequence[ReportedRun], mark: str | None = None) -> None:
        self.members, self.mark = members, mark

    @cached_property
    def _paired(self) -> tuple[list[Difference], list[str]]:
        return paired_differences(self.members)

    def tables(self) -> list[tuple[Row, list[Row]]]:
        """Return the header and the rows of each table: the runs, paired differences, means over seeds."""
        differences, averaged = self._paired[0], replicates(self.members)
        tables = [models_table(self.members)]
        tables += [(_DIFFERENCES, [row.cells() for row in differences])] if differences else []
        tables += [(_REPLICATES, [row.cells() for row in averaged])] if averaged else []
        return tables

    def sentences(self) -> list[str]:
        """Return what cannot be compared, and why."""
        return [*self._paired[1], *([] if self.mark is None else [self.mark])]

    def to_dict(self) -> dict[str, Any]:
        """Return everything in plain values."""
        return {
            "mark": self.mark,
            "differences": [row.to_dict() for row in self._paired[0]],
            "replicates": [row.to_dict() for row in replicates(self.members)],
            "runs": [summary(member) for member in self.members],
        }

    def text(self, ending: str) -> str:
        """Return the content of a file with one of the ``endings``."""
        if ending == ".json":
            return json.dumps(self.to_dict(), indent=1) + "\n"
        write = _FORMATS[ending]
        (header, rows), *others = self.tables()
        marked = [] if self.mark is None else [[self.mark, *[""] * (len(header) - 1)]]
        return "\n".join([write(header, rows + marked), *(write(*table) for table in others)])

"""Reports: one self-contained HTML of sections, a table of the models, and what it takes to repeat them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from vaelab import plots
from vaelab.report.belief import TIGHTNESS_HEADER, tightness_figure, tightness_notes, tightness_table
from vaelab.report.comparison import Comparison
from vaelab.report.gradients import GRADIENT_HEADER, gradient_figure, gradient_notes, gradient_table
from vaelab.report.member import ReportedRun
from vaelab.report.numbers import require_comparable
from vaelab.report.page import report_page
from vaelab.report.section import LeftOut
from vaelab.report.sections import sections
from vaelab.report.tables import models_table, summary
from vaelab.storage import is_ours, write_ours

__all__ = [
    "GRADIENT_HEADER",
    "TIGHTNESS_HEADER",
    "Comparison",
    "LeftOut",
    "ReportedRun",
    "gradient_figure",
    "gradient_notes",
    "gradient_table",
    "models_table",
    "require_comparable",
    "summary",
    "tightness_figure",
    "tightness_notes",
    "tightness_table",
    "write_comparison",
    "write_report",
]


def write_report(
    out: Path,
    title: str,
    members: Sequence[ReportedRun],
    mark: str | None = None,
    explorers: Mapping[str, str] | None = None,
    left_out: Sequence[LeftOut] = (),
) -> Path:
    """Write ``report.html`` and ``figures/*.png`` under ``out``, and return the path of the page.

    It has links to the explorers of the runs: ``explorers`` gives the address of each title's, relative to ``out``. By
    default they are all in ``explorer.html``, if that stands beside the report. ``left_out`` is listed with the figures
    that could not be drawn.

    Raises:
        InputError: a file of that name which vaelab did not write.
    """
    made, not_drawn = sections(members)
    for section in made:
        write_ours(out / "figures" / f"{section.name}.png", section.figure)
    if explorers is None and is_ours(out / "explorer.html"):
        explorers = {member.title: f"explorer.html#run={index}" for index, member in enumerate(members)}
    page = report_page(title, members, made, [*left_out, *not_drawn], mark, explorers or {})
    write_ours(out / "report.html", page.encode("utf-8", "backslashreplace"))  # a file name may be no text
    return out / "report.html"


def write_comparison(out: Path, members: Sequence[ReportedRun], mark: str | None = None) -> Path:
    """Write a report of several runs under ``out``, and a figure of their bounds."""
    values = {}
    for member in members:
        record = member.evaluation("elbo")
        if record is not None:
            values[member.title] = (float(record.value), record.standard_error or 0.0)
    if values:
        figure = plots.bounds(values, "ELBO on the test split (nats), ± 2 standard errors")
        write_ours(out / "figures" / "bounds.png", plots.png(figure))
    return write_report(out, "Comparison of runs", members, mark)

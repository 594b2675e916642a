"""The page of a report: its texts and figures in one HTML file, with links to the explorer beside it."""

from __future__ import annotations

import base64
import re
import shlex
from collections.abc import Sequence
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined

from vaelab.formulae import STYLE, typeset
from vaelab.pages import theme
from vaelab.report.member import ReportedRun
from vaelab.report.section import LeftOut, Section
from vaelab.report.tables import command, models_finding, models_table, protocol

__all__ = ["EXPLORER", "report_page"]

EXPLORER = "explorer.html"


def report_page(
    title: str,
    members: Sequence[ReportedRun],
    made: Sequence[Section],
    left_out: Sequence[LeftOut],
    mark: str | None = None,
    explorer: str | None = None,
) -> str:
    """Return the page as HTML; ``explorer`` is the address of the explorer of the same runs, in the same order."""
    environment = Environment(loader=PackageLoader("vaelab.report"), autoescape=True, undefined=StrictUndefined)
    environment.filters |= {"typeset": typeset, "parts": _parts}
    header, rows = models_table(members)
    return environment.get_template("report.html").render(
        title=title,
        style=theme() + STYLE + resources.files(__package__).joinpath("templates/report.css").read_text("utf-8"),
        mark=mark,
        several=len(members) > 1,
        header=header,
        rows=rows,
        best=[] if mark else _lines("\n".join(models_finding(members)), members),
        views=[_view(member) for member in members],
        deterministic=any(member.model.code == "point" for member in members),
        sections=[
            (section, _png(section), _place(section, members), _lines(section.finding, members)) for section in made
        ],
        left_out=left_out,
        protocol=protocol(members),
        commands=[(member.title, command(member)) for member in members],
        explorer=explorer,
        explore=_explore(members),
    )


def _lines(finding: str, members: Sequence[ReportedRun]) -> list[tuple[str, str]]:
    """Return the lines of a text as pairs: the title of the run that a line begins with, if any, and the rest."""
    titles = sorted((member.title for member in members), key=len, reverse=True)
    lines = []
    for line in finding.splitlines():
        title = next((title for title in titles if line.startswith(f"{title}: ")), "")
        lines.append((title, line[len(title) :].removeprefix(": ")))
    return lines


def _png(section: Section) -> str:
    return base64.b64encode(section.figure).decode()


def _parts(text: str) -> list[str]:
    """Return the parts of a cell: lines break between them, and on a narrow page before an error too.

    >>> _parts("-100.91 ± 0.29 (K = 500)")
    ['-100.91 ±\\xa00.29', '(K\\xa0=\\xa0500)']
    """
    parts = re.split(r"(?<=,) | (?=\()", text)
    return [re.sub(" (?!±)", "\u00a0", part) for part in parts]


def _view(member: ReportedRun) -> str:
    """Return the view of the explorer that suits the code of a run."""
    if len(member.model.layers) > 1:
        return "layers"
    return "bits" if member.model.code == "bits" else "map"


def _place(section: Section, members: Sequence[ReportedRun]) -> str | None:
    """Return the part of the explorer's address that opens the view of a section."""
    if section.live is None:
        return None
    run = next(index for index, member in enumerate(members) if member is section.live.run)
    return f"view={section.live.view}&run={run}"


def _explore(members: Sequence[ReportedRun]) -> str:
    """Return the command that writes the explorer of these runs."""
    read = dict.fromkeys(path for member in members for path in member.read)
    paths = [str(member.run.path) for member in members]
    return shlex.join(["vaelab", "explore", *paths, *(word for path in read for word in ("--data", path))])

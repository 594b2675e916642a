"""The page of a report: its texts and figures in one HTML file, with links to the explorer beside it."""

from __future__ import annotations

import base64
import re
import shlex
from collections.abc import Mapping, Sequence
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined

from vaelab.formulae import STYLE, typeset
from vaelab.pages import theme
from vaelab.report.member import ReportedRun
from vaelab.report.numbers import MARK, mixed_columns
from vaelab.report.section import LeftOut, Section
from vaelab.report.tables import command, models_advice, models_finding, models_protocol, models_table, protocol

__all__ = ["report_page"]


def report_page(
    title: str,
    members: Sequence[ReportedRun],
    made: Sequence[Section],
    left_out: Sequence[LeftOut],
    mark: str | None,
    explorers: Mapping[str, str],
) -> str:
    """Return the page as HTML; ``explorers`` has the address of the explorer of each title, up to the view."""
    environment = Environment(loader=PackageLoader("vaelab.report"), autoescape=True, undefined=StrictUndefined)
    environment.filters |= {"typeset": typeset, "parts": _parts}
    header, rows = models_table(members)
    return environment.get_template("report.html").render(
        title=title,
        style=theme() + STYLE + resources.files(__package__).joinpath("templates/report.css").read_text("utf-8"),
        mark=None if mark is None else f"{MARK.strip()} {mark}",
        several=len(members) > 1,
        header=header,
        rows=rows,
        best=_lines(
            "\n".join([*([] if mark else models_finding(members)), *models_advice(members), *_mixed(members, mark)]),
            members,
        ),
        links=[_link(member, _view(member), explorers) if member.has_codes else None for member in members],
        deterministic=any(not member.is_generative for member in members),
        sections=[
            (each, _png(each), _live(each, explorers), _lines(each.finding, members), _lines(each.advice, members))
            for each in made
        ],
        left_out=left_out,
        protocol=[*protocol(members), *([("numbers", numbers)] if (numbers := models_protocol(members)) else [])],
        commands=[(member.title, command(member)) for member in members],
        explorer=next(iter(explorers.values()), None),
        explore=_explore(members),
    )


def _mixed(members: Sequence[ReportedRun], mark: str | None) -> list[str]:
    """Return what the daggers of the table say, where no mark of the page says it."""
    mixed = [] if mark else list(mixed_columns(members))
    return [f"{MARK.strip()} Not comparable: {' and '.join(mixed)}."] if mixed else []


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
    if len(member.latent.layers) > 1:
        return "layers"
    return "bits" if member.latent.code == "bits" else "map"


def _link(member: ReportedRun, view: str, explorers: Mapping[str, str]) -> str | None:
    """Return the address of a view of a run, if the run has an explorer."""
    return f"{explorers[member.title]}&view={view}" if member.title in explorers and member.has_codes else None


def _live(section: Section, explorers: Mapping[str, str]) -> str | None:
    """Return the address of the view that shows more of a section, if there is one."""
    return _link(section.live.run, section.live.view, explorers) if section.live is not None else None


def _explore(members: Sequence[ReportedRun]) -> str:
    """Return the command that writes the explorer of these runs."""
    read = dict.fromkeys(path for member in members for path in member.read)
    paths = [str(member.run.path) for member in members if member.has_codes]
    words = ["vaelab", "explore", *paths, *(word for path in read for word in ("--data", path))]
    return shlex.join(words) if paths else ""

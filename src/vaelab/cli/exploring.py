"""The command that writes the explorer: one HTML page in which the codes of runs can be walked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vaelab.cli.options import DataFile, Overwrite
from vaelab.cli.output import require_target, say
from vaelab.cli.usage import say_next

if TYPE_CHECKING:
    from vaelab.cli.opened import OpenedModel
    from vaelab.explorer import Subject

__all__ = ["explore"]

ROWS = 2000  # explorer.ROWS, which is not imported here: help has to be instant


def explore(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run directories or saved models.")],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The page, .html  [default: RUN/explorer.html]")
    ] = None,
    rows: Annotated[int, typer.Option(metavar="N", help="Test rows that the page shows, at most.")] = ROWS,
    data: DataFile = None,
    open_page: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in a browser.")] = True,
    overwrite: Overwrite = False,
) -> None:
    """Write one HTML page in which the model runs, and open it.

    The page needs no other file and no network. Several runs are shown side by side. The page holds the weights of the
    model and the first rows of the test split (at most --rows): give it only to people who may have them.
    """
    from vaelab.cli.opened import OpenedModel
    from vaelab.errors import require_int
    from vaelab.explorer import write_explorer

    require_int("rows", rows, 1)
    opened = [OpenedModel(path, data) for path in runs]
    places = [place for each in opened for place in each.places()]
    target = require_target(out, _page_of(opened), (".html",), overwrite, places)
    subjects = _subjects(opened)
    write_explorer(target, subjects, rows=rows, replace=overwrite)
    say(f"wrote {target} ({target.stat().st_size / 1e6:.1f} MB); it holds {_content_of(subjects, rows)}")
    if open_page:
        _open(target)
    say_next("explore", run=runs[0])


def _content_of(subjects: list[Subject], rows: int) -> str:
    """Return what of the models and the data is in the page, in words."""
    from vaelab.explorer import rows_of

    held = {
        f"{rows_of(each, rows):,} of the {len(each.data.split(each.split)):,} {each.split} rows of {each.data.name}"
        for each in subjects
    }
    return " and ".join(["the weights of the model" if len(subjects) == 1 else "the weights", *sorted(held)])


def _page_of(opened: list[OpenedModel]) -> Path:
    """Return where the page is written by default: in the run, or for several in the working directory."""
    first = opened[0]
    if len(opened) > 1:
        return Path("explorer.html")
    return Path(f"{first.name}-explorer.html") if first.run is None else first.path / "explorer.html"


def _subjects(opened: list[OpenedModel]) -> list[Subject]:
    """Return the runs and models for the page; those of the same name have their paths as titles."""
    from vaelab.explorer import Subject
    from vaelab.models import require_latent
    from vaelab.report import ReportedRun

    names = [each.name for each in opened]
    titles = names if len(set(names)) == len(names) else [str(each.path) for each in opened]
    return [
        Subject(title, require_latent(each.model, "explore"), each.data)
        if each.run is None
        else Subject.of_run(ReportedRun(title, each.run, () if each.file is None else (each.file,)))
        for title, each in zip(titles, opened, strict=True)
    ]


def _open(page: Path) -> None:
    """Open a page in the browser of the desktop, if there is one."""
    import webbrowser

    try:
        opened = webbrowser.open(page.resolve().as_uri())
    except webbrowser.Error:
        opened = False
    if not opened:
        say(f"no browser was found here; open {page} in one")

"""The command that says what the code of a model does, and what to do where something is wrong."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vaelab.cli.options import DataFile, Json, ModelPath
from vaelab.cli.output import going_on, print_json, print_text, say
from vaelab.cli.usage import say_next

if TYPE_CHECKING:
    from vaelab.evaluation import Diagnostics

__all__ = ["diagnose"]

ROWS = 1000  # that of evaluation.diagnostics, which is not imported here: help has to be instant


def diagnose(
    run: ModelPath,
    split: Annotated[str, typer.Option(metavar="NAME", help="train, validation or test.")] = "test",
    only: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A diagnostic; repeatable  [default: all]")
    ] = None,
    rows: Annotated[int, typer.Option(metavar="N", help="At most the first N rows.")] = ROWS,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of all draws.")] = 0,
    data: DataFile = None,
    report: Annotated[bool, typer.Option(help="Write RUN/report.html.")] = True,
    as_json: Json = False,
) -> None:
    """Say in words what the code of a run does, with advice.

    The findings of a run are kept in RUN/diagnostics.json, and have figures in its report. Those of a saved model are
    printed; it needs --data.
    """
    from vaelab.cli.opened import OpenedModel, is_saved_model
    from vaelab.cli.progress import WorkProgress
    from vaelab.evaluation import diagnose as diagnose_model
    from vaelab.models import require_latent
    from vaelab.report import ReportedRun, write_report
    from vaelab.runs import Run

    asked = (split, rows, seed, tuple(only) if only else None)
    if is_saved_model(run):
        saved = OpenedModel(run, data)
        with WorkProgress(f"diagnosing {saved.name}") as progress:
            found = diagnose_model(saved.model, saved.data, *asked, callback=progress)
        _print_findings(run, found, as_json)
        return
    opened = Run(run)
    member = ReportedRun(opened.name, opened, read=() if data is None else (data,))
    model = require_latent(member.model, "diagnose")
    objective, history = opened.settings.build_objective(), opened.metrics()
    with WorkProgress(f"diagnosing {opened.name}") as progress:
        found = diagnose_model(model, member.data, *asked, objective=objective, history=history, callback=progress)
    found = found.of_weights(member.loaded.weights)
    try:
        _print_findings(run, found, as_json)
    finally:
        with going_on(f"the numbers were not kept in {run / 'diagnostics.json'}"):
            opened.add_diagnoses(found, member.loaded.weights)
    if report:
        with going_on("the report was not written"):
            say(f"report: {write_report(run, opened.name, [member])}")
    if not as_json:
        say_next("diagnose", run=run)


def _print_findings(run: Path, found: Diagnostics, as_json: bool) -> None:
    if as_json:
        print_json({"run": str(run), "diagnoses": [each.to_dict() for each in found]})
    else:
        for each in found:
            print_text(each.title)
            for line in each.lines():
                print_text(line, 2)
        print_text(found.protocol())
    sys.stdout.flush()

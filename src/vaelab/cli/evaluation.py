"""Commands that say how good a run is, alone or beside others."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vaelab.cli.options import SAMPLES, DataFile, Json, Overwrite, RunPath
from vaelab.cli.output import going_on, print_json, print_table, print_text, print_values, require_report, say

if TYPE_CHECKING:
    from vaelab.report import ReportedRun

__all__ = ["compare", "evaluate"]


def evaluate(
    run: RunPath,
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "test",
    bound: Annotated[
        list[str] | None,
        typer.Option(help="elbo, iwae, prior, exact, quadrature; repeatable  [default: elbo, iwae]"),
    ] = None,
    samples: Annotated[
        int, typer.Option(help="K of the importance-weighted estimate; quote 5000 (the ELBO uses up to 10).")
    ] = SAMPLES,
    seed: Annotated[int, typer.Option(help="Seed of the codes drawn.")] = 0,
    data: DataFile = None,
    report: Annotated[bool, typer.Option(help="Also write RUN/report.html and RUN/figures.")] = True,
    as_json: Json = False,
) -> None:
    """Evaluate a run: bounds with standard errors, active units; kept in RUN/evaluation.json.

    The numbers are printed and written before anything is drawn.
    """
    from vaelab.cli.progress import WorkProgress
    from vaelab.report import ReportedRun, write_report
    from vaelab.runs import Run

    opened = Run(run)
    member = ReportedRun(opened.name, opened, read=() if data is None else (data,))
    with WorkProgress(f"evaluating {opened.name}") as progress:
        records = _measured(member, split, tuple(bound) if bound else None, samples, seed, progress)
    try:
        _print_records(run, records, as_json)
    finally:
        _keep(member, records)
    if report:
        with going_on("the report was not written"):
            say(f"report: {write_report(run, opened.name, [member])}")


def _measured(
    member: ReportedRun, split: str, bounds: tuple[Any, ...] | None, samples: int, seed: int, watch: Any
) -> list[dict[str, Any]]:
    from vaelab.evaluation import evaluate as measure

    binarisation = member.run.settings.binarisation
    records = measure(member.model, member.data, split, bounds, samples, binarisation, seed, watch)
    return [record | {"weights": member.loaded.weights} for record in records]


def _print_records(run: Path, records: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print_json({"run": str(run), "evaluations": records})
        sys.stdout.flush()
        return
    print_values([_row(record) for record in records])
    first = records[0]
    print_text(
        f"(nats per observation; {first['split']} split of {first['data']}, binarisation {first['binarisation']})"
    )
    sys.stdout.flush()


def _row(record: dict[str, Any]) -> tuple[str, str, str]:
    """Return the name, the value with its standard error, and the note of a record."""
    error = record.get("standard_error")
    value = f"{record['value']:.3f}" if isinstance(record["value"], float) else str(record["value"])
    extra = f" of {record['units']}" if "units" in record else ""
    if "nats_per_active_unit" in record:
        extra += f", {record['nats_per_active_unit']:.2f} nat each ({record['measure']})"
    name = f"{record['name']} (sampled)" if record.get("sampled") else record["name"]
    return name, f"{value}{f' ± {error:.3f}' if error is not None else ''}{extra}", record.get("note", "")


def _keep(member: ReportedRun, records: list[dict[str, Any]]) -> None:
    """Write numbers into the run, say if they could not be written, and what else is there of other weights."""
    if reason := member.keep(records):
        say(f"the numbers were not kept in {member.run.path / 'evaluation.json'}: {reason}")
        return
    with going_on("earlier numbers were not read"):
        weights = [record.get("weights") for record in member.run.all_evaluations()]
        others = sum(each != member.loaded.weights for each in weights)
        if others:
            which = "other or unknown" if None in weights else "other"
            say(f"{others} earlier number{'s are' if others > 1 else ' is'} of {which} weights and not shown")


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run directories.")],
    out: Annotated[Path | None, typer.Option(help="Also write a report and its figures here.")] = None,
    samples: Annotated[int, typer.Option(help="K where a run has no evaluation yet.")] = SAMPLES,
    data: Annotated[
        list[str] | None, typer.Option("--data", help="Where data of the runs are now; repeatable.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Compare across data or binarisation, marked.")] = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Compare runs on the test split in one table.

    Runs without an evaluation of their present weights are evaluated first.
    """
    from vaelab.cli.progress import WorkProgress
    from vaelab.report import ReportedRun, models_table, require_comparable, summary, write_comparison
    from vaelab.runs import Run, remove_report

    read = tuple(data or ())
    opened = [Run(path) for path in runs]
    members = [ReportedRun(run.name, run, read) for run in opened]
    if len({member.title for member in members}) < len(members):
        members = [ReportedRun(str(run.path), run, read) for run in opened]
    mark = require_comparable(members, force)
    require_report(out, overwrite)
    for member in members:
        if member.evaluation("elbo") is None and member.evaluation("reconstruction-error") is None:
            with WorkProgress(f"evaluating {member.title}") as progress:
                records = _measured(member, "test", None, samples, 0, progress)
            _keep(member, records)
    if as_json:
        print_json({"mark": mark, "runs": [summary(member) for member in members]})
    else:
        print_table(*models_table(members))
        if mark:
            print_text(mark)
    sys.stdout.flush()
    if out is not None:
        with going_on("the report was not written"):
            remove_report(out)
            say(f"report: {write_comparison(out, members, mark)}")

"""Commands that say how good a run is, alone or beside others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vaelab.cli.options import Json, Overwrite, RunPath
from vaelab.output import print_json, print_table, say
from vaelab.refusals import Refusal

if TYPE_CHECKING:
    from vaelab.runs import Run

__all__ = ["compare", "evaluate"]


def evaluate(
    run: RunPath,
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "test",
    bound: Annotated[
        list[str] | None, typer.Option(help="elbo, iwae, prior or exact; repeatable  [default: elbo and iwae]")
    ] = None,
    samples: Annotated[
        int, typer.Option(help="K of the importance-weighted estimate (the ELBO uses up to 10).")
    ] = 5000,
    seed: Annotated[int, typer.Option(help="Seed of the codes drawn.")] = 0,
    report: Annotated[bool, typer.Option(help="Also write RUN/report.html and RUN/figures.")] = True,
    as_json: Json = False,
) -> None:
    """Evaluate a run: bounds with standard errors, active units; kept in RUN/evaluation.json."""
    from vaelab.progress import WorkProgress
    from vaelab.runs import Run

    opened = Run(run)
    with WorkProgress(f"evaluating {run.name}") as progress:
        records = _evaluate(opened, split, tuple(bound) if bound else None, samples, seed, progress)
    if report:
        from vaelab.report import Member, write_report

        page = write_report(run, run.name, [Member(run.name, opened)])
        say(f"report: {page}")
    if as_json:
        print_json({"run": str(run), "evaluations": records})
        return
    for record in records:
        error = record.get("standard_error")
        value = f"{record['value']:.3f}" if isinstance(record["value"], float) else str(record["value"])
        extra = f" of {record['units']}" if "units" in record else ""
        print(f"{record['name']:22}{value}{f' ± {error:.3f}' if error is not None else ''}{extra}")
        if "note" in record:
            print(f"{'':22}{record['note']}")
    first = records[0]
    print(f"(nats per observation; {first['split']} split of {first['data']}, binarisation {first['binarisation']})")


def _evaluate(
    run: Run, split: str, bounds: tuple[Any, ...] | None, samples: int, seed: int, watch: Any
) -> list[dict[str, Any]]:
    from vaelab.evaluation import evaluate as measure

    binarisation = run.settings.binarisation
    records = measure(run.load_model(), run.load_data(), split, bounds, samples, binarisation, seed, watch)
    run.add_evaluations(records)
    return records


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run directories.")],
    out: Annotated[Path | None, typer.Option(help="Also write a report and its figures here.")] = None,
    samples: Annotated[int, typer.Option(help="K where a run has no evaluation yet.")] = 100,
    force: Annotated[bool, typer.Option("--force", help="Compare across data or binarisation, marked.")] = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Compare runs on the test split in one table; runs without an evaluation are evaluated first."""
    from vaelab.progress import WorkProgress
    from vaelab.report import HEADER, Member, models_table, require_comparable, summary, write_comparison
    from vaelab.runs import Run

    members = [Member(path.name, Run(path)) for path in runs]
    if len({member.title for member in members}) < len(members):
        members = [Member(str(path), Run(path)) for path in runs]
    mark = require_comparable(members, force)
    if out is not None and out.exists() and any(out.iterdir()) and not overwrite:
        raise Refusal(f"out: expected a new or empty directory; {str(out)!r} is not empty (--overwrite replaces it)")
    for member in members:
        if member.evaluation("elbo") is None and member.evaluation("reconstruction-error") is None:
            with WorkProgress(f"evaluating {member.title}") as progress:
                _evaluate(member.run, "test", None, samples, 0, progress)
    rows = models_table(members)
    if out is not None:
        say(f"report: {write_comparison(out, members, mark)}")
    if as_json:
        print_json({"mark": mark, "runs": [summary(member) for member in members]})
        return
    print_table(HEADER, rows)
    if mark:
        print(mark)

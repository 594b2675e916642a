"""Commands that say how good a run is, alone or beside others."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from vaelab.cli.options import CHAINS, SAMPLES, TEMPERATURES, DataFile, Json, ModelPath, Overwrite
from vaelab.cli.output import (
    going_on,
    print_json,
    print_table,
    print_text,
    print_values,
    require_report,
    require_target,
    say,
    write,
)
from vaelab.cli.usage import say_next
from vaelab.errors import InputError

if TYPE_CHECKING:
    from vaelab.data import Dataset
    from vaelab.evaluation import Evaluation
    from vaelab.likelihood import Callback
    from vaelab.models import Model
    from vaelab.report import ReportedRun

__all__ = ["compare", "evaluate"]


def evaluate(
    run: ModelPath,
    split: Annotated[str, typer.Option(metavar="NAME", help="train, validation or test.")] = "test",
    bound: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A bound; repeatable  [default: elbo, iwae]"),
    ] = None,
    samples: Annotated[int, typer.Option(metavar="K", help="K codes an observation; quote 5000.")] = SAMPLES,
    rows: Annotated[int | None, typer.Option(metavar="N", help="Only the first N rows  [default: all]")] = None,
    chains: Annotated[int, typer.Option(metavar="K", help="Of --bound ais, for each row.")] = CHAINS,
    temperatures: Annotated[int, typer.Option(metavar="T", help="Of --bound ais.")] = TEMPERATURES,
    start: Annotated[str, typer.Option(metavar="NAME", help="Of ais: posterior or prior.")] = "posterior",
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of the codes drawn.")] = 0,
    precision: Annotated[str, typer.Option(metavar="NAME", help="float32 or bfloat16 products.")] = "float32",
    data: DataFile = None,
    binarisation: Annotated[
        str | None, typer.Option(metavar="NAME", help="Another protocol than in the training.")
    ] = None,
    report: Annotated[bool, typer.Option(help="Write RUN/report.html.")] = True,
    as_json: Json = False,
) -> None:
    """Print bounds with standard errors and active units, and write a report.

    The numbers of a run are kept in RUN/evaluation.json. Those of a saved model are printed; it needs --data.
    """
    from vaelab.cli.opened import OpenedModel, is_saved_model
    from vaelab.cli.progress import WorkProgress
    from vaelab.report import ReportedRun, write_report
    from vaelab.runs import Run

    asked = _Asked(
        split,
        tuple(bound) if bound else None,
        samples,
        seed,
        rows,
        chains,
        temperatures,
        start,
        binarisation,
        precision,
    )
    if is_saved_model(run):
        saved = OpenedModel(run, data)
        with WorkProgress(f"evaluating {saved.name}") as progress:
            result = _evaluated(saved.model, saved.data, asked, progress)
        _print_result(run, result, as_json)
        _stop_if_interrupted(result)
        return
    opened = Run(run)
    member = ReportedRun(opened.name, opened, read=() if data is None else (data,))
    with WorkProgress(f"evaluating {opened.name}") as progress:
        result = _evaluated(member.model, member.data, asked, progress).of_weights(
            member.loaded.weights, member.loaded.step
        )
    try:
        _print_result(run, result, as_json)
    finally:
        _keep(member, result)
    _stop_if_interrupted(result)
    if report:
        with going_on("the report was not written"):
            say(f"report: {write_report(run, opened.name, [member])}")
    if not as_json and member.has_codes:
        say_next("evaluate", "" if opened.spec.image_shape else " --out samples.csv", run=run)


class _Asked(NamedTuple):
    """What an evaluation is asked for."""

    split: str = "test"
    bounds: tuple[Any, ...] | None = None
    samples: int = SAMPLES
    seed: int = 0
    rows: int | None = None
    chains: int = CHAINS
    temperatures: int = TEMPERATURES
    start: Any = "posterior"
    binarisation: Any = None
    precision: Any = "float32"


def _evaluated(model: Model, data: Dataset, asked: _Asked, callback: Callback) -> Evaluation:
    from vaelab.evaluation import evaluate

    other = asked.binarisation is not None
    return evaluate(
        model,
        data.with_binarisation(asked.binarisation) if other else data,
        *(asked.split, asked.bounds, asked.samples, asked.seed, callback),
        other_binarisation=other,
        rows=asked.rows,
        chains=asked.chains,
        temperatures=asked.temperatures,
        start=asked.start,
        precision=asked.precision,
    )


def _print_result(run: Path, result: Evaluation, as_json: bool) -> None:
    if as_json:
        numbers = [record.to_dict() for record in result]
        print_json({"run": str(run), "evaluations": numbers, "advice": result.advice()})
    else:
        print_values([(*record.cells(), record.remarks()) for record in result])
        for text in (result.protocol(), *result.advice()):
            print_text(text)
    sys.stdout.flush()


def _stop_if_interrupted(result: Evaluation) -> None:
    """End the command with the exit code of an interrupt, after what was computed is printed and kept."""
    if any(record.interrupted for record in result):
        raise KeyboardInterrupt


def _keep(member: ReportedRun, result: Evaluation) -> None:
    """Write numbers into the run; report a failure to write them, and numbers of other weights that are there."""
    if reason := member.keep(result):
        say(f"the numbers were not kept in {member.run.path / 'evaluation.json'}: {reason}")
        return
    with going_on("earlier numbers were not read"):
        weights = [record.weights for record in member.run.all_evaluations()]
        others = sum(each != member.loaded.weights for each in weights)
        if others:
            which = "other or unknown" if None in weights else "other"
            say(f"{others} earlier number{'s are' if others > 1 else ' is'} of {which} weights and not shown")


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run directories.")],
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Also write a report here.")] = None,
    table: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write the table: .md, .tex, .csv or .json.")
    ] = None,
    bound: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Compare this number; repeatable  [default: the closest]"),
    ] = None,
    samples: Annotated[int, typer.Option(metavar="K", help="K of runs without an evaluation.")] = SAMPLES,
    data: Annotated[
        list[str] | None, typer.Option("--data", metavar="FILE", help="Where the data are now; repeatable.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Show what does not compare, with a mark.")] = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Compare runs on the test split in one table.

    Runs without an evaluation of their present weights are evaluated first. Each run is compared with the first over
    the same rows, and runs that differ in their seed alone are averaged. Numbers of different protocols are refused.
    """
    from vaelab.report import Comparison, require_comparable, write_comparison
    from vaelab.runs import remove_report

    members = _members(runs, tuple(data or ()))
    mark = require_comparable(members, force)
    require_report(out, overwrite)
    if table is not None:
        table = require_target(table, table, Comparison.endings, overwrite, argument="table")
    for member in members:
        _evaluate_once(member, samples, bound or ())
    comparison = Comparison(members, mark or require_comparable(members, force, numbers=True), bound)
    if as_json:
        print_json(comparison.to_dict())
    else:
        for header, rows in comparison.tables():
            print_table(header, rows)
        for sentence in comparison.sentences():
            print_text(sentence)
    sys.stdout.flush()
    if table is not None:
        write(table, comparison.text(table.suffix).encode("utf-8", "backslashreplace"))
    if out is not None:
        with going_on("the report was not written"):
            remove_report(out)
            say(f"report: {write_comparison(out, members, comparison.mark)}")
    if not as_json:
        say_next("compare", run=runs[0])


def _members(paths: list[Path], read: tuple[str, ...]) -> list[ReportedRun]:
    """Open runs, each under its name, or under its path if two have one name; refuse a run that is given twice."""
    from vaelab.report import ReportedRun
    from vaelab.runs import Run

    opened = [Run(path) for path in paths]
    places = [run.path.resolve() for run in opened]
    for number, place in enumerate(places):
        if place in places[:number]:
            raise InputError(f"runs: expected different runs; {str(paths[number])!r} is given twice")
    names = [run.name for run in opened]
    titles = names if len(set(names)) == len(names) else [str(run.path) for run in opened]
    return [ReportedRun(title, run, read) for title, run in zip(titles, opened, strict=True)]


def _evaluate_once(member: ReportedRun, samples: int, bounds: Sequence[str]) -> None:
    """Evaluate a run that has no numbers yet, and keep them."""
    from vaelab.cli.progress import WorkProgress
    from vaelab.report.numbers import numbers_of

    known = member.evaluation("elbo") or member.evaluation("reconstruction-error")
    if known is not None or (bounds and numbers_of(member, bounds)):
        return
    with WorkProgress(f"evaluating {member.title}") as progress:
        result = _evaluated(member.model, member.data, _Asked(samples=samples), progress)
    _keep(member, result.of_weights(member.loaded.weights, member.loaded.step))
    _stop_if_interrupted(result)

"""The command that tries simple and deep models on a table, and recommends one."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from vaelab.cli.options import (
    ColumnsFile,
    Drop,
    GroupColumn,
    Json,
    LabelColumn,
    ScaleOfValues,
    SplitColumn,
    SplitSeed,
    Stratify,
    TestFile,
    ValidationFile,
    ValuesOfData,
    WeightColumn,
    reading,
)
from vaelab.cli.output import print_json, print_table, print_text, say
from vaelab.cli.usage import say_next

__all__ = ["suggest"]


def suggest(
    data: Annotated[str, typer.Argument(metavar="NAME|FILE", help="A named data set or a file.")],
    values: ValuesOfData = None,
    scale: ScaleOfValues = None,
    label_column: LabelColumn = None,
    weight_column: WeightColumn = None,
    columns: ColumnsFile = None,
    drop: Drop = False,
    validation: ValidationFile = None,
    test: TestFile = None,
    split_column: SplitColumn = None,
    group_column: GroupColumn = None,
    stratify: Stratify = False,
    split_seed: SplitSeed = None,
    seconds: Annotated[float, typer.Option(metavar="S", help="Budget of time for all models.")] = 180.0,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the models stay  [default: suggestions/NAME]")
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of everything random.")] = 0,
    device: Annotated[str, typer.Option(metavar="NAME", help="auto, cpu or cuda.")] = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Try the models that have no number yet.")] = False,
    as_json: Json = False,
) -> None:
    """Try simple and deep models on a table, compare them, and recommend one.

    The models are trained within the budget and compared by log p(x) of the validation rows. The simplest one that is
    as good as the best is recommended. Each stays in its run directory in OUT.
    """
    from vaelab.cli.progress import SuggestProgress
    from vaelab.studies import suggest as suggest_model

    path = out if out is not None else Path("suggestions") / Path(data).name.partition(".")[0]
    with SuggestProgress(seconds) as progress:
        result = suggest_model(
            data,
            seconds=seconds,
            out=path,
            seed=seed,
            device=device,
            resume=resume,
            watch=progress.row,
            ended=progress.model,
            **reading(locals()),
        )
    if as_json:
        print_json(result.to_dict())
    else:
        print_table(*result.table())
        for note in result.notes():
            print_text(note)
        print_text(" ".join(result.sentences))
        sys.stdout.flush()
    if result.signal is not None:
        again = shlex.join(word for word in sys.argv[1:] if word != "--resume")
        say(f"stopped; what was done is kept in {path}; go on with: vaelab {again} --resume")
        raise typer.Exit(128 + result.signal)
    if not as_json:
        say(f"table: {path / 'suggest.md'}, {path / 'suggest.json'}")
        if result.recommended is not None:
            say_next("suggest", run=path / result.recommended)

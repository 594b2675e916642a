"""The command that trains one model with many combinations of settings."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from vaelab.cli.options import (
    ColumnsFile,
    Drop,
    GroupColumn,
    Json,
    LabelColumn,
    ModelName,
    ScaleOfValues,
    SplitColumn,
    SplitSeed,
    Stratify,
    TestFile,
    ValidationFile,
    ValuesOfData,
    WeightColumn,
    Words,
    layers_of,
    reading,
)
from vaelab.cli.output import print_json, print_table, say
from vaelab.cli.usage import say_next

__all__ = ["sweep"]


def sweep(
    model: ModelName,
    settings: Words = None,
    data: Annotated[
        str | None, typer.Option(metavar="FILE", help="A named data set or a file  [default: mnist]")
    ] = None,
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
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Where the runs go  [default: sweeps/MODEL]")] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="Seed of trainings and draws  [default: 0]")] = None,
    device: Annotated[str | None, typer.Option(metavar="NAME", help="auto, cpu or cuda  [default: auto]")] = None,
    ready: Annotated[
        str | None, typer.Option("--space", metavar="NAME", help="Alternatives that matter, by name: table.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(metavar="N", help="Trainings at once  [default: 2; on a GPU 1]", show_default=False)
    ] = None,
    random: Annotated[int | None, typer.Option(metavar="N", help="Draw N combinations instead of all.")] = None,
    guided: Annotated[int | None, typer.Option(metavar="N", help="Let optuna propose N combinations.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted sweep.")] = False,
    as_json: Json = False,
) -> None:
    """Train a model with every combination of settings, and compare them.

    latent_dim=[2,10,20] gives alternatives; for a setting that is a list, write hidden_dims=[[200],[400,400]]. With
    --random and --guided ranges are possible too: latent_dim=2..50, learning_rate=log:1e-4..1e-2. --space table
    varies what matters most for a table of bits.
    """
    from vaelab.cli.progress import TrainingProgress
    from vaelab.studies.sweep import Result, read_space, ready_space, run_sweep, sweep_table

    read = reading(locals())
    layers = layers_of("sweep", settings, data=data, **read, seed=seed, device=device)
    space = read_space(model, *([] if ready is None else [ready_space(ready, model)]), *layers)
    path = out if out is not None else Path("sweeps") / model
    for note in space.notes:
        say(f"note: {note}")
    total = f"{random or guided or space.size:.0f}"
    done = 0
    try:
        with TrainingProgress() as progress:

            def ended(result: Result) -> None:
                nonlocal done
                done += 1
                outcome = f"failed: {result.failure}" if result.bound is None else f"{result.bound:.2f}"
                progress.end(result.name, f"{done} of {total}  {result.name}  {outcome}")

            how: dict[str, Any] = {
                "random": random,
                "guided": guided,
                "seed": seed or 0,
                "jobs": jobs,
                "resume": resume,
            }
            swept = run_sweep(space, path, **how, watch=progress.row, ended=ended)
    except KeyboardInterrupt:
        again = shlex.join(word for word in sys.argv[1:] if word != "--resume")
        say(f"stopped and saved; go on with: vaelab {again} --resume")
        raise typer.Exit(130) from None
    failed = [result for result in swept.results if result.bound is None]
    if as_json:
        print_json(swept.content)
    else:
        print_table(*sweep_table(swept.results, space, swept.measure))
        print("(nats per observation, higher is better; validation split; nothing was chosen on the test split)")
        best = f"best: {path / swept.results[0].name}; " if len(failed) < len(swept.results) else ""
        print(f"{best}table and figure: {path}/sweep.json, sweep.csv, sweep.png")
        sys.stdout.flush()
        if best:
            say_next("sweep", run=path / swept.results[0].name)
    if failed:
        say(f"{len(failed)} of {len(swept.results)} combinations failed: see {path}/NAME.log")
        raise typer.Exit(1)

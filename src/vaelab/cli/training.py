"""Commands that train: one model, or the whole study."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from vaelab.cli.options import (
    Json,
    LabelColumn,
    ModelName,
    Overwrite,
    ScaleOfValues,
    ValuesOfData,
    Words,
    layers_of,
    require_no_data,
)
from vaelab.cli.output import is_rank_zero, print_json, print_table, say

__all__ = ["lab", "show_settings", "train"]


def train(
    model: ModelName,
    settings: Words = None,
    data: Annotated[str | None, typer.Option(help="A named data set or a file  [default: mnist]")] = None,
    values: ValuesOfData = None,
    scale: ScaleOfValues = None,
    label_column: LabelColumn = None,
    out: Annotated[Path | None, typer.Option(help="Run directory  [default: runs/MODEL]")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything random  [default: 0]")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda  [default: auto]")] = None,
    precision: Annotated[
        str | None, typer.Option(help="Of matrix products: auto, float32, bfloat16  [default: auto]")
    ] = None,
    compiled: Annotated[bool, typer.Option("--compile", help="Compile the step: slow to start, then faster.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")] = False,
    overwrite: Overwrite = False,
    rank_timeout: Annotated[float, typer.Option(help="Seconds that ranks wait for each other.", min=1)] = 600.0,
    as_json: Json = False,
) -> None:
    """Train a model into a run directory.

    Settings are key=value words, such as latent_dim=2 training.steps=1000 estimator.samples=8; a file may hold
    them too, and words win over the file. vaelab settings MODEL lists them. Under torchrun (-m vaelab train ...)
    all ranks train one model.
    """
    from vaelab import training
    from vaelab.cli.progress import TrainingProgress
    from vaelab.settings import resolve

    require_no_data("train", model)
    layers = layers_of(
        "train", settings, data=data, values=values, scale=scale, label_column=label_column, seed=seed, device=device
    )
    engine = {"precision": precision, "compile": compiled or None}
    layers += [{"training": {key: value for key, value in engine.items() if value is not None}}]
    resolved = resolve(model, *layers)
    path = out if out is not None else Path("runs") / model

    with TrainingProgress() as progress:
        run, result = training.train(
            resolved,
            path,
            resume=resume,
            overwrite=overwrite,
            rank_timeout=rank_timeout,
            callback=lambda row: progress.row(path.name, row),
        )
    if not is_rank_zero():
        pass
    elif as_json:
        print_json({"run": str(run.path), **result.to_dict()})
    elif result.stop_reason == "interrupted":
        again = shlex.join(word for word in sys.argv[1:] if word not in ("--resume", "--overwrite"))
        say(f"stopped and saved at step {result.steps:,}; go on with: vaelab {again} --resume")
    else:
        label = "reconstruction" if resolved.objective["name"] == "reconstruction" else "bound"
        best = f"best validation {label} {result.best_bound:.2f} nats at step {result.best_step:,}"
        say(f"{path}: {best}, {result.seconds:.0f} s")
        if result.verdict is not None:
            say(result.verdict.sentence)
    if result.signal is not None and result.stop_reason == "interrupted":
        raise typer.Exit(128 + result.signal)


def lab(
    out: Annotated[Path, typer.Option(help="Where the runs, figures and the report go.")] = Path("lab"),
    quick: Annotated[bool, typer.Option("--quick", help="Every part, smaller, for a first look.")] = False,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda.")] = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Go on where it was stopped.")] = False,
    overwrite: Overwrite = False,
) -> None:
    """Run the whole study on MNIST: all models, all figures, one report."""
    import time

    from vaelab.cli.progress import TrainingProgress
    from vaelab.report import models_table
    from vaelab.studies.lab import run_lab, write_lab

    started = time.perf_counter()
    options: dict[str, Any] = {"quick": quick, "seed": seed, "device": device}
    try:
        with TrainingProgress() as progress:
            members = run_lab(out, **options, resume=resume, overwrite=overwrite, watch=progress.row)
    except KeyboardInterrupt:
        say(
            f"stopped and saved; go on with: vaelab lab --out {out}{' --quick' if quick else ''} --seed {seed} --resume"
        )
        raise typer.Exit(130) from None
    print_table(*models_table(members))
    sys.stdout.flush()
    print(f"report: {write_lab(out, members, quick)} ({(time.perf_counter() - started) / 60:.1f} minutes)")


def show_settings(model: ModelName) -> None:
    """List the settings of a model with their defaults, as the words that set them."""
    from vaelab.settings import resolve, words

    print("\n".join(words(resolve(model), unset=True)))

"""The command that trains a model, and the one that lists its settings."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vaelab.cli.options import (
    ColumnsFile,
    Drop,
    GroupColumn,
    Json,
    LabelColumn,
    ModelName,
    Overwrite,
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
    require_no_data,
)
from vaelab.cli.output import is_rank_zero, print_json, print_text, say
from vaelab.cli.usage import say_next

if TYPE_CHECKING:
    from vaelab.runs import Run
    from vaelab.settings import Settings
    from vaelab.training import FitResult

__all__ = ["show_settings", "train"]


def train(
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
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Run directory  [default: runs/MODEL]")] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="Seed of everything random  [default: 0]")] = None,
    device: Annotated[str | None, typer.Option(metavar="NAME", help="auto, cpu or cuda  [default: auto]")] = None,
    precision: Annotated[
        str | None, typer.Option(metavar="NAME", help="auto, float32 or bfloat16  [default: auto]")
    ] = None,
    compiled: Annotated[bool, typer.Option("--compile", help="Compile the step: slow start, then faster.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Continue from the last checkpoint.")] = False,
    overwrite: Overwrite = False,
    rank_timeout: Annotated[float, typer.Option(metavar="S", help="Longest wait for other ranks.")] = 600.0,
    tensorboard: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Also write the log for TensorBoard here.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Train a model into a run directory.

    Settings are key=value words, such as latent_dim=2 steps=1000; a file may hold them too, and words win over
    the file. vaelab settings MODEL lists them. Under torchrun all ranks train one model.
    """
    from vaelab import training
    from vaelab.cli.progress import TrainingProgress
    from vaelab.settings import resolve

    require_no_data("train", model)
    read = reading(locals())
    layers = layers_of("train", settings, data=data, **read, seed=seed, device=device)
    engine = {"precision": precision, "compile": compiled or None}
    layers += [{"training": {key: value for key, value in engine.items() if value is not None}}]
    resolved = resolve(model, *layers)
    path = out if out is not None else Path("runs") / model

    board = None if tensorboard is None or not is_rank_zero() else training.TensorBoardLog(tensorboard)

    def show(row: dict[str, Any]) -> None:
        progress.row(path.name, row)
        if board is not None:
            board(row)

    with TrainingProgress() as progress:
        how: dict[str, Any] = {"resume": resume, "overwrite": overwrite, "rank_timeout": rank_timeout}
        run, result = training.train(resolved, path, **how, callback=show)
    if is_rank_zero():
        _say_result(resolved, run, result, path, as_json)
    if result.signal is not None and result.stop_reason == "interrupted":
        raise typer.Exit(128 + result.signal)


def _say_result(resolved: Settings, run: Run, result: FitResult, path: Path, as_json: bool) -> None:
    """Print how a training ended, and what to type next."""
    from vaelab.training.result import objective_label

    counts = "training" in resolved.absent
    if as_json:
        print_json({"run": str(run.path), **result.to_dict()})
        return
    if result.stop_reason == "interrupted":
        again = shlex.join(word for word in sys.argv[1:] if word not in ("--resume", "--overwrite"))
        if counts:
            say(f"stopped in pass {result.steps:,}, whose weights are kept; to start again: vaelab {again} --overwrite")
            return
        say(f"stopped and saved at step {result.steps:,}; go on with: vaelab {again} --resume")
        return
    label = objective_label(result.history)
    unit = "pass" if counts else "step"
    best = f"best validation {label} {result.best_bound:.2f} nats at {unit} {result.best_step:,}"
    say(f"{path}: {best}, {result.seconds:.0f} s")
    chosen = getattr(run.settings, "likelihood", None)
    if getattr(resolved, "likelihood", None) == "auto" and chosen != "bernoulli":
        kind = "a table of bits with so many rows" if chosen == "tree" else "columns of these kinds"
        say(f"likelihood: {chosen}, as auto chooses for {kind}")
    if result.verdict is not None:
        say(result.verdict.sentence)
    if result.warning:
        say(f"warning: {result.warning}")
    say_next("train", run=path)


def show_settings(
    model: Annotated[str | None, typer.Argument(metavar="MODEL", help="A model; without one, list all names.")] = None,
) -> None:
    """List the settings of a model with their defaults.

    Without a model, list the names of the models and of their parts.
    """
    from vaelab.estimators import ESTIMATORS
    from vaelab.likelihoods import LIKELIHOODS
    from vaelab.models import MODELS
    from vaelab.networks import NETWORKS
    from vaelab.objectives import OBJECTIVES
    from vaelab.posteriors import REAL_POSTERIORS
    from vaelab.priors import BIT_PRIORS, POINT_PRIORS, REAL_PRIORS
    from vaelab.settings import resolve, words

    if model is not None:
        print("\n".join(words(resolve(model), unset=True)))
        say_next("settings", model=model)
        return
    tables: dict[str, Iterable[str]] = {
        "models": MODELS,
        "networks": NETWORKS,
        "priors of real codes": REAL_PRIORS,
        "priors of bits": BIT_PRIORS,
        "priors of an auto-encoder (a training fits the mixture alone, fit-prior both)": POINT_PRIORS,
        "posteriors of real codes": REAL_POSTERIORS,
        "likelihoods": LIKELIHOODS,
        "objectives": OBJECTIVES,
        "estimators": ESTIMATORS,
    }
    for kind, table in tables.items():
        print_text(f"{kind}: {', '.join(table)}")
    say_next("settings", model="MODEL")

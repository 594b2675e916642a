"""Commands that measure the gradient estimators of a run, and the tightness of its bounds."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from vaelab.cli.options import DataFile, Json, Overwrite, RunPath
from vaelab.cli.output import going_on, print_json, print_table, print_text, require_target, write
from vaelab.cli.usage import say_next

__all__ = ["gradients", "tightness"]


def gradients(
    run: RunPath,
    draws: Annotated[int, typer.Option(metavar="N", help="Estimates from each estimator.")] = 200,
    rows: Annotated[int, typer.Option(metavar="N", help="Observations in the batch.")] = 100,
    samples: Annotated[int, typer.Option(metavar="K", help="Codes for each observation.")] = 4,
    split: Annotated[str, typer.Option(metavar="NAME", help="train, validation or test.")] = "train",
    estimator: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="An estimator; repeatable  [default: all]")
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Leave an estimator out; repeatable.")
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of the batch and of all draws.")] = 0,
    data: DataFile = None,
    out: Annotated[Path | None, typer.Option(metavar="PNG", help="The figure  [default: in RUN/figures]")] = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Measure the bias, variance and cost of the gradient estimators on a run.

    The weights stay as they are. The numbers are kept in RUN/gradients.json.
    """
    from vaelab.cli.progress import WorkProgress
    from vaelab.models import require_latent
    from vaelab.report import GRADIENT_HEADER, gradient_figure, gradient_notes, gradient_table
    from vaelab.runs import Run
    from vaelab.studies.gradients import measure_gradients

    opened = Run(run)
    read = () if data is None else (data,)
    target = require_target(out, run / "figures" / "gradients.png", (".png",), overwrite, read or opened.data_places())
    loaded, observed = opened.load(), opened.load_data(*read)
    with WorkProgress(f"measuring {opened.name}") as progress:
        result = measure_gradients(
            require_latent(loaded.model, "gradients"),
            opened.settings.build_objective(),
            observed.split(split).observations(),
            draws=draws,
            rows=rows,
            samples=samples,
            estimators=estimator,
            without=without or (),
            learning_rate=opened.settings.training.learning_rate or 1e-3,
            seed=seed,
            callback=progress,
        )
    result |= {
        "weights": loaded.weights,
        "data": opened.settings.data,
        "split": split,
        "binarisation": opened.binarisation,
    }
    try:
        if as_json:
            print_json({"run": str(run), **result})
        else:
            print_table(GRADIENT_HEADER, gradient_table(result))
            for note in gradient_notes(result):
                print_text(note)
        sys.stdout.flush()
    finally:
        with going_on(f"the numbers were not kept in {run / 'gradients.json'}"):
            opened.save_gradients(result, loaded.weights)
    if any(row["variance"] > 0 for row in result["estimators"]):
        with going_on("the figure was not written"):
            write(target, gradient_figure(result))
    if not as_json:
        measured = [row for row in result["estimators"] if not row["biased"]] or result["estimators"]
        quietest = min(measured, key=lambda row: float(row["variance"]))
        say_next("gradients", model=opened.settings.model, estimator=quietest["estimator"])


def tightness(
    run: RunPath,
    rows: Annotated[int, typer.Option(metavar="N", help="Test observations to measure on.")] = 1000,
    steps: Annotated[int, typer.Option(metavar="N", help="Steps of each recognition network.")] = 2000,
    samples: Annotated[int, typer.Option(metavar="K", help="K of the importance-weighted bound.")] = 100,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of all draws.")] = 0,
    data: DataFile = None,
    out: Annotated[Path | None, typer.Option(metavar="PNG", help="The figure  [default: in RUN/figures]")] = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Measure how far the bounds of a belief network lie below log p(x).

    The network has at most 20 bits, so that log p(x) can be summed. The weights of prior and likelihood stay as they
    are; each recognition network is trained anew. The numbers are kept in RUN/tightness.json.
    """
    from vaelab.cli.progress import WorkProgress
    from vaelab.models import require_latent
    from vaelab.report import TIGHTNESS_HEADER, tightness_figure, tightness_notes, tightness_table
    from vaelab.runs import Run
    from vaelab.studies.tightness import measure_tightness

    opened = Run(run)
    read = () if data is None else (data,)
    target = require_target(out, run / "figures" / "tightness.png", (".png",), overwrite, read or opened.data_places())
    loaded = opened.load()
    with WorkProgress(f"measuring {opened.name}") as progress:
        result = measure_tightness(
            require_latent(loaded.model, "tightness"),
            opened.load_data(*read),
            rows=rows,
            steps=steps,
            samples=samples,
            encoder_dims=getattr(opened.settings, "encoder_dims", None) or (),
            seed=seed,
            callback=progress,
        )
    result |= {"weights": loaded.weights, "data": opened.settings.data, "binarisation": opened.binarisation}
    try:
        if as_json:
            print_json({"run": str(run), **result})
        else:
            print_table(TIGHTNESS_HEADER, tightness_table(result))
            for note in tightness_notes(result):
                print_text(note)
        sys.stdout.flush()
    finally:
        with going_on(f"the numbers were not kept in {run / 'tightness.json'}"):
            opened.save_tightness(result, loaded.weights)
    with going_on("the figure was not written"):
        write(target, tightness_figure(result))
    if not as_json:
        say_next("tightness", run=run)

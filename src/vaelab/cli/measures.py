"""Commands that measure what a run has learned: its gradient estimators, and the tightness of its bounds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vaelab.cli.options import Json, RunPath
from vaelab.output import print_json, print_table, require_target, write

__all__ = ["gradients", "tightness"]


def gradients(
    run: RunPath,
    draws: Annotated[int, typer.Option(help="Estimates from each estimator.")] = 200,
    rows: Annotated[int, typer.Option(help="Observations in the batch.")] = 100,
    samples: Annotated[int, typer.Option(help="K; where it does not suit an estimator, the next that does.")] = 4,
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "train",
    estimator: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Which to measure; repeatable  [default: all]")
    ] = None,
    without: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Which to leave out; repeatable.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the batch and of every draw.")] = 0,
    out: Annotated[Path | None, typer.Option(help="A .png file  [default: RUN/figures/gradients.png]")] = None,
    as_json: Json = False,
) -> None:
    """Measure every gradient estimator on a frozen run: bias, variance and cost; kept in RUN/gradients.json."""
    from vaelab.data import observations
    from vaelab.evaluation.gradients import measure_gradients
    from vaelab.progress import WorkProgress
    from vaelab.report import GRADIENT_HEADER, gradient_figure, gradient_notes, gradient_table
    from vaelab.runs import Run

    target = require_target(out, run / "figures" / "gradients.png", (".png",))
    opened = Run(run)
    with WorkProgress(f"measuring {run.name}") as progress:
        result = measure_gradients(
            opened.load_model(),
            opened.settings.build_objective(),
            observations(opened.load_data(), split, opened.settings.binarisation),
            draws=draws,
            rows=rows,
            samples=samples,
            estimators=estimator,
            without=without or (),
            learning_rate=opened.settings.training.learning_rate,
            seed=seed,
            watch=progress,
        )
    result |= {"data": opened.settings.data, "split": split, "binarisation": opened.settings.binarisation}
    opened.save_gradients(result)
    if any(row["variance"] > 0 for row in result["estimators"]):
        write(target, gradient_figure(result))
    if as_json:
        print_json({"run": str(run), **result})
        return
    print_table(GRADIENT_HEADER, gradient_table(result))
    print("\n".join(gradient_notes(result)))


def tightness(
    run: RunPath,
    rows: Annotated[int, typer.Option(help="Test observations to measure on.")] = 1000,
    steps: Annotated[int, typer.Option(help="Training of each recognition network.")] = 2000,
    samples: Annotated[int, typer.Option(help="K of the importance-weighted bound.")] = 100,
    seed: Annotated[int, typer.Option(help="Seed of everything drawn.")] = 0,
    out: Annotated[Path | None, typer.Option(help="A .png file  [default: RUN/figures/tightness.png]")] = None,
    as_json: Json = False,
) -> None:
    """Measure how far the bounds of every inference lie below the exact log p(x) of a belief network of few bits.

    The weights of prior and likelihood stay as they are; each recognition network is trained anew on them. Kept in
    RUN/tightness.json.
    """
    from vaelab.progress import WorkProgress
    from vaelab.report import TIGHTNESS_HEADER, tightness_figure, tightness_notes, tightness_table
    from vaelab.runs import Run
    from vaelab.training import measure_tightness

    target = require_target(out, run / "figures" / "tightness.png", (".png",))
    opened = Run(run)
    with WorkProgress(f"measuring {run.name}") as progress:
        result = measure_tightness(
            opened.load_model(),
            opened.load_data(),
            binarisation=opened.settings.binarisation,
            rows=rows,
            steps=steps,
            samples=samples,
            encoder_dims=getattr(opened.settings, "encoder_dims", None) or (),
            seed=seed,
            watch=progress,
        )
    result |= {"data": opened.settings.data, "binarisation": opened.settings.binarisation}
    opened.save_tightness(result)
    write(target, tightness_figure(result))
    if as_json:
        print_json({"run": str(run), **result})
        return
    print_table(TIGHTNESS_HEADER, tightness_table(result))
    print("\n".join(tightness_notes(result)))

"""The command that runs a whole study."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vaelab.cli.options import (
    ColumnsFile,
    Drop,
    GroupColumn,
    LabelColumn,
    Overwrite,
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
from vaelab.cli.output import print_table, say
from vaelab.cli.usage import say_next
from vaelab.errors import InputError, shown

if TYPE_CHECKING:
    from vaelab.studies.lab import Study

__all__ = ["lab"]


def lab(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where runs, figures and report go.")] = Path("lab"),
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A study: .yaml, .toml or .json  [default: by data]")
    ] = None,
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
    quick: Annotated[bool, typer.Option("--quick", help="Every part, smaller, for a first look.")] = False,
    seed: Annotated[int | None, typer.Option(metavar="N", help="Seed of everything random  [default: 0]")] = None,
    device: Annotated[str | None, typer.Option(metavar="NAME", help="auto, cpu or cuda  [default: auto]")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue where it was stopped.")] = False,
    overwrite: Overwrite = False,
    print_config: Annotated[
        bool, typer.Option("--print-config", help="Print the study for the data; run nothing.")
    ] = False,
) -> None:
    """Run a whole study: several models on one data set, all figures, one report.

    Without --config the study is one for the data: images such as MNIST, a table of bits, or a table of several kinds
    of columns. --print-config prints its file, to change and to run with --config.
    """
    import time

    from vaelab.cli.progress import TrainingProgress
    from vaelab.report import models_table
    from vaelab.studies.lab import run_lab, write_lab

    if print_config and config is not None:
        raise InputError(
            f"config: expected none with --print-config, which prints the study for the data; got {shown(str(config))}"
        )
    started = time.perf_counter()
    given = {"data": data, **reading(locals()), "seed": seed, "device": device}
    study, text = _study(config, {name: value for name, value in given.items() if value is not None})
    if print_config:
        print(text, end="")
        return
    try:
        with TrainingProgress() as progress:
            members = run_lab(study, out, quick=quick, resume=resume, overwrite=overwrite, watch=progress.row)
    except KeyboardInterrupt:
        again = shlex.join(word for word in sys.argv[1:] if word not in ("--resume", "--overwrite"))
        say(f"stopped and saved; go on with: vaelab {again} --resume")
        raise typer.Exit(130) from None
    print_table(*models_table(members))
    sys.stdout.flush()
    report = write_lab(study, out, members, quick)
    print(f"report: {report} ({(time.perf_counter() - started) / 60:.1f} minutes)")
    say_next("lab", run=members[0].run.path)


def _study(config: Path | None, given: dict[str, Any]) -> tuple[Study, str]:
    """Return the study of a file, or else that for the data, with the settings of the command; and its file."""
    import json

    from vaelab.settings import resolve
    from vaelab.studies.lab import packaged_study, read_study

    if config is not None:
        return read_study(config).on(given), config.read_text("utf-8")
    study, text = packaged_study(resolve("gaussian-vae", given).load_data().spec)
    return study.on(given), f"{text}\nsettings: {json.dumps({'data': 'mnist', **given})}  # of every model\n"

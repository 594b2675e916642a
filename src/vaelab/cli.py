"""The command line. Every command imports what it needs when it runs, so that help is instant."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from vaelab import __version__
from vaelab.measures import Json, RunPath, gradients, tightness
from vaelab.output import print_json, print_table, require_target, say, write, write_arrays
from vaelab.refusals import Refusal

if TYPE_CHECKING:
    from vaelab.runs import Run

__all__ = ["app", "main"]

app = typer.Typer(
    help="Fit, check, compare and explore deep latent-variable models of binary data.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")]
Kind = Literal["mean", "mode", "draw"]


def main() -> None:
    """Run the command line: exit code 0 done, 1 failed, 2 bad usage or bad input, 128 + n stopped by signal n."""
    signal.signal(signal.SIGTERM, _terminated)
    debug = "--debug" in sys.argv
    arguments = [word for word in sys.argv[1:] if word != "--debug"]
    try:
        code = app(arguments, prog_name="vaelab", standalone_mode=False)
    except KeyboardInterrupt:
        say("interrupted")
        code = 130
    except Exception as error:
        if debug:
            raise
        code = _explain(error)
    sys.exit(code or 0)


def _terminated(number: int, frame: FrameType | None) -> None:
    """Leave as schedulers expect, what is open closed on the way out."""
    raise SystemExit(128 + number)


def _explain(error: Exception) -> int:
    """Say in one sentence what went wrong, and return the exit code."""
    usage = getattr(error, "format_message", None)  # typer's usage errors
    if usage is not None:
        say(f"error: {usage()}; see vaelab --help".replace(".;", ";"))
        return 2
    if isinstance(error, typer.Abort):
        return 130
    if isinstance(error, Refusal):
        say(f"error: {error}")
        return 2
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        say(f"error: {where}{error.strerror or error}; what was written before is intact")
        return 1
    name = "" if isinstance(error, RuntimeError) else f"{type(error).__name__}: "
    text = (str(error).splitlines() or [""])[0]
    say(f"error: {name}{text}" + ("" if _expected(error) else " (--debug shows where)"))
    return 1


def _expected(error: Exception) -> bool:
    return type(error).__name__ in ("Diverged", "LabFailed")


@app.callback(invoke_without_command=True)
def _options(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks (may stand anywhere).")] = False,
) -> None:
    if version:
        print(f"vaelab {__version__}")
        raise typer.Exit


@app.command()
def train(
    model: Annotated[str, typer.Argument(help="gaussian-vae, bernoulli-vae, sbn, deep-gaussian-vae or autoencoder.")],
    settings: Annotated[
        list[str] | None, typer.Argument(metavar="[CONFIG] [KEY=VALUE]...", help="A .yaml or .toml file; settings.")
    ] = None,
    data: Annotated[str | None, typer.Option(help="A named data set or a file  [default: mnist]")] = None,
    out: Annotated[Path | None, typer.Option(help="Run directory  [default: runs/MODEL]")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything random  [default: 0]")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda  [default: auto]")] = None,
    precision: Annotated[
        str | None, typer.Option(help="Of matrix products: auto, float32, bfloat16  [default: auto]")
    ] = None,
    compiled: Annotated[bool, typer.Option("--compile", help="Compile the step: a slow start, then faster.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")] = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Train a model into a run directory.

    Settings are key=value words, such as latent_dim=2 training.epochs=10 estimator.samples=8; a file may hold
    them too, and words win over the file.
    """
    from vaelab import training
    from vaelab.progress import TrainingProgress
    from vaelab.settings import parse_overrides, read_config, resolve

    words = list(settings or [])
    files = [word for word in words if "=" not in word]
    if len(files) > 1:
        raise Refusal(f"train: expected at most one config file, then key=value words; got {' '.join(files)}")
    flags = {"data": data, "seed": seed, "device": device}
    layers = [read_config(Path(file)) for file in files]
    layers += [parse_overrides([word for word in words if "=" in word])]
    layers += [{key: value for key, value in flags.items() if value is not None}]
    engine = {"precision": precision, "compile": compiled or None}
    layers += [{"training": {key: value for key, value in engine.items() if value is not None}}]
    resolved = resolve(model, *layers)
    path = out if out is not None else Path("runs") / model

    with TrainingProgress() as progress:
        run, fitted = training.train(
            resolved, path, resume=resume, overwrite=overwrite, watch=lambda row: progress.row(path.name, row)
        )
    if as_json:
        print_json({"run": str(run.path), **fitted.__dict__, "best": fitted.best if fitted.best_step else None})
    elif fitted.ended == "interrupted":
        again = " ".join(word for word in sys.argv[1:] if word not in ("--resume", "--overwrite"))
        say(f"stopped and saved at step {fitted.steps:,}; go on with: vaelab {again} --resume")
    else:
        label = "reconstruction" if resolved.objective["name"] == "reconstruction" else "bound"
        best = f"best validation {label} {fitted.best:.2f} nats at step {fitted.best_step:,}"
        say(f"{path}: {best}, {fitted.seconds:.0f} s")
    if fitted.signal is not None and fitted.ended == "interrupted":
        raise typer.Exit(128 + fitted.signal)


@app.command()
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


@app.command()
def sample(
    run: RunPath,
    n: Annotated[int, typer.Option("-n", help="How many.")] = 100,
    kind: Annotated[Kind, typer.Option(help="Means of p(x|z), its most probable images, or draws.")] = "mean",
    out: Annotated[Path | None, typer.Option(help=".png or .npz  [default: RUN/figures/samples-KIND.png]")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the codes drawn.")] = 0,
) -> None:
    """Draw observations from a run's model, as an image or as arrays."""
    from vaelab import plots
    from vaelab.report import Member
    from vaelab.runs import Run

    member = Member(run.name, Run(run))
    target = require_target(out, run / "figures" / f"samples-{kind}.png", (".png", ".npz"))
    drawn = member.model.sample(n, kind, seed)
    if target.suffix == ".npz":
        write_arrays(target, {"x": drawn.numpy()})
    else:
        columns = max(1, round(n**0.5))
        write(target, plots.png(plots.image_grids({f"{run.name}: {kind}": member.images(drawn)}, columns)))


@app.command()
def reconstruct(
    run: RunPath,
    n: Annotated[int, typer.Option("-n", help="How many observations.")] = 12,
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "test",
    out: Annotated[Path | None, typer.Option(help=".png or .npz  [default: RUN/figures/reconstructed.png]")] = None,
) -> None:
    """Show observations above what the model makes of them."""
    from vaelab import plots
    from vaelab.data import observations
    from vaelab.refusals import require_int
    from vaelab.report import Member
    from vaelab.runs import Run

    require_int("n", n, 1)
    member = Member(run.name, Run(run))
    target = require_target(out, run / "figures" / "reconstructed.png", (".png", ".npz"))
    x = observations(member.data, split, member.run.settings.binarisation).bits(slice(0, n))
    decoded = member.model.reconstruct(x)
    if target.suffix == ".npz":
        write_arrays(target, {"x": x.numpy(), "reconstruction": decoded.numpy()})
    else:
        rows = {split: member.images(x), run.name: member.images(decoded)}
        write(target, plots.png(plots.reconstructions(rows)))


@app.command()
def encode(
    run: RunPath,
    out: Annotated[Path, typer.Option(help="An .npz file.")],
    data: Annotated[str | None, typer.Option(help="A named data set or a file  [default: the run's data]")] = None,
    split: Annotated[str | None, typer.Option(help="Which split; a file of one array is encoded whole.")] = None,
) -> None:
    """Write the codes of data: posterior means, and what else the model knows of each code."""
    from vaelab.runs import Run
    from vaelab.transform import encode as encode_rows

    target = require_target(out, out, (".npz",))
    opened = Run(run)
    write_arrays(target, encode_rows(opened, data if data is not None else opened.settings.data, split))


@app.command()
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


app.command()(gradients)
app.command()(tightness)


@app.command()
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

    from vaelab.lab import run_lab
    from vaelab.progress import TrainingProgress
    from vaelab.report import HEADER, models_table

    started = time.perf_counter()
    options: dict[str, Any] = {"quick": quick, "seed": seed, "device": device}
    try:
        with TrainingProgress() as progress:
            page, members = run_lab(out, **options, resume=resume, overwrite=overwrite, watch=progress.row)
    except KeyboardInterrupt:
        say(
            f"stopped and saved; go on with: vaelab lab --out {out}{' --quick' if quick else ''} --seed {seed} --resume"
        )
        raise typer.Exit(130) from None
    print_table(HEADER, models_table(members))
    print(f"report: {page} ({(time.perf_counter() - started) / 60:.1f} minutes)")


@app.command("data")
def show_data(
    name: Annotated[str | None, typer.Argument(metavar="[NAME|FILE]", help="A named data set or a file.")] = None,
    as_json: Json = False,
) -> None:
    """Say what is in a data set: shape, range, binary or grey, splits; without a name, list the sets."""
    from vaelab.data import DATASETS, describe, load_data

    if name is None:
        described = {known: describe(load_data(known)) for known in DATASETS}
    else:
        described = {name: describe(load_data(name))}
    if as_json:
        print_json(described if name is None else described[name])
        return
    for key, facts in described.items():
        print(key)
        for fact, value in facts.items():
            print(f"  {fact:14}{value}")

"""The command line. Every command imports what it needs when it runs, so that help is instant."""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import Annotated

import typer

from vaelab import __version__
from vaelab.cli.evaluation import compare, evaluate
from vaelab.cli.measures import gradients, tightness
from vaelab.cli.observations import encode, reconstruct, sample, show_data
from vaelab.cli.sweeps import sweep
from vaelab.cli.training import lab, train
from vaelab.output import say
from vaelab.refusals import Refusal

__all__ = ["app", "main"]

app = typer.Typer(
    help="Fit, check, compare and explore deep latent-variable models of binary data.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

for command in (train, evaluate, sample, reconstruct, encode, compare, sweep, gradients, tightness, lab):
    app.command()(command)
app.command("data")(show_data)


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
    if getattr(error, "of_rank_0", False):  # which says it itself
        return 2 if isinstance(error, Refusal) else 1
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
    return type(error).__name__ in ("Diverged", "LabFailed", "Lost")


@app.callback(invoke_without_command=True)
def _options(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks (may stand anywhere).")] = False,
) -> None:
    if version:
        print(f"vaelab {__version__}")
        raise typer.Exit

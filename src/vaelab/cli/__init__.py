"""The command line. Every command imports what it needs when it runs, so that help is instant."""

from __future__ import annotations

import errno
import signal
import sys
from types import FrameType
from typing import Annotated

import typer

from vaelab import __version__
from vaelab.cli.data import show_data
from vaelab.cli.diagnosing import diagnose
from vaelab.cli.evaluation import compare, evaluate
from vaelab.cli.exploring import explore
from vaelab.cli.exporting import export
from vaelab.cli.fitting_prior import fit_prior
from vaelab.cli.imputing import impute
from vaelab.cli.measures import gradients, tightness
from vaelab.cli.observations import encode, reconstruct, sample
from vaelab.cli.output import announce_loading, say
from vaelab.cli.streams import abandon_broken, write_any_text
from vaelab.cli.studying import lab
from vaelab.cli.suggesting import suggest
from vaelab.cli.sweeps import sweep
from vaelab.cli.training import show_settings, train
from vaelab.cli.usage import COMMANDS, NEXT, Commands, usage_error
from vaelab.errors import Failure, InputError, ReportedOnRankZero, shown

__all__ = ["app", "main"]

app = typer.Typer(
    help="Fit, check, compare and explore deep latent-variable models of binary data.",
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

_NAMES = {fit_prior: "fit-prior", show_data: "data", show_settings: "settings"}
for command in (
    *(train, evaluate, diagnose, explore, sample, reconstruct, encode, impute, fit_prior, export, compare),
    *(suggest, sweep, gradients, tightness, lab, show_data, show_settings),
):
    name = _NAMES.get(command, command.__name__)
    app.command(name, short_help=COMMANDS[name].does, epilog=f"Example: {COMMANDS[name].example}")(command)


_WRONG_PATH = (errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR)  # of a path that a user wrote


def main() -> None:
    """Run the command line: exit code 0 done, 1 failed, 2 bad usage or bad input, 128 + n stopped by signal n."""
    write_any_text()
    signal.signal(signal.SIGTERM, _terminated)
    debug = "--debug" in sys.argv
    arguments = [word for word in sys.argv[1:] if word != "--debug"]
    if arguments[:1] == ["help"]:
        arguments = [*arguments[1:2], "--help"]
    code = _run(arguments, debug)
    abandon_broken()  # otherwise Python flushes them again at exit, and reports an error
    sys.exit(code)


def _run(arguments: list[str], debug: bool) -> int:
    try:
        code = app(arguments, prog_name="vaelab", standalone_mode=False) or 0
        if sys.stdout is not None:
            sys.stdout.flush()  # here, where a full disk is reported in one sentence
        return int(code)
    except KeyboardInterrupt:
        say("interrupted")
        return 130
    except Exception as error:
        if isinstance(error, BrokenPipeError) and abandon_broken():
            return 1
        if debug:
            raise
        return _explain(error)


def _terminated(number: int, frame: FrameType | None) -> None:
    """Exit with the code that schedulers expect, and close open files."""
    raise SystemExit(128 + number)


def _explain(error: Exception) -> int:
    """Print an error as one sentence, and return the exit code."""
    if isinstance(error.__cause__, ReportedOnRankZero):
        return 2 if isinstance(error, InputError) else 1
    if hasattr(error, "format_message"):  # typer's usage errors
        say(f"error: {usage_error(error)}")
        return 2
    if isinstance(error, typer.Abort):
        say("interrupted")
        return 130
    if isinstance(error, InputError):
        say(f"error: {error}")
        return 2
    if isinstance(error, OSError):
        where = f"{shown(error.filename)}: " if error.filename else ""
        if error.errno in _WRONG_PATH:
            say(f"error: {where}{error.strerror}")
            return 2
        say(f"error: {where}{error.strerror or error}; what was written before is intact")
        return 1
    text = (str(error).splitlines() or [""])[0]
    if isinstance(error, MemoryError) or "out of memory" in text or "can't allocate memory" in text:
        say("error: there is not enough memory; smaller samples, batches, rows or networks need less")
        return 1
    name = "" if isinstance(error, RuntimeError) else f"{type(error).__name__}: "
    say(f"error: {name}{text}" + ("" if isinstance(error, Failure) else " (--debug shows where)"))
    return 1


@app.callback(invoke_without_command=True)
def _options(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks (may stand anywhere).")] = False,
) -> None:
    if version:
        print(f"vaelab {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is not None and not {"-h", "--help"} & set(sys.argv):
        announce_loading(context.invoked_subcommand)
    if context.invoked_subcommand is None:
        print(f"{context.get_help()}\n\n{NEXT}")

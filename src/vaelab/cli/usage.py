"""The table of commands, what to type after each, and the errors for wrong command lines."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Any

from typer import Abort
from typer.core import TyperGroup

from vaelab.cli.output import say
from vaelab.errors import InputError, did_you_mean, shown

__all__ = ["COMMANDS", "NEXT", "Command", "Commands", "say_next", "usage_error"]


@dataclass(frozen=True)
class Command:
    """A row of the table of commands: what it does, an example, where the result is written, and what to type next.

    In ``then`` stand names in braces that the command fills in. ``also`` holds other words that people use for it.
    """

    does: str
    example: str
    result: str
    then: str
    also: str = ""


_RUN_FIGURE = "`RUN/figures/{}.png`, or `--out` (`.png`, `.npz`)"
COMMANDS = {
    "train": Command(
        "Train a model into a run directory.",
        "vaelab train gaussian-vae latent_dim=20 --out runs/g",
        "the run directory: `runs/MODEL`, or `--out`",
        "vaelab evaluate {run}",
        "fit learn run",
    ),
    "evaluate": Command(
        "Print bounds and active units of a run; write a report.",
        "vaelab evaluate runs/g --samples 100",
        "`RUN/evaluation.json`, `RUN/report.html`, `RUN/figures/`",
        "vaelab explore {run}",
        "eval test score validate",
    ),
    "diagnose": Command(
        "Say what the code of a run does, with advice.",
        "vaelab diagnose runs/g",
        "`RUN/diagnostics.json`, `RUN/report.html`, `RUN/figures/`",
        "vaelab explore {run}",
        "check inspect debug doctor",
    ),
    "explore": Command(
        "Walk the codes of a run in a browser: one HTML page.",
        "vaelab explore runs/g",
        "`RUN/explorer.html`, or the `.html` that `--out` names",
        "vaelab sample {run}",
        "view show browse app dashboard",
    ),
    "sample": Command(
        "Draw observations from the model of a run.",
        "vaelab sample runs/g -n 64 --out samples.png",
        _RUN_FIGURE.format("samples-KIND"),
        "vaelab reconstruct {run}",
        "generate draw",
    ),
    "reconstruct": Command(
        "Show observations above their reconstructions.",
        "vaelab reconstruct runs/g",
        _RUN_FIGURE.format("reconstructed"),
        "vaelab encode {run} --out codes.npz",
        "decode",
    ),
    "encode": Command(
        "Write the codes of data to a file.",
        "vaelab encode runs/g --out codes.npz",
        "the `.npz` that `--out` names",
        "python -c \"import numpy; print(numpy.load('{out}')['codes'])\"",
        "transform embed predict",
    ),
    "impute": Command(
        "Fill the missing values of a table.",
        "vaelab impute runs/g --data answers.csv --out filled.csv",
        "the `.csv` or `.npz` that `--out` names",
        "vaelab evaluate {run}",
        "fill missing",
    ),
    "fit-prior": Command(
        "Fit a prior to the codes of a run, ex post.",
        "vaelab fit-prior runs/g --prior mixture --out g-mixture",
        "the saved model that `--out` names",
        "vaelab evaluate {run}",
        "expost ex-post density prior",
    ),
    "export": Command(
        "Write the model of a run for other programs.",
        "vaelab export runs/g --format onnx --out digits-onnx",
        "the directory that `--out` names",
        "vaelab evaluate {run}",
        "convert deploy onnx ship",
    ),
    "compare": Command(
        "Compare runs on the test split in one table.",
        "vaelab compare runs/g runs/b",
        "the terminal; with `--out`, a report and figures",
        "vaelab evaluate {run} --samples 5000",
    ),
    "sweep": Command(
        "Train with every combination of settings.",
        "vaelab sweep gaussian-vae latent_dim=[2,10,20]",
        "`sweeps/MODEL`, or `--out`",
        "vaelab evaluate {run}",
        "grid search tune optimize optimise",
    ),
    "suggest": Command(
        "Try simple and deep models; recommend one.",
        "vaelab suggest answers.csv --seconds 180",
        "`suggestions/NAME`, or `--out`",
        "vaelab evaluate {run}",
        "recommend auto automl choose baselines",
    ),
    "gradients": Command(
        "Measure the gradient estimators on a run.",
        "vaelab gradients runs/b",
        "`RUN/gradients.json`, `RUN/figures/`",
        "vaelab train {model} estimator.name={estimator}",
    ),
    "tightness": Command(
        "Measure how far bounds lie below log p(x).",
        "vaelab tightness runs/small-sbn",
        "`RUN/tightness.json`, `RUN/figures/`",
        "vaelab evaluate {run} --bound exact",
    ),
    "lab": Command(
        "Run a study of several models; one report.",
        "vaelab lab --quick",
        "`lab/report.html`, `lab/explorer.html`, `lab/figures/`, `lab/runs/`",
        "vaelab evaluate {run} --samples 5000",
        "study demo course",
    ),
    "data": Command(
        "Describe a data set or a file.",
        "vaelab data mnist",
        "the terminal",
        "vaelab train gaussian-vae --data {data}",
        "dataset datasets info",
    ),
    "settings": Command(
        "List the settings of a model.",
        "vaelab settings gaussian-vae",
        "the terminal",
        "vaelab train {model} steps=500 --out runs/first",
        "options config",
    ),
}
NEXT = (
    "To begin: vaelab train gaussian-vae steps=500 --out runs/first\n"
    "then:     vaelab evaluate runs/first --samples 100\n"
    "Help:     vaelab COMMAND --help"
)


def say_next(command: str, more: str = "", **filled: object) -> None:
    """Print on standard error what to type after a command, with ``more`` at its end."""
    words = {name: shlex.quote(str(value)) for name, value in filled.items()}
    say(f"next: {COMMANDS[command].then.format(**words)}{more}")


class Commands(TyperGroup):
    """The group of commands; an unknown one is refused with the one that is meant."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command; an interrupt that it does not handle ends it as an abort, of which the user is told."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:  # typer would exit without a word
            raise Abort from None

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command by its name, or refuse."""
        if (found := super().get_command(ctx, cmd_name)) is not None:
            return found
        meant = [name for name, row in COMMANDS.items() if cmd_name.lower() in row.also.split()]
        if meant:
            raise InputError(f"command: there is no {shown(cmd_name)}; write vaelab {meant[0]}")
        from vaelab.models import MODELS

        if cmd_name in MODELS:
            raise InputError(f"command: {shown(cmd_name)} is a model; write vaelab train {cmd_name}")
        hint = did_you_mean(cmd_name, COMMANDS) or "; vaelab --help lists the commands"
        raise InputError(f"command: there is no {shown(cmd_name)}{hint}")


def usage_error(error: Any) -> str:
    """Return one sentence about a wrong command line, from typer's usage error."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "vaelab"
    command = path.removeprefix("vaelab").strip()
    help_ = f"see {path} --help"
    option = getattr(error, "option_name", None)
    if option is not None and getattr(error, "possibilities", option) is not option:
        return (
            f"{command or 'vaelab'}: there is no option {shown(option)[1:-1]}{_option_hint(context, command, option)}"
        )
    parameter = getattr(error, "param", None)
    message = " ".join(str(error.format_message()).split()).replace(": Value error, ", ": ")
    if message.startswith("Missing") and parameter is not None:
        name = parameter.metavar or parameter.opts[0]
        wanted = name.upper() if parameter.param_type_name == "argument" else parameter.opts[0]
        return f"{command}: expected {wanted}, as in: {COMMANDS[command].example}"
    message = f"{message[:1].lower()}{message[1:].rstrip('.')}"
    return f"{command + ': ' if command else ''}{message}; {help_}"


def _option_hint(context: Any, command: str, option: str) -> str:
    """Return what to write instead of an option: a setting, a similar option, or the command that lists the options."""
    if command in ("train", "sweep"):
        from vaelab.settings import hint_for_option

        if hint := hint_for_option(option):
            return f"; settings have no dashes: {hint}" if hint.startswith("write") else f"; {hint}"
    known = [name for parameter in context.command.params for name in parameter.opts if name.startswith("--")]
    return did_you_mean(option, known) or f"; see {context.command_path} --help"

"""The commands, an example of each, and the answers to wrong command lines."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup

from vaelab.errors import InputError, did_you_mean, shown

__all__ = ["EXAMPLES", "NEXT", "Commands", "usage_error"]

# Command -> what it does, in the width of a terminal; an example.
EXAMPLES = {
    "train": ("Train a model into a run directory.", "vaelab train gaussian-vae latent_dim=20 --out runs/g"),
    "evaluate": ("Print a run's bounds and active units; write a report.", "vaelab evaluate runs/g --samples 100"),
    "sample": ("Draw observations from a run's model.", "vaelab sample runs/g -n 64 --out samples.png"),
    "reconstruct": ("Show observations above their reconstructions.", "vaelab reconstruct runs/g"),
    "encode": ("Write the codes of data to a file.", "vaelab encode runs/g --out codes.npz"),
    "compare": ("Compare runs on the test split in one table.", "vaelab compare runs/g runs/b"),
    "sweep": ("Train with every combination of settings.", "vaelab sweep gaussian-vae latent_dim=[2,10,20]"),
    "gradients": ("Measure the gradient estimators on a run.", "vaelab gradients runs/b"),
    "tightness": ("Measure how far bounds lie below log p(x).", "vaelab tightness runs/small-sbn"),
    "lab": ("Run the whole study on MNIST; one report.", "vaelab lab --quick"),
    "data": ("Say what is in a data set or a file.", "vaelab data mnist"),
    "settings": ("List the settings of a model.", "vaelab settings gaussian-vae"),
}
NEXT = (
    "To begin: vaelab train gaussian-vae training.steps=500 --out runs/first\n"
    "then:     vaelab evaluate runs/first --samples 100\n"
    "Help:     vaelab COMMAND --help"
)

_OTHER_NAMES = {
    "train": "fit learn run",
    "evaluate": "eval test score validate",
    "sample": "generate draw",
    "encode": "transform embed predict",
    "reconstruct": "decode",
    "sweep": "grid search tune optimize optimise",
    "lab": "study demo",
    "data": "dataset datasets info",
    "settings": "options config",
}


class Commands(TyperGroup):
    """The commands; one that there is not is refused with the one that is meant."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command by its name, or refuse."""
        if (found := super().get_command(ctx, cmd_name)) is not None:
            return found
        meant = [name for name, others in _OTHER_NAMES.items() if cmd_name.lower() in others.split()]
        if meant:
            raise InputError(f"command: there is no {shown(cmd_name)}; write vaelab {meant[0]}")
        from vaelab.models import MODELS

        if cmd_name in MODELS:
            raise InputError(f"command: {shown(cmd_name)} is a model; write vaelab train {cmd_name}")
        hint = did_you_mean(cmd_name, EXAMPLES) or "; vaelab --help lists the commands"
        raise InputError(f"command: there is no {shown(cmd_name)}{hint}")


def usage_error(error: Any) -> str:
    """Return in one sentence what is wrong with a command line, from typer's usage error."""
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
        return f"{command}: expected {wanted}, as in: {EXAMPLES[command][1]}"
    message = f"{message[:1].lower()}{message[1:].rstrip('.')}"
    return f"{command + ': ' if command else ''}{message}; {help_}"


def _option_hint(context: Any, command: str, option: str) -> str:
    """Return what to write instead of an option: a setting, the option that is close, or where to look."""
    if command in ("train", "sweep"):
        from vaelab.settings import hint_for_option

        if hint := hint_for_option(option):
            return f"; settings have no dashes: {hint}" if hint.startswith("write") else f"; {hint}"
    known = [name for parameter in context.command.params for name in parameter.opts if name.startswith("--")]
    return did_you_mean(option, known) or f"; see {context.command_path} --help"

"""The tables of models and of commands, read off the code: `python docs/names_table.py` prints them."""

from __future__ import annotations

import inspect
import re

from vaelab.cli.usage import COMMANDS
from vaelab.models import MODELS, LatentVariableModel
from vaelab.settings import resolve

__all__ = ["commands", "models"]

_WAYS = {"the likelihood": "its gradient", "counts": "passes over all rows"}
_CODES = {"real": "real numbers with noise", "bits": "zeros and ones", "point": "real numbers without noise"}


def commands() -> str:
    """Return a row for each command: what it does, an example, and where it writes the result."""
    rows = [(f"`{name}`", row.does, f"`{row.example}`", row.result) for name, row in COMMANDS.items()]
    return _table(("command", "what it does", "example", "where it writes the result"), rows)


def models() -> str:
    """Return a row for each model: what it is, its kind of code, and with what it is trained by default."""
    rows = []
    for name, row in MODELS.items():
        summary = (inspect.getdoc(row.build) or "").partition("\n")[0].rstrip(".").removeprefix("Build ")
        summary = re.sub(r"`([^`]+)`", r"$\1$", summary)
        model, settings = row.build(6), resolve(name)
        code, defaults = "none", f"log p(x) itself, by {_WAYS.get(row.learns)}"
        if isinstance(model, LatentVariableModel) and settings.objective and settings.estimator:
            code = f"`{model.code}`: {_CODES[model.code]}"
            defaults = f"`{settings.objective['name']}`, `{settings.estimator['name']}`"
        rows.append((f"`{name}`", summary[0].upper() + summary[1:], code, defaults))
    return _table(("model", "what it is", "code", "default objective and estimator"), rows)


def _table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows])


if __name__ == "__main__":
    print(commands(), models(), sep="\n\n")

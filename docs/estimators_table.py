"""The tables of docs/estimators.md and docs/evaluation.md, generated from the code: `python docs/estimators_table.py`.

The content of a row comes from the class of the estimator: its attributes, the arguments of its constructor, and the
first work in its docstring after "Source:".
"""

from __future__ import annotations

import inspect
import re

from vaelab.estimators import ESTIMATORS, Estimator
from vaelab.estimators.baselines import BASELINES
from vaelab.formulae import latex_of
from vaelab.likelihood import BOUNDS
from vaelab.objectives import OBJECTIVES
from vaelab.settings import options_of

HEADER = ("name", "codes", "objectives", "further options", "decodes", "learns", "source")


def estimators() -> str:
    """Return the table of estimators, as Markdown."""
    return _table(HEADER, [_row(kind) for kind in ESTIMATORS.values()])


def objectives() -> str:
    """Return the table of objectives, as Markdown."""
    rows = [
        (f"`{kind.name}`", kind.formula, ", ".join(sorted(kind.codes)), kind.signal_formula, source_of(kind))
        for kind in OBJECTIVES.values()
    ]
    return _table(("objective", "of log-weights $v_k$", "codes", "signal of code $k$", "source"), rows)


def biases() -> str:
    """Return the table of those that are biased, as Markdown."""
    rows = [
        (f"`{kind.name}`", ", ".join(_biased(kind)), _typeset(kind.bias)) for kind in ESTIMATORS.values() if kind.biased
    ]
    return _table(("name", "biased for", "because"), rows)


def baselines() -> str:
    """Return the table of baselines, as Markdown."""
    rows = [
        (
            f"`{kind.name}`",
            kind.subtracts,
            _formula(f"K >= {kind.least_samples}") if kind.least_samples > 1 else "",
            kind.source,
        )
        for kind in BASELINES.values()
    ]
    return _table(("name", "subtracts", "needs", "source"), rows)


def bounds() -> str:
    """Return the table of likelihood estimates, as Markdown."""
    efforts = {None: "", "samples": "-K", "temperatures": "-T"}
    rows = [(f"`{each.name}{efforts[each.named_after]}`", each.formula, each.is_bound) for each in BOUNDS.values()]
    return _table(("name", "formula", "a bound on $\\log p(x)$?"), rows)


def source_of(kind: type[object]) -> str:
    """Return the first work that the docstring names as its source, or nothing."""
    text = " ".join((inspect.getdoc(kind) or "").split())
    found = re.search(r"Sources?: ([^();]+ \(\d{4}\)), (https?://[^\s,;]*[^\s,;.])", text)
    return f"{found[1]}, <{found[2]}>" if found else ""


def _row(kind: type[Estimator]) -> tuple[str, ...]:
    codes = ", ".join(sorted(kind.codes)) + (", `inference=mean-field`" if kind.inference == "mean-field" else "")
    cost = _formula(kind.cost) + (f"; {_formula(kind.cost_of_others)} for all but elbo" if kind.cost_of_others else "")
    options = ", ".join(f"`{option}`" for option in options_of(kind) if option != "samples")
    return f"`{kind.name}`", codes, ", ".join(kind.objectives()), options, cost, kind.learns, source_of(kind)


def _formula(plain: object) -> str:
    latex = latex_of(str(plain)).replace(r"\|", r"\Vert")  # a bar would end the cell
    return f"${latex}$"


def _typeset(text: str) -> str:
    """Return a text with its formulae, which stand between backticks, as LaTeX."""
    return re.sub(r"`([^`]+)`", lambda match: _formula(match[1]), text)


def _biased(kind: type[Estimator]) -> list[str]:
    return [name for name in kind.objectives() if OBJECTIVES[name].combination in kind.biased]


def _table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows])


if __name__ == "__main__":
    print(objectives(), estimators(), biases(), baselines(), bounds(), sep="\n\n")

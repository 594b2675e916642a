"""The table of likelihoods in docs/models.md, generated from the code: `python docs/likelihoods_table.py` prints it.

A row comes from the class: its kinds of columns, and the formula and the source in its docstring.
"""

from __future__ import annotations

import inspect
import re

from estimators_table import source_of

from vaelab.formulae import latex_of
from vaelab.likelihoods import LIKELIHOODS

__all__ = ["markdown"]


def markdown() -> str:
    """Return a row for each likelihood: its columns, formula and source."""
    rows = ["| likelihood | columns | formula | source |", "|---|---|---|---|"]
    for name, build in LIKELIHOODS.items():
        text = " ".join((inspect.getdoc(build) or "").split())
        found = re.search(r"Formula: `([^`]+)`", text)
        formula = "$" + latex_of(found[1]).replace(r"\|", r"\Vert").replace("|", r"\mid ") + "$" if found else ""
        kinds = ", ".join(f"`{kind}`" for kind in getattr(build, "kinds", ()))
        source = source_of(build) if inspect.isclass(build) else ""
        rows.append(f"| `{name}` | {kinds} | {formula} | {source} |")
    return "\n".join(rows)


if __name__ == "__main__":
    print(markdown())

"""The table of diagnostics in docs/diagnostics.md, read off the code: `python docs/diagnostics_table.py` prints it."""

from __future__ import annotations

from vaelab.evaluation import DIAGNOSTICS
from vaelab.models import MODELS

__all__ = ["markdown"]


def markdown() -> str:
    """Return a row for each diagnostic: the question, what is computed, and for which models."""
    built = {name: row.build(6) for name, row in MODELS.items() if row.has_codes}
    rows = ["| name | question | what is computed | models |", "|---|---|---|---|"]
    for row in DIAGNOSTICS.values():
        names = [name for name, model in built.items() if row.applies(model)]
        models = "all with codes" if len(names) == len(built) else ", ".join(f"`{name}`" for name in names)
        question = row.question.replace("|", "\\|")
        rows.append(f"| `{row.name}` | {question} | {row.formula} | {models} |")
    return "\n".join(rows)


if __name__ == "__main__":
    print(markdown())

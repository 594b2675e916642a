"""The table of what the file of a study says of a model, from the class that checks it."""

from __future__ import annotations

from vaelab.studies.lab import Entry

__all__ = ["markdown"]

_MODEL = "the only key that must be there; `vaelab settings` lists the models"


def markdown() -> str:
    """Return a row for each key."""
    rows = [f"| `{name}` | {field.description or _MODEL} |" for name, field in Entry.model_fields.items()]
    return "\n".join(["| key | meaning |", "|---|---|", *rows])

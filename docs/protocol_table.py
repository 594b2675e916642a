"""The table of what a number depends on in docs/evaluation.md: `python docs/protocol_table.py` prints it."""

from __future__ import annotations

from vaelab.evaluation import PROTOCOL

__all__ = ["protocol"]

_COMPARES = {"rows": "no: other rows", "compared": "no", "identifies": "yes; a run keeps both", "shown": "yes"}


def protocol() -> str:
    """Return a table in Markdown: each fact, its field in a record, and whether numbers that differ in it compare."""
    rows = [f"| {fact.title} | `{fact.name}` | {_COMPARES[fact.role]} |" for fact in PROTOCOL]
    return "\n".join(["| fact | field of a record | do numbers that differ in it compare? |", "|---|---|---|", *rows])


if __name__ == "__main__":
    print(protocol())

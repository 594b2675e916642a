"""The names that labels usually have, and names in messages."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["LABELS", "listed"]

LABELS = ("label", "labels", "class", "target", "targets", "y")  # in capitals or not


def listed(names: Sequence[str]) -> str:
    """Return the first names, quoted.

    >>> listed(["a", "b", "c", "d", "e"])
    "'a', 'b', 'c' and 2 more"
    """
    shown = ", ".join(repr(name if len(name) <= 60 else f"{name[:57]}...") for name in names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3:,} more"

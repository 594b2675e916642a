"""The names that labels usually have, and names in messages."""

from __future__ import annotations

from collections.abc import Sequence

from vaelab.errors import InputError, did_you_mean

__all__ = ["LABELS", "listed", "require_same_names"]

LABELS = ("label", "labels", "class", "target", "targets", "y")  # in capitals or not


def listed(names: Sequence[str]) -> str:
    """Return the first names, quoted.

    >>> listed(["a", "b", "c", "d", "e"])
    "'a', 'b', 'c' and 2 more"
    """
    shown = ", ".join(repr(name if len(name) <= 60 else f"{name[:57]}...") for name in names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3:,} more"


def require_same_names(where: str, expected: Sequence[str], got: Sequence[str], as_in: str = "") -> None:
    """Raise an InputError if columns are missing or extra, in whatever order they are."""
    missing, extra = sorted(set(expected) - set(got)), sorted(set(got) - set(expected))
    if missing or extra:
        as_in = f" {as_in}" if as_in else ""
        raise InputError(f"{where}: expected the columns {listed(expected)}{as_in}; {_differing(missing, extra)}")


def _differing(missing: Sequence[str], extra: Sequence[str]) -> str:
    parts = []
    if missing:
        hint = did_you_mean(missing[0], extra)
        parts.append(f"{listed(missing)} {'is' if len(missing) == 1 else 'are'} missing{hint}")
    if extra:
        parts.append(f"{listed(extra)} {'is' if len(extra) == 1 else 'are'} not among them")
    return ", ".join(parts)

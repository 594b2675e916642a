"""Errors of the user: one sentence that names the argument, what was expected and what arrived."""

from __future__ import annotations

import difflib
import math
import reprlib
from collections.abc import Iterable, Sequence
from numbers import Integral, Real
from typing import Any

__all__ = [
    "LARGEST",
    "Failure",
    "InputError",
    "ReportedOnRankZero",
    "did_you_mean",
    "require_choice",
    "require_int",
    "require_list",
    "require_number",
    "require_seed",
    "shown",
]

LARGEST = 2**31 - 1  # a larger size or count is a mistake


class InputError(ValueError):
    """A mistake of the caller, described in one sentence. The command line then exits with code 2."""


class Failure(RuntimeError):
    """A failure that one sentence explains, such as a bound that is not finite. The command line exits with code 1."""


class ReportedOnRankZero(Exception):
    """The cause of an error that rank 0 raised, and reports, and that the other ranks raise too."""


class _Short(reprlib.Repr):
    """Writes values on one line of bounded length."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxstring, self.maxother, self.maxlist, self.maxtuple = 4, 160, 160, 12, 12

    def repr_int(self, x: int, level: int) -> str:
        digits = int(x.bit_length() * math.log10(2)) + 1
        return repr(x) if digits <= 40 else f"an integer of about {digits:,} digits"

    def repr_instance(self, x: object, level: int) -> str:
        return " ".join(super().repr_instance(x, level).split())


def shown(value: object) -> str:
    """Return a value as text for a message: on one line, shortened if it is long.

    >>> shown([200, True]), shown(10**5000)
    ('[200, True]', 'an integer of about 5,001 digits')
    """
    return _Short().repr(value)


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """Return ``" (did you mean 'x'?)"`` for the closest choice, or an empty string.

    >>> did_you_mean("gausian-vae", ["gaussian-vae", "sbn"])
    " (did you mean 'gaussian-vae'?)"
    """
    close = difflib.get_close_matches(word, list(choices), n=1, cutoff=0.55)
    return f" (did you mean {close[0]!r}?)" if close else ""


def require_choice(argument: str, value: object, choices: Iterable[str]) -> None:
    """Raise a :class:`InputError` unless ``value`` is one of ``choices``."""
    known = list(choices)
    if not isinstance(value, str) or value not in known:
        hint = did_you_mean(shown(value), known)
        raise InputError(f"{argument}: expected one of {', '.join(known)}; got {shown(value)}{hint}")


def require_int(argument: str, value: object, minimum: int, beside: str = "") -> int:
    """Return ``value`` if it is an integer (also of numpy) from ``minimum`` to :data:`LARGEST`; else raise an error.

    The error also names ``beside``, a word that the argument may be instead.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or value < minimum:
        raise InputError(f"{argument}: expected an integer of at least {minimum}{_or(beside)}; got {shown(value)}")
    number = int(value)
    if number > LARGEST:
        raise InputError(f"{argument}: expected an integer of at most {LARGEST:,}; got {shown(value)}")
    return number


def require_seed(value: object) -> int:
    """Return ``value`` if it is an integer (also of numpy) from 0 to 2^63 - 1; else raise an error."""
    number = int(value) if isinstance(value, Integral) and not isinstance(value, bool) else -1
    if not 0 <= number < 2**63:
        raise InputError(f"seed: expected an integer of at least 0 and below 2^63; got {shown(value)}")
    return number


def require_number(argument: str, value: object, low: float, high: float = float("inf"), beside: str = "") -> float:
    """Return ``value`` as a float if it is finite and ``low <= value <= high``, else raise a :class:`InputError`.

    The error also names ``beside``, a word that the argument may be instead.
    """
    try:
        number = float(value) if isinstance(value, Real) and not isinstance(value, bool) else math.nan
    except OverflowError:
        number = math.inf
    if not (-math.inf < number < math.inf and low <= number <= high):  # math.isfinite ends the graph of a compiled step
        limit = f"in [{low:g}, {high:g}]" if high != float("inf") else f"of at least {low:g}"
        raise InputError(f"{argument}: expected a number {limit}{_or(beside)}; got {shown(value)}")
    return number


def _or(word: str) -> str:
    return f" or {word!r}" if word else ""


def require_list(argument: str, value: object, expected: str = "a list") -> Sequence[Any]:
    """Return ``value`` if it is a list or a tuple (any sequence but a text), else raise a :class:`InputError`."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise InputError(f"{argument}: expected {expected}; got {shown(value)}")
    return value

"""What a user says of the columns of a table: the kind, the levels and the missing values of each, by its name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np

from vaelab.data.variables import Column, ColumnKind, Level
from vaelab.errors import InputError, require_choice, shown

__all__ = ["Choice", "choice_of", "choices_of", "columns_option", "dropped", "stands_for"]


@dataclass(frozen=True)
class Choice:
    """What a user says of a column: its kind (``drop`` leaves it out), its levels, and which of two levels is 1.

    Without a kind it is found from the values. ``missing`` are the values that stand for a missing one.
    """

    kind: ColumnKind | Literal["drop"] | None
    levels: tuple[Level, ...] | None = None
    one: Level | None = None
    missing: tuple[Level, ...] = ()


def choices_of(columns: object) -> tuple[tuple[str, Choice], ...]:
    """Return what a user says of columns: a kind for each name, or a mapping as :class:`Choice` has it.

    A ``*`` in a name stands for any characters: ``q*`` are all columns whose names begin with q.

    Raises:
        InputError: anything else, or levels that do not go with the kind.

    >>> choices_of({"age": "real", "answer": {"kind": "binary", "one": "yes"}})[1]
    ('answer', Choice(kind='binary', levels=None, one='yes', missing=()))
    """
    if not isinstance(columns, Mapping):
        raise InputError(f"columns: expected a kind for each name of a column; got {shown(columns)}")
    return tuple((str(name), _choice(f"columns: {name}", value)) for name, value in columns.items())


def choice_of(columns: Sequence[tuple[str, Choice]] | None, name: str) -> Choice | None:
    """Return what is said of a column, under all names that fit it.

    The kind, with levels and one, is that of the most exact name that gives a kind: the full name comes before a name
    with ``*``, and a longer one before a shorter one. The values that stand for a missing one are joined.

    >>> choice_of(choices_of({"*": {"missing": -9}, "q*": "categorical", "q1": "drop"}), "q1")
    Choice(kind='drop', levels=None, one=None, missing=(-9,))
    """
    fitting = [(said, choice) for said, choice in columns or () if said == name or stands_for(said, name)]
    if not fitting:
        return None
    fitting.sort(key=lambda pair: (pair[0] == name, len(pair[0].replace("*", ""))), reverse=True)
    choices = [choice for _, choice in fitting]
    first = next((choice for choice in choices if choice.kind is not None), choices[0])
    return replace(first, missing=tuple(dict.fromkeys(value for choice in choices for value in choice.missing)))


def dropped(columns: Sequence[tuple[str, Choice]] | None, names: Sequence[str]) -> frozenset[str]:
    """Return the names of the columns that the user leaves out.

    >>> sorted(dropped(choices_of({"q*": "drop"}), ["q1", "age", "q2"]))
    ['q1', 'q2']
    """
    choices = {name: choice_of(columns, name) for name in names}
    return frozenset(name for name, choice in choices.items() if choice is not None and choice.kind == "drop")


def stands_for(pattern: str, name: str) -> bool:
    """Return whether a name with ``*`` in it stands for the name of a column."""
    return "*" in pattern and re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), name, re.DOTALL) is not None


def columns_option(columns: object) -> dict[str, Any]:
    """Return the argument ``columns`` of a reader as options: what is said of columns, or which are read.

    Raises:
        InputError: neither a mapping, nor columns, nor names.

    >>> columns_option(["a", "b"])
    {'names': ('a', 'b')}
    """
    if columns is None:
        return {}
    if isinstance(columns, Mapping):
        return {"columns": choices_of(columns)}
    if isinstance(columns, Sequence) and not isinstance(columns, str) and len(columns):
        for kind, option in ((Column, "variables"), (str, "names")):
            if all(isinstance(column, kind) for column in columns):
                return {option: tuple(columns)}
    raise InputError(
        f"columns: expected kinds by name, such as {{'age': 'real'}}, or a list of names; got {shown(columns)}"
    )


def _choice(where: str, value: object) -> Choice:
    said = {"kind": value} if isinstance(value, str) else value
    if (
        not isinstance(said, Mapping)
        or not {"kind", "missing"} & set(said)
        or not set(said) <= {"kind", "levels", "one", "missing"}
    ):
        raise InputError(
            f"{where}: expected a kind, or a mapping with kind or missing, with levels and one if needed; "
            f"got {shown(value)}"
        )
    kind, levels, one = said.get("kind"), said.get("levels"), _plain(said.get("one"))
    if kind is not None:
        require_choice(f"{where}: kind", kind, (*get_args(ColumnKind), "drop"))
    if levels is not None and (kind not in ("binary", "categorical") or not isinstance(levels, list | tuple)):
        raise InputError(f"{where}: levels: expected a list, of a binary or categorical column; got {shown(levels)}")
    if one is not None and (kind != "binary" or not isinstance(one, Level)):
        raise InputError(f"{where}: one: expected the level that is 1, of a binary column; got {shown(one)}")
    return Choice(
        kind, None if levels is None else tuple(map(_plain, levels)), one, _missing(where, said.get("missing", ()))
    )


def _plain(value: Any) -> Any:
    """Return a number of NumPy as one of Python, and anything else as it is."""
    return value.item() if isinstance(value, np.generic) else value


def _missing(where: str, missing: object) -> tuple[Level, ...]:
    """Return the values that stand for a missing one: one value, or a list of them."""
    values = tuple(map(_plain, missing if isinstance(missing, list | tuple) else [missing]))
    if not all(isinstance(value, Level) and value == value for value in values):
        raise InputError(
            f"{where}: missing: expected a value that stands for a missing one, or a list; got {shown(missing)}"
        )
    return values

"""Which kind each column of a user's table has: found from its values, or said by the user."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from vaelab.data.content import RawTable
from vaelab.data.naming import listed
from vaelab.data.remarks import is_like_an_id
from vaelab.data.tables import missing_in, text_of
from vaelab.data.values import Array, ReadOptions
from vaelab.data.variables import Choice, Column, Level
from vaelab.errors import InputError, did_you_mean, shown

__all__ = ["find_variables"]

_PAIRS = (("no", "yes"), ("n", "y"), ("false", "true"), ("f", "t"), ("off", "on"), ("absent", "present"))


def find_variables(where: object, table: RawTable, options: ReadOptions) -> tuple[tuple[Column, ...], tuple[str, ...]]:
    """Return the columns of a table with their kinds, and notes on what was found.

    Two values are ``binary``, more levels of text ``categorical``, real numbers ``unit`` where all are in [0, 1] and
    ``real`` otherwise. ``options.columns`` say what else a column is; one that is called ``drop`` is left out.

    Raises:
        InputError: whole numbers beyond 0 and 1, or levels as many as an ID has, of which nothing is said; choices that
            do not fit the values, or of columns that are not there.

    >>> answers = RawTable(("answer", "share"), [np.array(["yes", "no"], object), np.array([0.5, 0.25])])
    >>> [(column.kind, column.levels) for column in find_variables("a.csv", answers, ReadOptions())[0]]
    [('binary', ('no', 'yes')), ('unit', None)]
    """
    choices = dict(options.columns or ())
    for name in choices:
        if name not in table.names:
            raise InputError(f"{where}: columns: there is no column {name!r}{did_you_mean(name, table.names)}")
    variables, undecided, dropped = [], {}, []
    for name, values in zip(table.names, table.columns, strict=True):
        choice = choices.get(name)
        if choice is not None and choice.kind == "drop":
            dropped.append(name)
            continue
        called = f"{where}: column {name!r}"
        column = _found(called, name, values, options) if choice is None else _chosen(called, name, values, choice)
        if column is None:
            undecided[name] = values
        else:
            variables.append(column)
    if undecided:
        _refuse_undecided(where, undecided, options)
    if not variables:
        raise InputError(f"{where}: expected columns to observe; got none")
    notes = [f"the column{'s' * (len(dropped) > 1)} {listed(dropped)} left out, as columns says"] if dropped else []
    return tuple(variables), (*notes, *_notes(variables))


def _found(where: str, name: str, values: Array, options: ReadOptions) -> Column | None:
    """Return a column with the kind that its values show, or None where they do not show it."""
    present = values[~missing_in(values)]
    way = options.way("--columns FILE", "columns=")
    if not len(present):
        raise InputError(f"{where}: expected values; all are missing; leave it out ({way} with {name}: drop)")
    if values.dtype == object:
        levels = _distinct(present)
        if is_like_an_id(present):
            raise InputError(
                f"{where}: expected few levels; its {len(levels):,} in {len(present):,} rows are like those of an ID; "
                f"leave it out, or say that it is categorical ({way} with {name}: drop or categorical)"
            )
        return (
            Column(name, "binary", _ordered(levels), "str")
            if len(levels) == 2
            else Column(name, "categorical", levels, "str")
        )
    dtype = _dtype_of(values, present)
    if ((present == 0) | (present == 1)).all():
        return Column(name, "binary", None, dtype)
    if (present == np.trunc(present)).all():
        return None
    return Column(name, "unit" if present.min() >= 0 and present.max() <= 1 else "real", None, dtype)


def _chosen(where: str, name: str, values: Array, choice: Choice) -> Column:
    """Return a column of the kind that a user chose."""
    present = values[~missing_in(values)]
    dtype = "str" if values.dtype == object else _dtype_of(values, present)
    if choice.kind in ("unit", "real", "count"):
        return Column(name, choice.kind, None, "float64" if dtype == "str" else dtype)
    levels = choice.levels if choice.levels is not None else _distinct(present)
    if choice.kind == "categorical":
        return Column(name, "categorical", levels, dtype)
    if choice.levels is None and choice.one is None and dtype != "str" and set(levels) <= {0, 1}:
        return Column(name, "binary", None, dtype)
    if len(levels) != 2:
        raise InputError(
            f"{where}: expected two levels, as it is binary; got {shown(list(levels))}; levels: [zero, one] names both"
        )
    if choice.one is None:
        return Column(name, "binary", levels if choice.levels is not None else _ordered(levels), dtype)
    ones = [level for level in levels if text_of(level) == text_of(choice.one)]
    if not ones:
        raise InputError(
            f"{where}: one: expected one of the levels {listed(list(map(text_of, levels)))}; got {shown(choice.one)}"
        )
    return Column(name, "binary", tuple(sorted(levels, key=lambda level: level == ones[0])), dtype)


def _distinct(present: Array) -> tuple[Level, ...]:
    """Return the different values, sorted; whole numbers as such."""
    if present.dtype == object:
        return tuple(sorted(set(present)))
    values: list[Any] = np.unique(present).tolist()
    return tuple(int(value) if isinstance(value, float) and value.is_integer() else value for value in values)


def _ordered(levels: Sequence[Level]) -> tuple[Level, ...]:
    """Return two levels, first that which is 0: ``no`` before ``yes`` and so on, otherwise as they are sorted."""
    first, second = levels
    return (second, first) if (text_of(second).lower(), text_of(first).lower()) in _PAIRS else (first, second)


def _dtype_of(values: Array, present: Array) -> str:
    """Return the type of the user's numbers; whole ones are stored as real ones only for the sake of NaN."""
    if values.dtype.kind == "f" and len(present) < len(values) and (present == np.trunc(present)).all():
        return "int64"
    return values.dtype.newbyteorder("=").name


def _refuse_undecided(where: object, undecided: dict[str, Array], options: ReadOptions) -> None:
    """Raise an InputError for columns of whole numbers of which nothing is said."""
    described = []
    for name, values in list(undecided.items())[:3]:
        present = values[~missing_in(values)]
        alike = ", a different one in each row" if is_like_an_id(present) else ""
        described.append(f"{name!r} ({present.min():g}...{present.max():g}{alike})")
    more = f" and {len(undecided) - 3:,} more" if len(undecided) > 3 else ""
    first = next(iter(undecided))
    way = options.way(
        f"--columns FILE, a YAML file with lines such as {first}: real", f"columns={{{first!r}: 'real', ...}}"
    )
    raise InputError(
        f"{where}: the whole numbers in column{'s' * (len(undecided) > 1)} {', '.join(described)}{more} may be counts, "
        f"levels, quantities or IDs; say which with {way} (or count, categorical, drop)"
    )


def _notes(variables: Sequence[Column]) -> list[str]:
    """Return a sentence for each pair of levels: which of them is 1, and in which columns."""
    pairs: dict[tuple[Level, ...], list[str]] = {}
    for column in variables:
        if column.kind == "binary" and column.levels is not None:
            pairs.setdefault(column.levels, []).append(column.name)
    return [
        f"{text_of(one)!r} is 1 and {text_of(zero)!r} is 0 in column{'s' * (len(names) > 1)} {listed(names)}"
        for (zero, one), names in pairs.items()
    ]

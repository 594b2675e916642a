"""Which kind each column of a user's table has: found from its values, or said by the user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from vaelab.data.choices import Choice, choice_of, stands_for
from vaelab.data.content import RawTable
from vaelab.data.naming import listed
from vaelab.data.remarks import is_like_an_id
from vaelab.data.tables import missing_in, text_of, without_stand_ins
from vaelab.data.values import Array, ReadOptions
from vaelab.data.variables import Column, Level
from vaelab.errors import InputError, did_you_mean, shown

__all__ = ["UnclearColumns", "find_variables"]

_PAIRS = (("no", "yes"), ("n", "y"), ("false", "true"), ("f", "t"), ("off", "on"), ("absent", "present"))


class UnclearColumns(InputError):
    """Columns whose kind their values do not show; ``found`` says of each column of the table what was found."""

    def __init__(self, sentence: str, found: Mapping[str, str]) -> None:
        super().__init__(sentence)
        self.found = found


def find_variables(where: object, table: RawTable, options: ReadOptions) -> tuple[tuple[Column, ...], tuple[str, ...]]:
    """Return the columns of a table with their kinds, and notes on what was found.

    Two values are ``binary``, more levels of text ``categorical``, real numbers ``unit`` where all are in [0, 1] and
    ``real`` otherwise. ``options.columns`` say what else a column is; one that is called ``drop`` is left out. Levels
    are sorted, or in the order that the table has for them.

    Raises:
        UnclearColumns: whole numbers beyond 0 and 1, or text of as many levels as an ID has, of which nothing is said.
        InputError: choices that do not fit the values, or of columns that are not there.

    >>> answers = RawTable(("answer", "share"), [np.array(["yes", "no"], object), np.array([0.5, 0.25])])
    >>> [(column.kind, column.levels) for column in find_variables("a.csv", answers, ReadOptions())[0]]
    [('binary', ('no', 'yes')), ('unit', None)]
    """
    for name, _ in options.columns or ():
        if name not in table.names and not any(stands_for(name, column) for column in table.names):
            raise InputError(f"{where}: columns: there is no column {name!r}{did_you_mean(name, table.names)}")
    variables, unclear, dropped, counts = [], {}, [], {}
    for name, values in zip(table.names, table.columns, strict=True):
        choice = choice_of(options.columns, name)
        if choice is not None and choice.kind == "drop":
            dropped.append(name)
            continue
        if choice is not None and choice.missing:
            given, values = values, without_stand_ins(values, choice.missing)
            counts[name] = int(missing_in(values).sum() - missing_in(given).sum())
        if choice is None or choice.kind is None:
            column = _found(name, values, table.orders.get(name))
        else:
            column = _chosen(f"{where}: column {name!r}", name, values, choice, table.orders.get(name))
        if isinstance(column, str):
            unclear[name] = column
        else:
            variables.append(column if choice is None else replace(column, missing=choice.missing))
    if unclear:
        kinds = {column.name: column.kind for column in variables}
        found = {name: kinds.get(name) or f"not clear: {unclear[name]}" for name in table.names if name not in dropped}
        raise UnclearColumns(_sentence(where, unclear, options), found)
    if not variables:
        raise InputError(f"{where}: expected columns to observe; got none")
    notes = [f"left out, as the kind is drop: {listed(dropped)}"] if dropped else []
    if having := [name for name, count in counts.items() if count]:  # a table of text is read without them
        count = sum(counts.values())
        stand = (
            f"value{'s' * (count > 1)} in column{'s' * (len(having) > 1)} {listed(having)} stand{'s' * (count == 1)}"
        )
        notes.append(f"{count:,} {stand} for {'a missing one' if count == 1 else 'missing ones'}")
    return tuple(variables), (*notes, *_notes(variables))


def _found(name: str, values: Array, order: Sequence[Level] | None) -> Column | str:
    """Return a column with the kind that its values show, or what they are in words where they do not show it."""
    present = values[~missing_in(values)]
    if not len(present):
        return "without values"
    if values.dtype == object:
        levels = _distinct(present, order)
        if is_like_an_id(present):
            return f"text of {len(levels):,} levels in {len(present):,} rows, like an ID"
        if len(levels) == 2:
            return Column(name, "binary", _ordered(levels) if order is None else levels, "str")
        return Column(name, "categorical", levels, "str")
    dtype = _dtype_of(values, present)
    if ((present == 0) | (present == 1)).all():
        return Column(name, "binary", None, dtype)
    if (present == np.trunc(present)).all():
        alike = ", like an ID" if is_like_an_id(present) else ""
        return f"whole numbers {present.min():g}...{present.max():g}{alike}"
    return Column(name, "unit" if present.min() >= 0 and present.max() <= 1 else "real", None, dtype)


def _chosen(where: str, name: str, values: Array, choice: Choice, order: Sequence[Level] | None) -> Column:
    """Return a column of the kind that a user chose."""
    present = values[~missing_in(values)]
    dtype = "str" if values.dtype == object else _dtype_of(values, present)
    if choice.kind in ("unit", "real", "count"):
        return Column(name, choice.kind, None, "float64" if dtype in ("str", "bool") else dtype)
    levels = choice.levels if choice.levels is not None else _distinct(present, order)
    if choice.kind == "categorical":
        return Column(name, "categorical", levels, dtype)
    if choice.levels is None and choice.one is None and dtype != "str" and set(levels) <= {0, 1}:
        return Column(name, "binary", None, dtype)
    if len(levels) != 2:
        raise InputError(
            f"{where}: expected two levels, as it is binary; got {shown(list(levels))}; levels: [zero, one] names both"
        )
    if choice.one is None:
        in_order = choice.levels is not None or order is not None
        return Column(name, "binary", levels if in_order else _ordered(levels), dtype)
    ones = [level for level in levels if text_of(level) == text_of(choice.one)]
    if not ones:
        raise InputError(
            f"{where}: one: expected one of the levels {listed(list(map(text_of, levels)))}; got {shown(choice.one)}"
        )
    return Column(name, "binary", tuple(sorted(levels, key=lambda level: level == ones[0])), dtype)


def _distinct(present: Array, order: Sequence[Level] | None) -> tuple[Level, ...]:
    """Return the different values in the order given, those that it lacks last, or sorted; whole numbers as such."""
    values: list[Any] = sorted(set(present)) if present.dtype == object else np.unique(present).tolist()
    places = {level: place for place, level in enumerate(order or ())}
    values.sort(key=lambda value: places.get(value, len(places)))
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


def _sentence(where: object, unclear: Mapping[str, str], options: ReadOptions) -> str:
    """Return what to say of columns whose kind their values do not show; ``unclear`` says what they are."""
    described = ", ".join(f"{name!r} ({what})" for name, what in list(unclear.items())[:3])
    more = f" and {len(unclear) - 3:,} more" if len(unclear) > 3 else ""
    several = len(unclear) > 1
    name = next((name for name, what in unclear.items() if what.startswith("whole")), next(iter(unclear)))
    kind, others = (
        ("real", "count, categorical, drop") if unclear[name].startswith("whole") else ("drop", "categorical")
    )
    way = options.way(
        f"--columns FILE, a YAML file with lines such as {name}: {kind}", f"columns={{{name!r}: {kind!r}, ...}}"
    )
    drop = ""
    if any(not what.startswith("whole") or what.endswith("ID") for what in unclear.values()):
        drop = f"; {options.way('--drop', 'drop=True')} leaves out those like an ID"
    return (
        f"{where}: the kind{'s' * several} of column{'s' * several} {described}{more} {'are' if several else 'is'} not "
        f"clear; say what each is with {way} (or {others}){drop}"
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

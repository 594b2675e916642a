"""What is observed of what was read: columns beside the rows are taken out, and several files become one content."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import numpy as np

from vaelab.data.content import Beside, Content, RawTable
from vaelab.data.frames import column_of
from vaelab.data.naming import listed, require_same_names
from vaelab.data.roles import label_among, roles_of
from vaelab.data.sparse import SparseRows, columns_of
from vaelab.data.splitting import Splitting
from vaelab.data.table_roles import roles_in_table
from vaelab.data.tabular import as_numbers, chosen_columns, table_in
from vaelab.data.values import Array, ReadOptions
from vaelab.data.variables import Level
from vaelab.errors import InputError, did_you_mean, shown

__all__ = ["joined", "observed", "observed_parts", "without_named"]

_BESIDE = ("labels", "weights", "splits", "groups")


def without_named(where: object, content: Content, splitting: Splitting, options: ReadOptions) -> Content:
    """Return a content without the columns of weights, splits and groups: they stand beside the rows.

    Raises:
        InputError: columns that are not there, or that have no names.
    """
    weights = None if content.archive else options.weight_column  # an array of an archive has its role already
    named = {"weights": weights, "splits": splitting.column, "groups": splitting.group_column}
    for kind, name in named.items():
        if name is not None:
            content = _taken(f"{where}: {kind.removesuffix('s')}_column", content, kind, name)
    return content


def _taken(where: str, content: Content, kind: str, name: str) -> Content:
    rows = content.table if content.table is not None else content.arrays.get("x")
    names = rows.names if isinstance(rows, RawTable) else content.names
    if rows is None or names is None or (not isinstance(rows, RawTable) and rows.ndim != 2):
        raise InputError(f"{where}: expected one table with names of columns, {name!r} among them")
    if name not in names:
        ones = "; add one, of ones if all rows count the same" if kind == "weights" else ""
        raise InputError(f"{where}: there is no column {name!r}{did_you_mean(name, names)}{ones}")
    place, others = names.index(name), tuple(other for other in names if other != name)
    notes = (*content.notes, f"the {kind} are in column {name!r}")
    if isinstance(rows, RawTable):
        arrays = {**content.arrays, f"{kind} of x": rows.columns[place]}
        return dataclasses.replace(content, arrays=arrays, table=rows.take(others), notes=notes)
    kept = [column for column in range(len(names)) if column != place]
    arrays = {**content.arrays, "x": columns_of(rows, kept), f"{kind} of x": rows[:, place]}
    return dataclasses.replace(content, arrays=arrays, names=others, notes=notes)


def observed(where: Path | str, content: Content, options: ReadOptions) -> Content:
    """Return the observed columns of a content, as a table of columns with kinds or as numbers, with their labels.

    Raises:
        InputError: a column that may be row numbers, labels that are not labels, or nothing left to observe.
    """
    if (table := table_in(where, content, options)) is not None:
        roles = roles_in_table(where, table, options)
        arrays = content.arrays if roles.labels is None else {**content.arrays, "labels of x": roles.labels}
        arrays = {name: array for name, array in arrays.items() if name != "x"}
        return Content(arrays, notes=(*content.notes, *roles.notes), table=roles.table)
    content = as_numbers(content)
    x, names = content.arrays.get("x"), content.names
    of_columns = dataclasses.replace(options, label_column=None) if content.archive else options
    label = label_among(where, names, of_columns)
    if not isinstance(x, np.ndarray) or x.ndim != 2 or not x.size:
        return content
    x, names, left_out = chosen_columns(where, x, names, label, options)
    found = roles_of(where, x, names, (*content.notes, *left_out), of_columns)
    arrays = {**content.arrays, "x": found.x} | ({} if found.labels is None else {"labels of x": found.labels})
    return dataclasses.replace(content, arrays=arrays, names=found.names, notes=found.notes)


def observed_parts(
    contents: Mapping[str, Content], where: Mapping[str, Path | str], options: ReadOptions
) -> dict[str, Content]:
    """Return the observed columns of each content; what ``options.drop`` leaves out of the first is left out of all.

    Raises:
        InputError: see :func:`observed`.
    """
    found: dict[str, Content] = {}
    for name, content in contents.items():
        if not found or not options.drop:
            found[name] = observed(where[name], content, options)
            continue
        first = next(iter(found.values()))
        names = (first.names or ()) if first.table is None else first.table.names
        part = observed(where[name], content, dataclasses.replace(options, drop=False, names=tuple(names)))
        if part.table is not None:
            kept = [column for column in part.table.names if column in names]
            part = dataclasses.replace(part, table=part.table.take(kept))
        found[name] = part
    return found


def joined(contents: Mapping[str, Content]) -> Content:
    """Return the contents of several splits as one, the columns in the order of the first.

    Raises:
        InputError: columns of other names, or labels that only some of them have.
    """
    if len(contents) == 1:
        return next(iter(contents.values()))
    first = next(iter(contents.values()))
    notes = tuple(note for content in contents.values() for note in content.notes)
    if any(content.table is not None for content in contents.values()):
        return _joined_tables(contents, notes)
    arrays: dict[str, Array | SparseRows] = {}
    for split, content in contents.items():
        if "x" not in content.arrays:
            raise InputError(f"data: {split}: expected a file of one table or array; got one that is split itself")
        ordered = _in_order(split, content, first.names)
        arrays |= {f"{kind} of {split}": ordered[f"{kind} of x"] for kind in _BESIDE if f"{kind} of x" in ordered}
        arrays[split] = ordered["x"]
    return dataclasses.replace(first, arrays=arrays, notes=tuple(dict.fromkeys(notes)))


def _in_order(split: str, content: Content, names: Sequence[str] | None) -> Mapping[str, Array | SparseRows]:
    """Return the arrays of a content with its columns in the order of ``names``, if both have names."""
    if names is None or content.names is None or tuple(names) == content.names:
        return content.arrays
    require_same_names(f"data: {split}", names, content.names)
    order = [content.names.index(name) for name in names]
    return {**content.arrays, "x": columns_of(content.arrays["x"], order)}


def _joined_tables(contents: Mapping[str, Content], notes: Sequence[str]) -> Content:
    """Return the tables of several splits as one table, in which each row has the name of its split."""
    tables = {}
    for split, content in contents.items():
        table = content.table
        if table is None:
            names, x = content.names, content.arrays.get("x")
            if names is None or not isinstance(x, np.ndarray):
                raise InputError(f"data: {split}: expected a table with names of columns, as the other file is one")
            table = RawTable(names, list(x.T))
        tables[split] = table
    names = next(iter(tables.values())).names
    for split, table in tables.items():
        require_same_names(f"data: {split}", names, table.names)
    parts = [table.take(names) for table in tables.values()]
    columns = [_stacked(name, [part.columns[place] for part in parts]) for place, name in enumerate(names)]
    arrays: dict[str, Array | SparseRows] = {
        "splits of x": np.repeat(np.array(list(tables)), [len(part) for part in parts])
    }
    kinds: tuple[Beside, ...] = ("labels", "weights")
    for kind in kinds:
        beside = [part for content in contents.values() if (part := content.beside(kind)) is not None]
        if len(beside) not in (0, len(contents)):
            raise InputError(f"data: expected {kind} in {listed(list(contents))}; only some of them have {kind}")
        if beside:
            arrays[f"{kind} of x"] = np.concatenate(beside)
    orders = {name: _joined_order(name, [part.orders[name] for part in parts if name in part.orders]) for name in names}
    given = {name: order for name, order in orders.items() if order}
    return Content(arrays, notes=tuple(dict.fromkeys(notes)), table=RawTable(names, columns, given))


def _joined_order(name: str, orders: Sequence[tuple[Level, ...]]) -> tuple[Level, ...]:
    """Return one order of the levels of a column that several tables order, each of which may lack levels."""
    before: dict[Level, set[Level]] = {}
    for order in orders:
        for place, level in enumerate(order):
            before.setdefault(level, set()).update(order[max(place - 1, 0) : place])
    try:
        return tuple(TopologicalSorter(before).static_order())
    except CycleError:
        got = " and ".join(shown(list(order)) for order in dict.fromkeys(orders))
        raise InputError(f"data: column {name!r}: expected one order of the levels in all splits; got {got}") from None


def _stacked(name: str, columns: Sequence[Array]) -> Array:
    """Return a column of several tables; of text and of nothing but missing values it is text."""
    if any(column.dtype == object for column in columns):
        return column_of(f"data: column {name!r}", np.concatenate([column.astype(object) for column in columns]))
    return np.concatenate(columns)

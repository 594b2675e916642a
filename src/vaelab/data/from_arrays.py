"""From what a user gives in Python to the parts of a data set: the way of :meth:`vaelab.data.Dataset.from_arrays`."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from vaelab.data.arrays import as_array, given_rows, with_mask
from vaelab.data.assembly import Assembled, assemble
from vaelab.data.content import Content, RawTable
from vaelab.data.parts import joined, observed_parts
from vaelab.data.splitting import Splitting
from vaelab.data.values import ReadOptions
from vaelab.errors import InputError

__all__ = ["assemble_arrays"]


def assemble_arrays(
    x: Any,
    beside: Mapping[str, Any],
    held_out: Mapping[str, Any],
    *,
    mask: Any,
    names: Sequence[str] | None,
    image_shape: tuple[int, int] | None,
    splitting: Splitting,
    options: ReadOptions,
) -> Assembled:
    """Return the parts of the data set of arrays; see :meth:`~vaelab.data.Dataset.from_arrays`.

    Args:
        x: rows of any provenance.
        beside: labels, weights, splits and groups: an array for each, the name of a column, or None.
        held_out: validation and test, where they are given: rows, or rows with labels and weights.
        mask: 1 where a value of ``x`` is observed, or None.
        names: of the columns, where the rows have none themselves.
        image_shape: (H, W) if rows are images.
        splitting: how the rows are divided.
        options: what the values are.
    """
    if isinstance(names, str):
        raise InputError(f"columns: expected a list of names, one for each column; got {names!r}")
    named = None if names is None else tuple(map(str, names))
    chosen = options.columns is not None or options.variables is not None or options.drop
    said = tuple(name for name, _ in options.columns or ()) or tuple(column.name for column in options.variables or ())
    if said and (width := _width(x)) is not None:  # an array whose columns have no names
        if any("*" in name for name in said):
            named = named or tuple(map(str, range(width)))
        elif len(said) == width:
            named = said
    parts = {"x" if not held_out else "train": _content("x", x, beside, named, mask, options.columns)}
    for name, part in held_out.items():
        rows, *others = part if isinstance(part, tuple) and len(part) in (2, 3) else (part,)
        own = {"labels": beside["labels"] if isinstance(beside["labels"], str) else None}
        parts[name] = _content(
            name, rows, own | dict(zip(("labels", "weights"), others, strict=False)), named, None, options.columns
        )
    if held_out and (
        splitting != Splitting(seed=splitting.seed) or any(beside[kind] is not None for kind in ("splits", "groups"))
    ):
        given = " and ".join(held_out)
        raise InputError(f"split: expected no split, groups or stratify beside {given}, which are splits themselves")
    tables = {name: content for name, content in parts.items() if content.table is not None or chosen}
    roles = {**parts, **observed_parts(tables, dict.fromkeys(tables, "data"), options)}
    content = joined(roles)
    assembled = assemble("data", content, splitting, options)
    return dataclasses.replace(assembled, image_shape=_shape(image_shape, assembled.image_shape))


def _content(
    argument: str, value: Any, beside: Mapping[str, Any], names: tuple[str, ...] | None, mask: Any, columns: Any
) -> Content:
    """Return the rows of one argument with what stands beside them."""
    given = given_rows(argument, value, names, columns)
    if mask is not None:
        given = with_mask(given, mask)
    arrays = {} if given.labels is None else {"labels of x": given.labels}
    for kind, what in beside.items():
        if isinstance(what, str):
            given, arrays[f"{kind} of x"] = given.taken(kind, what)
        elif what is not None:
            arrays[f"{kind} of x"] = as_array(f"{kind} of {argument}", what)
    if isinstance(given.rows, RawTable):
        return Content(arrays, table=given.rows)
    width = math.prod(given.rows.shape[1:])
    if given.names is not None and len(given.names) != width:
        raise InputError(f"columns: expected {width} names, one for each column; got {len(given.names)}")
    return Content({"x": given.rows, **arrays}, given.names)


def _shape(asked: tuple[int, int] | None, found: tuple[int, int] | None) -> tuple[int, int] | None:
    """Return the shape of images, as the user gives it or as the rows have it."""
    if asked is not None and found is not None and tuple(asked) != found:
        raise InputError(f"image_shape: expected {found}, the shape of the images given; got {asked}")
    return asked or found


def _width(x: object) -> int | None:
    """Return the number of columns of an array or a list of rows (N, X), or None."""
    if isinstance(x, list | tuple) and x and isinstance(x[0], list | tuple):
        return len(x[0])
    shape: tuple[int, ...] = getattr(x, "shape", ())
    return shape[1] if len(shape) == 2 and not hasattr(x, "columns") else None

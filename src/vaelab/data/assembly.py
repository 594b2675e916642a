"""From arrays to the parts of a data set: columns get their roles, values their meaning, rows their split."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vaelab.data.content import SPLITS, Content, RawTable
from vaelab.data.division import completed, divide
from vaelab.data.doubts import doubts_about
from vaelab.data.kinds import find_variables
from vaelab.data.labels import numbered
from vaelab.data.naming import listed
from vaelab.data.precision import near_each_other, require_precision
from vaelab.data.roles import (
    require_alike,
    require_first_alike,
    require_no_index,
    require_no_labels,
)
from vaelab.data.sparse import SparseRows
from vaelab.data.sparse_values import store_sparse, summarise_sparse
from vaelab.data.splits import Split, require_labels
from vaelab.data.splitting import Splitting
from vaelab.data.tables import encode_table
from vaelab.data.values import (
    Array,
    Coding,
    Kind,
    ReadOptions,
    Stored,
    decide,
    require_numbers,
    require_one_meaning,
    require_rows_or_images,
    summarise,
)
from vaelab.data.variables import Column, encoded_names, kind_of
from vaelab.data.weights import require_weights
from vaelab.errors import InputError

__all__ = ["Assembled", "assemble"]


@dataclass(frozen=True)
class Assembled:
    """What a data set is made of: the arguments of :class:`~vaelab.data.Dataset` but its name and binarisation."""

    splits: Mapping[str, Split]
    kind: Kind
    scale: float
    image_shape: tuple[int, int] | None
    columns: tuple[str, ...] | None
    notes: tuple[str, ...]
    variables: tuple[Column, ...] | None = None
    classes: tuple[str, ...] | None = None


def assemble(where: object, content: Content, splitting: Splitting, options: ReadOptions) -> Assembled:
    """Return the parts of a data set, of the observed columns and what stands beside the rows.

    Raises:
        InputError: arrays that are neither rows nor images of one shape, values that are neither bits nor grey levels
            nor of the kinds of their columns, labels that are not whole numbers, rows that cannot be split so.
    """
    content = numbered(where, content)
    if content.table is not None:
        return _of_table(where, content, content.table, splitting, options)
    if content.white is not None and options.scale is None and options.values is None:
        options = dataclasses.replace(options, scale=content.white)
    rows = {key: _without_channel(content.arrays[key]) for key in ("x", *SPLITS) if key in content.arrays}
    shape = _shape_of(where, rows)
    splits, kind, scale = _splits_of(where, rows, content, options)
    if "x" in splits:
        splits, drawn = _divided(where, splits["x"], content, splitting, options)
    else:
        splits, drawn = completed(where, splits, splitting)
    notes = (*content.notes, *drawn)
    return Assembled(splits, kind, scale, _image_shape(shape), content.names, notes, classes=content.classes)


def _divided(
    where: object, rows: Split, content: Content, splitting: Splitting, options: ReadOptions
) -> tuple[dict[str, Split], tuple[str, ...]]:
    """Return the splits of all rows, and notes; the usual split of a file needs none."""
    splits, notes = divide(where, rows, splitting, content.beside("splits"), content.beside("groups"))
    return splits, () if not options.arrays and splitting == Splitting() and content.beside("splits") is None else notes


def _of_table(
    where: object, content: Content, table: RawTable, splitting: Splitting, options: ReadOptions
) -> Assembled:
    """Return the parts of the data set of a table of named columns, by the kinds that they have."""
    variables, found = options.variables, _left_out(table, options)
    if variables is None:
        variables, found = find_variables(where, table, options)
        found += doubts_about(table, variables, options)
    rows: Array = encode_table(where, table, variables)
    kind = kind_of(variables)
    if kind == "binary" and not np.isnan(rows).any():
        rows = rows.astype(np.uint8)
    splits, drawn = _divided(where, _split_of(where, "x", rows, content), content, splitting, options)
    notes = (*content.notes, *found, *drawn)
    return Assembled(splits, kind, 1, None, encoded_names(variables), notes, variables, content.classes)


def _split_of(where: object, key: str, rows: Stored | SparseRows, content: Content) -> Split:
    """Return rows with their labels and weights."""
    labels = require_labels(f"{where}: labels of {key}", _column(content.beside("labels", key)), len(rows))
    weights = require_weights(f"{where}: weights of {key}", content.beside("weights", key), len(rows))
    return Split(rows, labels, weights=weights)


def _left_out(table: RawTable, options: ReadOptions) -> tuple[str, ...]:
    """Return a note on the columns of a table that a model does not have."""
    known = {column.name for column in options.variables or ()}
    others = [name for name in table.names if name not in known]
    return (f"left out, as the model does not have them: {listed(others)}",) if others else ()


def _splits_of(
    where: object, rows: Mapping[str, Array | SparseRows], content: Content, options: ReadOptions
) -> tuple[dict[str, Split], Kind, float]:
    """Decide what the values of all splits mean, and return the splits as they are stored, with kind and scale."""
    tabular = next(iter(rows.values())).ndim == 2
    flat = {key: _flat(part) for key, part in rows.items()}
    stacked: Any = _stacked(list(flat.values()))
    summary = (summarise_sparse if isinstance(stacked, SparseRows) else summarise)(str(where), stacked)
    # Numbers of no type: that they are stored as bytes says nothing.
    summary = dataclasses.replace(summary, byte=summary.byte and not content.text, images=not tabular)
    if content.text and content.names is None:
        require_first_alike(where, stacked, options)
    if tabular:
        require_no_index(where, content.names, summary)
        require_alike(where, content.names, summary, options)
        if not any(key.startswith("labels") for key in content.arrays):
            require_no_labels(where, content.names, stacked, summary, options)
    if options.values not in ("real", "count"):
        require_one_meaning(where, {key: _highest(part) for key, part in flat.items() if part.size})
    coding = decide(str(where), summary, options, content.names)
    if coding.kind == "real" and not isinstance(stacked, SparseRows):
        for column in near_each_other(summary):
            called = column + 1 if content.names is None else repr(content.names[column])
            require_precision(f"{where}: column {called}", stacked[:, column])
    splits = {key: _split_of(where, key, _stored(coding, part), content) for key, part in flat.items()}
    return splits, coding.kind, coding.scale


def _flat(part: Array | SparseRows) -> Array | SparseRows:
    """Return rows or images as rows (N, X)."""
    return part if isinstance(part, SparseRows) else part.reshape(len(part), math.prod(part.shape[1:]))


def _stacked(parts: Sequence[Array | SparseRows]) -> Array | SparseRows:
    """Return the rows of all splits; sparse if those of one are."""
    if any(isinstance(part, SparseRows) for part in parts):
        return SparseRows.stack([part if isinstance(part, SparseRows) else SparseRows(part) for part in parts])
    return parts[0] if len(parts) == 1 else np.concatenate([np.asarray(part) for part in parts])


def _stored(coding: Coding, part: Array | SparseRows) -> Stored | SparseRows:
    return store_sparse(coding, part) if isinstance(part, SparseRows) else coding.store(part)


def _highest(part: Array | SparseRows) -> float:
    return float(part.values.max(initial=0) if isinstance(part, SparseRows) else part.max())


def _shape_of(where: object, rows: Mapping[str, Array | SparseRows]) -> tuple[int, ...]:
    """Return the shape of one observation, (X,) or (H, W)."""
    for array in rows.values():
        require_rows_or_images(where, array.shape)
    if len({array.shape[1:] for array in rows.values()}) > 1:
        got = ", ".join(f"{key} {array.shape}" for key, array in rows.items())
        raise InputError(f"{where}: expected splits whose observations have one shape; got {got}")
    for key, array in rows.items():
        require_numbers(f"{where}: {key}", array)
    return next(iter(rows.values())).shape[1:]


def _image_shape(shape: tuple[int, ...]) -> tuple[int, int] | None:
    return (int(shape[0]), int(shape[1])) if len(shape) == 2 else None


def _without_channel(array: Array | SparseRows) -> Array | SparseRows:
    """Return images of one channel (N, H, W, 1) or (N, 1, H, W) as images (N, H, W)."""
    if isinstance(array, SparseRows):
        return array
    if array.ndim == 4 and array.shape[3] == 1:
        return array[..., 0]
    return array[:, 0] if array.ndim == 4 and array.shape[1] == 1 else array


def _dense(values: Array | SparseRows | None) -> Array | None:
    return values[:] if isinstance(values, SparseRows) else values


def _column(labels: Array | SparseRows | None) -> Array | None:
    """Return labels of shape (N, 1) as labels of shape (N,)."""
    labels = _dense(labels)
    return labels[:, 0] if labels is not None and labels.ndim == 2 and labels.shape[1] == 1 else labels

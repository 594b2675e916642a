"""From arrays to the parts of a data set: columns get their roles, values their meaning, rows their split."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vaelab.data.content import SPLITS, Content, RawTable
from vaelab.data.kinds import find_variables
from vaelab.data.naming import listed
from vaelab.data.roles import (
    label_among,
    require_alike,
    require_first_alike,
    require_no_index,
    require_no_labels,
    roles_of,
)
from vaelab.data.sparse import SparseRows, is_sparse
from vaelab.data.sparse_values import store_sparse, summarise_sparse
from vaelab.data.splits import Split, require_labels, split_shuffled, split_validation
from vaelab.data.table_roles import roles_in_table
from vaelab.data.tables import encode_table
from vaelab.data.tabular import as_numbers, chosen_columns, table_in
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
from vaelab.data.weights import require_weights, take_weights, weights_of_table
from vaelab.errors import InputError
from vaelab.seeds import DATA_SEED

__all__ = ["Assembled", "assemble", "assemble_arrays"]

_TENTH = f"there is no validation split: it is a tenth of train, drawn with seed {DATA_SEED}"
_SHUFFLED = f"split 80 % / 10 % / 10 % into train, validation and test, shuffled with seed {DATA_SEED}"


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


def assemble(path: Path, content: Content, split: bool, options: ReadOptions) -> Assembled:
    """Return the parts of the data set of a file; without ``split`` the rows of one array are the split ``all``.

    Raises:
        InputError: arrays that are neither rows nor images of one shape, columns that may be no observed values, values
            that are neither bits nor grey levels, labels that are not whole numbers.
    """
    if (table := table_in(path, content, options)) is not None:
        return assemble_table(path, table, content.notes, split, options)
    content = as_numbers(content)
    rows = {key: _without_channel(content.arrays[key]) for key in ("x", *SPLITS) if key in content.arrays}
    labels = {key: _column(content.arrays.get(f"labels of {key}")) for key in rows}
    weights = {key: _dense(content.arrays.get(f"weights of {key}")) for key in rows}
    shape = _shape_of(path, rows)
    names, notes = content.names, content.notes
    of_columns = dataclasses.replace(options, label_column=None) if content.archive else options
    if options.weight_column is not None and not content.archive:
        rows["x"], names, weights["x"] = take_weights(path, rows.get("x"), names, options.weight_column)
        notes = (*notes, f"the weights are in column {options.weight_column!r}")
        shape = _shape_of(path, rows)
    if list(rows) == ["x"] and len(shape) == 1 and isinstance(rows["x"], np.ndarray) and rows["x"].size:
        x, names, left_out = chosen_columns(path, rows["x"], names, label_among(path, names, of_columns), options)
        roles = roles_of(path, x, names, (*notes, *left_out), of_columns)
        rows, names, notes = {"x": roles.x}, roles.names, roles.notes
        labels = labels if roles.labels is None else {"x": roles.labels}
    else:
        label_among(path, names, of_columns)  # an InputError if a label column is named: there are no columns
    splits, kind, scale = _splits_of(path, rows, labels, weights, names, options, content.text)
    if "x" in splits:
        splits = split_shuffled(splits["x"], path) if split else {"all": splits["x"]}
    elif "validation" not in splits:
        splits = {**split_validation(splits["train"], path), "test": splits["test"]}
        notes = (*notes, _TENTH)
    return Assembled(splits, kind, scale, _image_shape(shape), names, notes)


def assemble_table(
    where: object, table: RawTable, notes: Sequence[str], split: bool, options: ReadOptions
) -> Assembled:
    """Return the parts of the data set of a table of named columns, by the kinds that they have.

    Raises:
        InputError: columns whose kind is not clear, or that do not have the values which ``options`` say.
    """
    weights, column = None, options.weight_column
    if column is not None:
        table, weights = weights_of_table(where, table, column)
        notes = (*notes, f"the weights are in column {column!r}")
    roles = roles_in_table(where, table, options)
    variables, found = options.variables, _left_out(roles.table, options)
    if variables is None:
        variables, found = find_variables(where, roles.table, options)
    rows: Array = encode_table(where, roles.table, variables)
    kind = kind_of(variables)
    if kind == "binary" and not np.isnan(rows).any():
        rows = rows.astype(np.uint8)
    whole = Split(rows, roles.labels, weights=require_weights(f"{where}: weights", weights, len(rows)))
    splits = split_shuffled(whole, where) if split else {"all": whole}
    return Assembled(splits, kind, 1, None, encoded_names(variables), (*notes, *roles.notes, *found), variables)


def _left_out(table: RawTable, options: ReadOptions) -> tuple[str, ...]:
    """Return a note on the columns of a table that a model does not have."""
    known = {column.name for column in options.variables or ()}
    others = [name for name in table.names if name not in known]
    return (f"left out, as the model does not have them: {listed(others)}",) if others else ()


def assemble_arrays(
    x: Any,
    y: Any,
    sample_weight: Any,
    validation: Any,
    test: Any,
    *,
    columns: Sequence[str] | None,
    image_shape: tuple[int, int] | None,
    options: ReadOptions,
) -> Assembled:
    """Return the parts of the data set of arrays; see :meth:`~vaelab.data.Dataset.from_arrays`."""
    given = {"x" if validation is None and test is None else "train": (x, y, sample_weight)}
    given |= {
        name: (*part, None)[:3] if isinstance(part, tuple) and len(part) in (2, 3) else (part, None, None)
        for name, part in (("validation", validation), ("test", test))
        if part is not None
    }
    rows = {name: _without_channel(_as_rows(name, part)) for name, (part, _, _) in given.items()}
    labels = {
        name: None if part is None else _column(_as_array(f"labels of {name}", part))
        for name, (_, part, _) in given.items()
    }
    weights = {
        name: None if part is None else _as_array(f"weights of {name}", part) for name, (_, _, part) in given.items()
    }
    shape = _shape_of("data", rows)
    if isinstance(columns, str):
        raise InputError(f"columns: expected a list of names, one for each column; got {columns!r}")
    names = None if columns is None else tuple(map(str, columns))
    if names is not None and len(names) != math.prod(shape):
        raise InputError(f"columns: expected {math.prod(shape)} names, one for each column; got {len(names)}")
    if image_shape is not None and len(shape) == 2 and tuple(image_shape) != shape:
        raise InputError(f"image_shape: expected {shape}, the shape of the images given; got {image_shape}")
    splits, kind, scale = _splits_of("data", rows, labels, weights, names, options)
    notes: tuple[str, ...] = ()
    if "x" in splits:
        splits, notes = split_shuffled(splits["x"]), (_SHUFFLED,)
    elif "validation" not in splits:
        splits, notes = {**split_validation(splits["train"]), "test": splits["test"]}, (_TENTH,)
    elif "test" not in splits:
        notes = ("there is no test split",)
    return Assembled(splits, kind, scale, image_shape or _image_shape(shape), names, notes)


def _splits_of(
    where: object,
    rows: Mapping[str, Array | SparseRows],
    labels: Mapping[str, Array | None],
    weights: Mapping[str, Array | None],
    names: tuple[str, ...] | None,
    options: ReadOptions,
    text: bool = False,
) -> tuple[dict[str, Split], Kind, float]:
    """Decide what the values of all splits mean, and return the splits as they are stored, with kind and scale."""
    tabular = next(iter(rows.values())).ndim == 2
    flat = {key: _flat(part) for key, part in rows.items()}
    stacked: Any = _stacked(list(flat.values()))
    summary = (summarise_sparse if isinstance(stacked, SparseRows) else summarise)(str(where), stacked)
    if text:  # numbers of no type: that they are stored as bytes says nothing
        summary = dataclasses.replace(summary, byte=False)
    if text and names is None:
        require_first_alike(where, stacked, options)
    if tabular:
        require_no_index(where, names, summary)
        require_alike(where, names, summary, options)
        if all(part is None for part in labels.values()):
            require_no_labels(where, names, stacked, summary, options)
    require_one_meaning(where, {key: _highest(part) for key, part in flat.items() if part.size})
    coding = decide(str(where), summary, options, names)
    splits = {
        key: Split(
            _stored(coding, part),
            require_labels(f"{where}: labels of {key}", labels[key], len(part)),
            weights=require_weights(f"{where}: weights of {key}", weights[key], len(part)),
        )
        for key, part in flat.items()
    }
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


def _as_rows(argument: str, value: object) -> Array | SparseRows:
    """Return a matrix of scipy.sparse as sparse rows, and anything else as an array."""
    return SparseRows(value) if is_sparse(value) else _as_array(argument, value)


def _as_array(argument: str, value: object) -> Array:
    """Return a NumPy array, torch tensor or nested list as a NumPy array, or raise an InputError."""
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        return (value.float() if value.dtype == torch.bfloat16 else value).numpy()
    if isinstance(value, np.ma.MaskedArray):
        raise InputError(f"{argument}: expected no missing values; got a masked array ({value.mask.sum():,} masked)")
    if isinstance(value, np.ndarray):
        return value
    if isinstance(value, list | tuple):
        try:
            return np.array(value)
        except ValueError:
            raise InputError(f"{argument}: expected rows of one length; got a list of rows of several") from None
    way = ""
    if hasattr(value, "to_numpy"):
        way = "; take x.to_numpy(), and give the names as columns=list(x.columns)"
    raise InputError(
        f"{argument}: expected a NumPy array, a torch tensor or a nested list; got {type(value).__name__}{way}"
    )


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

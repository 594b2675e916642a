"""From the arrays of a file to a data set: columns get their roles, values their meaning, rows their split."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vaelab.data.archives import SPLITS
from vaelab.data.dataset import Dataset, Split, require_labels, split_shuffled, split_validation
from vaelab.data.roles import (
    label_among,
    require_alike,
    require_first_alike,
    require_no_index,
    require_no_labels,
    roles_of,
)
from vaelab.data.tables import Table
from vaelab.data.values import (
    Array,
    ReadOptions,
    decide,
    look,
    require_numbers,
    require_one_meaning,
    require_rows_or_images,
)
from vaelab.errors import InputError

__all__ = ["Content", "assemble"]


@dataclass(frozen=True)
class Content:
    """The arrays of a file: ``x``, or the splits by name, and ``labels of x`` and so on if there are any.

    ``names`` are those of the columns of ``x``; an ``archive`` names its arrays and not their columns, a
    ``text`` has numbers of no type.
    """

    arrays: Mapping[str, Array]
    names: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()
    archive: bool = False
    text: bool = False


def assemble(path: Path, content: Content, whole: bool, options: ReadOptions) -> Dataset:
    """Make the data set of a file.

    Raises:
        InputError: arrays that are neither rows nor images of one shape, columns that may be no pixels, values that are
            neither bits nor grey levels, labels that are not whole numbers.
    """
    rows = {key: _without_channel(content.arrays[key]) for key in ("x", *SPLITS) if key in content.arrays}
    labels = {key: _column(content.arrays.get(f"labels of {key}")) for key in rows}
    shape = _shape_of(path, rows)
    names, notes = content.names, content.notes
    told = dataclasses.replace(options, label_column=None) if content.archive else options
    if list(rows) == ["x"] and len(shape) == 1 and rows["x"].size:
        roles = roles_of(path, Table(rows["x"], names, notes), told)
        rows, names, notes = {"x": roles.pixels}, roles.names, roles.notes
        labels = labels if roles.labels is None else {"x": roles.labels}
    else:
        label_among(path, names, told)  # refuses a column that cannot be
    flat = {key: array.reshape(len(array), math.prod(array.shape[1:])) for key, array in rows.items()}
    stacked = next(iter(flat.values())) if len(flat) == 1 else np.concatenate(list(flat.values()))
    seen = look(str(path), stacked)
    if content.text:  # whole numbers of no type: that they are stored as bytes says nothing
        seen = dataclasses.replace(seen, byte=False)
    if content.text and names is None:
        require_first_alike(path, stacked, options)
    if len(shape) == 1:
        require_no_index(path, names, seen)
        require_alike(path, names, seen, options)
        if all(found is None for found in labels.values()):
            require_no_labels(path, names, stacked, seen)
    require_one_meaning(path, {key: float(part.max()) for key, part in flat.items() if part.size})
    coding = decide(str(path), seen, options, names)
    splits = {
        key: Split(coding.store(part), require_labels(f"{path}: labels of {key}", labels[key], len(part)))
        for key, part in flat.items()
    }
    if "x" in splits:
        splits = {"all": splits["x"]} if whole else split_shuffled(splits["x"], where=path)
    elif "validation" not in splits:
        splits = {**split_validation(splits["train"], where=path), "test": splits["test"]}
        notes = (*notes, "there is no validation split: it is a tenth of train, drawn with seed 777")
    image_shape = (int(shape[0]), int(shape[1])) if len(shape) == 2 else None
    return Dataset(path.name, splits, coding.kind, coding.scale, image_shape, names, notes)


def _shape_of(path: Path, rows: Mapping[str, Array]) -> tuple[int, ...]:
    """Return the shape of one observation, (X,) or (H, W)."""
    for array in rows.values():
        require_rows_or_images(path, array.shape)
    if len({array.shape[1:] for array in rows.values()}) > 1:
        found = ", ".join(f"{key} {array.shape}" for key, array in rows.items())
        raise InputError(f"{path}: expected splits whose observations have one shape; got {found}")
    for key, array in rows.items():
        require_numbers(f"{path}: {key}", array)
    return next(iter(rows.values())).shape[1:]


def _without_channel(array: Array) -> Array:
    """Return images of one channel (N, H, W, 1) or (N, 1, H, W) as images (N, H, W)."""
    if array.ndim == 4 and array.shape[3] == 1:
        return array[..., 0]
    return array[:, 0] if array.ndim == 4 and array.shape[1] == 1 else array


def _column(labels: Array | None) -> Array | None:
    """Return labels of shape (N, 1) as labels of shape (N,)."""
    return labels[:, 0] if labels is not None and labels.ndim == 2 and labels.shape[1] == 1 else labels

"""From the rows of a table or an array to the splits of a data set."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vaelab.data.frames import column_of
from vaelab.data.splits import Split, chosen_rows
from vaelab.data.splitting import Splitting, rows_of_names, rows_of_splits
from vaelab.data.tables import missing_in
from vaelab.data.values import Array
from vaelab.errors import InputError

__all__ = ["completed", "divide"]


def divide(
    where: object, rows: Split, splitting: Splitting, names: Array | None = None, groups: Array | None = None
) -> tuple[dict[str, Split], tuple[str, ...]]:
    """Divide rows into splits, and return notes on what was drawn.

    Args:
        where: what the rows are of, for messages.
        rows: all of them.
        splitting: how they are divided.
        names: the name of the split of each row, where that is known.
        groups: the group of each row, where groups stay together.

    Raises:
        InputError: rows, groups or classes that are too few, or names of other splits.

    >>> splits, notes = divide("data", Split(np.eye(20, dtype=np.uint8)), Splitting(seed=1))
    >>> [(name, len(split)) for name, split in splits.items()], notes
    ([('train', 16), ('validation', 2), ('test', 2)], ('split 80 % / 10 % / 10 % ..., shuffled with seed 1',))
    """
    for what, array in (("split", names), ("groups", groups)):
        if array is not None and array.shape != (len(rows),):
            raise InputError(
                f"{where}: {what}: expected one for each row, shape ({len(rows)},); got shape {array.shape}"
            )
    if names is not None and (groups is not None or splitting.stratify):
        what = "stratify" if groups is None else "groups"
        raise InputError(f"{where}: {what}: expected none beside split, which says the split of each row")
    if splitting.whole:
        return {"all": rows}, ()
    if names is not None:
        called = f"{where}: column {splitting.column!r}" if splitting.column is not None else f"{where}: split"
        chosen = rows_of_names(called, names)
        return completed(where, {name: chosen_rows(rows, part) for name, part in chosen.items()}, splitting)
    groups = None if groups is None else _complete(f"{where}: groups", groups)
    drawn = rows_of_splits(where, len(rows), splitting, rows.labels, groups)
    return {name: chosen_rows(rows, part) for name, part in drawn.items()}, (splitting.note(groups is not None),)


def _complete(where: str, groups: Array) -> Array:
    """Return the group of each row as numbers or text; an InputError if some have none."""
    column = column_of(where, groups)
    missing = missing_in(column)
    if missing.any():
        raise InputError(
            f"{where}: expected a group in every row; it is missing in {missing.sum():,} of {len(column):,} rows, "
            f"first in row {int(missing.argmax())} (counted from 0)"
        )
    return column.astype(str) if column.dtype == object else column


def completed(
    where: object, splits: Mapping[str, Split], splitting: Splitting
) -> tuple[dict[str, Split], tuple[str, ...]]:
    """Return splits of which train is known with a validation split, a tenth of train if there is none, and notes.

    The rows of the tenth are drawn; the others keep their order.
    """
    notes: list[str] = []
    parts = dict(splits)
    if "validation" not in parts:
        train, count = parts["train"], len(parts["train"])
        if count < 10:
            raise InputError(
                f"{where}: expected at least 10 rows in train, a tenth of which become the validation split; "
                f"got {count}"
            )
        drawn = np.sort(np.random.default_rng(splitting.seed).permutation(count)[: count // 10])
        others = np.setdiff1d(np.arange(count), drawn)
        parts |= {"train": chosen_rows(train, others), "validation": chosen_rows(train, drawn)}
        notes.append(f"there is no validation split: it is a tenth of train, drawn with seed {splitting.seed}")
    if "test" not in parts:
        notes.append("there is no test split")
    order = [name for name in ("train", "validation", "test") if name in parts]
    return {name: parts[name] for name in order}, tuple(notes)

"""Labels that are text, as whole numbers."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from vaelab.data.content import Content
from vaelab.data.frames import column_of
from vaelab.data.values import Array
from vaelab.errors import InputError

__all__ = ["numbered"]


def numbered(where: object, content: Content) -> Content:
    """Return a content whose labels are numbers: text is numbered in its order, the same in all splits.

    Raises:
        InputError: labels of text of which some are missing, or that are numbers in another split.

    >>> content = numbered("votes", Content({"labels of x": np.array(["y", "n", "y"])}))
    >>> content.arrays["labels of x"].tolist(), content.notes
    ([1, 0, 1], ("labels: 0 is 'n', 1 is 'y'",))
    """
    found = {key: content.beside("labels", key.removeprefix("labels of ")) for key in content.arrays}
    labels = {key: part for key, part in found.items() if part is not None and key.startswith("labels of ")}
    if not any(part.dtype.kind in "OU" for part in labels.values()):
        return content
    columns = {key: column_of(f"{where}: {key}", part) for key, part in labels.items()}
    for key, column in columns.items():
        _require_all_text(f"{where}: {key}", column)
    classes, codes = np.unique(np.concatenate(list(columns.values())).astype(str), return_inverse=True)
    starts = np.cumsum([len(column) for column in columns.values()])[:-1]
    numbers = dict(zip(columns, np.split(codes.astype(np.int64), starts), strict=True))
    notes = (*content.notes, f"labels: {_described(classes.tolist())}")
    arrays = {**content.arrays, **numbers}
    return dataclasses.replace(content, arrays=arrays, notes=notes, classes=tuple(classes.tolist()))


def _require_all_text(where: str, column: Array) -> None:
    if column.dtype != object:
        raise InputError(f"{where}: expected whole numbers as labels, or text in every split; got {column.dtype}")
    missing = np.array([value is None for value in column], bool)
    if missing.any():
        raise InputError(
            f"{where}: expected a label in every row; {missing.sum():,} are missing, the first in row "
            f"{int(missing.argmax())} (counted from 0)"
        )


def _described(names: Sequence[str]) -> str:
    shown = ", ".join(f"{number} is {name!r}" for number, name in enumerate(names[:3]))
    return shown if len(names) <= 3 else f"{shown} and so on, {len(names)} in all"

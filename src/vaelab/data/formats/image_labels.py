"""Labels of images: the names of their folders, or a table of file names and labels beside them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vaelab.data.content import Content
from vaelab.data.formats import text
from vaelab.data.naming import listed
from vaelab.data.opening import open_unpacked
from vaelab.data.roles import label_among
from vaelab.data.values import Array, ReadOptions
from vaelab.errors import InputError

__all__ = ["labels_of_table", "number_classes"]

Labels = npt.NDArray[np.int64]


def number_classes(names: Sequence[str]) -> tuple[dict[str, int], tuple[str, ...]]:
    """Return a number for each class, the number that its name is or its place, and a note on places.

    >>> number_classes(["cat", "dog"])
    ({'cat': 0, 'dog': 1}, ("the labels are: 0 'cat', 1 'dog'",))
    >>> number_classes(["3", "10"])
    ({'3': 3, '10': 10}, ())
    """
    if all(name.isdecimal() and name == str(int(name)) for name in names):
        return {name: int(name) for name in names}, ()
    shown = ", ".join(f"{number} {name!r}" for number, name in enumerate(names[:20]))
    return {name: number for number, name in enumerate(names)}, (
        f"the labels are: {shown}{', ...' if len(names) > 20 else ''}",
    )


def labels_of_table(path: Path, files: Sequence[Path], options: ReadOptions) -> tuple[Labels, tuple[str, ...]]:
    """Return the labels of files, from a table with a column of their names and one of labels, and notes.

    Raises:
        InputError: no column of the names, several that may be labels, files without a label or labels without a file.
    """
    with open_unpacked(path) as opened:
        table = text.read(opened, ReadOptions())
    names, columns = _columns(table)
    column, of_file = _column_of_names(path, columns, files)
    others = [name for place, name in enumerate(names) if place != column]
    label = label_among(path, others, options) or (others[0] if len(others) == 1 else None)
    if label is None:
        raise InputError(
            f"{path}: expected a column of file names and one of labels; got {listed(names)}; "
            "say which one holds labels with --label-column (label_column= in Python)"
        )
    values = [str(value) for value in columns[names.index(label)]]
    classes, notes = number_classes(sorted(set(values)))
    missing = [file.name for file in files if file.name not in of_file]
    if missing or len(of_file) != len(files) or len(values) != len(files):
        got = f"none for {listed(missing)}" if missing else f"{len(values):,} labels of {len(files):,} files"
        raise InputError(f"{path}: expected one label for each image of its folder; got {got}")
    labels = np.array([classes[values[of_file[file.name]]] for file in files], np.int64)
    return labels, (f"the labels of the images are in column {label!r} of {path.name}", *notes)


def _columns(table: Content) -> tuple[list[str], list[Array]]:
    """Return the names and the columns of a table of text."""
    if table.table is not None:
        return list(table.table.names), list(table.table.columns)
    x = np.asarray(table.arrays["x"])
    names = table.names or tuple(f"column {place + 1}" for place in range(x.shape[1]))
    return list(names), [column.astype(np.int64) if (column % 1 == 0).all() else column for column in x.T]


def _column_of_names(path: Path, columns: Sequence[Array], files: Sequence[Path]) -> tuple[int, dict[str, int]]:
    """Return the place of the column that names most files, with or without the ending, and the row of each file."""
    known = {file.name: file.name for file in files} | {file.stem: file.name for file in files}
    for place, column in enumerate(columns):
        found = {known[name]: row for row, value in enumerate(column) if (name := Path(str(value)).name) in known}
        if 2 * len(found) > len(files):
            return place, found
    raise InputError(f"{path}: expected a column with the names of the images beside it, such as {files[0].name!r}")

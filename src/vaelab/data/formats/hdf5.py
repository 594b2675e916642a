"""HDF5 files: arrays by their names, and annotated data (.h5ad)."""

from __future__ import annotations

import numpy as np

from vaelab.data.content import Content
from vaelab.data.formats.apart import Found, read_apart
from vaelab.data.formats.image_labels import number_classes
from vaelab.data.formats.named_arrays import name_arrays, note_of_roles
from vaelab.data.naming import listed
from vaelab.data.opening import Opened
from vaelab.data.roles import label_among
from vaelab.data.sparse import SparseRows
from vaelab.data.values import Array, ReadOptions
from vaelab.errors import InputError

__all__ = ["read"]

_OBS = "obs "  # stands before the name of a column of obs


def read(opened: Opened, options: ReadOptions) -> Content:
    """Read the arrays that have a role; in groups, as ``train/images``, the name is ``train_images``."""
    found, path = read_apart(opened, "hdf5", "an HDF5 file"), opened.path
    if "columns" in found.texts:
        return _annotated(opened, found, options)
    arrays = {name.replace("/", "_"): array for name, array in found.arrays.items()}
    names = [*arrays, *(name.replace("/", "_") for name in found.others)]
    shapes = {name: array.shape for name, array in arrays.items()}
    roles = name_arrays(path, names, options, shapes.get)
    for name in roles.values():
        if name not in arrays:
            raise InputError(f"{path}: array {name!r}: expected numbers; got data of another type")
    return Content(
        {role: arrays[name] for role, name in roles.items()}, notes=note_of_roles(names, roles), archive=True
    )


def _annotated(opened: Opened, found: Found, options: ReadOptions) -> Content:
    """Return the rows of X with the names of their variables, and a column of obs as labels."""
    path = opened.path
    columns = {name[len(_OBS) :]: found.arrays[name] for name in found.arrays if name.startswith(_OBS)}
    words = {name[len(_OBS) :]: found.texts[name] for name in found.texts if name.startswith(_OBS)}
    names = [*columns, *words]
    label = label_among(path, names, options)
    arrays: dict[str, Array | SparseRows] = {"x": found.arrays["x"]}
    notes: tuple[str, ...] = ()
    if label in words:
        classes, notes = number_classes(sorted(set(words[label])))
        arrays["labels of x"] = np.array([classes[word] for word in words[label]], np.int64)
    elif label is not None:
        arrays["labels of x"] = columns[label]
    unread = [name for name in names if name != label]
    notes = (*notes, f"not read: {listed(unread)} of obs; --label-column can name one of them") if unread else notes
    if label is not None:
        notes = (f"the labels are in {label!r} of obs", *notes)
    return Content(arrays, tuple(found.texts["columns"]), notes, archive=True)

"""MATLAB files (.mat) and matrices in Matrix Market format (.mtx)."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from vaelab.data.content import Content
from vaelab.data.formats.apart import read_apart
from vaelab.data.formats.named_arrays import name_arrays, note_of_roles
from vaelab.data.opening import Opened
from vaelab.data.sparse import SparseRows
from vaelab.data.values import Array, ReadOptions
from vaelab.errors import InputError

__all__ = ["read", "read_mtx"]


def read(opened: Opened, options: ReadOptions) -> Content:
    """Read the variables of a MATLAB file that have a role, rows or images first; notes name the others."""
    kind: Literal["mat", "mat73"] = "mat73" if opened.stream.peek(10).startswith(b"MATLAB 7.3") else "mat"
    found, path = read_apart(opened, kind, "a MATLAB file"), opened.path
    names = [*found.arrays, *found.others]
    shapes = {name: array.shape for name, array in found.arrays.items()}
    roles = name_arrays(path, names, options, shapes.get)
    for name in roles.values():
        if name in found.others:
            raise InputError(f"{path}: array {name!r}: expected numbers; got {found.others[name]}")
    arrays = {role: _in_role(path, role, name, found.arrays[name]) for role, name in roles.items()}
    return Content(arrays, notes=note_of_roles(names, roles), archive=True)


def _in_role(path: Path, role: str, name: str, array: Array | SparseRows) -> Array | SparseRows:
    """Return labels as one column of whole numbers, which MATLAB stores as real ones; rows and images as they are."""
    if isinstance(array, SparseRows):
        return array
    if role.startswith("labels"):
        array = array.reshape(-1, 1) if array.ndim == 2 and 1 in array.shape else array
        whole = array.dtype.kind == "f" and bool((array == np.trunc(array)).all())
        return array.astype(np.int64) if whole else array
    if array.ndim == 3 and array.shape[0] < array.shape[2]:
        raise InputError(
            f"{path}: array {name!r}: expected images (N, H, W); got shape {array.shape}; if the images are last, "
            f"save permute({name}, [3 1 2])"
        )
    return array


def read_mtx(opened: Opened, options: ReadOptions) -> Content:
    """Read a matrix, sparse or dense: its rows are the observations."""
    return Content({"x": read_apart(opened, "mtx", "a Matrix Market file").arrays["x"]})

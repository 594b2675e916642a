"""Sparse matrices in files: of scipy.sparse (.npz), and svmlight, with labels."""

from __future__ import annotations

from collections.abc import Sequence
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np

from vaelab.data.content import Content
from vaelab.data.opening import Opened, read_whole, reason_of, require_fits
from vaelab.data.sparse import SparseRows
from vaelab.data.values import Array, ReadOptions
from vaelab.errors import InputError

__all__ = ["as_rows", "is_sparse_archive", "read_sparse", "read_svmlight"]

_SPARSE = ({"indices", "indptr"}, {"row", "col"}, {"offsets", "data"})  # beside format and shape


def is_sparse_archive(names: Sequence[str]) -> bool:
    """Return whether the arrays of an .npz file are the parts of a sparse matrix.

    >>> is_sparse_archive(["format", "shape", "data", "indices", "indptr"])
    True
    """
    return {"format", "shape"} <= set(names) and any(keys <= set(names) for keys in _SPARSE)


def read_sparse(path: Path, file: FileIO) -> SparseRows:
    """Read a matrix that scipy.sparse.save_npz wrote; its size is checked already."""
    from scipy import sparse

    try:
        matrix = sparse.load_npz(file)  # opens no pickles
    except Exception as error:  # scipy and numpy raise a dozen kinds for a damaged file
        raise InputError(f"{path}: expected a readable sparse matrix ({reason_of(error)})") from error
    return as_rows(path, matrix)


def as_rows(path: Path, matrix: Any) -> SparseRows:
    """Return a sparse matrix as rows, once its parts fit each other and the memory.

    Raises:
        InputError: complex numbers, indices outside the matrix, a shape that memory does not hold.
    """
    if matrix.dtype.kind not in "biuf":
        raise InputError(f"{path}: expected numbers; got a sparse matrix of dtype {matrix.dtype}")
    require_fits(path, 8 * (matrix.shape[0] + 8 * matrix.shape[1]) + 16 * matrix.nnz, advice="leave out empty columns")
    try:
        if matrix.format in ("csr", "csc", "bsr"):
            matrix.check_format(full_check=True)
        return SparseRows(matrix)
    except Exception as error:
        raise InputError(f"{path}: expected a readable sparse matrix ({reason_of(error)})") from error


def read_svmlight(opened: Opened, options: ReadOptions) -> Content:
    """Read lines of a label and of pairs column:value. Targets that are no whole numbers are left out."""
    from sklearn.datasets import load_svmlight_file

    stream, path = read_whole(opened), opened.path
    try:
        matrix, targets = load_svmlight_file(stream)
    except Exception as error:  # scikit-learn raises several kinds for a damaged file
        raise InputError(
            f"{path}: expected lines of a number and pairs column:value, such as '1 3:1 7:0.5' ({reason_of(error)})"
        ) from error
    labels = _whole(targets)
    notes = ("the numbers at the beginning of the lines are no whole numbers, and are left out",)
    arrays: dict[str, Array | SparseRows] = {"x": as_rows(path, matrix)}
    return Content(arrays, notes=notes) if labels is None else Content(arrays | {"labels of x": labels})


def _whole(targets: Array) -> Array | None:
    whole = np.abs(targets).max(initial=0) < 2**53 and (targets == np.trunc(targets)).all()
    return targets.astype(np.int64) if whole else None

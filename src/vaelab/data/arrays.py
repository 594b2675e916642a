"""What a user may give as rows in Python: arrays, tensors, lists, frames, sparse matrices, data sets of torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from vaelab.data.choices import Choice, dropped
from vaelab.data.content import RawTable
from vaelab.data.frames import column_of, is_frame, names_of, sparse_matrix_of, table_of, table_of_objects
from vaelab.data.naming import listed
from vaelab.data.sparse import SparseRows, is_sparse
from vaelab.data.values import Array
from vaelab.errors import InputError, did_you_mean

__all__ = ["Given", "as_array", "given_rows", "with_mask"]

_EXPECTED = "an array, a tensor, a nested list, a frame, a sparse matrix or a map-style data set"


@dataclass(frozen=True)
class Given:
    """Rows as a user gives them: an array (N, X) or (N, H, W), sparse rows, or a table of named columns.

    ``names`` are those of the columns of an array, ``labels`` come with the rows of a data set of torch, and
    ``beside`` is a frame of columns that are not observed but may be named: ``.obs`` of AnnData.
    """

    rows: Array | SparseRows | RawTable
    names: tuple[str, ...] | None = None
    labels: Array | None = None
    beside: Any = None

    def taken(self, argument: str, name: str) -> tuple[Given, Array]:
        """Return the rows without the column of a name, and that column.

        Raises:
            InputError: there is no column of this name.
        """
        known = self.rows.names if isinstance(self.rows, RawTable) else None
        known = names_of(self.beside) if self.beside is not None else known
        if known is None:
            raise InputError(f"{argument}: expected an array, or the name of a column of a frame; got {name!r}")
        if name not in known:
            raise InputError(f"{argument}: there is no column {name!r}{did_you_mean(name, known)}")
        if not isinstance(self.rows, RawTable) or self.beside is not None:
            return self, column_of(f"{argument}: column {name!r}", self.beside[name])
        others = [other for other in self.rows.names if other != name]
        return replace(self, rows=self.rows.take(others)), self.rows.columns[self.rows.names.index(name)]


def given_rows(
    argument: str,
    value: Any,
    names: tuple[str, ...] | None = None,
    columns: Sequence[tuple[str, Choice]] | None = None,
) -> Given:
    """Return rows of any provenance; missing values (None, NA, masked) become NaN.

    ``names`` are those of the columns, where the rows have none themselves; ``columns`` say what they are.

    Raises:
        InputError: anything that is no table, no array, and no data set of rows.

    >>> given_rows("x", [[1, None], [0, 1]]).rows
    array([[ 1., nan],
           [ 0.,  1.]])
    """
    if all(hasattr(value, name) for name in ("X", "var_names", "obs")):  # AnnData
        own = tuple(map(str, value.var_names))
        _require_own_names(own, names)
        inner = given_rows(argument, value.X, own)
        return replace(inner, beside=value.obs)
    if is_sparse(value) or (isinstance(value, torch.Tensor) and value.layout != torch.strided):
        return Given(SparseRows(value if is_sparse(value) else _scipy(value)), names)
    if is_frame(value):
        _require_own_names(names_of(value), names)
        matrix, names = sparse_matrix_of(value), names_of(value)
        if matrix is not None:
            return Given(SparseRows(matrix), names)
        return Given(table_of(argument, value, dropped(columns, names)))
    if _is_map_style(value):
        return _of_items(argument, value, names)
    rows = as_array(argument, value)
    if rows.dtype.kind in "OU" and rows.ndim == 2 and rows.size:
        table = table_of_objects(argument, rows, names)
        numbers = table.numbers()
        return Given(table) if numbers is None else Given(numbers, names)
    return Given(rows, names)


def _require_own_names(own: tuple[str, ...], names: tuple[str, ...] | None) -> None:
    """Refuse other names than those that a frame has: which are meant is not clear."""
    if names is not None and names != own:
        raise InputError(
            f"columns: expected no names beside a frame, which has its own, {listed(own)}; got {listed(names)}; "
            "rename the columns of the frame, or say what they are: columns={'age': 'real'}"
        )


def as_array(argument: str, value: Any) -> Array:
    """Return an array of NumPy, a tensor or a nested list as an array; NaN where a value is masked."""
    if getattr(getattr(value, "dtype", None), "fields", None):  # of NumPy, or a series of structs of polars
        raise InputError(
            f"{argument}: expected {_EXPECTED}; got {type(value).__name__} of records; make a frame of it: "
            f"{'x.struct.unnest()' if hasattr(value, 'struct') else 'pandas.DataFrame(x)'}"
        )
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        tensor: Array = (value.float() if value.dtype == torch.bfloat16 else value).numpy()
        return tensor
    if isinstance(value, np.ma.MaskedArray):
        return np.where(np.ma.getmaskarray(value), np.nan, value.data) if np.ma.is_masked(value) else value.data
    if isinstance(value, np.ndarray):
        return np.asarray(value) if isinstance(value, np.matrix) else value
    if isinstance(value, list | tuple):
        try:
            array: Array = np.array(value)
        except ValueError:
            raise InputError(f"{argument}: expected rows of one length; got a list of rows of several") from None
        return np.array(value, object) if array.dtype.kind in "US" else array  # text would make numbers text
    if hasattr(value, "__array__") and not isinstance(value, type):
        other: Array = np.asarray(value)
        return other
    way = "; x.collect() makes a frame of it" if hasattr(value, "collect") else ""
    raise InputError(f"{argument}: expected {_EXPECTED}; got {type(value).__name__}{way}")


def with_mask(given: Given, mask: Any) -> Given:
    """Return rows with NaN where a mask of their shape, dense or sparse, is 0; where it is 1 a value is observed.

    Rows beside a sparse mask become sparse, and entries that the mask does not store are missing.

    Raises:
        InputError: a mask of another shape, or of other values than 0 and 1.

    >>> with_mask(Given(np.eye(2)), [[1, 1], [1, 0]]).rows
    array([[ 1.,  0.],
           [ 0., nan]])
    """
    observed = SparseRows(mask) if is_sparse(mask) else as_array("mask", mask)
    if isinstance(given.rows, RawTable):
        raise InputError("mask: expected rows in an array or a sparse matrix beside it; a frame has NaN or None itself")
    if tuple(observed.shape) != tuple(given.rows.shape):
        raise InputError(f"mask: expected the shape of x, {tuple(given.rows.shape)}; got {tuple(observed.shape)}")
    values = observed.values if isinstance(observed, SparseRows) else observed
    if values.dtype.kind not in "biuf" or not bool(((values == 0) | (values == 1)).all()):
        raise InputError("mask: expected 1 or True where a value is observed, and 0 or False where not; got others")
    if isinstance(observed, SparseRows):
        return replace(given, rows=observed.observe(given.rows))
    if isinstance(given.rows, SparseRows):
        return replace(given, rows=given.rows.hide(observed == 0))
    return replace(given, rows=np.where(observed != 0, given.rows, np.nan))


def _scipy(tensor: torch.Tensor) -> Any:
    """Return a sparse tensor as a matrix of scipy."""
    from scipy import sparse

    entries = tensor.detach().cpu().to_sparse_coo().coalesce()
    return sparse.coo_array((entries.values().numpy(), tuple(entries.indices().numpy())), shape=tuple(entries.shape))


def _is_map_style(value: object) -> bool:
    """Return whether a value is a data set of torch, or has its methods: a length, and items by number."""
    if isinstance(value, torch.utils.data.Dataset):
        return True
    methods = hasattr(value, "__getitem__") and hasattr(value, "__len__")
    return (
        methods
        and not isinstance(value, torch.Tensor | list | tuple | str | bytes | Mapping)
        and not hasattr(value, "__array__")
    )


def _of_items(argument: str, data: Any, names: tuple[str, ...] | None) -> Given:
    """Return the rows of a map-style data set, whose items are rows, or pairs of a row and a label."""
    if not hasattr(data, "__len__") or not hasattr(data, "__getitem__"):
        raise InputError(
            f"{argument}: expected a map-style data set, with a length and items; got {type(data).__name__}"
        )
    items = [data[number] for number in range(len(data))]
    pairs = bool(items) and isinstance(items[0], tuple | list) and len(items[0]) == 2
    rows = [as_array(f"{argument}: item {number}", item[0] if pairs else item) for number, item in enumerate(items)]
    if len({row.shape for row in rows}) > 1:
        raise InputError(f"{argument}: expected items of one shape; got {rows[0].shape} and others")
    labels = np.array([int(item[1]) for item in items]) if pairs else None
    return Given(np.stack(rows) if rows else np.empty((0, 0)), names, labels)

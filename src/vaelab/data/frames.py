"""Tables of other libraries (pandas, polars, pyarrow) as columns, by their names and methods; none is imported."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

import numpy as np
import numpy.typing as npt

from vaelab.data.content import RawTable
from vaelab.data.naming import listed
from vaelab.data.values import Array
from vaelab.data.variables import Level
from vaelab.errors import InputError, shown

__all__ = [
    "column_of",
    "is_frame",
    "names_of",
    "order_of",
    "require_different_names",
    "sparse_matrix_of",
    "table_of",
    "table_of_objects",
]

_LEAVE_OUT = "leave it out, or make numbers or text of it"
_NO_VALUES = ("NAType", "NaTType")  # of pandas


def is_frame(value: object) -> bool:
    """Return whether a value is a table with named columns: of pandas, polars, pyarrow or a library like them."""
    return (hasattr(value, "to_numpy") or _is_of_arrow(value)) and hasattr(value, "columns")


def names_of(frame: Any) -> tuple[str, ...]:
    """Return the names of the columns of a frame."""
    return tuple(map(str, _labels(frame)))


def require_different_names(where: str, frame: Any) -> None:
    """Raise an InputError if two columns of a frame have one name."""
    names = names_of(frame)
    if len(set(names)) < len(names):
        twice = [name for place, name in enumerate(names) if name in names[:place]]
        raise InputError(f"{where}: expected different names of columns; got {listed(twice)} more than once")


def sparse_matrix_of(frame: Any) -> Any:
    """Return the matrix of scipy of a frame of pandas whose columns are all sparse with zeros left out, else None."""
    dtypes = list(getattr(frame, "dtypes", ()))
    if not dtypes or not hasattr(frame, "sparse") or any(getattr(dtype, "fill_value", None) != 0 for dtype in dtypes):
        return None
    return frame.sparse.to_coo()


def table_of(where: str, frame: Any, left_out: Collection[str] = ()) -> RawTable:
    """Return a frame as a table; a column that a model leaves out may be of any type.

    Its values are missing in the table if they are neither numbers, nor booleans, nor text.

    Raises:
        InputError: names that are not all different, or a column that holds neither numbers, nor booleans, nor text.
    """
    require_different_names(where, frame)
    labels, names = _labels(frame), names_of(frame)
    if not names or not len(frame):
        raise InputError(f"{where}: expected at least one row and one column; got shape {tuple(frame.shape)}")
    values, orders = [], {}
    for name, label in zip(names, labels, strict=True):
        try:
            values.append(column_of(f"{where}: column {name!r}", frame[label]))
            orders[name] = order_of(frame[label])
        except InputError:
            if name not in left_out:
                raise
            values.append(np.full(len(frame), np.nan))
    return RawTable(names, values, {name: order for name, order in orders.items() if order is not None})


def table_of_objects(where: str, rows: npt.NDArray[Any], names: Sequence[str] | None) -> RawTable:
    """Return an array of objects (N, X) as a table; without names the columns are called by their numbers."""
    names = [str(place) for place in range(rows.shape[1])] if names is None else names
    if len(names) != rows.shape[1]:
        raise InputError(f"columns: expected {rows.shape[1]} names, one for each column; got {len(names)}")
    columns = [column_of(f"{where}: column {name!r}", column) for name, column in zip(names, rows.T, strict=True)]
    return RawTable(tuple(names), columns)


def column_of(where: str, column: Any) -> Array:
    """Return a column as numbers, as booleans, or as objects: text, or None where a value is missing.

    Raises:
        InputError: dates, lists or other objects, or text beside numbers.

    >>> column_of("a", [True, None]), column_of("b", ["x", float("nan")])
    (array([ 1., nan]), array(['x', None], dtype=object))
    """
    if hasattr(column, "to_numpy"):  # an array of Arrow makes a copy only if it is allowed to
        column = column.to_numpy(zero_copy_only=False) if hasattr(column, "to_pylist") else column.to_numpy()
    values: Array = column if isinstance(column, np.ndarray) else np.array(column, object)
    if values.dtype.kind in "biuf" and values.ndim == 1:
        return values
    if values.dtype.kind not in "OU" or values.ndim != 1:
        what = {"M": "dates", "m": "durations", "S": "bytes", "c": "complex numbers"}.get(values.dtype.kind, "objects")
        raise InputError(f"{where}: expected numbers, booleans or text; got {what} ({values.dtype}); {_LEAVE_OUT}")
    objects = values.astype(object)
    missing = np.array([_is_missing(value) for value in objects], bool)
    present = objects[~missing]
    if all(isinstance(value, str) for value in present) and len(present):
        text = objects.copy()
        text[missing] = None
        return text
    strange = next((value for value in present if not isinstance(value, Real | Decimal | np.bool_)), None)
    if strange is not None:
        beside = " beside numbers" if isinstance(strange, str) else f" ({type(strange).__name__})"
        raise InputError(f"{where}: expected numbers, booleans or text, one of them; got {shown(strange)}{beside}")
    if not missing.any() and all(isinstance(value, bool | np.bool_) for value in present):
        truths: Array = present.astype(bool)
        return truths
    if not missing.any() and all(isinstance(value, Integral) for value in present):
        return np.array([int(value) for value in present])
    numbers = np.full(len(objects), np.nan)
    numbers[~missing] = [float(value) for value in present]
    return numbers


def order_of(column: Any) -> tuple[Level, ...] | None:
    """Return the levels of a column of ordered categories of pandas, polars (``Enum``) or pyarrow, in their order."""
    dtype = getattr(column, "dtype", getattr(column, "type", None))
    if dtype is None or not (getattr(dtype, "ordered", False) or type(dtype).__name__ == "Enum"):
        return None
    if hasattr(dtype, "categories"):
        return tuple(dtype.categories.to_list())
    chunks = column.unify_dictionaries().chunks if hasattr(column, "chunks") else [column]
    return tuple(chunks[0].dictionary.to_pylist()) if chunks else None


def _is_of_arrow(value: object) -> bool:
    """Return whether a value is a table or a batch of pyarrow, whose ``columns`` are the values, without names."""
    return hasattr(value, "column_names") and hasattr(value, "schema") and hasattr(value, "num_rows")


def _labels(frame: Any) -> list[Any]:
    """Return what the columns of a frame are called in the library of the frame, which may be numbers."""
    return list(frame.column_names if _is_of_arrow(frame) else frame.columns)


def _is_missing(value: object) -> bool:
    return value is None or type(value).__name__ in _NO_VALUES or (isinstance(value, float) and value != value)

"""The X that a user gives to an estimator: an array, a sparse matrix, a frame, AnnData, or a data set of torch."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from vaelab.data import Column, DataSpec
from vaelab.data.arrays import given_rows
from vaelab.data.choices import columns_option, dropped
from vaelab.data.content import RawTable
from vaelab.data.frames import is_frame, names_of, require_different_names, table_of
from vaelab.data.kinds import find_variables
from vaelab.data.sparse import SparseRows, is_sparse
from vaelab.data.tables import encode_table, missing_in, without_stand_ins
from vaelab.data.values import Array, ReadOptions
from vaelab.errors import InputError

__all__ = ["as_given", "filled_frame", "frame_of", "read_first", "read_more"]

Variables = tuple[Column, ...]
_FRAMES = {"pandas": "DataFrame", "polars": "DataFrame", "pyarrow": "table"}  # how each library makes a frame
_ARRAYS = "biuf"  # kinds of dtypes that scikit-learn reads as numbers


def read_first(
    estimator: BaseEstimator, X: Any, columns: Mapping[str, Any] | None
) -> tuple[Array | SparseRows, Variables | None]:
    """Return the X of a fit as rows (N, features), and the kinds of its columns if it is a table that has them.

    These are frames with text, and frames of which ``columns`` says what they hold. The number and the names of the
    features are kept in the estimator.

    Raises:
        ValueError: no table of numbers and no frame, values that are infinite, or fewer than two rows.
    """
    X = _checked_frame(X)
    if is_frame(X) and (columns is not None or not _is_plain(X)):
        validate_data(estimator, X, reset=True, skip_check_array=True)
        options = ReadOptions(arrays=True, **columns_option(columns))
        table = table_of("X", X, dropped(options.columns, names_of(X)))
        variables, _ = find_variables("X", table, options)
        return encode_table("X", table, variables), variables
    if columns is not None:
        raise InputError(f"columns: expected a frame as X, whose columns have names; got {type(X).__name__}")
    return _numbers(estimator, X, fitting=True), None


def read_more(estimator: BaseEstimator, X: Any, variables: Variables | None) -> Array | SparseRows:
    """Return further rows for a fitted estimator, checked against the features of the fit.

    Raises:
        ValueError: other columns than in the fit, or as :func:`read_first`.
    """
    X = _checked_frame(X)
    if variables is None:
        return _numbers(estimator, X, fitting=False)
    if not is_frame(X):
        raise InputError(f"X: expected a frame with columns of the kinds that were fitted; got {type(X).__name__}")
    validate_data(estimator, X, reset=False, skip_check_array=True)
    return encode_table("X", _fitted_table(X, variables), variables)


def _checked_frame(X: Any) -> Any:
    """Return X with names that scikit-learn can read: those of a frame must differ, and a batch of pyarrow has none.

    Raises:
        InputError: names that are not all different.
    """
    if not is_frame(X):
        return X
    require_different_names("X", X)
    return import_module("pyarrow").Table.from_batches([X]) if type(X).__name__ == "RecordBatch" else X


def _fitted_table(frame: Any, variables: Variables) -> RawTable:
    """Return a frame as a table, in which columns that were left out of the fit may be of any type."""
    known = {column.name for column in variables}
    return table_of("X", frame, set(names_of(frame)) - known)


def _is_plain(frame: Any) -> bool:
    """Return whether all columns of a frame are numbers or booleans of NumPy."""
    return all(getattr(dtype, "kind", "O") in _ARRAYS for dtype in getattr(frame, "dtypes", (None,)))


def _numbers(estimator: BaseEstimator, X: Any, fitting: bool) -> Array | SparseRows:
    """Return numbers as rows, checked as scikit-learn does."""
    names: Sequence[str] | None = None
    if isinstance(X, np.ma.MaskedArray | torch.Tensor) or not (_is_array(X) or is_sparse(X) or is_frame(X)):
        given = given_rows("X", X)
        rows, names = given.rows, given.names
        X = rows.matrix if isinstance(rows, SparseRows) else rows
    checks = {"accept_sparse": "csr", "ensure_all_finite": "allow-nan", "ensure_min_samples": 2 if fitting else 1}
    with warnings.catch_warnings():
        if names is not None:
            if not fitting:
                _require_names(estimator, names)
            warnings.filterwarnings("ignore", "X does not have valid feature names")  # they are compared here
        checked = validate_data(estimator, X, reset=fitting, **checks)
    if names is not None and fitting:
        estimator.feature_names_in_ = np.array(names, dtype=object)
    return SparseRows(checked) if is_sparse(checked) else np.asarray(checked)


def _is_array(X: Any) -> bool:
    return hasattr(X, "__array__") or isinstance(X, list | tuple | str) or np.isscalar(X) or X is None


def _require_names(estimator: Any, names: Sequence[str]) -> None:
    """Refuse AnnData of other variables than those of the fit; scikit-learn does not read their names."""
    if list(getattr(estimator, "feature_names_in_", names)) != list(names):
        raise InputError("X: expected the variables that were fitted, in their order; got others")


def as_given(X: Any) -> str:
    """Return the library of a frame, in which :func:`frame_of` gives a table back; empty for anything else."""
    library = type(X).__module__.partition(".")[0]
    return library if is_frame(X) and library in _FRAMES else ""


def filled_frame(X: Any, spec: DataSpec, rows: Array, library: str) -> Any:
    """Return the user's frame with its missing values taken from rows.

    What was observed stays as it is, and so do the index and the columns that the model does not have.
    """
    given, table = _fitted_table(X, spec.variables or ()), spec.decode(rows)
    known = {column.name: column for column in spec.variables or ()}
    for name, values in zip(given.names, given.columns, strict=True):
        if name in table:
            values = without_stand_ins(values, known[name].missing)
            filled = table[name].astype(np.result_type(table[name], values), copy=True)
            observed = ~missing_in(values)
            filled[observed] = values[observed]
            table[name] = filled
    if library not in _FRAMES or library != as_given(X):
        return _frame(table, library)
    if library == "polars":
        columns = {column.name: column for column in _frame(table, library)}
        return X.with_columns([column.cast(_type_of(X[name], column, known[name])) for name, column in columns.items()])
    if library == "pyarrow":
        return _frame({name: table.get(name, X[name]) for name in given.names}, library)
    frame = X.copy()
    for label, name in zip(X.columns, given.names, strict=True):
        if name in table:
            frame[label] = table[name]
            dtype = _type_of(X[label], frame[label], known[name])
            plain = getattr(dtype, "categories", frame[label]).dtype  # True is a category, 1.0 is none
            frame[label] = frame[label].astype(plain).astype(dtype)
    return frame


def _type_of(given: Any, filled: Any, column: Column) -> Any:
    """Return the type of a filled column of pandas or polars: categories as they were, or that of its values.

    Categories that lack a value become the levels of the model.
    """
    dtype, levels, values = given.dtype, column.levels or (), set(filled)
    categories = getattr(dtype, "categories", None)
    if categories is None:
        return filled.dtype
    any_text = type(dtype).__name__ == "Categorical"  # of polars
    if values <= set(levels if any_text else categories):
        return dtype
    ordered = {"ordered": dtype.ordered} if hasattr(dtype, "ordered") else {}
    return type(dtype)(levels, **ordered) if values <= set(levels) else filled.dtype


def frame_of(spec: DataSpec | None, rows: Array, library: str, like: Any = None) -> Any:
    """Return rows as the user's table, if its columns have kinds: a frame, or a dictionary of columns.

    ``like`` is a frame of the same rows, whose index it gets.
    """
    if spec is None or spec.variables is None:
        return rows
    frame = _frame(spec.decode(rows), library)
    return frame.set_axis(like.index) if library == "pandas" and as_given(like) == "pandas" else frame


def _frame(table: dict[str, Array], library: str) -> Any:
    return getattr(import_module(library), _FRAMES[library])(table) if library in _FRAMES else table

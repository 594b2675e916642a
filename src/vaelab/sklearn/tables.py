"""From the X of scikit-learn to rows of one kind, and to a data set with rows held out for the validation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vaelab.data import Column, Dataset, Split
from vaelab.data.sparse import SparseRows, rows_of
from vaelab.data.values import Array, Kind, has_missing
from vaelab.errors import InputError, require_number

__all__ = ["data_of", "kind_of_rows", "require_kind", "stored_rows", "tensors_of", "values_of"]

_FEWEST = 10  # rows held out; a choice of weights by fewer would be chance
_ROWS = 1000  # rows that are dense at once
_REPEATS = 10  # rows stand as often as their weights up to so many times the rows

# The kind of data of each likelihood of one kind, in the words of Dataset.kind.
_KIND_OF = {
    "bernoulli": "binary",
    "tree": "binary",
    "autoregressive": "binary",
    "continuous-bernoulli": "grey",
    "gaussian": "real",
    "gaussian-shared": "real",
    "multinomial": "count",
}
_VALUES = {
    "binary": "0 and 1",
    "grey": "numbers in [0, 1]",
    "real": "finite numbers",
    "count": "whole numbers from 0 on",
}
_WAYS = {
    "binary": "; likelihood='gaussian' is for real numbers, and sklearn.preprocessing.Binarizer makes bits",
    "grey": "; likelihood='gaussian' is for real numbers, and sklearn.preprocessing.MinMaxScaler scales to [0, 1]",
}


def values_of(rows: Array | SparseRows) -> Array:
    """Return the values of rows: of sparse rows those that are stored."""
    return rows.values if isinstance(rows, SparseRows) else rows


def kind_of_rows(rows: Array | SparseRows, likelihood: object) -> Kind:
    """Return the kind of the rows, as a likelihood by name says; with ``auto`` by the values.

    0 and 1 are ``binary``, other numbers in [0, 1] ``grey``, any others ``real``.

    Raises:
        InputError: values that the likelihood is not for.

    >>> kind_of_rows(np.array([[0, 1]]), "auto"), kind_of_rows(np.array([[0.5, 1]]), "auto")
    ('binary', 'grey')
    """
    if likelihood == "auto" or likelihood not in _KIND_OF:
        if not len(_others(rows, "binary")):
            return "binary"
        if not len(_others(rows, "grey")):
            return "grey"
        require_kind(rows, "real", "as float32 has")
        return "real"
    kind: Kind = _KIND_OF[str(likelihood)]  # type: ignore[assignment]
    require_kind(rows, kind, f"of which {likelihood} is the likelihood")
    return kind


def require_kind(rows: Array | SparseRows, kind: Kind, why: str) -> None:
    """Raise an InputError for rows with values of another kind."""
    others = _others(rows, kind)
    if len(others):
        got = f"values such as {', '.join(f'{value:g}' for value in others[:3])}"
        raise InputError(f"X: expected {_VALUES[kind]}, {why}; got {got}{_WAYS.get(kind, '')}")


def _others(rows: Array | SparseRows, kind: str) -> Array:
    """Return the observed values that are not of a kind."""
    values = values_of(rows)
    if kind == "binary":
        wrong = (values != 0) & (values != 1)
    elif kind == "grey":
        wrong = (values < 0) | (values > 1)
    elif kind == "count":
        wrong = (values < 0) | (values != np.trunc(values))
    else:
        wrong = np.abs(values) > np.finfo(np.float32).max
    others: Array = values[wrong & (values == values)]
    return others


def data_of(
    rows: Array | SparseRows,
    weights: npt.NDArray[np.float32] | None,
    kind: Kind,
    fraction: object,
    seed: int,
    names: tuple[str, ...] | None = None,
    variables: tuple[Column, ...] | None = None,
) -> Dataset:
    """Return rows as a data set: ``train``, and a share of the rows, drawn with the seed, as ``validation``.

    Where the share is fewer than ten rows, none is held out, and ``validation`` is ``train``. The values of the rows
    decide their order. Rows of weight 0 are left out, and with weights that are whole numbers each row stands there as
    often as its weight: so a training is that of repeated rows, and does not depend on the order of the rows.

    >>> data = data_of(np.eye(200), None, "binary", 0.1, seed=0)
    >>> {name: len(split) for name, split in data.splits.items()}
    {'train': 180, 'validation': 20}
    """
    share = require_number("validation_fraction", fraction, 0, 0.9)
    whole = _counted(stored_rows(rows, kind), weights)
    held_out = int(share * len(whole))
    splits = {"train": whole, "validation": whole}
    if held_out >= _FEWEST:
        order = np.random.default_rng(seed).permutation(len(whole))
        chosen = {"train": np.sort(order[held_out:]), "validation": np.sort(order[:held_out])}
        splits = {
            name: Split(rows_of(whole.x, places), weights=None if whole.weights is None else whole.weights[places])
            for name, places in chosen.items()
        }
    columns = names if variables is None and names is not None and len(set(names)) == len(names) else None
    binarisation: Any = "none" if kind == "grey" else None
    return Dataset("X", splits, kind, 1, columns=columns, binarisation=binarisation, variables=variables)


def stored_rows(rows: Array | SparseRows, kind: Kind) -> Any:
    """Return rows as a data set stores them: bits as bytes if none is missing, other values as float32."""
    values = values_of(rows)
    dtype = np.uint8 if kind == "binary" and not has_missing(values) else np.float32
    return rows.with_values(values.astype(dtype)) if isinstance(rows, SparseRows) else rows.astype(dtype)


def _counted(rows: Any, weights: npt.NDArray[np.float32] | None) -> Split:
    """Return rows in the order of their keys, each as often as its weight if all weights are whole numbers."""
    order = np.argsort(_keys(rows), kind="stable")
    if weights is None:
        return Split(rows_of(rows, order))
    counts = weights[order]
    if (counts == np.trunc(counts)).all() and counts.sum(dtype=np.float64) <= _REPEATS * len(rows):
        return Split(rows_of(rows, np.repeat(order, counts.astype(np.int64))))
    kept = order[counts > 0]
    return Split(rows_of(rows, kept), weights=weights[kept])


def _keys(rows: Array | SparseRows) -> npt.NDArray[np.uint64]:
    """Return a number for each row (N,), by its values alone: the sum of its columns times random factors."""
    factors = np.random.default_rng(0).integers(0, 2**64, rows.shape[1], dtype=np.uint64, endpoint=False)
    if isinstance(rows, SparseRows):
        keys: npt.NDArray[np.uint64] = rows.with_values(_bits_of(rows.values)).matrix @ factors
        return keys
    return np.concatenate([_bits_of(rows[start : start + _ROWS]) @ factors for start in range(0, len(rows), _ROWS)])


def _bits_of(values: Array) -> npt.NDArray[np.uint64]:
    """Return the bits of bytes, or of numbers in float32, as whole numbers; 0 has none."""
    return ((values + np.float32(0)).view(np.uint32) if values.dtype == np.float32 else values).astype(np.uint64)


def tensors_of(rows: Array | SparseRows, like: Tensor) -> Iterator[Tensor]:
    """Yield the rows in their order, a part at a time, as dense tensors (B, X) in the type of ``like``."""
    for start in range(0, len(rows), _ROWS):
        part = np.ascontiguousarray(rows[start : start + _ROWS], np.float64)
        yield torch.from_numpy(part).to(like)

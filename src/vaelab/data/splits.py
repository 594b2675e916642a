"""A split: rows of a data set with their labels, and how rows are divided into splits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vaelab.data.batches import Batches
from vaelab.data.binarisation import BitRule
from vaelab.data.deviation import deviation_of
from vaelab.data.observations import Conditioned, Observations, Resident
from vaelab.data.sparse import SparseRows, is_sparse, rows_of
from vaelab.data.sparse_observations import Sparse
from vaelab.data.sparse_values import stored_sparse
from vaelab.data.streaming.observations import Streamed
from vaelab.data.streaming.rows import Rows, on_disk
from vaelab.data.values import Array, Kind, Stored, has_missing, require_range, require_values, stored_type
from vaelab.data.variables import Column
from vaelab.data.weights import Weighted, require_weights
from vaelab.errors import InputError, require_int

__all__ = [
    "Split",
    "checked_split",
    "chosen_rows",
    "require_labels",
    "split_in_order",
]


@dataclass(frozen=True, repr=False)
class Split:
    """The rows of one split: ``x`` of shape (N, X), their values as they are stored, and ``labels`` (N,) or None.

    ``weights`` (N,) say how much each row counts, in the training and in an evaluation: a row of weight 2 is two rows.

    Rows that stay on the disk are a numpy.memmap, or the :class:`~vaelab.data.streaming.rows.Rows` that a large file
    is read as; a matrix of scipy.sparse becomes :class:`~vaelab.data.sparse.SparseRows`. A split that is taken from a
    data set (``data.test``) can also give bits, under the binarisation of the data set: :meth:`batch`,
    :meth:`batches`, :meth:`observations`.

    >>> from vaelab.data import load_data
    >>> load_data("mnist").test.batch(64).shape
    torch.Size([64, 784])
    """

    x: Stored | Rows | SparseRows
    labels: npt.NDArray[np.int64] | None = None
    weights: npt.NDArray[np.float32] | None = field(default=None, kw_only=True)
    bit_rule: BitRule | None = field(default=None, compare=False, kw_only=True)  # set by the data set
    given: Array | None = field(default=None, compare=False, kw_only=True)  # (N, Y), set by the data set
    columns: tuple[str, ...] | None = field(default=None, compare=False, kw_only=True)  # names, set by the data set
    variables: tuple[Column, ...] | None = field(default=None, compare=False, kw_only=True)  # set by the data set

    def __len__(self) -> int:
        return len(self.x)

    @cached_property
    def has_missing(self) -> bool:
        """Whether some values of ``x`` are NaN; a memory map of real numbers is read through for it."""
        if isinstance(self.x, Rows):
            return self.x.facts.missing
        if isinstance(self.x, SparseRows):
            return bool(np.isnan(self.x.fill)) or has_missing(self.x.values)
        mapped = on_disk(self.x, 1) if self.x.dtype.kind == "f" else None
        return has_missing(self.x) if mapped is None else any(has_missing(rows) for _, _, rows in mapped.chunks())

    def __repr__(self) -> str:
        """Return a line with the shape of the rows."""
        parts = [name for name in ("labels", "weights") if getattr(self, name) is not None]
        return f"Split({', '.join([f'{self.x.shape[0]:,} rows of {self.x.shape[1]}', *parts])})"

    def observations(self, device: torch.device | str = "cpu") -> Observations:
        """Return the split as a model sees it: its bits, on ``device``. Rows on the disk stay there.

        Raises:
            InputError: the split does not belong to a data set.
        """
        observed = self._with_given(_observe(self.x, self._rule(), torch.device(device)))
        if self.weights is None:
            return observed
        return Weighted(observed, torch.from_numpy(self.weights).to(observed.device))

    def batch(self, size: int) -> Tensor:
        """Return the bits of the first ``size`` rows, float32 of shape (size, X): the same bits at every call.

        They are the bits that an evaluation sees. Training rows under ``dynamic`` binarisation have new bits each time
        they are seen in a training; here they have those that ``static`` gives them.

        Raises:
            InputError: a size that is not between 1 and the number of rows.
        """
        if require_int("size", size, 1) > len(self):
            raise InputError(f"size: expected at most {len(self):,}, the rows of the split; got {size:,}")
        return self._with_given(_observe(self.x, self._rule().fixed(), torch.device("cpu"))).bits(slice(0, size))

    def batches(self, size: int, seed: int = 0, device: torch.device | str = "cpu") -> Iterator[Tensor]:
        """Yield the batches of one epoch, float32 of shape (size, X): whole batches, every row at most once.

        The order of the rows is a function of ``seed``: give each epoch another one. Bits that are drawn anew come from
        torch's generator.

        >>> from vaelab.data import load_data
        >>> len(list(load_data("mnist").validation.batches(100)))
        100
        """
        batches = Batches(self.observations(device), require_int("size", size, 1), seed)
        return (batches(step) for step in range(batches.steps_per_epoch))

    def deviation(self) -> Tensor:
        """Return the standard deviation of each column over the observed values, float32 of shape (X,).

        It is 1 for a column without two different values.
        """
        if isinstance(self.x, SparseRows):
            return torch.from_numpy(self.x.deviations(self.weights)).float()
        if not isinstance(self.x, np.ndarray):
            raise InputError("split: expected rows in memory, for the standard deviation of their columns")
        values = np.asarray(self.x, np.float64)
        observed = ~np.isnan(values)
        weights = np.ones(len(values)) if self.weights is None else self.weights.astype(np.float64)
        count = weights @ observed
        count[count == 0] = 1
        mean = weights @ np.where(observed, values, 0) / count
        variance = weights @ np.where(observed, values - mean, 0) ** 2 / count
        return torch.from_numpy(deviation_of(variance, mean)).float()

    def _with_given(self, observed: Observations) -> Observations:
        """Return the observations with what a model is given after each of them, if there is any."""
        if self.given is None:
            return observed
        if isinstance(observed, Streamed):
            raise InputError("condition: expected data in memory; these are read from the disk")
        return Conditioned(observed, torch.from_numpy(self.given).to(observed.device))

    def _rule(self) -> BitRule:
        if self.bit_rule is None:
            raise InputError("split: expected a split of a data set, such as data.test; got one that belongs to none")
        return self.bit_rule


def _observe(x: Stored | Rows | SparseRows, rule: BitRule, device: torch.device) -> Observations:
    if isinstance(x, SparseRows):
        return Sparse.of(x, rule, device)
    rows = on_disk(x, rule.scale)
    if rows is not None:
        return Streamed(rows, rule, device)
    values = torch.from_numpy(x)
    if rule.how in ("redraw", "as it is"):
        return Resident(values.to(device), rule.scale, redraw=rule.how == "redraw")
    return Resident(rule.fixed_bits(values).to(device), 1, redraw=False)  # drawn on the CPU: the same on every device


def checked_split(where: str, split: Split, kind: Kind, scale: float) -> Split:
    """Return a split as it is stored, uint8 or float32, rows in C order.

    Raises:
        InputError: values that are not what ``kind`` and ``scale`` say, labels that are not whole numbers, no rows.
    """
    x: Any = SparseRows(split.x) if is_sparse(split.x) else split.x
    if not isinstance(x, np.ndarray | Rows | SparseRows):
        raise InputError(f"{where}: expected x in a NumPy array; got {type(x).__name__}; take numpy.asarray(x)")
    if x.ndim != 2:
        raise InputError(f"{where}: expected x of shape (N, X); got {x.shape}")
    if len(x) == 0:
        raise InputError(f"{where}: expected at least one row; got none")
    labels = require_labels(where, split.labels, len(x))
    weights = require_weights(f"{where}: weights", split.weights, len(x))
    if weights is not None and _on_disk(x, kind, scale) is not None:
        raise InputError(f"{where}: expected no weights, as the rows stay on the disk; load them into memory")
    if isinstance(x, Rows):
        require_range(where, x.facts.low, x.facts.high, kind, scale)
    elif isinstance(x, SparseRows):
        x = stored_sparse(where, x, kind, scale)
    elif (mapped := _on_disk(x, kind, scale)) is not None:  # checked in parts, as it may be larger than memory
        for _, _, chunk in mapped.chunks():
            require_values(where, chunk, kind, scale)
    else:
        require_values(where, x, kind, scale)
        x = np.require(np.asarray(x), stored_type(x.dtype, scale, kind), ["C", "W", "E"])
        x = x.copy() if min(x.strides) < 0 else x  # one row of an array that is read backwards counts as in C order
    return Split(x, labels, weights=weights, given=split.given)


def _on_disk(x: Array | Rows | SparseRows, kind: Kind, scale: float) -> Rows | None:
    """Return the rows that stay on the disk: of bits and grey levels only, as others need their deviations."""
    return on_disk(x, scale) if kind in ("binary", "grey") else None


def require_labels(where: str, labels: Array | None, rows: int) -> npt.NDArray[np.int64] | None:
    """Return labels as int64, or raise an InputError if they are not whole numbers, one for each row."""
    if labels is None:
        return None
    if not isinstance(labels, np.ndarray):
        raise InputError(f"{where}: expected labels in a NumPy array of integers; got {type(labels).__name__}")
    if labels.shape != (rows,) or labels.dtype.kind not in "biu":
        words = " (words)" if labels.dtype.kind in "US" else ""
        way = "; store y.astype(int)" if labels.dtype.kind == "f" and labels.shape == (rows,) else ""
        if labels.dtype.kind in "USO" and labels.shape == (rows,):
            way = "; number them: numpy.unique(y, return_inverse=True)[1]"
        way = "; store y.argmax(1) if they are one-hot" if labels.ndim == 2 and len(labels) == rows else way
        raise InputError(
            f"{where}: expected integer labels of shape ({rows},); "
            f"got {labels.dtype}{words} of shape {labels.shape}{way}"
        )
    return labels.astype(np.int64, copy=False)


def split_in_order(split: Split, sizes: Mapping[str, int]) -> dict[str, Split]:
    """Cut consecutive splits of the given sizes from ``split``, first rows first."""
    parts, start = {}, 0
    for name, size in sizes.items():
        rows = slice(start, start + size)
        parts[name] = chosen_rows(split, rows)
        start += size
    return parts


def chosen_rows(split: Split, rows: npt.NDArray[np.int64] | slice) -> Split:
    """Return rows of a split by their numbers, in that order, with what belongs to each of them."""
    if isinstance(split.x, Rows):
        raise TypeError("expected rows in memory; rows on the disk are split when the file is read through")
    beside = {name: getattr(split, name) for name in ("labels", "weights", "given")}
    chosen = {name: None if part is None else part[rows] for name, part in beside.items()}
    return replace(split, x=rows_of(split.x, rows), **chosen)

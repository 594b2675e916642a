"""What the values of data mean: bits or grey levels. One rule decides it for every format and for arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from vaelab.data.naming import listed
from vaelab.data.sparse import SparseRows
from vaelab.data.value_advice import way_out
from vaelab.errors import InputError, require_choice, require_number

if TYPE_CHECKING:
    from vaelab.data.choices import Choice
    from vaelab.data.variables import Column

__all__ = [
    "MOST_COUNT",
    "MOST_REAL",
    "Array",
    "Coding",
    "Kind",
    "ReadOptions",
    "Stored",
    "Summary",
    "Values",
    "decide",
    "has_missing",
    "observed_sums",
    "require_numbers",
    "require_one_meaning",
    "require_range",
    "require_rows_or_images",
    "require_values",
    "stored_type",
    "summarise",
]

Array = npt.NDArray[Any]
Stored = npt.NDArray[np.uint8] | npt.NDArray[np.float32]
Kind = Literal["binary", "grey", "real", "count", "mixed"]
Values = Literal["grey", "bits", "unit", "real", "count"]

_EXPECTED = "bits (0 and 1), grey levels 0...255 as uint8, or real numbers in [0, 1]"
MOST_COUNT, MOST_REAL = 2**24, float(np.finfo(np.float32).max)  # what float32 holds, of counts without rounding
_DARK = 127  # grey levels 0...255 of a set of images exceed it somewhere


@dataclass(frozen=True)
class ReadOptions:
    """How to read data: what the values are, the value that is white, and the column of the labels.

    ``values`` is ``bits`` (0 and 1), ``grey`` (grey levels 0...255, or real ones in [0, 1]) or ``unit`` (real numbers
    in [0, 1], grey levels even if all are 0 or 1); ``real`` are any numbers and ``count`` whole ones from 0 on, as they
    are. With ``scale`` S the values are grey levels 0...S. What is None is derived from the values, and values that do
    not show it are refused.

    Raises:
        InputError: an unknown kind of values, a scale that is not positive, or two that contradict each other.
    """

    values: Values | None = None
    scale: float | None = None
    label_column: str | None = None
    weight_column: str | None = None
    arrays: bool = False  # given as arrays in Python, not as a file: errors then name other ways out
    columns: tuple[tuple[str, Choice], ...] | None = None  # what the user says of columns
    variables: tuple[Column, ...] | None = None  # the columns of a model, which are found by name
    names: tuple[str, ...] | None = None  # the columns of a model of plain numbers, which are found by name
    drop: bool = False  # leave out constant and duplicated columns, and those like an ID

    def __post_init__(self) -> None:
        if self.values is not None:
            require_choice("values", self.values, get_args(Values))
        if self.scale is not None:
            require_number("scale", self.scale, 0)
            if self.scale == 0:
                raise InputError("scale: expected a number above 0, the value that means white; got 0")
            if self.values not in (None, "grey"):
                raise InputError(
                    f"scale: expected no scale beside values={self.values}, which are never divided; got {self.scale!r}"
                )

    def way(self, of_file: str, of_arrays: str) -> str:
        """Return what to tell the user to do: for a file, or for arrays in Python."""
        return of_arrays if self.arrays else of_file


@dataclass(frozen=True)
class Summary:
    """A summary of the values of some rows: for each column the range, and whether all values are whole numbers.

    ``byte`` is true if all came as uint8, ``two`` if there are no values but the lowest and the highest. ``missing``
    counts the values that are NaN, which take no part in the rest; a column of nothing else has the range (inf, -inf).
    ``images`` is true if the rows are images, of which no column has a meaning of its own.
    """

    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]
    whole: npt.NDArray[np.bool_]
    byte: bool
    two: bool
    missing: int = 0
    images: bool = False

    def __add__(self, other: Summary) -> Summary:
        same = (self.low.min(), self.high.max()) == (other.low.min(), other.high.max())
        return Summary(
            np.minimum(self.low, other.low),
            np.maximum(self.high, other.high),
            self.whole & other.whole,
            self.byte and other.byte,
            self.two and other.two and same,
            self.missing + other.missing,
            self.images,
        )

    @property
    def bits(self) -> npt.NDArray[np.bool_]:
        """Whether each column holds 0 and 1 only, shape (X,)."""
        return (self.low >= 0) & (self.high <= 1) & self.whole

    def of(self, columns: Sequence[int]) -> Summary:
        """Return the summary of some columns."""
        return Summary(self.low[columns], self.high[columns], self.whole[columns], self.byte, self.two, self.missing)

    def __str__(self) -> str:
        low, high = self.low.min(), self.high.max()
        if low == high:
            return f"one value, {low:g}"
        if self.two:
            return f"two values, {low:g} and {high:g}"
        kind = "uint8" if self.byte else "whole" if self.whole.all() else "real"
        return f"{kind} numbers in [{_plain(low)}, {_plain(high)}]"


def _plain(number: float) -> str:
    """Return a number with few digits, but with all of them if it lies just outside [0, 1]."""
    short = f"{number:g}"
    return short if short not in ("0", "-0", "1") else repr(float(number)).removesuffix(".0")


def summarise(where: str, rows: Array, first: int = 0) -> Summary:
    """Return a summary of rows (N, X); ``first`` is the number of the first row, for messages.

    Raises:
        InputError: words, objects, records or complex numbers, infinite values, nothing at all, or nothing observed.
    """
    if rows.size == 0:
        raise InputError(f"{where}: expected at least one row and one column; got shape {rows.shape}")
    require_numbers(where, rows)
    low, high, missing = _range(where, rows, first)
    if rows.dtype.kind == "f":
        whole = _is_whole(rows[0])
        whole[whole] = _is_whole(rows[:, whole]).all(0)
    else:
        whole = np.ones(rows.shape[1], bool)
    least, most = low.min(), high.max()
    plain = least >= 0 and (most <= 1 or (rows.dtype == np.uint8 and most > _DARK))
    two = not plain and bool(((rows == least) | (rows == most) | (rows != rows)).all())
    return Summary(low.astype(np.float64), high.astype(np.float64), whole, rows.dtype == np.uint8, two, missing)


def _range(where: str, rows: Array, first: int = 0) -> tuple[Array, Array, int]:
    """Return the lowest and the highest value of each column, and how many values are missing."""
    low, high, missing = rows.min(0), rows.max(0), 0
    if rows.dtype.kind == "f" and not (np.isfinite(low).all() and np.isfinite(high).all()):
        absent = np.isnan(rows)
        missing = int(absent.sum())
        if np.isinf(rows).any():
            row, column = np.argwhere(np.isinf(rows))[0]
            raise InputError(
                f"{where}: expected finite numbers; got {rows[row, column]} in row {first + row}, column {column}"
            )
        low = rows.min(0, initial=np.inf, where=~absent)
        high = rows.max(0, initial=-np.inf, where=~absent)
    return low, high, missing


def _is_whole(values: Array) -> npt.NDArray[np.bool_]:
    """Return which values are whole numbers or missing."""
    whole: npt.NDArray[np.bool_] = (np.trunc(values) == values) | (values != values)
    return whole


def require_numbers(where: str, array: Array | SparseRows) -> None:
    """Raise an InputError for words, objects, records and complex numbers."""
    if array.dtype.kind not in "biuf":
        got = {"U": " (words, not numbers)", "S": " (words, not numbers)"}.get(array.dtype.kind, "")
        got = " (Python objects); give numbers, such as x.astype(float)" if array.dtype.kind == "O" else got
        raise InputError(f"{where}: expected {_EXPECTED}; got dtype {array.dtype}{got}")


def require_rows_or_images(where: object, shape: tuple[int, ...]) -> None:
    """Raise an InputError unless an array has the shape of rows (N, X) or images (N, H, W)."""
    if len(shape) not in (2, 3):
        colour = ", colour images, which vaelab does not model" if len(shape) == 4 and shape[3] in (3, 4) else ""
        raise InputError(f"{where}: expected rows (N, X) or images (N, H, W); got shape {shape}{colour}")


def require_one_meaning(where: object, highest: Mapping[str, float]) -> None:
    """Raise an InputError if some splits or shards stay within [0, 1] and the values of others go beyond.

    ``highest`` is the highest number of each, by its name.
    """
    most = max(highest, key=lambda where: highest[where])
    for name, high in highest.items():
        if high <= 1 and highest[most] > 2:  # 0, 1, 2 may be counts of which some rows have no 2
            raise InputError(
                f"{where}: expected one scale in all parts; {name} goes up to {high:g} and {most} to {highest[most]:g}"
            )


@dataclass(frozen=True)
class Coding:
    """How values are stored: their kind, the value that stands for 1, the type, and the divisor that is applied."""

    kind: Kind
    scale: float
    dtype: np.dtype[Any]
    divisor: float = 1.0

    def store(self, array: Array) -> Stored:
        """Return values as they are stored."""
        wide = np.result_type(array.dtype, np.float32)  # a quotient of half precision would be rounded
        divided = array if self.divisor == 1 else array.astype(wide, copy=False) / self.divisor
        return divided.astype(self.dtype, copy=False)


def observed_sums(rows: Array) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Return the sum of the values of each column that are not NaN, and how many they are, (X,) each."""
    if rows.dtype.kind != "f":
        return rows.sum(0, dtype=np.float64), np.full(rows.shape[1], len(rows))
    observed = ~np.isnan(rows)
    return rows.sum(0, dtype=np.float64, where=observed), observed.sum(0)


def has_missing(array: Array) -> bool:
    """Return whether some values are NaN.

    >>> has_missing(np.array([[0.0, np.nan]])), has_missing(np.eye(2, dtype=np.uint8))
    (True, False)
    """
    return array.dtype.kind == "f" and bool(np.isnan(array).any())


BITS = Coding("binary", 1, np.dtype(np.uint8))
UNIT = Coding("grey", 1, np.dtype(np.float32))


def decide(where: str, summary: Summary, options: ReadOptions, names: Sequence[str] | None = None) -> Coding:
    """Return what values mean: bits, or grey levels and their scale; ``names`` of the columns are for messages.

    Values of which some are missing are stored as float32, which has NaN.

    Without options, 0 and 1 of any type are bits; uint8 above 127 are grey levels 0...255; real numbers in [0, 1] are
    grey levels. Whole numbers beyond 0 and 1 of any other type are divided only if ``scale`` or ``values`` says so.

    Raises:
        InputError: values that are none of these, or not what the options say.
    """
    if summary.low.min() > summary.high.max():
        raise InputError(f"{where}: expected some values that are not missing; all {summary.missing:,} are NaN")
    coding = _meaning(where, summary, options, names)
    return replace(coding, dtype=np.dtype(np.float32)) if summary.missing else coding


def _meaning(where: str, summary: Summary, options: ReadOptions, names: Sequence[str] | None) -> Coding:
    """Return what values mean, as :func:`decide` does, for values of which none is missing."""
    low, high, whole = summary.low.min(), summary.high.max(), bool(summary.whole.all())
    unit = low >= 0 and high <= 1
    bits = unit and whole
    if options.scale is not None:
        return _scaled(where, summary, options.scale, options, names)
    if options.values == "real":
        if max(-low, high) > MOST_REAL:
            _contradict(where, f"numbers up to {MOST_REAL:.1e} in size", "values=real", summary, options)
        return Coding("real", 1, np.dtype(np.float32))
    if options.values == "count":
        if low < 0 or high > MOST_COUNT or not whole:
            _contradict(where, f"whole numbers from 0 to {MOST_COUNT:,}", "values=count", summary, options)
        return Coding("count", 1, np.dtype(np.uint8 if high <= 255 else np.float32))
    if options.values == "bits":
        return BITS if bits else _contradict(where, "0 and 1", "values=bits", summary, options)
    if options.values == "unit":
        return UNIT if unit else _contradict(where, "real numbers in [0, 1]", "values=unit", summary, options)
    if options.values == "grey":
        if unit and not whole:
            return UNIT
        if bits or not whole or low < 0 or high > 255:
            _contradict(where, "whole numbers 0...255 or real numbers in [0, 1]", "values=grey", summary, options)
        return _scaled(where, summary, 255, options)
    if unit:
        return BITS if whole else UNIT
    if summary.byte and high > _DARK:
        return _scaled(where, summary, 255, options)
    described = f"{summary}{_outside(summary, 1, options, names)}"
    raise InputError(f"{where}: expected {_EXPECTED}; got {described}; {way_out(summary, options, names is not None)}")


def _scaled(
    where: str, summary: Summary, scale: float, options: ReadOptions, names: Sequence[str] | None = None
) -> Coding:
    if summary.low.min() < 0 or summary.high.max() > scale:
        described = f"{summary}{_outside(summary, scale, options, names)}"
        raise InputError(f"{where}: expected values in [0, {scale:g}], as scale={scale:g} says; got {described}")
    if summary.whole.all() and scale == int(scale) and scale <= 255:
        return Coding("grey", int(scale), np.dtype(np.uint8))
    return Coding("grey", 1, np.dtype(np.float32), float(scale))


def stored_type(dtype: npt.DTypeLike, scale: float, kind: Kind = "grey") -> np.dtype[Any]:
    """Return the type in which values of a type are stored, uint8 or float32.

    Bits and grey levels are up to ``scale``; numbers of another kind may be larger than a byte.
    """
    whole = np.dtype(dtype).kind in "bui" if kind in ("binary", "grey") else np.dtype(dtype) in (np.bool_, np.uint8)
    return np.dtype(np.uint8 if whole and scale <= 255 else np.float32)


def require_values(where: str, x: Array, kind: Kind, scale: float) -> None:
    """Raise an InputError unless values that are not NaN agree with the kind and the scale of their data set."""
    require_numbers(where, x)
    if kind not in ("binary", "grey"):
        _require_finite(where, x)
        return
    if isinstance(x, np.ma.MaskedArray):
        raise InputError(
            f"{where}: expected NaN where values are missing; got a masked array; take x.filled(numpy.nan)"
        )
    lows, highs, missing = _range(where, x)
    low, high = lows.min(), highs.max()
    if missing == x.size:
        raise InputError(f"{where}: expected some values that are not missing; all {x.size:,} are NaN")
    require_range(where, float(low), float(high), kind, scale)
    if kind == "binary" and x.dtype.kind == "f" and not ((x == 0) | (x == 1) | (x != x)).all():
        raise InputError(f"{where}: expected 0 and 1, as kind='binary' says; got real numbers in [{low:g}, {high:g}]")


def _require_finite(where: str, x: Array) -> None:
    """Raise an InputError for infinite values, and those that float32 does not hold; NaN is a missing value."""
    infinite = (x > MOST_REAL) | (x < -MOST_REAL)
    if infinite.any():
        row, column = np.argwhere(infinite)[0] if x.ndim == 2 else (np.flatnonzero(infinite)[0], 0)
        value = x[row, column] if x.ndim == 2 else x[row]
        limit = "" if np.isinf(value) else f" up to {MOST_REAL:.1e} in size"
        raise InputError(f"{where}: expected finite numbers{limit}; got {value} in row {row}, column {column}")


def require_range(where: str, low: float, high: float, kind: Kind, scale: float) -> None:
    """Raise an InputError if values lie outside the range of a kind and a scale."""
    if kind not in ("binary", "grey"):
        return
    if low < 0 or high > scale:
        expected = "0 and 1, as kind='binary'" if kind == "binary" else f"values in [0, {scale:g}], as scale={scale:g}"
        raise InputError(f"{where}: expected {expected} says; got values in [{low:g}, {high:g}]")


def _outside(summary: Summary, scale: float, options: ReadOptions, names: Sequence[str] | None) -> str:
    """Return text that names the columns outside [0, scale], if they are few."""
    (outside,) = np.nonzero((summary.low < 0) | (summary.high > scale))
    if len(outside) > max(1, len(summary.low) // 10) or len(outside) == len(summary.low):
        return ""
    called = (
        listed([names[int(place)] for place in outside]) if names is not None else ", ".join(map(str, outside[:3] + 1))
    )
    way = options.way("say so with --label-column", "give it as y")
    label = f": if it holds labels, {way}" if names is not None and len(outside) == 1 else ""
    return f" (outside [0, {scale:g}] in column{'s' * (len(outside) > 1)} {called} only{label})"


def _contradict(where: str, expected: str, option: str, summary: Summary, options: ReadOptions) -> Coding:
    scale = options.way("--scale", "scale=")
    hint = f"; leave it out for bits, or say which value is white with {scale}" if summary.bits.all() else ""
    raise InputError(f"{where}: expected {expected}, as {option} says; got {summary}{hint}")

"""What the numbers of a file mean: bits or grey levels. This is decided here, for every format and every data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from vaelab.data.naming import listed
from vaelab.errors import InputError, require_choice, require_number

__all__ = [
    "Array",
    "Coding",
    "Kind",
    "ReadOptions",
    "Seen",
    "Stored",
    "Values",
    "decide",
    "look",
    "require_numbers",
    "require_one_meaning",
    "require_range",
    "require_rows_or_images",
    "require_values",
    "stored_type",
]

Array = npt.NDArray[Any]
Stored = npt.NDArray[np.uint8] | npt.NDArray[np.float32]
Kind = Literal["binary", "grey"]
Values = Literal["grey", "bits", "unit"]

_EXPECTED = "bits (0 and 1), grey levels 0...255 as uint8, or real numbers in [0, 1]"
_DARK = 127  # no picture of 256 grey levels is darker than half in every pixel of every image


@dataclass(frozen=True)
class ReadOptions:
    """How to read data: what the values are, the value that is white, and the column of the labels.

    ``values`` is ``bits`` (0 and 1), ``grey`` (grey levels 0...255, or real ones in [0, 1]) or ``unit`` (real numbers
    in [0, 1], grey levels even if all are 0 or 1); with ``scale`` S the values are grey levels 0...S. What is None is
    read off the file, and a file that does not show it is refused.

    Raises:
        InputError: an unknown kind of values, a scale that is not positive, or two that contradict each other.
    """

    values: Values | None = None
    scale: float | None = None
    label_column: str | None = None
    arrays: bool = False  # given as arrays in Python, not as a file: errors then name other ways out

    def __post_init__(self) -> None:
        if self.values is not None:
            require_choice("values", self.values, get_args(Values))
        if self.scale is not None:
            require_number("scale", self.scale, 0)
            if self.scale == 0:
                raise InputError("scale: expected a number above 0, the value that means white; got 0")
            if self.values in ("bits", "unit"):
                raise InputError(
                    f"scale: expected no scale beside values={self.values}, which are never divided; got {self.scale!r}"
                )

    def way(self, of_file: str, of_arrays: str) -> str:
        """Return what to tell the user to do: for a file, or for arrays in Python."""
        return of_arrays if self.arrays else of_file


@dataclass(frozen=True)
class Seen:
    """What a pass over some rows found: for each column the range and whether it holds whole numbers only.

    ``byte`` tells that all came as uint8, ``two`` that there are no values but the lowest and the highest.
    """

    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]
    whole: npt.NDArray[np.bool_]
    byte: bool
    two: bool

    def __add__(self, other: Seen) -> Seen:
        same = (self.low.min(), self.high.max()) == (other.low.min(), other.high.max())
        return Seen(
            np.minimum(self.low, other.low),
            np.maximum(self.high, other.high),
            self.whole & other.whole,
            self.byte and other.byte,
            self.two and other.two and same,
        )

    @property
    def bits(self) -> npt.NDArray[np.bool_]:
        """Say of each column whether it holds 0 and 1 only."""
        return (self.low >= 0) & (self.high <= 1) & self.whole

    def of(self, columns: Sequence[int]) -> Seen:
        """Return the facts of some columns."""
        return Seen(self.low[columns], self.high[columns], self.whole[columns], self.byte, self.two)

    def __str__(self) -> str:
        low, high = self.low.min(), self.high.max()
        if low == high:
            return f"one value, {low:g}"
        if self.two:
            return f"two values, {low:g} and {high:g}"
        kind = "uint8" if self.byte else "whole" if self.whole.all() else "real"
        return f"{kind} numbers in [{_plain(low)}, {_plain(high)}]"


def _plain(number: float) -> str:
    """Return a number in short, but with all digits where it lies just outside [0, 1]."""
    short = f"{number:g}"
    return short if short not in ("0", "-0", "1") else repr(float(number)).removesuffix(".0")


def look(where: str, rows: Array, first: int = 0) -> Seen:
    """Go through rows (N, X) and return what is there; ``first`` is the number of the first row, for the message.

    Raises:
        InputError: words, objects, records or complex numbers, NaN or infinite values, nothing at all.
    """
    if rows.size == 0:
        raise InputError(f"{where}: expected at least one row and one column; got shape {rows.shape}")
    require_numbers(where, rows)
    low, high = rows.min(0), rows.max(0)
    if rows.dtype.kind == "f":
        if not (np.isfinite(low).all() and np.isfinite(high).all()):
            _refuse_missing(where, rows, first)
        whole = np.trunc(rows[0]) == rows[0]
        whole[whole] = (np.trunc(rows[:, whole]) == rows[:, whole]).all(0)
    else:
        whole = np.ones(rows.shape[1], bool)
    least, most = low.min(), high.max()
    plain = least >= 0 and (most <= 1 or (rows.dtype == np.uint8 and most > _DARK))
    two = not plain and bool(((rows == least) | (rows == most)).all())
    return Seen(low.astype(np.float64), high.astype(np.float64), whole, rows.dtype == np.uint8, two)


def require_numbers(where: str, array: Array) -> None:
    """Refuse words, objects, records and complex numbers."""
    if array.dtype.kind not in "biuf":
        words = " (words, not numbers)" if array.dtype.kind in "USO" else ""
        raise InputError(f"{where}: expected {_EXPECTED}; got dtype {array.dtype}{words}")


def require_rows_or_images(where: object, shape: tuple[int, ...]) -> None:
    """Refuse an array that is neither rows (N, X) nor images (N, H, W)."""
    if len(shape) not in (2, 3):
        colour = ", colour images, which vaelab does not model" if len(shape) == 4 and shape[3] in (3, 4) else ""
        raise InputError(f"{where}: expected rows (N, X) or images (N, H, W); got shape {shape}{colour}")


def require_one_meaning(where: object, highest: Mapping[str, float]) -> None:
    """Refuse splits or shards of bits, or of numbers in [0, 1], beside others whose numbers go further.

    ``highest`` is the highest number of each, by its name.
    """
    most = max(highest, key=lambda where: highest[where])
    for name, high in highest.items():
        if high <= 1 and highest[most] > 2:  # 0, 1, 2 may be counts of which some rows have no 2
            raise InputError(
                f"{where}: expected one scale in all parts; {name} goes up to {high:g} and {most} to {highest[most]:g}"
            )


def _refuse_missing(where: str, rows: Array, first: int) -> None:
    missing = np.isnan(rows)
    if not missing.any():
        row, column = np.argwhere(np.isinf(rows))[0]
        raise InputError(
            f"{where}: expected finite numbers; got {rows[row, column]} in row {first + row}, column {column}"
        )
    row, column = np.argwhere(missing)[0]
    count, share = int(missing.sum()), missing.mean()
    raise InputError(
        f"{where}: expected no missing values; {share:.1%} of the values are NaN ({count:,} of {rows.size:,}"
        f"{f' from row {first:,} on' if first else ''}), the first in row {first + row}, column {column} "
        "(both counted from 0)".replace("%", " %", 1)
    )


@dataclass(frozen=True)
class Coding:
    """How numbers are stored: their kind, the value of white, the type, and what they are divided by before."""

    kind: Kind
    scale: float
    dtype: np.dtype[Any]
    divisor: float = 1.0

    def store(self, array: Array) -> Stored:
        """Return numbers as pixels."""
        divided = array if self.divisor == 1 else array / self.divisor
        return divided.astype(self.dtype, copy=False)


BITS = Coding("binary", 1, np.dtype(np.uint8))
UNIT = Coding("grey", 1, np.dtype(np.float32))


def decide(where: str, seen: Seen, options: ReadOptions, names: Sequence[str] | None = None) -> Coding:
    """Say what values mean: bits, or grey levels of which scale; ``names`` are those of the columns, for messages.

    Without options, 0 and 1 of any type are bits; uint8 above 127 are grey levels 0...255; real numbers in [0, 1] are
    grey levels. Whole numbers beyond 0 and 1 of any other type are never divided without a word.

    Raises:
        InputError: values that are none of these, or not what the options say.
    """
    low, high, whole = seen.low.min(), seen.high.max(), bool(seen.whole.all())
    unit = low >= 0 and high <= 1
    bits = unit and whole
    if options.scale is not None:
        return _scaled(where, seen, options.scale, options, names)
    if options.values == "bits":
        return BITS if bits else _contradict(where, "0 and 1", "values=bits", seen, options)
    if options.values == "unit":
        return UNIT if unit else _contradict(where, "real numbers in [0, 1]", "values=unit", seen, options)
    if options.values == "grey":
        if unit and not whole:
            return UNIT
        if bits or not whole or low < 0 or high > 255:
            _contradict(where, "whole numbers 0...255 or real numbers in [0, 1]", "values=grey", seen, options)
        return _scaled(where, seen, 255, options)
    if unit:
        return BITS if whole else UNIT
    if seen.byte and high > _DARK:
        return _scaled(where, seen, 255, options)
    found = f"{seen}{_outside(seen, 1, options, names)}"
    raise InputError(f"{where}: expected {_EXPECTED}; got {found}; {_way_out(seen, options)}")


def _scaled(where: str, seen: Seen, scale: float, options: ReadOptions, names: Sequence[str] | None = None) -> Coding:
    if seen.low.min() < 0 or seen.high.max() > scale:
        found = f"{seen}{_outside(seen, scale, options, names)}"
        raise InputError(f"{where}: expected values in [0, {scale:g}], as scale={scale:g} says; got {found}")
    if seen.whole.all() and scale == int(scale) and scale <= 255:
        return Coding("grey", int(scale), np.dtype(np.uint8))
    return Coding("grey", 1, np.dtype(np.float32), float(scale))


def stored_type(dtype: npt.DTypeLike, scale: float) -> np.dtype[Any]:
    """Return the type in which pixels of a type are stored, uint8 or float32."""
    return np.dtype(np.uint8 if np.dtype(dtype).kind in "bui" and scale <= 255 else np.float32)


def require_values(where: str, pixels: Array, kind: Kind, scale: float) -> None:
    """Refuse pixels, in a data set that says what it holds, that are not bits or not in [0, scale]."""
    require_numbers(where, pixels)
    if isinstance(pixels, np.ma.MaskedArray):
        raise InputError(f"{where}: expected no missing values; got a masked array ({pixels.mask.sum():,} masked)")
    low, high = pixels.min(), pixels.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        _refuse_missing(where, pixels, 0)
    require_range(where, float(low), float(high), kind, scale)
    if kind == "binary" and pixels.dtype.kind == "f" and not ((pixels == 0) | (pixels == 1)).all():
        raise InputError(f"{where}: expected 0 and 1, as kind='binary' says; got real numbers in [{low:g}, {high:g}]")


def require_range(where: str, low: float, high: float, kind: Kind, scale: float) -> None:
    """Refuse values that lie outside what a kind and a scale say."""
    if low < 0 or high > scale:
        expected = "0 and 1, as kind='binary'" if kind == "binary" else f"values in [0, {scale:g}], as scale={scale:g}"
        raise InputError(f"{where}: expected {expected} says; got values in [{low:g}, {high:g}]")


def _outside(seen: Seen, scale: float, options: ReadOptions, names: Sequence[str] | None) -> str:
    """Name the columns outside [0, scale], if they are few beside the others."""
    (outside,) = np.nonzero((seen.low < 0) | (seen.high > scale))
    if len(outside) > max(1, len(seen.low) // 10) or len(outside) == len(seen.low):
        return ""
    called = (
        listed([names[int(place)] for place in outside]) if names is not None else ", ".join(map(str, outside[:3] + 1))
    )
    way = options.way("say so with --label-column", "give it as y")
    label = f": if it holds labels, {way}" if names is not None and len(outside) == 1 else ""
    return f" (outside [0, {scale:g}] in column{'s' * (len(outside) > 1)} {called} only{label})"


def _contradict(where: str, expected: str, option: str, seen: Seen, options: ReadOptions) -> Coding:
    scale = options.way("--scale", "scale=")
    hint = f"; leave it out for bits, or say which value is white with {scale}" if seen.bits.all() else ""
    raise InputError(f"{where}: expected {expected}, as {option} says; got {seen}{hint}")


def _way_out(seen: Seen, options: ReadOptions) -> str:
    low, high = float(seen.low.min()), float(seen.high.max())
    if (seen.two and low != 0) or low == high:
        return "recode them as 0 and 1"
    if low < 0 or (not seen.whole.all() and high < 1.01):
        near = ", with numpy.clip if they are rounding errors" if low > -0.01 and high < 1.01 else ""
        missing = f"; if {low:g} marks a missing answer, leave those rows out" if seen.whole.all() else ""
        return f"bring them into [0, 1] yourself{near}{missing}"
    white = next((usual for usual in (255, 65535) if usual // 2 < high <= usual), high)
    other = " or 255" if seen.byte else ""
    recode = "recode them as 0 and 1; " if seen.two else ""
    way = f"--scale {white:g}{other} (in Python and in settings scale={white:g})"
    return f"{recode}if they are grey levels, say which value is white: {options.way(way, f'scale={white:g}{other}')}"

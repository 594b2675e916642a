"""The roles of the columns of a table: observed values, labels, row numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from vaelab.data.naming import LABELS, listed
from vaelab.data.values import Array, ReadOptions, Summary
from vaelab.errors import InputError, did_you_mean

__all__ = [
    "Roles",
    "is_index_name",
    "label_among",
    "refuse_counting",
    "require_alike",
    "require_first_alike",
    "require_no_index",
    "require_no_labels",
    "roles_of",
]

_INDEXES = re.compile(r"index|id|row|row[ _.-]?(?:id|names?|numbers?)|unnamed: \d+|__index_level_\d+__", re.IGNORECASE)
_NUMBER_AT_END = re.compile(r"[ _.-]*\d+$")
_CLASSES, _SHARE = 100, 0.7  # labels have no more classes, and no class a larger share of the rows


@dataclass(frozen=True)
class Roles:
    """The observed columns (N, X) with their names, the labels (N,), and notes on what was left out."""

    x: Array
    names: tuple[str, ...] | None
    labels: npt.NDArray[np.int64] | None
    notes: tuple[str, ...]


def label_among(where: object, names: Sequence[str] | None, options: ReadOptions) -> str | None:
    """Return which of the names is that of the labels, or None.

    Raises:
        InputError: no column has the name in the options, or several may be labels.
    """
    wanted = options.label_column
    if wanted is not None:
        if names is None:
            raise InputError(
                f"{where}: label_column: expected names of columns in line 1, {wanted!r} among them; got none"
            )
        if wanted not in names:
            raise InputError(f"{where}: label_column: there is no column {wanted!r}{did_you_mean(wanted, names)}")
        return wanted
    candidates = [name for name in names or () if name.lower() in LABELS]
    if len(candidates) > 1:
        raise InputError(
            f"{where}: {listed(candidates)} may all be labels; say which one is with --label-column "
            f"(label_column= in Python), and remove the other"
        )
    return candidates[0] if candidates else None


def roles_of(
    path: object, numbers: Array, names: tuple[str, ...] | None, notes: Sequence[str], options: ReadOptions
) -> Roles:
    """Separate the observed columns of a table (N, X) from labels and row numbers; the notes say which is which.

    Raises:
        InputError: a column that may be row numbers, labels that are not whole numbers, nothing left to observe.
    """
    notes = list(notes)
    label = label_among(path, names, options)
    if label is not None:
        notes.append(f"the labels are in column {label!r}")
    left_out = set()
    for column in range(numbers.shape[1]):
        name = names[column] if names is not None else None
        if name is not None and name == label:
            continue
        if _numbers_rows(path, column, name, numbers[:, column]):
            notes.append(f"{_called(column, name)} numbers the rows and is left out")
            left_out.add(column)
    place = None if label is None or names is None else names.index(label)
    observed = [column for column in range(numbers.shape[1]) if column not in left_out and column != place]
    if not observed:
        raise InputError(f"{path}: expected columns to observe; got no column beside labels and row numbers")
    labels = None if place is None else _whole(path, str(label), numbers[:, place])
    if len(observed) == numbers.shape[1]:
        return Roles(numbers, names, labels, tuple(notes))
    chosen = None if names is None else tuple(names[column] for column in observed)
    return Roles(np.ascontiguousarray(numbers[:, observed]), chosen, labels, tuple(notes))


def is_index_name(name: str) -> bool:
    """Return whether a column of this name may number the rows."""
    return _INDEXES.fullmatch(name) is not None


def require_no_index(where: object, names: Sequence[str] | None, summary: Summary) -> None:
    """Raise an InputError for a column with a name for row numbers whose whole numbers do not count the rows."""
    for column, name in enumerate(names or ()):
        low, high = summary.low[column], summary.high[column]
        if is_index_name(name) and summary.whole[column] and high > 1:
            raise InputError(
                f"{where}: column {name!r} holds whole numbers in [{low:g}, {high:g}] and looks like numbers of rows; "
                "leave it out, or give it another name if it is observed"
            )


def _counts(column: Array) -> bool:
    ends = len(column) > 2 and column[-1] == float(column[0]) + len(column) - 1  # a quick test first
    return bool(ends and np.isfinite(column).all() and (np.diff(column.astype(np.float64)) == 1).all())


def _numbers_rows(path: object, number: int, name: str | None, column: Array) -> bool:
    """Return whether a column holds row numbers; an InputError if that is not clear."""
    nameless, counting = name == "", _counts(column)
    if nameless or (counting and name is not None and is_index_name(name)):
        if len(np.unique(column)) < len(column) or (column != np.trunc(column)).any():
            raise InputError(
                f"{path}: expected a name for every column; the first has none, and does not number the rows"
            )
        return True
    if counting:
        refuse_counting(path, number, name, float(column[0]), float(column[-1]))
    return False


def refuse_counting(where: object, number: int, name: str | None, first: float, last: float) -> NoReturn:
    """Raise an InputError for a column that counts the rows under another name than those for row numbers."""
    counts = f"{_called(number, name)} counts {first:g}...{last:g}"
    way = "leave it out" + (", or call it 'index'" if name else "")
    raise InputError(f"{where}: {counts}, as row numbers do; {way}")


def _whole(path: object, name: str, column: Array) -> npt.NDArray[np.int64]:
    if (column != np.trunc(column)).any() or np.abs(column).max() > 2**53:
        low, high = column.min(), column.max()
        raise InputError(
            f"{path}: expected whole numbers as labels; column {name!r} has real ones in [{low:g}, {high:g}]; if it is "
            "observed, give it another name"
        )
    return column.astype(np.int64)


def require_alike(where: object, names: Sequence[str] | None, summary: Summary, options: ReadOptions) -> None:
    """Raise an InputError if a few columns of a table of bits hold other values: they may not be observed values."""
    if options.scale is not None or options.values not in (None, "bits"):
        return
    other = np.flatnonzero(~summary.bits)
    varying = int((summary.bits & (summary.low < summary.high)).sum())
    if not len(other) or len(other) > max(1, varying // 4) or not varying:
        return
    first = int(other[0])
    other_values = summary.of([first])
    more = f", and {len(other) - 1} more are not bits either," if len(other) > 1 else ""
    unit = (other_values.low >= 0).all() and (other_values.high <= 1).all()
    ways = ["recode it as 0 and 1", "leave it out"]
    labels = options.way("say that it holds labels with --label-column", "give it as y if it holds labels")
    ways += [labels] if other_values.whole.all() else []
    ways += ["say that all are grey levels with " + options.way("--values unit", "values='unit'")] if unit else []
    if names is not None:
        ways += ["say what it is with " + options.way("--columns FILE", f"columns={{{names[first]!r}: 'real'}}")]
    raise InputError(
        f"{where}: {_called(first, names[first] if names is not None else None)} holds {other_values}{more} beside "
        f"{summary.bits.sum():,} columns of bits; {', '.join(ways[:-1])}, or {ways[-1]}"
    )


def require_first_alike(where: object, numbers: Array, options: ReadOptions) -> None:
    """Raise an InputError for a first row of other numbers above rows of bits: they may be names."""
    if options != ReadOptions() or len(numbers) < 2 or _are_bits(numbers[:1]) or not _are_bits(numbers[1:]):
        return
    low, high = numbers[0].min(), numbers[0].max()
    raise InputError(
        f"{where}: line 1 holds numbers in [{low:g}, {high:g}] and all other lines bits; if they are names of columns, "
        "call those col0, col1, ..."
    )


def _are_bits(numbers: Array) -> bool:
    return bool(((numbers == 0) | (numbers == 1)).all())


def require_no_labels(
    where: object, names: Sequence[str] | None, x: Array, summary: Summary, options: ReadOptions
) -> None:
    """Raise an InputError if the first or last column of grey levels looks like labels.

    That is: whole numbers from 0 or 1 on, each of which occurs, below 100, none of them in more than 70 % of the rows.
    """
    last = x.shape[1] - 1
    real = (~summary.whole).sum() >= 0.9 * last  # all others but a few
    for column in {0, last} if last > 1 else ():
        low, high = summary.low[column], summary.high[column]
        if (
            not summary.whole[column]
            or low not in (0, 1)
            or not low < high < _CLASSES
            or (2 * high >= summary.high.max() and not real)
        ):
            continue
        if names is not None and _stem(names[column]) == _stem(names[1 if column == 0 else last - 1]) != "":
            continue  # pixel0 beside pixel1
        values = np.asarray(x[:, column])
        if np.isnan(values).any():
            continue  # labels are not missing
        counts = np.bincount(values.astype(np.int64))[int(low) :]
        if counts.all() and counts.max() < _SHARE * len(x):
            called = _called(column, None if names is None else names[column])
            others = "hold real numbers" if real else f"go up to {summary.high.max():g}"
            in_file = "say so with --label-column" if names is not None else "call it 'label' in a line of names"
            way = options.way(in_file, "give it as y")
            if names is None:
                other = options.way("call all columns pixel0, pixel1, ...", "give columns=['pixel0', 'pixel1', ...]")
                other += options.way(" or save images (N, H, W)", " or images (N, H, W)")
            else:
                other = _way_for_observed(names[column], bool(summary.bits[column]), bool(real), options)
            raise InputError(
                f"{where}: {called} looks like labels: it holds all of {low:g}...{high:g}, the others {others}; "
                f"if it holds labels, {way}; if not, {other}"
            )


def _way_for_observed(name: str, is_bits: bool, others_are_real: bool, options: ReadOptions) -> str:
    """Return how to say that a named column is observed; whole numbers beside it need a kind too, or are pixels."""
    kind = "binary" if is_bits else "categorical"
    if others_are_real:
        way = options.way(f"--columns FILE, {name}: {kind}", f"columns={{{name!r}: {kind!r}}}")
        return f"say what it is with {way}"
    way = options.way(
        f'--columns FILE, {name}: {kind} and in the next line "*": count',
        f"columns={{{name!r}: {kind!r}, '*': 'count'}}",
    )
    return f"say what it and the others are, such as {way}; if all are grey levels, call them pixel0, pixel1, ..."


def _stem(name: str) -> str:
    return _NUMBER_AT_END.sub("", name)


def _called(number: int, name: str | None) -> str:
    if name is None:
        return f"column {number + 1}"
    return f"column {name!r}" if name else "the first column, which has no name,"

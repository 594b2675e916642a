"""Which columns of a table are observed, which one holds labels, and which one numbers the rows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from vaelab.data.naming import LABELS, listed
from vaelab.data.values import Array, ReadOptions, Seen
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
    """The columns that are observed (N, X) with their names, the labels (N,), and sentences on what was left out."""

    x: Array
    names: tuple[str, ...] | None
    labels: npt.NDArray[np.int64] | None
    notes: tuple[str, ...]


def label_among(where: object, names: Sequence[str] | None, options: ReadOptions) -> str | None:
    """Return which of some names is that of the labels.

    Raises:
        InputError: no column of the name that was asked for, or several that may be labels.
    """
    asked = options.label_column
    if asked is not None:
        if names is None:
            raise InputError(
                f"{where}: label_column: expected names of columns in line 1, {asked!r} among them; got none"
            )
        if asked not in names:
            raise InputError(f"{where}: label_column: there is no column {asked!r}{did_you_mean(asked, names)}")
        return asked
    found = [name for name in names or () if name.lower() in LABELS]
    if len(found) > 1:
        raise InputError(
            f"{where}: {listed(found)} may all be labels; say which one is with --label-column "
            f"(label_column= in Python), and remove the other"
        )
    return found[0] if found else None


def roles_of(
    path: Path, numbers: Array, names: tuple[str, ...] | None, notes: Sequence[str], options: ReadOptions
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
    kept = [column for column in range(numbers.shape[1]) if column not in left_out and column != place]
    if not kept:
        raise InputError(f"{path}: expected columns to observe; got no column beside labels and row numbers")
    labels = None if place is None else _whole(path, str(label), numbers[:, place])
    if len(kept) == numbers.shape[1]:
        return Roles(numbers, names, labels, tuple(notes))
    chosen = None if names is None else tuple(names[column] for column in kept)
    return Roles(np.ascontiguousarray(numbers[:, kept]), chosen, labels, tuple(notes))


def is_index_name(name: str) -> bool:
    """Say whether a column of this name may number the rows."""
    return _INDEXES.fullmatch(name) is not None


def require_no_index(where: object, names: Sequence[str] | None, seen: Seen) -> None:
    """Refuse a column that is called as row numbers are, and holds whole numbers that do not count the rows."""
    for column, name in enumerate(names or ()):
        low, high = seen.low[column], seen.high[column]
        if is_index_name(name) and seen.whole[column] and high > 1:
            raise InputError(
                f"{where}: column {name!r} holds whole numbers in [{low:g}, {high:g}] and looks like numbers of rows; "
                "leave it out, or give it another name if it is observed"
            )


def _counts(column: Array) -> bool:
    ends = len(column) > 2 and column[-1] == float(column[0]) + len(column) - 1  # a glance first
    return bool(ends and (np.diff(column.astype(np.float64)) == 1).all())


def _numbers_rows(path: Path, number: int, name: str | None, column: Array) -> bool:
    """Say whether a column holds row numbers, or refuse one that may or may not."""
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
    """Refuse a column that counts the rows under a name that does not say so."""
    counts = f"{_called(number, name)} counts {first:g}...{last:g}"
    way = "leave it out" + (", or call it 'index'" if name else "")
    raise InputError(f"{where}: {counts}, as row numbers do; {way}")


def _whole(path: Path, name: str, column: Array) -> npt.NDArray[np.int64]:
    if (column != np.trunc(column)).any() or np.abs(column).max() > 2**53:
        low, high = column.min(), column.max()
        raise InputError(
            f"{path}: expected whole numbers as labels; column {name!r} has real ones in [{low:g}, {high:g}]"
        )
    return column.astype(np.int64)


def require_alike(where: object, names: Sequence[str] | None, seen: Seen, options: ReadOptions) -> None:
    """Refuse a table of bits in which a few columns are not: they may be anything but what is to be modelled."""
    if options.scale is not None or options.values in ("unit", "grey"):
        return
    other = np.flatnonzero(~seen.bits)
    varying = int((seen.bits & (seen.low < seen.high)).sum())
    if not len(other) or len(other) > max(1, varying // 4) or not varying:
        return
    first = int(other[0])
    found = seen.of([first])
    more = f", and {len(other) - 1} more are not bits either," if len(other) > 1 else ""
    unit = (found.low >= 0).all() and (found.high <= 1).all()
    ways = ["recode it as 0 and 1", "leave it out"]
    labels = options.way("say that it holds labels with --label-column", "give it as y if it holds labels")
    ways += [labels] if found.whole.all() else []
    ways += ["say that all are grey levels with " + options.way("--values unit", "values='unit'")] if unit else []
    raise InputError(
        f"{where}: {_called(first, names[first] if names is not None else None)} holds {found}{more} beside "
        f"{seen.bits.sum():,} columns of bits; {', '.join(ways[:-1])}, or {ways[-1]}"
    )


def require_first_alike(where: object, numbers: Array, options: ReadOptions) -> None:
    """Refuse a first row of other numbers above rows of bits: it may be names that look like numbers."""
    if options != ReadOptions() or len(numbers) < 2 or _are_bits(numbers[:1]) or not _are_bits(numbers[1:]):
        return
    low, high = numbers[0].min(), numbers[0].max()
    raise InputError(
        f"{where}: line 1 holds numbers in [{low:g}, {high:g}] and all other lines bits; if they are names of columns, "
        "call those col0, col1, ..."
    )


def _are_bits(numbers: Array) -> bool:
    return bool(((numbers == 0) | (numbers == 1)).all())


def require_no_labels(where: object, names: Sequence[str] | None, x: Array, seen: Seen, options: ReadOptions) -> None:
    """Refuse grey levels whose first or last column looks like labels: few classes, all there, none of most rows."""
    last = x.shape[1] - 1
    real = (~seen.whole).sum() >= 0.9 * last  # all others but a few
    for column in {0, last} if last > 1 else ():
        low, high = seen.low[column], seen.high[column]
        if (
            not seen.whole[column]
            or low not in (0, 1)
            or not low < high < _CLASSES
            or (2 * high >= seen.high.max() and not real)
        ):
            continue
        if names is not None and _stem(names[column]) == _stem(names[1 if column == 0 else last - 1]) != "":
            continue  # pixel0 beside pixel1
        counts = np.bincount(x[:, column].astype(np.int64))[int(low) :]
        if counts.all() and counts.max() < _SHARE * len(x):
            called = _called(column, None if names is None else names[column])
            others = "hold real numbers" if real else f"go up to {seen.high.max():g}"
            in_file = "say so with --label-column" if names is not None else "call it 'label' in a line of names"
            way = options.way(in_file, "give it as y")
            other = options.way("call all columns pixel0, pixel1, ...", "give columns=['pixel0', 'pixel1', ...]")
            other += options.way(" or save images (N, H, W)", " or images (N, H, W)") if names is None else ""
            raise InputError(
                f"{where}: {called} looks like labels: it holds all of {low:g}...{high:g}, the others {others}; "
                f"if it holds labels, {way}; if not, {other}"
            )


def _stem(name: str) -> str:
    return _NUMBER_AT_END.sub("", name)


def _called(number: int, name: str | None) -> str:
    if name is None:
        return f"column {number + 1}"
    return f"column {name!r}" if name else "the first column, which has no name,"

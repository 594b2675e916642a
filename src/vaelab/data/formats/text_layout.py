"""The layout of a table of text, from its first lines: the separator and the names of the columns."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from vaelab.errors import InputError

__all__ = ["BOOLEANS", "MISSING", "NUMBER", "Layout", "cells_of", "read_layout"]

NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
BOOLEANS = ("true", "false")
MISSING = ("", "?", "na", "n/a", "#n/a", "<na>", "nan", "null", "none", "missing", "-", ".")
_QUOTED = re.compile(r'"[^"]*"')
_SEP_LINE = re.compile(r'"?sep=.?"?[,;\t]*', re.IGNORECASE)
_WHOLE = re.compile(r"\d+", re.ASCII)


@dataclass(frozen=True)
class Layout:
    """The separator (None for blanks), the number of columns, and their names if line 1 has them.

    ``open_ended`` is true if every line ends with a separator.
    """

    separator: str | None
    width: int
    names: tuple[str, ...] | None
    open_ended: bool
    notes: tuple[str, ...] = ()

    def column(self, number: int) -> str:
        """Return the name of a column for a message."""
        return f"column {self.names[number]!r}" if self.names is not None else f"column {number + 1}"


def cells_of(line: str, separator: str | None) -> list[str]:
    """Return the cells of a line, without quotes and blanks around them."""
    if separator is None:
        return line.split()
    try:
        cells = next(csv.reader([line], delimiter=separator, skipinitialspace=True), [""])
    except csv.Error:  # a cell of more than 128 KiB
        cells = line.split(separator)
    return [cell.strip() for cell in cells]


def read_layout(path: Path, lines: Sequence[str]) -> Layout:
    """Return the layout of a table, from its first two lines.

    Raises:
        InputError: a first line that is neither names nor numbers, or may be both; names that are missing or equal.
    """
    if _SEP_LINE.fullmatch(lines[0]):
        raise InputError(f"{path}: line 1 is {lines[0]!r}, which Excel adds; remove the line")
    separator = _separator(lines[0], path.suffix)
    first = cells_of(lines[0], separator)
    second = cells_of(lines[1], separator) if len(lines) > 1 else None
    notes = []
    if lines[0].startswith("#"):
        first = cells_of(lines[0].lstrip("# "), separator)
        named = all(first) and not all(NUMBER.fullmatch(cell) for cell in first)
        if second is None or len(first) != len(second) or not named:
            raise InputError(f"{path}: line 1 begins with '#': comments are not read; remove the line")
        notes.append("line 1 begins with '#' and names the columns")
        names: list[str] | None = first
    else:
        names = _names(path, first, lines[0])
    if names is not None and NUMBER.fullmatch(names[-1]):
        notes.append("line 1 holds numbers that count the columns and is read as their names")
    body = second if names is not None else first
    open_ended = body is not None and len(body) > 1 and body[-1] == "" and separator is not None
    if open_ended and names is None:
        open_ended = second is None or second[-1] == ""
    if open_ended and names is not None and body is not None:
        open_ended = len(names) == len(body) - 1 or names[-1] == ""
        names = names[: len(body) - 1] if open_ended else names
    if open_ended:
        notes.append("the empty last column is left out")
    width = len(names) if names is not None else len(first) - open_ended
    if names is not None:
        _check(path, names)
    return Layout(separator, width, None if names is None else tuple(names), open_ended, tuple(notes))


def _separator(line: str, suffix: str) -> str | None:
    bare = _QUOTED.sub("", line)
    separator = next((mark for mark in ("\t", ";", ",") if mark in bare), None)
    blanks = separator is None and len(bare.split()) > 1
    if blanks and (suffix == ".amat" or all(NUMBER.fullmatch(cell) for cell in bare.split())):
        return None
    return separator or ","


def _names(path: Path, first: Sequence[str], line: str) -> list[str] | None:
    """Return the cells of line 1 if they are names: words, or whole numbers that count the columns."""
    numbers = [cell for cell in first if NUMBER.fullmatch(cell) or cell.lower() in BOOLEANS]
    words = [cell for cell in first if not (NUMBER.fullmatch(cell) or cell.lower() in BOOLEANS)]
    counted = [str(number) for number in range(len(numbers))]
    nameless = words == [first[0]] == [""]  # the column of row numbers has no name in a file that pandas writes
    if not words:
        if list(first) == counted and len(first) < 3:
            raise InputError(
                f"{path}: line 1 is {line[:60]!r}, which may be names of columns or a row; "
                "put a line of names above it, such as " + ",".join("ab"[: len(first)])
            )
        return list(first) if list(first) == counted else None
    if nameless and numbers == counted:
        return list(first)
    if all(word.lower() in MISSING for word in words):
        return None
    if not numbers or _rising(numbers):
        return list(first)
    raise InputError(f"{path}: expected names of columns or numbers in line 1; got both: {line[:60]!r}")


def _rising(numbers: Sequence[str]) -> bool:
    """Return whether numbers beside words can be names themselves, as years are."""
    whole = len(numbers) > 2 and all(_WHOLE.fullmatch(number) for number in numbers)
    return whole and all(int(a) < int(b) for a, b in pairwise(numbers))


def _check(path: Path, names: Sequence[str]) -> None:
    """Raise an InputError if names are missing or equal; a first column of row numbers needs no name."""
    known = set()
    for number, name in enumerate(names):
        if not name and number:
            raise InputError(f"{path}: expected a name for every column; column {number + 1} has none")
        if name in known:
            raise InputError(f"{path}: expected different names of columns; {name[:60]!r} is there more than once")
        known.add(name)

"""The layout of a table of text, from its first lines: the separator and the names of the columns."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from vaelab.errors import InputError

__all__ = ["BOOLEANS", "MISSING", "NUMBER", "TITLE", "Layout", "cells_of", "numbered_names", "read_layout"]

NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
BOOLEANS = ("true", "false")
MISSING = ("", "?", "na", "n/a", "#n/a", "<na>", "nan", "null", "none", "missing", "-", ".")
TITLE = "if line 1 is a title, remove it, so that the first line names the columns"
_QUOTED = re.compile(r'"[^"]*"')
_SEP_LINE = re.compile(r'"?sep=(.)"?[,;\t]*', re.IGNORECASE)
_MARKS = ("\t", ";", ",", "|")
_SAMPLE = 20  # lines that have to agree on the separator
_WHOLE = re.compile(r"\d+", re.ASCII)


@dataclass(frozen=True)
class Layout:
    """The separator (None for blanks), the number of columns, and their names if there is a line of them.

    ``head`` is the number of lines above the rows; ``open_ended`` is true if every line ends with a separator.
    """

    separator: str | None
    width: int
    names: tuple[str, ...] | None
    head: int
    open_ended: bool
    notes: tuple[str, ...] = ()

    def column(self, number: int) -> str:
        """Return the name of a column for a message."""
        return f"column {self.names[number]!r}" if self.names is not None else f"column {number + 1}"


def numbered_names(width: int) -> tuple[str, ...]:
    """Return names for columns that have none: ``column 1`` and so on."""
    return tuple(f"column {place + 1}" for place in range(width))


def cells_of(line: str, separator: str | None) -> list[str]:
    """Return the cells of a line, without quotes and blanks around them."""
    line, mark = (line.strip(), " ") if separator is None else (line, separator)
    try:
        cells = next(csv.reader([line], delimiter=mark, skipinitialspace=True), [""])
    except csv.Error:  # a cell of more than 128 KiB
        cells = line.split(separator)
    return [cell.strip() for cell in cells]


def read_layout(path: Path, lines: Sequence[str]) -> Layout:
    """Return the layout of a table, from its first lines.

    Raises:
        InputError: a first line that is neither names nor numbers, or may be both; names that are missing or equal.
    """
    said = _SEP_LINE.fullmatch(lines[0])
    top = 1 if said else 0  # a line of Excel's, which says what the separator is
    lines = lines[top : top + _SAMPLE]
    if not lines:
        raise InputError(f"{path}: expected at least one row and one column; got none")
    separator = said[1] if said else _separator(lines, path.suffix)
    first = cells_of(lines[0], separator)
    second = cells_of(lines[1], separator) if len(lines) > 1 else None
    notes = []
    if lines[0].startswith("#"):
        first = cells_of(lines[0].lstrip("# "), separator)
        named = all(first) and not all(NUMBER.fullmatch(cell) for cell in first)
        if second is None or len(first) != len(second) or not named:
            raise InputError(f"{path}: line {top + 1} begins with '#': comments are not read; remove the line")
        notes.append("line 1 begins with '#' and names the columns")
        names: list[str] | None = first
    else:
        names = _names(path, first, lines[0])
    if names is not None and NUMBER.fullmatch(names[-1]):
        notes.append("line 1 holds numbers that count the columns and is read as their names")
    names, open_ended = _ends(names, first, second, separator)
    if open_ended:
        notes.append("the empty last column is left out")
    elif names is not None and _names_rows(names, lines[1:], separator):
        names = ["", *names]
    width = len(names) if names is not None else len(first) - open_ended
    if names is not None:
        _check(path, names)
    head = top + (names is not None)
    return Layout(separator, width, None if names is None else tuple(names), head, open_ended, tuple(notes))


def _ends(
    names: list[str] | None, first: list[str], second: list[str] | None, separator: str | None
) -> tuple[list[str] | None, bool]:
    """Return the names, and whether every line ends with a separator."""
    body = second if names is not None else first
    if body is None or len(body) < 2 or body[-1] != "" or separator is None:
        return names, False
    if names is None:
        return None, second is None or second[-1] == ""
    open_ended = len(names) == len(body) - 1 or names[-1] == ""
    return (names[: len(body) - 1] if open_ended else names), open_ended


def _names_rows(names: Sequence[str], rows: Sequence[str], separator: str | None) -> bool:
    """Return whether each row has one cell more than there are names: a name of the row, as R writes it."""
    return bool(rows) and all(len(cells_of(row, separator)) == len(names) + 1 for row in rows)


def _separator(lines: Sequence[str], suffix: str) -> str | None:
    """Return the first mark that cuts all lines into the same number of cells, or that is in line 1 at all."""
    bare = _QUOTED.sub("", lines[0])
    present = [mark for mark in _MARKS if mark in bare]
    below = lines[1:] or lines
    for mark in present:
        widths = {len(cells_of(line, mark)) for line in below}
        if len(widths) == 1 and widths != {1}:
            return mark
    if present:
        return present[0]
    first, rows = cells_of(lines[0], None), [cells_of(line, None) for line in below]
    if len(first) > 1 and (suffix == ".amat" or all(NUMBER.fullmatch(cell) for cell in first)):
        return None
    alike = {len(row) for row in rows} in ({len(first)}, {len(first) + 1}) and len(rows[0]) > 1
    return None if alike and all(any(NUMBER.fullmatch(cell) for cell in row) for row in rows) else ","


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
    raise InputError(
        f"{path}: expected names of columns or numbers in line 1; got both: {line[:60]!r}; "
        "if it is a row, put a line of names above it"
    )


def _rising(numbers: Sequence[str]) -> bool:
    """Return whether numbers beside words can be names themselves, as years are."""
    whole = len(numbers) > 2 and all(_WHOLE.fullmatch(number) for number in numbers)
    return whole and all(int(a) < int(b) for a, b in pairwise(numbers))


def _check(path: Path, names: Sequence[str]) -> None:
    """Raise an InputError if names are missing or equal; a first column of row numbers needs no name."""
    known = set()
    for number, name in enumerate(names):
        if not name and number:
            raise InputError(f"{path}: expected a name for every column; column {number + 1} has none; {TITLE}")
        if name in known:
            raise InputError(
                f"{path}: expected different names of columns; {name[:60]!r} is there more than once; "
                "if line 1 is a row, put a line of names above it"
            )
        known.add(name)

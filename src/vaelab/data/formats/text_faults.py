"""The faults of a table of text, described in one sentence: which line, which column, how many cells."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

from vaelab.data.formats.text_layout import BOOLEANS, MISSING, NUMBER, Layout, cells_of
from vaelab.data.naming import LABELS
from vaelab.errors import InputError

__all__ = ["refuse_table"]

_ODD = {
    "a hexadecimal number": re.compile(r"[+-]?0x[0-9a-f]+", re.IGNORECASE),
    "a number with separators of thousands": re.compile(r"[+-]?\d{1,3}(?:[,'_. ]\d{3})+(?:\.\d+)?"),
    "a decimal comma": re.compile(r"[+-]?\d*,\d+"),
    "a percentage": re.compile(r"[+-]?\d+\.?\d*\s*%"),
    "an infinite number": re.compile(r"[+-]?inf(?:inity)?", re.IGNORECASE),
}
_SEPARATORS = re.compile(r"[| :]")
_KNOWN = 100_000  # different cells whose kind is remembered


def refuse_table(path: Path, layout: Layout, rows: int, blocks: Iterable[tuple[int, list[str]]]) -> NoReturn:
    """Raise an InputError that describes the faults of a table, from the first block with a fault to the end.

    ``rows`` is the number of rows before, which are numbers.
    """
    faults = _Faults(path, layout, rows)
    for number, lines in blocks:
        for place, line in enumerate(lines):
            faults.add(number + place, line)
    faults.refuse()


class _Faults:
    """Words and missing cells, by column."""

    def __init__(self, path: Path, layout: Layout, rows: int) -> None:
        self.path, self.layout, self.rows = path, layout, rows
        self.words: dict[int, Counter[str]] = {}
        self.first_word: dict[int, tuple[int, str]] = {}
        self.missing, self.first_missing = 0, (0, 0, "")
        self._known: dict[str, str] = {}

    def add(self, number: int, line: str) -> None:
        if line.startswith("#"):
            raise InputError(f"{self.path}: line {number} begins with '#': comments are not read; remove the line")
        if line.count('"') % 2:
            raise InputError(f"{self.path}: line {number} has a quote without its other half; got {line[:60]!r}")
        cells = cells_of(line, self.layout.separator)
        if self.layout.open_ended and len(cells) == self.layout.width + 1 and not cells[-1]:
            cells.pop()
        if len(cells) != self.layout.width:
            raise InputError(f"{self.path}: line {number}: expected {self.layout.width} cells; got {len(cells)}")
        self.rows += 1
        for column, cell in enumerate(cells):
            kind = self._known.get(cell)
            if kind is None:
                kind = self._known[cell] = _kind(cell)
                if len(self._known) > _KNOWN:
                    self._known.clear()
            if kind == "number":
                continue
            if kind == "missing":
                self.missing += 1
                self.first_missing = self.first_missing if self.missing > 1 else (self.rows, column, cell)
            elif kind == "word":
                self.first_word.setdefault(column, (number, cell))
                self.words.setdefault(column, Counter())[cell[:20]] += 1
            else:
                where = f"{self.path}: line {number}, {self.layout.column(column)}"
                raise InputError(f"{where}: expected a number; got {_short(cell)}, {kind}")

    def refuse(self) -> NoReturn:
        also = ""
        if self.missing:
            row, column, cell = self.first_missing
            share, total = self.missing / (self.rows * self.layout.width), self.rows * self.layout.width
            as_what = f" ({cell!r})" if cell else ""
            also = (
                f"{100 * share:.1f} % of the cells are missing ({self.missing:,} of {total:,}), "
                f"first in row {row}, {self.layout.column(column)}{as_what}"
            )
        columns = [column for column, words in self.words.items() if 2 * words.total() > self.rows - self.missing]
        if columns:
            shown = ", ".join(repr(word) for word, _ in self.words[columns[0]].most_common(3))
            if self.layout.width == 1 and (mark := _SEPARATORS.search(next(iter(self.words[columns[0]])))):
                raise InputError(
                    f"{self.path}: expected cells between commas, semicolons or tabs; got one column, with "
                    f"{mark[0]!r} in its cells ({shown})"
                )
            more = f" and {len(columns) - 1} more such column{'s' * (len(columns) > 2)}" if len(columns) > 1 else ""
            raise InputError(
                f"{self.path}: expected numbers; got a column of words ({self.layout.column(columns[0])[7:]}: "
                f"{shown}){more}{'; and ' if also else ''}{also}; "
                f"{_recode(self.layout, columns[0])}, or leave the column out"
            )
        if self.words:
            column, (number, cell) = min(self.first_word.items(), key=lambda item: item[1][0])
            where = f"{self.path}: line {number}, {self.layout.column(column)}"
            raise InputError(f"{where}: expected a number; got {_short(cell)}")
        if also:
            raise InputError(f"{self.path}: expected no missing values; {also}")
        # Each cell is a number, but NumPy did not parse the lines.
        raise InputError(f"{self.path}: expected a readable table of numbers")


def _kind(cell: str) -> str:
    if NUMBER.fullmatch(cell):
        return "number" if math.isfinite(float(cell)) else "too large a number"
    if cell.lower() in BOOLEANS:
        return "number"
    if cell.lower() in MISSING:
        return "missing"
    return next((kind for kind, pattern in _ODD.items() if pattern.fullmatch(cell)), "word")


def _recode(layout: Layout, column: int) -> str:
    if layout.names is not None and layout.names[column].lower() in LABELS:
        return "recode the labels as 0, 1, 2, ..."
    return "recode the words as 0 and 1 (labels as 0, 1, 2, ...)"


def _short(cell: str) -> str:
    return repr(cell) if len(cell) <= 40 else f"{cell[:20]!r} and {len(cell) - 20:,} characters more"

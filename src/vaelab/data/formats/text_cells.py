"""Tables of text with words or missing cells: each column becomes numbers or text, by what most of its cells are."""

from __future__ import annotations

import csv
import re
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from vaelab.data.content import Content, RawTable
from vaelab.data.formats.missing import note_of_missing
from vaelab.data.formats.text_kinds import Cells, said_of, stand_ins_of
from vaelab.data.formats.text_layout import TITLE, Layout, numbered_names
from vaelab.data.naming import listed
from vaelab.data.opening import require_fits
from vaelab.data.tables import missing_in
from vaelab.data.values import Array, ReadOptions
from vaelab.errors import InputError

__all__ = ["read_cells", "rows_of_cells"]

_SEPARATOR = re.compile(r"[: /^~]")
_ROWS = 2000  # rows that are cut into columns at once
_OVERHEAD = 100  # bytes of memory that a text takes beside its characters


class _Numbered(dict[str, int]):
    """Numbers for different texts, in the order in which they come; ``nbytes`` is about the memory that they take."""

    nbytes = 0

    def __missing__(self, text: str) -> int:
        self[text] = number = len(self)
        self.nbytes += len(text) + _OVERHEAD
        return number


def read_cells(path: Path, layout: Layout, blocks: Iterable[tuple[int, list[str]]], options: ReadOptions) -> Content:
    """Return a table whose columns are numbers, NaN where a cell is missing, or text, None where a cell is missing.

    Raises:
        InputError: lines of other lengths, quotes without their other half, comments; in a column of numbers a cell
            that is none; names in line 1 that may be a row. The line and the column are named.
    """
    known = [_Numbered() for _ in range(layout.width)]
    codes = [array("i") for _ in range(layout.width)]
    lines = array("q")
    rows = rows_of_cells(path, layout, blocks)
    while chunk := list(islice(rows, _ROWS)):
        lines.extend(number for number, _ in chunk)
        by_column = zip(*(cells for _, cells in chunk), strict=True)
        for texts, column, cells in zip(known, codes, by_column, strict=True):
            column.extend(map(texts.__getitem__, cells))
        require_fits(path, 4 * len(lines) * layout.width + sum(texts.nbytes for texts in known))
    names = layout.names or numbered_names(layout.width)
    table = [
        Cells(
            path,
            place,
            layout.column(place),
            list(map(str.strip, texts)),
            np.frombuffer(column, np.int32),
            lines,
            said_of(names[place], options),
            stand_ins_of(names[place], options),
        )
        for place, (texts, column) in enumerate(zip(known, codes, strict=True))
    ]
    return _content(path, layout, names, table)


def rows_of_cells(
    path: Path, layout: Layout, blocks: Iterable[tuple[int, list[str]]]
) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows below the head of a table: the number of the first line of each, and its cells."""
    lines = (line + "\n" for _, block in blocks for line in block)
    below = islice(lines, layout.head, None)
    cut = below if layout.separator is not None else (line.lstrip() for line in below)
    reader = csv.reader(cut, delimiter=layout.separator or " ", skipinitialspace=True, strict=True)
    while True:
        number = layout.head + reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise InputError(f"{path}: line {number} {_fault(error)}") from None
        if len(cells) == layout.width + 1 and not cells[-1].strip() and (layout.open_ended or layout.separator is None):
            cells.pop()
        if len(cells) != layout.width:
            if "".join(cells[:1]).startswith("#"):
                raise InputError(f"{path}: line {number} begins with '#': comments are not read; remove the line")
            way = (
                f"; {TITLE}" if layout.width == 1 else "; if it is a remark, remove the line" if len(cells) == 1 else ""
            )
            cell = "cell" if layout.width == 1 else "cells"
            raise InputError(f"{path}: line {number}: expected {layout.width} {cell}; got {len(cells)}{way}")
        yield number, cells


def _fault(error: csv.Error) -> str:
    if "field limit" in str(error):
        return f"has a cell of more than {csv.field_size_limit():,} characters; expected numbers or words"
    return "has a quote without its other half, or signs behind a quoted cell"


def _content(path: Path, layout: Layout, names: tuple[str, ...], table: list[Cells]) -> Content:
    """Return the columns as numbers and text, without the names of rows."""
    _require_no_row(path, layout, table)
    columns, notes = [cells.column() for cells in table], list(layout.notes)
    if layout.names is None:
        notes.append(f"the columns have no names: they are called 'column 1' to 'column {layout.width}'")
    if names[0] == "":
        if len(set(table[0].texts)) < len(table[0].codes):
            raise InputError(
                f"{path}: expected a name for every column; the first has none, and does not number or name the rows"
            )
        if len(names) == 1:
            raise InputError(f"{path}: expected columns to observe; got no column beside the names of the rows")
        notes.append("the first column, which has no name, names the rows and is left out")
        names, columns, table = names[1:], columns[1:], table[1:]
    marks = [missing_in(column) for column in columns]
    notes += note_of_missing([cells.called for cells in table], marks, _words(table, marks))
    return Content({}, notes=tuple(notes), table=RawTable(names, columns))


def _words(table: Sequence[Cells], marks: Sequence[Array]) -> list[str]:
    """Return the different texts of the cells that are missing."""
    return sorted({cells.texts[code] for cells, mark in zip(table, marks, strict=True) for code in cells.codes[mark]})


def _require_no_row(path: Path, layout: Layout, table: Sequence[Cells]) -> None:
    """Raise an InputError if line 1 holds words that are below it too, or if no line is cut into cells."""
    if not all(cells.is_text for cells in table):
        return
    if (
        layout.width == 1
        and (mark := _SEPARATOR.search(table[0].texts[0]))
        and all(mark[0] in text for text in table[0].texts)
    ):
        raise InputError(
            f"{path}: expected cells between commas, semicolons, tabs, bars or blanks; got one column, with "
            f"{mark[0]!r} in its cells ({listed(table[0].texts)}); say what is between the cells in a line above "
            f"them, sep={mark[0]}"
        )
    if layout.names is None:
        return
    below = sum(name in cells.texts for name, cells in zip(layout.names, table, strict=True))
    if 2 * below > len(table):
        names = ",".join(f"q{place}" for place in range(min(3, len(table))))
        raise InputError(
            f"{path}: line {layout.head} holds words that are in the lines below too ({listed(layout.names)}); "
            f"if it is a row, put a line of names above it, such as {names}{',...' if len(table) > 3 else ''}"
        )

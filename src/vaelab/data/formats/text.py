"""Tables of text (.csv, .tsv, .amat): read block by block; NumPy parses a table of numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import IO

import numpy as np

from vaelab.data.content import Content, RawTable
from vaelab.data.formats.text_cells import read_cells, rows_of_cells
from vaelab.data.formats.text_layout import TITLE, Layout, numbered_names, read_layout
from vaelab.data.opening import Opened, reason_of, require_fits
from vaelab.data.packing import DAMAGE
from vaelab.data.values import Array, ReadOptions
from vaelab.errors import InputError

__all__ = ["read", "read_as_written"]

_BLOCK = 2**22  # bytes that are read at once
_LINE = 2**26  # bytes of the longest line
_TRUE_FALSE = re.compile(r"\b(?:(true)|false)\b", re.IGNORECASE)


def read(opened: Opened, options: ReadOptions) -> Content:
    """Read a table (N, X): numbers as an array, one with words or missing cells as columns of numbers and of text.

    Commas, semicolons, tabs, bars or blanks separate the cells, below a line of names or not. Cells may have quotes,
    lines may end with a separator, true and false are 1 and 0 in a table of numbers, and lines end as on any system.
    No line is skipped: blank lines in the middle and comments are errors.

    Raises:
        InputError: words in a column of numbers, lines of other lengths and other faults, named by line.
    """
    path, blocks = opened.path, _blocks(opened.path, opened.stream)
    _, first = next(blocks, (1, []))
    if not first:
        raise InputError(f"{path}: expected at least one row and one column; got none")
    layout = read_layout(path, first)
    numbers = _numbers_of(path, layout, chain([(1, first)], blocks))
    if numbers is None:
        opened.stream.seek(0)
        return read_cells(path, layout, _blocks(path, opened.stream), options)
    return Content({"x": numbers}, layout.names, layout.notes, text=True)


def read_as_written(opened: Opened) -> RawTable:
    """Return every column of a table of text with its cells as they are written, also one that names the rows.

    Raises:
        InputError: lines of other lengths and quotes without their other half, named by line.
    """
    path, blocks = opened.path, _blocks(opened.path, opened.stream)
    _, first = next(blocks, (1, []))
    layout = read_layout(path, first)
    rows = rows_of_cells(path, layout, chain([(1, first)], blocks))
    columns = zip(*(map(str.strip, cells) for _, cells in rows), strict=True)
    return RawTable(layout.names or numbered_names(layout.width), [np.array(cells, object) for cells in columns])


def _numbers_of(path: Path, layout: Layout, blocks: Iterator[tuple[int, list[str]]]) -> Array | None:
    """Return the table as one array, uint8 if all are whole numbers 0...255; None if some cell is not a number."""
    parts, nbytes, above = [], 0, layout.head
    for _, block in blocks:
        lines, above = block[above:], max(0, above - len(block))
        if not lines:
            continue
        part = _parsed(layout, lines)
        if part is None:
            return None
        parts.append(part)
        nbytes += part.nbytes
        require_fits(path, nbytes)
    if not parts:
        raise InputError(f"{path}: expected at least one row and one column; got a line of names alone")
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _blocks(path: Path, stream: IO[bytes]) -> Iterator[tuple[int, list[str]]]:
    """Yield the lines of a file block by block: the number of the first line, and the lines."""
    rest, number, blank = b"", 1, 0
    while True:
        try:
            read = stream.read(_BLOCK)
        except DAMAGE as error:
            raise InputError(f"{path}: expected a readable file; it is damaged ({reason_of(error)})") from error
        data, rest = _whole_lines(rest + read, last=not read)
        if len(rest) > _LINE:
            raise InputError(f"{path}: line {number} is longer than {_LINE >> 20} MB; expected rows, one a line")
        if data:
            lines = _decoded(path, number, data).split("\n")
            if not lines[-1]:
                lines.pop()
            for place, line in enumerate(lines):
                if not line.strip(" "):
                    blank = blank or number + place
                elif blank:
                    title = f"; {TITLE}" if blank == 2 else ""
                    raise InputError(f"{path}: line {blank} is empty; expected a row in every line{title}")
            filled = [line for line in lines if line.strip(" ")]  # blank ones are at the end of the file
            if blank and not filled and len(data) > _BLOCK // 2:
                raise InputError(f"{path}: line {blank} and many more are empty; expected a row in every line")
            yield number, filled
            number += len(lines)
        if not read:
            return


def _whole_lines(data: bytes, last: bool) -> tuple[bytes, bytes]:
    """Return the complete lines, which then end with a newline, and the rest."""
    carriage_return = b""
    if b"\r" in data:
        if data.endswith(b"\r") and not last:  # its newline may be in the next block
            data, carriage_return = data[:-1], b"\r"
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    cut = len(data) if last else data.rfind(b"\n") + 1
    return data[:cut], data[cut:] + carriage_return


def _decoded(path: Path, number: int, data: bytes) -> str:
    if number == 1 and data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise InputError(f"{path}: expected text in UTF-8; got UTF-16; save it as UTF-8 ('CSV UTF-8' in Excel)")
    if b"\0" in data:
        line = number + data[: data.index(b"\0")].count(b"\n")
        raise InputError(f"{path}: expected text; line {line} has a NUL byte")
    try:
        return data.decode("utf-8-sig" if number == 1 else "utf-8")  # spreadsheets write a byte order mark
    except UnicodeDecodeError as error:
        line = number + data[: error.start].count(b"\n")
        raise InputError(
            f"{path}: expected text in UTF-8; line {line} has the byte 0x{data[error.start]:02x}; "
            "save it as UTF-8 ('CSV UTF-8' in Excel)"
        ) from None


def _parsed(layout: Layout, lines: list[str]) -> Array | None:
    """Return the numbers of some lines, as uint8 if all are whole numbers 0...255; None if a cell is not a number."""
    if layout.open_ended:
        mark = str(layout.separator)
        lines = [line.rstrip(" ") for line in lines]
        if not all(line.endswith(mark) for line in lines):
            return None
        lines = [line[: -len(mark)] for line in lines]
    if not all(map(str.strip, lines)):  # a missing cell in a table of one column
        return None
    numbers = _numbers(layout, lines)
    if numbers is None:
        numbers = _numbers(layout, [_TRUE_FALSE.sub(lambda word: "1" if word[1] else "0", line) for line in lines])
    if numbers is None or numbers.shape != (len(lines), layout.width) or not np.isfinite(numbers).all():
        return None
    if numbers.min() >= 0 and numbers.max() <= 255:
        whole = numbers.astype(np.uint8)
        return whole if np.array_equal(whole, numbers) else numbers
    return numbers


def _numbers(layout: Layout, lines: list[str]) -> Array | None:
    quote = '"' if any('"' in line for line in lines) else None
    try:
        return np.loadtxt(lines, delimiter=layout.separator, comments=None, quotechar=quote, ndmin=2)
    except ValueError:
        return None

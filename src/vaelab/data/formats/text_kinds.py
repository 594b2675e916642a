"""The cells of a column of a table of text: numbers, text or missing, and the sentence on a cell that does not fit."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, NoReturn

import numpy as np
import numpy.typing as npt

from vaelab.data.choices import choice_of
from vaelab.data.formats.text_layout import BOOLEANS, MISSING, NUMBER
from vaelab.data.tables import text_of
from vaelab.data.values import Array, ReadOptions
from vaelab.errors import InputError

__all__ = ["Cells", "Said", "said_of", "stand_ins_of"]

_ODD = {
    "a hexadecimal number": re.compile(r"[+-]?0x[0-9a-f]+", re.IGNORECASE),
    "a number with separators of thousands, which are to be left out, or a decimal comma, which is to be a point": (
        re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
    ),
    "a number with separators of thousands, which are to be left out": re.compile(
        r"[+-]?[1-9]\d{0,2}(?:[,'_. ]\d{3})+(?:[.,]\d+)?"
    ),
    "a decimal comma, which is to be a point": re.compile(r"[+-]?\d*,\d+"),
    "a percentage": re.compile(r"[+-]?\d+\.?\d*\s*%"),
    "a minus sign other than '-'": re.compile(r"[\u2012-\u2015\u2212]\d*[.,]?\d+"),
    "an error of a spreadsheet": re.compile(r"#(?:DIV/0!|VALUE!|REF!|NAME\?|NUM!|NULL!|SPILL!|CALC!)"),
    "an infinite number": re.compile(r"[+-]?inf(?:inity)?", re.IGNORECASE),
}
_WHOLE = re.compile(r"[+-]?\d{1,18}", re.ASCII)
_LONGEST = 200  # characters of a text that an error quotes whole
_LEVELS_TOO = ("none", "-", ".")  # missing in a column of numbers, a level in one of words


Said = Literal["text", "numbers", "either"]


def stand_ins_of(name: str, options: ReadOptions) -> frozenset[str]:
    """Return the texts that stand for a missing value in a column, as the user or the model says."""
    choice = choice_of(options.columns, name)
    known = next((column.missing for column in options.variables or () if column.name == name), ())
    return frozenset(map(text_of, known if choice is None else choice.missing))


def said_of(name: str, options: ReadOptions) -> Said | None:
    """Return what the user, or the model, says of the cells of a column; with ``either`` no cell is refused."""
    choice = choice_of(options.columns, name)
    known = {column.name: column for column in options.variables or ()}
    if name in known:
        return "text" if known[name].dtype == "str" else "numbers"
    if choice is not None and choice.kind is not None:
        return "numbers" if choice.kind in ("unit", "real", "count") else "either"
    return "either" if known else None


@dataclass(frozen=True)
class Cells:
    """The cells of one column: the different texts, the number of the text of each row, and the number of its line.

    ``said`` is what the user says of them; None if they show it themselves.
    """

    path: Path
    place: int
    called: str
    texts: Sequence[str]
    codes: npt.NDArray[np.int32]
    lines: Sequence[int]
    said: Said | None = None
    missing: frozenset[str] = frozenset()

    @cached_property
    def _kinds(self) -> list[str]:
        return ["missing" if text in self.missing else _kind(text) for text in self.texts]

    def _count(self, test: Callable[[str], bool]) -> int:
        """Return how many cells are of some kinds."""
        chosen = np.array([test(kind) for kind in self._kinds], bool)
        return int(chosen[self.codes].sum())

    @cached_property
    def _booleans_are_numbers(self) -> bool:
        """Whether true and false stand among numbers; alone, or among words, they are words."""
        return self._count(lambda kind: kind not in ("word", "boolean", "missing")) > 0

    @cached_property
    def is_text(self) -> bool:
        """Whether the cells are text: more than half of those that are not missing are words, or so it is said."""
        if self.said in ("text", "numbers"):
            return self.said == "text"
        if self.said == "either" and self._count(lambda kind: kind not in ("number", "boolean", "missing")):
            return True
        words = ("word",) if self._booleans_are_numbers else ("word", "boolean")
        return 2 * self._count(lambda kind: kind in words) > self._count(lambda kind: kind != "missing")

    def column(self) -> Array:
        """Return the column: int64, float64 with NaN where a cell is missing, or text with None.

        Raises:
            InputError: a cell that is not a number, in a column of numbers.
        """
        if self.is_text:
            values = np.array([None if self._is_missing(text) else text for text in self.texts] + [None], object)[:-1]
            return values[self.codes]
        wrong = [number for number, kind in enumerate(self._kinds) if kind not in ("number", "boolean", "missing")]
        if wrong:
            self._refuse(int(np.isin(self.codes, wrong).argmax()))
        if all(map(_WHOLE.fullmatch, self.texts)):
            return np.array([int(text) for text in self.texts], np.int64)[self.codes]
        return np.array([_number(text, kind) for text, kind in zip(self.texts, self._kinds, strict=True)])[self.codes]

    def _is_missing(self, text: str) -> bool:
        return text in self.missing or (text.lower() in MISSING and text.lower() not in _LEVELS_TOO)

    def _refuse(self, row: int) -> NoReturn:
        text, kind = self.texts[self.codes[row]], self._kinds[self.codes[row]]
        if self.place == 0 and text.startswith("#") and kind == "word":
            raise InputError(
                f"{self.path}: line {self.lines[row]} begins with '#': comments are not read; remove the line"
            )
        called = f", {kind}" if kind != "word" else ""
        if kind == "word" and row == 0:
            called = "; if the line holds units or a second line of names, remove it"
        if kind == "word" and self.said is None:
            called += (
                "; if the cells are levels, say that the column is categorical (--columns FILE, columns= in Python)"
            )
            if len(text) <= _LONGEST:
                quoted = json.dumps(text, ensure_ascii=False)
                called += f"; if it stands for a missing value, give missing: [{quoted}] there"
        where = f"{self.path}: line {self.lines[row]}, {self.called}"
        raise InputError(f"{where}: expected a number; got {_short(text)}{called}")


def _kind(text: str) -> str:
    if NUMBER.fullmatch(text):
        return "number" if math.isfinite(float(text)) else "too large a number"
    if text.lower() in BOOLEANS:
        return "boolean"
    if text.lower() in MISSING:
        return "missing"
    return next((kind for kind, pattern in _ODD.items() if pattern.fullmatch(text)), "word")


def _number(text: str, kind: str) -> float:
    if kind == "number":
        return float(text)
    return math.nan if kind == "missing" else float(text.lower() == "true")


def _short(text: str) -> str:
    return repr(text) if len(text) <= 40 else f"{text[:20]!r} and {len(text) - 20:,} characters more"

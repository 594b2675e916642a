"""The log of a training: one JSON object per line, each with a checksum; rows are appended."""

from __future__ import annotations

import json
import os
import zlib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from vaelab.errors import InputError
from vaelab.storage.files import write_file
from vaelab.storage.sealed import Schema

__all__ = ["Metrics", "read_metrics"]

_SEAL = len(', "crc": "12345678"}')


class Row(Schema):
    """The required content of a row."""

    step: int
    steps: int
    seconds: float


class Metrics:
    """The file ``metrics.jsonl`` of a run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def log(self, row: dict[str, Any]) -> None:
        """Append one object."""
        with self.path.open("a") as file:
            file.write(_line(row))

    def sync(self) -> None:
        """Sync the logged rows to the disk."""
        if self.path.exists():
            with self.path.open("a") as file:
                os.fsync(file.fileno())

    def rows(self, up_to: int | None = None) -> list[dict[str, Any]]:
        """Return the logged rows, up to a step; a last line that a crash truncated is left out.

        Raises:
            InputError: a line that is damaged.
        """
        *lines, last = self.path.read_bytes().split(b"\n") if self.path.exists() else [b""]
        rows = [self._row(line, number) for number, line in enumerate(lines, 1)]
        if last and not _cut_short(last):
            rows.append(self._row(last, len(lines) + 1))
        return [row for row in rows if up_to is None or row["step"] <= up_to]

    def forget_after(self, step: int) -> None:
        """Drop the rows logged after ``step``, which a resumed training will log again."""
        write_file(self.path, "".join(map(_line, self.rows(up_to=step))))

    def _row(self, line: bytes, number: int) -> dict[str, Any]:
        text, seal = line[:-_SEAL] + b"}", line[-_SEAL:]
        try:
            row: dict[str, Any] = json.loads(text)
            if seal != _seal(text):
                raise ValueError
            Row.model_validate(row)
        except (ValueError, TypeError, RecursionError, ValidationError):
            raise InputError(
                f"{self.path}: line {number} is damaged: its checksum does not match, or it is not a row of vaelab"
            ) from None
        return row


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a log."""
    return Metrics(path).rows()


def _line(row: dict[str, Any]) -> str:
    text = json.dumps(row)
    return text[:-1] + _seal(text.encode()).decode() + "\n"


def _seal(text: bytes) -> bytes:
    """Return the text that replaces the closing brace of a row."""
    return b', "crc": "%08x"}' % zlib.crc32(text)


def _cut_short(line: bytes) -> bool:
    """Return whether a line is the beginning of a JSON object and nothing more."""
    try:
        json.JSONDecoder().raw_decode(line.decode("latin-1"))  # an invalid byte is damage, not a truncated line
    except (ValueError, RecursionError):
        return True
    return False

"""The log of a training: one JSON object a line, appended to."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from vaelab.refusals import Refusal
from vaelab.runs.files import write_file

__all__ = ["Metrics"]


class Metrics:
    """The file ``metrics.jsonl`` of a run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def log(self, row: dict[str, Any]) -> None:
        """Append one object."""
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")

    def sync(self) -> None:
        """Have what was logged on the disk."""
        if self.path.exists():
            with self.path.open("a") as file:
                os.fsync(file.fileno())

    def rows(self, up_to: int | None = None) -> list[dict[str, Any]]:
        """Return the logged rows, up to a step; a last line that a crash cut short is left out."""
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        rows = []
        for number, line in enumerate(lines, 1):
            try:
                rows.append(json.loads(line))
            except ValueError:
                if number == len(lines):
                    break
                raise Refusal(f"{self.path}: line {number} is damaged") from None
        return [row for row in rows if up_to is None or row["step"] <= up_to]

    def forget_after(self, step: int) -> None:
        """Drop the rows logged after ``step``, which a resumed training will log again."""
        write_file(self.path, "".join(json.dumps(row) + "\n" for row in self.rows(up_to=step)))

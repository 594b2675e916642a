"""The results of all rows in one file, to which several processes may add at once."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path
from typing import Any

__all__ = ["add_record", "read_records"]

RESULTS = Path(__file__).parents[1] / "results" / "reproduce.json"


def read_records(path: Path = RESULTS) -> list[dict[str, Any]]:
    """Return the records of a file; none if there is no file."""
    return json.loads(path.read_text()) if path.exists() else []


def add_record(record: dict[str, Any], path: Path = RESULTS) -> None:
    """Add a record; one of the same training, on the same hardware, is replaced."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        kept = [other for other in read_records(path) if _key(other) != _key(record)]
        path.write_text(json.dumps([*kept, record], indent=1) + "\n")


def _key(record: dict[str, Any]) -> tuple[Any, ...]:
    training = ("row", "start", "seed", "steps_planned", "batch_size", "hardware")
    return *(record.get(name) for name in training), *record["changes"]

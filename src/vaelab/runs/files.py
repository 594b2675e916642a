"""Files that hold the old content or the new, never a part of either."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from vaelab.refusals import Refusal

__all__ = ["read_json", "replaced", "write_file"]


@contextmanager
def replaced(path: Path) -> Iterator[BinaryIO]:
    """Hand out a file to write, which takes the place of ``path`` when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_file(path: Path, content: bytes | str) -> None:
    """Write ``content`` so that ``path`` holds the old content or the new, never a part of it."""
    with replaced(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def read_json(path: Path, kind: type) -> Any:
    """Return what a JSON file holds, or refuse a file that is damaged or holds another kind of value."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise Refusal(f"{path}: expected readable JSON; it is damaged ({error})") from error
    if not isinstance(content, kind):
        raise Refusal(f"{path}: expected a JSON {kind.__name__}; got {type(content).__name__}")
    return content

"""The checkpoints of a training: the last one, and the one before it in case the last is damaged."""

from __future__ import annotations

import hashlib
import io
import logging
from pathlib import Path
from typing import Any

import torch

from vaelab.errors import InputError
from vaelab.storage.files import write_file

__all__ = ["Checkpoints"]

# Ends a checkpoint, before its SHA-256. torch checks no sums: a damaged size made it read uninitialised memory.
_SEAL = b"\nsha256:"


class Checkpoints:
    """The folder ``checkpoints`` of a run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._whole: Path | None = None  # the latest checkpoint written or read

    def save(self, state: dict[str, Any]) -> None:
        """Write a checkpoint, and keep the one before it."""
        buffer = io.BytesIO()
        torch.save(state, buffer)
        content = buffer.getvalue()
        fresh, last, previous = self._paths()
        if self._whole == fresh:  # the training was resumed from one that a kill had left before it was renamed
            self._whole = fresh.replace(last)
        write_file(fresh, content + _SEAL + hashlib.sha256(content).digest())
        if self._whole is not None and self._whole.exists():  # a damaged one replaces no other
            self._whole.replace(previous)
        self._whole = fresh.replace(last)

    def load(self) -> dict[str, Any] | None:
        """Return the last checkpoint, or None if there is none.

        If the last is damaged, a warning is logged (``logging``) and the one before it is returned.

        Raises:
            InputError: all checkpoints are damaged.
        """
        refused: InputError | None = None
        for path in filter(Path.exists, self._paths()):
            try:
                state = _read(path)
            except InputError as refusal:
                refused = refusal
                continue
            if refused is not None:
                warning = "%s; going on from the one before it, step %s"
                logging.getLogger("vaelab").warning(warning, refused, state["step"])
            self._whole = path
            return state
        if refused is not None:
            raise refused
        return None

    def _paths(self) -> list[Path]:
        """Return the possible paths of checkpoints, the newest first."""
        return [self.folder / f"{name}.pt" for name in ("next", "last", "previous")]


def _read(path: Path) -> dict[str, Any]:
    try:
        content, seal, expected = path.read_bytes().rpartition(_SEAL)
        if not seal or hashlib.sha256(content).digest() != expected:
            raise InputError("the SHA-256 does not match")
        state: dict[str, Any] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds of errors for a file that is not a checkpoint
        raise InputError(f"{path}: expected a checkpoint; it is damaged ({error})") from error
    return state

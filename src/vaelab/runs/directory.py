"""A run directory as a place: whether it is free, what is in it, who holds it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from vaelab.refusals import Refusal

__all__ = ["entries", "locked"]

_LOCK = "lock"
_OF_TRAINING = ("config.json", "model.safetensors", "density.safetensors", "metrics.jsonl", "checkpoints/*")


@contextmanager
def locked(path: str | Path) -> Iterator[None]:
    """Hold a run directory, made if need be, against any other training; the end of the process frees it.

    What a training that was killed left half-written under a temporary name is removed.

    Raises:
        Refusal: another process holds it, or it holds other things than a run.
    """
    path = Path(path)
    if entries(path) and not (path / "config.json").is_file():
        raise Refusal(f"out: {str(path)!r} is not empty and no run directory; it is left alone")
    path.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(path / _LOCK)
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        raise Refusal(f"out: another process is training into {str(path)!r}; wait for it, or choose another") from None
    try:
        for name in _OF_TRAINING:
            for left in path.glob(f"{name}.tmp" if name.endswith("*") else f"{name}.*.tmp"):
                left.unlink(missing_ok=True)
        yield
    finally:
        lock.release()


def entries(path: Path) -> list[Path]:
    """Return what a directory holds but for locks and half-written files, or the path itself if it is a file."""
    if not path.is_dir():
        return [path] if path.exists() else []
    return [entry for entry in path.iterdir() if entry.suffix != ".tmp" and entry.name != _LOCK]

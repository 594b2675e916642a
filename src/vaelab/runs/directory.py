"""Run directories: whether one may be written, which of its files vaelab wrote, and its lock."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vaelab.errors import InputError
from vaelab.runs.config import read_config
from vaelab.storage.files import is_ours, is_temporary, lock, remove_leftovers

__all__ = [
    "clean",
    "entries",
    "held",
    "is_run",
    "locked",
    "remove_emptied",
    "remove_report",
    "remove_run",
    "require_own_page",
    "require_removable",
    "require_run",
]

LOCK, RESULTS_LOCK = "lock", "results.lock"
_LOOK = 0.05  # seconds between two attempts to lock
# Everything that vaelab writes into a run directory, but for figures: those say themselves that they are vaelab's.
_FILES = (
    *("model.safetensors", "density.safetensors", "metrics.jsonl"),
    *("evaluation.json", "values.safetensors", "gradients.json", "tightness.json"),
    *("diagnostics.json", "diagnostics.safetensors", "config.json"),
)
_CHECKPOINTS = ("last.pt", "previous.pt", "next.pt")


@contextmanager
def locked(path: str | Path) -> Iterator[None]:
    """Lock a run directory, created if necessary, against other trainings. The end of the process frees the lock.

    Incomplete files that killed processes left are removed.

    Raises:
        InputError: another process has locked it, or its content is not a run.
    """
    path = Path(path)
    if entries(path):
        require_run(path)
    path.mkdir(parents=True, exist_ok=True)
    waiting = f"out: another process is training into {str(path)!r}; wait for it, or choose another"
    with held(path / LOCK, 0, waiting):
        clean(path)
        yield


@contextmanager
def held(path: Path, seconds: float, refusal: str) -> Iterator[None]:
    """Lock a lock file, waiting for at most ``seconds``; a crash frees the lock, and the empty file stays."""
    if path.is_symlink():
        raise InputError(f"{path}: expected the lock file of vaelab; this is a link, which is kept")
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    try:
        end = time.monotonic() + seconds
        while not lock(handle, path):
            if time.monotonic() >= end:
                raise InputError(refusal)
            time.sleep(_LOOK)
        yield
    finally:
        os.close(handle)


def clean(path: Path) -> None:
    """Remove incomplete files that killed processes left in a run directory."""
    for folder in (path, path / "checkpoints", path / "figures"):
        remove_leftovers(folder)


def entries(path: Path) -> list[Path]:
    """Return the entries of a directory without locks and incomplete files, or the path itself if it is a file."""
    if not path.is_dir():
        return [path] if os.path.lexists(path) else []
    return [entry for entry in path.iterdir() if not is_temporary(entry) and not _is_lock(entry)]


def _is_lock(path: Path) -> bool:
    return path.name in (LOCK, RESULTS_LOCK) and path.is_file() and path.stat().st_size == 0


def require_run(path: Path) -> None:
    """Refuse a directory that is not empty and cannot be opened as a run."""
    try:
        read_config(path)
    except InputError as refusal:
        raise InputError(
            f"out: {str(path)!r} is not empty and not a run directory; it is kept ({refusal})"
        ) from refusal


def require_removable(path: Path, read: Iterable[str | Path] = ()) -> None:
    """Refuse to replace a directory that contains the working directory, a home, or data that the command reads.

    Raises:
        InputError: such as ``.``, ``/``, ``~``, or the directory of the data.
    """
    resolved = path.resolve()
    protected = {"the working directory": Path.cwd(), "your home directory": Path.home()}
    protected |= {f"the data {str(name)!r}": Path(name) for name in read if Path(name).exists()}
    for what, protected_path in protected.items():
        inside = protected_path.resolve()
        if resolved == inside or resolved in inside.parents:
            raise InputError(
                f"out: expected a separate directory to overwrite; {str(path)!r} is or contains {what}, so nothing is "
                "removed; choose another"
            )


def require_own_page(path: Path) -> None:
    """Refuse a directory with a ``report.html`` or ``explorer.html`` that vaelab did not write."""
    for page in (path / "report.html", path / "explorer.html"):
        if os.path.lexists(page) and not is_ours(page):
            raise InputError(f"out: {str(page)!r} was not written by vaelab and is kept; choose another directory")


def is_run(path: Path) -> bool:
    """Return whether a directory, not a link to one, can be opened as a run."""
    try:
        return not path.is_symlink() and bool(read_config(path))
    except InputError:
        return False


def remove_run(path: Path, config: bool = True) -> None:
    """Remove the files that vaelab wrote into a run directory, and nothing else; config.json, the mark of a run, last.

    A link is removed, but not its target.
    """
    checkpoints = path / "checkpoints"
    clean(path)
    remove_report(path)
    if checkpoints.is_symlink():
        checkpoints.unlink()
    files = [checkpoints / name for name in _CHECKPOINTS]
    files += [path / name for name in _FILES if config or name != "config.json"]
    for file in files:
        with suppress(IsADirectoryError, NotADirectoryError):  # not written by vaelab
            file.unlink(missing_ok=True)
    with suppress(OSError):  # not empty, or missing
        checkpoints.rmdir()


def remove_emptied(path: Path) -> None:
    """Remove the directory of a run that was removed, unless it has a file of the user's."""
    if not entries(path):
        for name in (LOCK, RESULTS_LOCK):
            (path / name).unlink(missing_ok=True)
        with suppress(OSError):  # not empty, or missing
            path.rmdir()


def remove_report(path: Path) -> None:
    """Remove the pages and the figures that vaelab wrote into a directory, and nothing else; a link, not its target."""
    figures = path / "figures"
    if figures.is_symlink():
        figures.unlink()
    for file in [*figures.glob("*.png"), path / "report.html", path / "explorer.html"]:
        if is_ours(file):
            file.unlink()
    with suppress(OSError):  # not empty, missing, or a link
        figures.rmdir()

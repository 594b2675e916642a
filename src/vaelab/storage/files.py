"""Atomic writing: a file has its old or its new content. Also, whether vaelab wrote a file."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import secrets
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from vaelab.errors import InputError

__all__ = [
    "is_ours",
    "is_temporary",
    "lock",
    "remove_leftovers",
    "replaced",
    "require_free",
    "write_file",
    "write_ours",
]

_PREFIX, _SUFFIX = ".vaelab-", ".tmp"
# A mark near the beginning of the figures and pages that vaelab writes.
_MARKS = (b"Software\0vaelab", b'<meta name="generator" content="vaelab">')


@contextmanager
def replaced(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file for writing, which replaces ``path`` when it is complete.

    The temporary file has a random name, is created exclusively by this process, and is locked while it is written. So
    the next writer recognises files that a killed process left in the directory, and removes them. If ``path`` is a
    link, the link is replaced.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path.parent)
    file, temporary = _create(path.parent)
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _create(folder: Path) -> tuple[BinaryIO, Path]:
    """Create and lock a temporary file; create it again if another process removed it before it was locked."""
    while True:
        path = folder / f"{_PREFIX}{secrets.token_hex(8)}{_SUFFIX}"
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            handle = os.open(path, flags, 0o666)
        except FileExistsError:
            continue
        file = os.fdopen(handle, "wb")
        with suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        if path.exists():
            return file, path
        file.close()


def lock(handle: int, path: Path) -> bool:
    """Lock an open file, and return False if another process has locked it. The end of this process frees the lock.

    On a file system without locks this has no effect, and a warning is logged (``logging``).
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        warning = "%s: this file system has no locks (%s), so two processes that write here do not notice each other"
        logging.getLogger("vaelab").warning(warning, path, error.strerror)
    return True


def write_file(path: Path, content: bytes | str) -> None:
    """Write ``content`` so that ``path`` has the old or the new content, never a part of it."""
    with replaced(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def is_temporary(path: Path) -> bool:
    """Return whether a file has the name of a temporary file of vaelab."""
    return path.name.startswith(_PREFIX) and path.name.endswith(_SUFFIX)


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files that killed processes have left in a directory; those being written are locked."""
    try:
        leftovers = [Path(entry.path) for entry in os.scandir(folder) if is_temporary(Path(entry.path))]
    except OSError:
        return
    for path in leftovers:
        with suppress(OSError):  # already removed, being written, a link, or without permission
            handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
            finally:
                os.close(handle)


def is_ours(path: Path) -> bool:
    """Return whether a file is a figure or a page that vaelab wrote."""
    try:
        if not path.is_file():  # reading a pipe would block
            return False
        with path.open("rb") as file:
            beginning = file.read(4096)
    except OSError:
        return False
    return any(mark in beginning for mark in _MARKS)


def require_free(folder: Path, names: Collection[str], overwrite: bool, what: str, argument: str = "path") -> None:
    """Refuse to write ``what``, the files ``names``, into a directory that holds anything else.

    Raises:
        InputError: the directory holds other files, or such files and not ``overwrite``, or it is a file.
    """
    if not os.path.lexists(folder) or (folder.is_dir() and not any(folder.iterdir())):
        return
    found = {entry.name for entry in folder.iterdir()} if folder.is_dir() else set()
    if not found or not found <= set(names):
        raise InputError(f"{argument}: expected a new or empty directory; {str(folder)!r} is there and is not {what}")
    if not overwrite:
        way = "--overwrite" if argument == "out" else "overwrite=True"
        raise InputError(
            f"{argument}: expected a new or empty directory; {str(folder)!r} holds {what} ({way} replaces it)"
        )


def write_ours(path: Path, content: bytes | str) -> None:
    """Write a figure or a page. It replaces an existing file only if vaelab wrote that file.

    Raises:
        InputError: there is a file that vaelab did not write.
    """
    if os.path.lexists(path) and not is_ours(path):
        raise InputError(f"{path}: expected a file that vaelab wrote, to replace it; this one is kept")
    write_file(path, content)

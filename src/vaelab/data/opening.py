"""Opening files safely: regular files only, unpacked step by step, and never more than the memory should hold."""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import numpy.typing as npt

from vaelab.data.packing import DAMAGE, packing_of
from vaelab.errors import InputError

__all__ = [
    "MEMORY",
    "Opened",
    "Stream",
    "open_regular",
    "open_unpacked",
    "read_exactly",
    "read_whole",
    "reason_of",
    "require_fits",
    "require_regular",
    "status_of",
]

Stream = IO[bytes] | FileIO
_PART = 2**22  # bytes that are unpacked at once
MEMORY = 2**31  # bytes: the most that is unpacked into memory, of any file
_KINDS = {
    stat.S_ISDIR: "a directory",
    stat.S_ISFIFO: "a pipe (FIFO)",
    stat.S_ISSOCK: "a socket",
    stat.S_ISCHR: "a device",
    stat.S_ISBLK: "a device",
}
_ERRORS = {
    errno.ENOENT: "there is no such file",
    errno.ENOTDIR: "there is no such file",
    errno.ELOOP: "its symbolic links lead back to themselves",
    errno.EACCES: "you have no permission to read it",
    errno.EPERM: "you have no permission to read it",
    errno.ENAMETOOLONG: "its name is too long",
    errno.ENXIO: "it is a socket",
}


def status_of(path: Path) -> os.stat_result:
    """Return the status of a file; an InputError if it is not there or cannot be reached."""
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"data: expected a named data set or a file; there is no file {str(path)!r}") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise InputError(f"data: expected a readable file; got {str(path)!r}: {reason_of(error)}") from None


def require_regular(path: Path, mode: int) -> None:
    """Raise an InputError for directories, pipes, sockets and devices, which may never end or never begin."""
    for test, kind in _KINDS.items():
        if test(mode):
            raise InputError(f"{path}: expected a file; got {kind}")


@dataclass(frozen=True)
class Opened:
    """A file that is open: the file itself, and the stream of what was packed into it (the same if it is not packed).

    ``size`` is the number of bytes in the stream, or None if that is not known before it is unpacked; ``name`` is the
    name, in lower case, of what is in the stream.
    """

    path: Path
    file: FileIO
    stream: io.BufferedReader[Any]
    size: int | None
    name: str

    @property
    def packed(self) -> bool:
        """Whether the file is packed by gzip, bzip2, xz or zip."""
        return self.size is None


@contextmanager
def open_unpacked(path: Path) -> Iterator[Opened]:
    """Open a regular file to read, packed or not."""
    with open_regular(path) as file:
        packing = packing_of(path.name, file.read(8))
        file.seek(0)
        size = os.fstat(file.fileno()).st_size if packing is None else None
        packed, name = (file, path.name.lower()) if packing is None else packing.opens(path, file)
        with io.BufferedReader(cast(io.RawIOBase, packed)) as stream:
            yield Opened(path, file, stream, size, name)


@contextmanager
def open_regular(path: Path) -> Iterator[FileIO]:
    """Open a regular file to read; an InputError for any other kind of file, without waiting for it."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # not to wait for a pipe's other end
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: expected a readable file; {reason_of(error)}") from None
    with FileIO(handle) as file:
        require_regular(path, os.fstat(file.fileno()).st_mode)
        yield file


def require_fits(where: object, nbytes: int, limit: int | None = None, advice: str = "") -> None:
    """Raise an InputError for what would fill the memory, before it does."""
    limit = MEMORY if limit is None else limit
    if nbytes > limit:
        advice = advice or "save the rows as .npy or in shards, which stay on the disk"
        raise InputError(f"{where}: expected at most {_size(limit)} unpacked; got {_size(nbytes)}; {advice}")


def read_exactly(
    where: Path | str, stream: IO[bytes], shape: tuple[int, ...], dtype: npt.DTypeLike
) -> npt.NDArray[Any]:
    """Read an array of the shape that a header promises; an InputError if the stream holds less or more.

    Memory is used only as the numbers arrive.
    """
    array = np.empty(shape, dtype)
    left = array.reshape(-1).view(np.uint8).data
    expected = len(left)
    try:
        while len(left):
            part = stream.read(min(len(left), _PART))
            if not part:
                got = expected - len(left)
                raise InputError(f"{where}: expected {expected:,} bytes of data for shape {shape}; got {got:,}")
            left[: len(part)] = part
            left = left[len(part) :]
        if stream.read(1):
            raise InputError(f"{where}: expected {expected:,} bytes of data for shape {shape}; got more")
    except DAMAGE as error:
        raise InputError(f"{where}: expected a whole file; it is damaged ({reason_of(error)})") from error
    return array


def read_whole(opened: Opened) -> io.BytesIO:
    """Return the content of a file as a stream in memory, for libraries that read streams of known size.

    Raises:
        InputError: a damaged file, or one that is too large for memory once it is unpacked.
    """
    require_fits(opened.path, opened.size or 0)
    parts, total = [], 0
    try:
        while part := opened.stream.read(_PART):
            parts.append(part)
            total += len(part)
            require_fits(opened.path, total)
    except DAMAGE as error:
        raise InputError(f"{opened.path}: expected a whole file; it is damaged ({reason_of(error)})") from error
    return io.BytesIO(b"".join(parts))


def _size(nbytes: int) -> str:
    for unit, size in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if nbytes >= size:
            return f"{nbytes / size:,.1f} {unit}"
    return f"{nbytes} bytes"


def reason_of(error: Exception) -> str:
    """Return the first line of an error, or plain words for a common error of the system."""
    known = _ERRORS.get(error.errno or 0) if isinstance(error, OSError) else None
    return known or (str(error).splitlines() or [type(error).__name__])[0]

"""Packed files: what gzip, bzip2, xz or zip packed is unpacked as it is read, never as a whole."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import IO, cast

from vaelab.data.naming import listed
from vaelab.errors import InputError

__all__ = ["DAMAGE", "PACKINGS", "Packing", "packing_of"]

# What reading a damaged file raises; a RuntimeError is a password, a MemoryError a size that no memory has.
DAMAGE = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, RuntimeError, MemoryError)


@dataclass(frozen=True)
class Packing:
    """One way of packing a file: the ending of its name, its first bytes, and what opens what is packed.

    ``opens`` takes the path and the open file, and returns the stream and the name of what is packed. With ``named``
    only files of that ending are unpacked: other formats, such as .npz, are zip archives themselves.
    """

    ending: str
    begins: bytes
    opens: Callable[[Path, FileIO], tuple[IO[bytes], str]]
    named: bool = False


def _without_ending(path: Path, ending: str) -> str:
    return path.name.lower().removesuffix(ending)


def _gzip(path: Path, file: FileIO) -> tuple[IO[bytes], str]:
    return cast(IO[bytes], gzip.GzipFile(fileobj=file)), _without_ending(path, ".gz")


def _bzip2(path: Path, file: FileIO) -> tuple[IO[bytes], str]:
    return bz2.BZ2File(file), _without_ending(path, ".bz2")


def _xz(path: Path, file: FileIO) -> tuple[IO[bytes], str]:
    return lzma.LZMAFile(file), _without_ending(path, ".xz")


def _zip(path: Path, file: FileIO) -> tuple[IO[bytes], str]:
    """Open the only file of a zip archive, beside those that systems add."""
    try:
        archive = zipfile.ZipFile(file)
        members = [member for member in archive.namelist() if not _is_of_a_system(member)]
        if len(members) == 1:
            return archive.open(members[0]), Path(members[0]).name.lower()
    except (*DAMAGE, ValueError) as error:
        raise InputError(f"{path}: expected a readable zip archive ({error or type(error).__name__})") from None
    got = listed(members) if members else "none"
    raise InputError(f"{path}: expected one file in a zip archive; got {got}; unpack it and give one of them")


def _is_of_a_system(member: str) -> bool:
    return member.endswith("/") or member.startswith("__MACOSX/") or Path(member).name.startswith(".")


PACKINGS = (
    Packing(".gz", b"\x1f\x8b", _gzip),
    Packing(".bz2", b"BZh", _bzip2),
    Packing(".xz", b"\xfd7zXZ\0", _xz),
    Packing(".zip", b"PK\x03\x04", _zip, named=True),
)


def packing_of(name: str, head: bytes) -> Packing | None:
    """Return how a file is packed, by its name and its first bytes, or None.

    >>> packing_of("table.csv.gz", b"\\x1f\\x8b...").ending
    '.gz'
    """
    for packing in PACKINGS:
        if head.startswith(packing.begins) and (not packing.named or name.lower().endswith(packing.ending)):
            return packing
    return None

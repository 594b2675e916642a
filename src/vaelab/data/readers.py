"""Readers for data files: which format a file has, what its arrays are called, and how they become a data set."""

from __future__ import annotations

import gzip
import io
import logging
import os
import stat
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Any, Literal, NoReturn

from vaelab.data.archives import name_arrays
from vaelab.data.arrays import read_idx_from, read_npy, read_npz
from vaelab.data.assembly import assemble
from vaelab.data.content import Content
from vaelab.data.dataset import Dataset
from vaelab.data.naming import listed
from vaelab.data.opening import open_regular, reason_of, status_of
from vaelab.data.streaming.read import read_streamed, streams
from vaelab.data.tables import read_table
from vaelab.data.values import Array, ReadOptions
from vaelab.errors import InputError

__all__ = ["FORMATS", "read_dataset", "read_idx"]

Format = Literal["npy", "npz", "idx", "text"]
_ENDINGS: Mapping[str, Format] = {
    ".npz": "npz",
    ".npy": "npy",
    ".csv": "text",
    ".tsv": "text",
    ".amat": "text",
    ".idx": "idx",
    "-ubyte": "idx",
}
_CONTENTS: Mapping[Format, str] = {
    "npz": "an .npz archive of arrays",
    "npy": "a .npy array",
    "idx": "an IDX file",
    "text": "a table of text",
}
FORMATS = (*_ENDINGS, ".parquet", ".gz")
_BEGINNINGS: Mapping[bytes, Format] = {b"\x93NUMPY": "npy", b"\0\0\x08": "idx"}
_ZIP = "a zip archive"
_FOREIGN_BEGINNINGS = {
    b"MATLAB": "a MATLAB file",
    b"\x89HDF": "an HDF5 file (MATLAB's newer files are such)",
    b"PK\x03\x04": _ZIP,
    b"BZh": "compressed by bzip2",
    b"\xfd7zXZ": "compressed by xz",
    b"\x28\xb5\x2f\xfd": "compressed by zstd",
    b"\x80\x02": "a pickle, which is never opened",
    b"\x80\x03": "a pickle, which is never opened",
    b"\x80\x04": "a pickle, which is never opened",
    b"\x80\x05": "a pickle, which is never opened",
    b"\x89PNG": "one image",
    b"\xff\xd8\xff": "one image",
    b"PAR1": "a Parquet file, which is to end in .parquet",
}
_FOREIGN_ENDINGS = {
    ".mat": "a MATLAB file",
    ".xlsx": "an Excel workbook",
    ".xls": "an Excel workbook",
    ".ods": "a spreadsheet",
    ".h5": "an HDF5 file",
    ".hdf5": "an HDF5 file",
    ".pkl": "a pickle, which is never opened",
    ".pickle": "a pickle, which is never opened",
    ".pt": "a pickle, which is never opened",
    ".zip": _ZIP,
    ".bz2": "compressed by bzip2",
    ".xz": "compressed by xz",
    ".zst": "compressed by zstd",
    ".arff": "an ARFF file",
    ".sav": "an SPSS file",
    ".dta": "a Stata file",
    ".rds": "an R file",
}


def read_dataset(path: Path, whole: bool = False, options: ReadOptions | None = None) -> Dataset:
    """Read a user's file: one table (split 80/10/10 with seed 777), or arrays train, validation and test.

    With ``whole`` one array is left in its order, as a split called ``all``. Shards, Parquet, and a .npy or
    uncompressed IDX file above 1 GiB, stay on the disk (:mod:`vaelab.data.streaming`).

    An .npz may carry labels: ``y`` beside ``x``, or ``train_labels`` and so on. Images (N, H, W) are
    flattened, and their shape is kept for the figures.

    Raises:
        InputError: a file that is not there, damaged, of another format or too large for memory, values that are
            neither bits nor grey levels, columns that may be no pixels.
    """
    options = options or ReadOptions()
    status = status_of(path)
    if stat.S_ISREG(status.st_mode) and status.st_size == 0:
        raise InputError(f"{path}: expected at least one row and one column; the file is empty")
    if streams(path):
        return read_streamed(path, whole, options)
    with open_regular(path) as file, _unpacked(file) as (stream, size):
        content = _read(path, file, stream, size, options)
    data = Dataset(path.name, **vars(assemble(path, content, not whole, options)))
    for note in data.notes:
        logging.getLogger("vaelab").warning("%s: %s", path, note)
    return data


def read_idx(path: Path) -> Array:
    """Read an IDX file of unsigned bytes, gzipped or not (format: LeCun, Cortes & Burges, MNIST page)."""
    with open_regular(path) as file, _unpacked(file) as (stream, size):
        return read_idx_from(path, stream, size)


def _read(path: Path, file: FileIO, stream: io.BufferedReader[Any], size: int | None, options: ReadOptions) -> Content:
    kind = _format_of(path, stream, size is None)
    if kind == "npz":
        return _read_archive(path, file, options)
    if kind == "text":
        table = read_table(path, stream)
        return Content({"x": table.numbers}, table.names, table.notes, text=True)
    return Content({"x": read_npy(path, stream, size) if kind == "npy" else read_idx_from(path, stream, size)})


def _read_archive(path: Path, file: FileIO, options: ReadOptions) -> Content:
    roles: dict[str, str] = {}
    unread: list[str] = []

    def choose(names: Sequence[str]) -> Sequence[str]:
        roles.update(name_arrays(path, names, options))
        unread.extend(name for name in names if name not in roles.values())
        return list(roles.values())

    arrays = read_npz(path, file, choose)
    notes = (f"not read: the array{'s' if len(unread) > 1 else ''} {listed(unread)}",) if unread else ()
    return Content({role: arrays[name] for role, name in roles.items()}, notes=notes, archive=True)


@contextmanager
def _unpacked(file: FileIO) -> Iterator[tuple[io.BufferedReader[Any], int | None]]:
    """Open what was packed into a file, or the file itself; the size is given if it is known beforehand."""
    packed = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    with io.BufferedReader(gzip.GzipFile(fileobj=file) if packed else file) as stream:
        yield stream, None if packed else os.fstat(file.fileno()).st_size


def _format_of(path: Path, stream: io.BufferedReader[Any], packed: bool) -> Format:
    """Return the format of a file by its name, or of a .gz file of any name by how it begins."""
    name = path.name.lower().removesuffix(".gz") if packed else path.name.lower()
    named = next((kind for ending, kind in _ENDINGS.items() if name.endswith(ending)), None)
    try:
        head = stream.peek(8)[:8]
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: expected a readable file; it is damaged ({reason_of(error)})") from error
    begun = next((kind for start, kind in _BEGINNINGS.items() if head.startswith(start)), None)
    foreign = next((what for start, what in _FOREIGN_BEGINNINGS.items() if head.startswith(start)), None)
    if named is None:
        if packed and begun is not None:
            return begun
        _refuse_ending(path, foreign or _FOREIGN_ENDINGS.get(Path(name).suffix), packed)
    if named == "npz":
        if packed:
            raise InputError(
                f"{path}: expected an .npz file as it is, since it is compressed itself; unpack it with gunzip"
            )
        foreign = None if foreign == _ZIP else foreign
    if foreign is not None or begun not in (None, named):
        found = foreign or _CONTENTS[begun or named]
        raise InputError(f"{path}: expected {_CONTENTS[named]}, as its name says; it is {found}")
    return named


def _refuse_ending(path: Path, foreign: str | None, packed: bool) -> NoReturn:
    if foreign is not None:
        got = f"it is {foreign}; save its arrays with numpy.savez"
    elif packed:
        got = "the .gz file holds none of them; call a packed table NAME.csv.gz"
    elif path.suffix.lower() in (".txt", ".dat", ".data", ""):
        got = f"got {path.name!r}; a table of text is to be called {path.stem}.csv"
    else:
        got = f"got {path.suffix!r}"
    raise InputError(f"{path}: expected a data file ending in one of {', '.join(FORMATS)}; {got}")

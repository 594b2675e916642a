"""Formats that a library in C reads (.mat, .mtx, HDF5): it runs in a process of its own, which damage may crash."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, NoReturn

from vaelab.data import opening
from vaelab.data.formats.matrices import as_rows
from vaelab.data.formats.npz import read_arrays
from vaelab.data.opening import Opened, read_whole, reason_of, require_fits
from vaelab.data.sparse import SparseRows
from vaelab.data.values import Array
from vaelab.errors import Failure, InputError

__all__ = ["Found", "read_apart"]

_SCRIPT = Path(__file__).with_name("apart_process.py")


@dataclass(frozen=True)
class Found:
    """The arrays of a file by their names, what else it holds (a word for each name), and texts by their names."""

    arrays: Mapping[str, Array | SparseRows]
    others: Mapping[str, str]
    texts: Mapping[str, list[str]]


def read_apart(opened: Opened, kind: Literal["mat", "mat73", "mtx", "hdf5"], called: str) -> Found:
    """Read the arrays of a file in a process of its own.

    Raises:
        InputError: a damaged file, a library that is not installed, more than memory may hold.
        Failure: no room for temporary files.
    """
    path = opened.path
    require_fits(path, opened.size or 0)
    content = read_whole(opened) if opened.packed else None
    try:
        return _read(opened, content, kind, called)
    except OSError as error:  # of the temporary files; those of the data are InputErrors
        raise _no_room(path, reason_of(error)) from error


def _read(opened: Opened, content: IO[bytes] | None, kind: str, called: str) -> Found:
    path = opened.path
    with tempfile.TemporaryFile() as written, tempfile.TemporaryFile() as unpacked:
        if content is not None:
            shutil.copyfileobj(content, unpacked)
        file = opened.file if content is None else unpacked
        file.seek(0)
        command = [sys.executable, "-P", str(_SCRIPT), kind, str(opening.MEMORY)]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        done = subprocess.run(command, stdin=file, stdout=written, stderr=subprocess.PIPE, env=environment)
        if done.returncode:
            _refuse(path, called, done.returncode, done.stderr.decode(errors="replace").strip())
        with zipfile.ZipFile(written) as archive:
            index = json.loads(bytes(read_arrays(path, archive, ["index"])["index"]))
            arrays = {name: _array(path, archive, number) for number, name in enumerate(index["names"])}
    return Found(arrays, index["others"], index["texts"])


def _array(path: Path, archive: zipfile.ZipFile, number: int) -> Array | SparseRows:
    from scipy import sparse

    if f"{number}.npy" in archive.namelist():
        return read_arrays(path, archive, [str(number)])[str(number)]
    parts = read_arrays(path, archive, [f"{number}.{name}" for name in ("data", "indices", "indptr", "shape")])
    data, indices, indptr, shape = parts.values()
    return as_rows(path, sparse.csr_array((data, indices, indptr), shape=tuple(shape.tolist())))


def _no_room(path: Path, reason: str) -> Failure:
    return Failure(
        f"{path}: expected room for temporary files in {tempfile.gettempdir()} (TMPDIR names another); {reason}"
    )


def _refuse(path: Path, called: str, status: int, message: str) -> NoReturn:
    """Raise what an exit status of the process says."""
    message = (message.splitlines() or [""])[-1]
    if status == 4:
        require_fits(path, int(message))
    if status == 5:
        raise InputError(f'data: {called} needs {message}; pip install "vaelab[hdf5]"')
    if status == 6:
        raise _no_room(path, message)
    reason = message if status == 3 else "the library that reads it crashed"
    raise InputError(f"{path}: expected {called} that can be read; it is damaged ({reason})")

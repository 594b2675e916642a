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
from typing import Literal, NoReturn

from vaelab.data import opening
from vaelab.data.formats.matrices import as_rows
from vaelab.data.formats.npz import read_arrays
from vaelab.data.opening import Opened, read_whole, require_fits
from vaelab.data.sparse import SparseRows
from vaelab.data.values import Array
from vaelab.errors import InputError

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
    """
    path = opened.path
    require_fits(path, opened.size or 0)
    with tempfile.TemporaryFile() as written, tempfile.TemporaryFile() as unpacked:
        if opened.packed:
            shutil.copyfileobj(read_whole(opened), unpacked)
        file = unpacked if opened.packed else opened.file
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


def _refuse(path: Path, called: str, status: int, message: str) -> NoReturn:
    message = (message.splitlines() or [""])[-1]
    if status == 4:
        require_fits(path, int(message))
    if status == 5:
        raise InputError(f'data: {called} needs {message}; pip install "vaelab[hdf5]"')
    reason = message if status == 3 else "the library that reads it crashed"
    raise InputError(f"{path}: expected {called} that can be read; it is damaged ({reason})")

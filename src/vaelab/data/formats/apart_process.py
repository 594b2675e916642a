"""The script of :mod:`vaelab.data.formats.apart`: a library in C reads standard input, .npz goes to standard output.

It imports nothing of vaelab, so that it starts at once.
"""

from __future__ import annotations

import io
import json
import math
import sys
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

import numpy as np

__all__ = ["main"]

_NUMBERS = (
    "double",
    "single",
    "logical",
    "sparse",
    *(f"{sign}int{size}" for sign in ("", "u") for size in (8, 16, 32, 64)),
)


class Found(NamedTuple):
    """What a file holds: arrays by name, what else there is by name, and texts by name."""

    arrays: dict[str, Any]
    others: dict[str, str]
    texts: dict[str, list[str]]


class _TooLargeError(Exception):
    pass


def _require(nbytes: int) -> None:
    if nbytes > int(sys.argv[2]):
        raise _TooLargeError(nbytes)


def read_mat(stream: io.BytesIO) -> Found:
    """Read the variables of a MATLAB file up to version 7 that are numbers."""
    from scipy.io import loadmat, whosmat

    variables = [(name, shape, kind) for name, shape, kind in whosmat(stream)]
    numbers = {name: shape for name, shape, kind in variables if kind in _NUMBERS}
    dense = (name for name, _, kind in variables if kind in _NUMBERS and kind != "sparse")
    _require(sum(8 * math.prod(numbers[name]) for name in dense))
    stream.seek(0)
    found = loadmat(stream, variable_names=list(numbers))
    others = {name: kind for name, _, kind in variables if name not in numbers}
    return Found({name: found[name] for name in numbers}, others, {})


def read_mtx(stream: io.BytesIO) -> Found:
    """Read a matrix in Matrix Market format."""
    from scipy.io import mminfo, mmread

    stream.seek(-1, io.SEEK_END)
    if stream.read() != b"\n":
        stream.write(b"\n")  # the library reads beyond the end of a last line without its end
    stream.seek(0)
    count, width, entries, form, *_ = mminfo(stream)
    _require(8 * count * width if form == "array" else 8 * (count + width) + 32 * entries)
    stream.seek(0)
    return Found({"x": mmread(stream)}, {}, {})


def read_hdf5(stream: io.BytesIO) -> Found:
    """Read the arrays of numbers of an HDF5 file, in groups or not; links to other files are not followed."""
    import h5py

    with h5py.File(stream, "r") as file:
        if "obs" in file and "var" in file and "X" in file:
            return _anndata(file)
        arrays, others = _datasets(file)
        return Found({name: array[()] for name, array in arrays.items()}, others, {})


def _datasets(group: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the data sets of numbers in a group, and of which types the others are."""
    import h5py

    arrays: dict[str, Any] = {}
    others: dict[str, str] = {}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            elsewhere = item.is_virtual or item.external is not None
            numbers = item.dtype.kind in "biuf" and item.shape is not None and not elsewhere
            (arrays if numbers else others)[name] = (
                item if numbers else "data of other files" if elsewhere else str(item.dtype)
            )

    group.visititems(visit)  # follows no soft and no external links
    _require(sum(array.nbytes for array in arrays.values()))
    return arrays, others


def _own(group: Any, name: str) -> Any:
    """Return a member of a group; a ValueError for links, which may lead to other files."""
    import h5py

    item = group[name] if isinstance(group.get(name, getlink=True), h5py.HardLink) else None
    if item is None or (isinstance(item, h5py.Dataset) and (item.is_virtual or item.external is not None)):
        raise ValueError(f"{name} leads to another file, or is not there")
    return item


def _anndata(file: Any) -> Found:
    """Read X, the names of the variables, and the columns of obs (https://anndata.readthedocs.io, file format)."""
    x, var, obs = (_own(file, name) for name in ("X", "var", "obs"))
    _require(sum(part.nbytes for part in _datasets(x)[0].values()) if hasattr(x, "keys") else x.nbytes)
    arrays: dict[str, Any] = {"x": _sparse(x) if hasattr(x, "keys") else x[()]}
    texts: dict[str, list[str]] = {}
    if hasattr(var, "keys"):
        texts["columns"] = _text(_own(var, _string(var.attrs.get("_index", "_index"))))
    index = _string(obs.attrs.get("_index", "_index"))
    for name in obs if hasattr(obs, "keys") else ():
        column = _own(obs, name)
        if hasattr(column, "keys") and {"codes", "categories"} <= set(column):
            levels = _text(_own(column, "categories"))
            texts[f"obs {name}"] = [levels[code] if code >= 0 else "" for code in _own(column, "codes")[()]]
        elif name != index and not hasattr(column, "keys"):
            _require(column.nbytes)
            if column.dtype.kind in "biuf":
                arrays[f"obs {name}"] = column[()]
            else:
                texts[f"obs {name}"] = _text(column)
    return Found(arrays, {}, texts)


def _sparse(group: Any) -> Any:
    from scipy import sparse

    kind = _string(group.attrs.get("encoding-type", group.attrs.get("h5sparse_format", "csr")))
    shape = tuple(int(size) for size in group.attrs.get("shape", group.attrs.get("h5sparse_shape")))
    made = sparse.csc_matrix if kind.startswith("csc") else sparse.csr_matrix
    matrix = made(tuple(_own(group, part)[()] for part in ("data", "indices", "indptr")), shape=shape)
    matrix.check_format(full_check=True)
    return matrix


def _string(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _text(dataset: Any) -> list[str]:
    return [_string(value) for value in dataset[()]]


def read_mat73(stream: io.BytesIO) -> Found:
    """Read the variables of a MATLAB file of version 7.3, which is HDF5 with the axes in the other order."""
    import h5py

    with h5py.File(stream, "r") as file:
        variables = {name: _own(file, name) for name in file if not name.startswith("#")}
        arrays: dict[str, Any] = {}
        others: dict[str, str] = {}
        for name, item in variables.items():
            kind = _string(item.attrs.get("MATLAB_class", "unknown"))
            if isinstance(item, h5py.Group) and "MATLAB_sparse" in item.attrs:
                _require(sum(part.nbytes for part in _datasets(item)[0].values()))
                arrays[name] = _matlab_sparse(item)
            elif isinstance(item, h5py.Dataset) and kind in _NUMBERS:
                _require(item.nbytes)
                arrays[name] = item[()].T
            else:
                others[name] = kind
        return Found(arrays, others, {})


def _matlab_sparse(group: Any) -> Any:
    from scipy import sparse

    columns = _own(group, "jc")[()]
    parts = (_own(group, "data")[()], _own(group, "ir")[()], columns) if "data" in group else ([], [], columns)
    shape = (int(group.attrs["MATLAB_sparse"]), len(columns) - 1)
    matrix = sparse.csc_matrix(parts, shape=shape)
    matrix.check_format(full_check=True)
    return matrix


READERS: dict[str, Callable[[io.BytesIO], Found]] = {
    "mat": read_mat,
    "mat73": read_mat73,
    "mtx": read_mtx,
    "hdf5": read_hdf5,
}


def _parts(arrays: dict[str, Any]) -> dict[str, Any]:
    """Return the arrays to write, by numbers and not by their names, of which the index holds a list."""
    parts: dict[str, Any] = {}
    for number, array in enumerate(arrays.values()):
        if hasattr(array, "tocsr"):
            rows = array.tocsr()
            rows.check_format(full_check=True)
            parts |= {f"{number}.{name}": getattr(rows, name) for name in ("data", "indices", "indptr", "shape")}
        else:
            parts[str(number)] = np.asarray(array)
    return parts


def main() -> None:
    """Read and write; the exit status says what went wrong: see :func:`vaelab.data.formats.apart._refuse`."""
    warnings.simplefilter("ignore")
    try:
        found = READERS[sys.argv[1]](io.BytesIO(sys.stdin.buffer.read()))
        parts = _parts(found.arrays)
    except _TooLargeError as error:
        _end(4, str(error))
    except ImportError as error:
        _end(5, str(error.name))
    except Exception as error:
        _end(3, str(error) or type(error).__name__)
    index = json.dumps({"names": list(found.arrays), "others": found.others, "texts": found.texts}).encode()
    try:
        np.savez(sys.stdout.buffer, index=np.frombuffer(index, np.uint8), **parts)
    except OSError as error:
        _end(6, str(error.strerror))


def _end(status: int, message: str) -> NoReturn:
    print(message.splitlines()[0], file=sys.stderr)
    raise SystemExit(status)


if __name__ == "__main__":
    main()

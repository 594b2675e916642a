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
from typing import Any

import numpy as np

__all__ = ["main"]

_NUMBERS = (
    "double",
    "single",
    "logical",
    "sparse",
    *(f"{sign}int{size}" for sign in ("", "u") for size in (8, 16, 32, 64)),
)
Found = tuple[dict[str, Any], dict[str, str]]  # arrays by name; what else there is, by name


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
    return {name: found[name] for name in numbers}, {name: kind for name, _, kind in variables if name not in numbers}


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
    return {"x": mmread(stream)}, {}


READERS: dict[str, Callable[[io.BytesIO], Found]] = {"mat": read_mat, "mtx": read_mtx}


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
    """Read and write; the exit status says what went wrong: 3 a damaged file, 4 its size, 5 a library is missing."""
    warnings.simplefilter("ignore")
    try:
        arrays, others = READERS[sys.argv[1]](io.BytesIO(sys.stdin.buffer.read()))
        index = json.dumps({"names": list(arrays), "others": others}).encode()
        np.savez(sys.stdout.buffer, index=np.frombuffer(index, np.uint8), **_parts(arrays))
    except _TooLargeError as error:
        status, message = 4, str(error)
    except ImportError as error:
        status, message = 5, str(error.name)
    except Exception as error:
        status, message = 3, (str(error).splitlines() or [type(error).__name__])[0]
    else:
        return
    print(message, file=sys.stderr)
    raise SystemExit(status)


if __name__ == "__main__":
    main()

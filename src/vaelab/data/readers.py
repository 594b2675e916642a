"""Readers for data files: IDX (plain or gzipped), .npy, .npz and .csv; what is large stays on the disk."""

from __future__ import annotations

import gzip
import math
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vaelab.data.dataset import Dataset, Split, classify_values, require_labels, require_numbers, split_shuffled
from vaelab.data.streaming import read_streamed, streams
from vaelab.data.values import ReadOptions
from vaelab.refusals import Refusal

__all__ = ["FORMATS", "read_dataset", "read_idx"]

Array = npt.NDArray[Any]
FORMATS = (".npz", ".npy", ".parquet", ".csv", ".idx", "-ubyte", ".gz")
_SPLITS = ("train", "validation", "test")


def read_idx(path: Path) -> Array:
    """Read an IDX file of unsigned bytes, gzipped or not (format: LeCun, Cortes & Burges, MNIST page)."""
    try:
        raw = path.read_bytes()
        raw = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
        zeros, kind, rank = struct.unpack(">HBB", raw[:4])
        shape = struct.unpack(f">{rank}I", raw[4 : 4 + 4 * rank])
    except (EOFError, OSError, zlib.error, struct.error) as error:
        raise Refusal(f"{path}: expected an IDX file; it is damaged or of another format ({error})") from error
    if (zeros, kind) != (0, 8):
        raise Refusal(f"{path}: expected an IDX file of unsigned bytes (magic 0x0008..); got {raw[:4].hex()}")
    if rank > 3:
        raise Refusal(f"{path}: expected an IDX file of at most 3 axes (N, H, W); got {rank}")
    body = np.frombuffer(raw, np.uint8, offset=4 + 4 * rank)
    if body.size != math.prod(shape):
        raise Refusal(f"{path}: expected {math.prod(shape)} bytes of data for shape {shape}; got {body.size}")
    return body.reshape(shape).copy()  # writable, as torch wants it


def _read_arrays(path: Path) -> dict[str, Array]:
    """Return the arrays of a file by name; a file of one unnamed array has the name ``x``."""
    name = path.name
    if name.endswith((".npz", ".npy")):
        return _read_numpy(path)
    if name.endswith(".csv"):
        return {"x": _read_csv(path)}
    if name.endswith((".idx", "-ubyte", ".gz")):
        return {"x": read_idx(path)}
    raise Refusal(f"{path}: expected a data file ending in one of {', '.join(FORMATS)}; got {path.suffix!r}")


def _read_numpy(path: Path) -> dict[str, Array]:
    try:
        if path.suffix == ".npy":
            with path.open("rb") as file:
                return {"x": np.lib.format.read_array(file, allow_pickle=False)}
        with zipfile.ZipFile(path), np.load(path, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
    except Exception as error:  # numpy and zipfile raise a dozen kinds for a damaged file
        raise Refusal(f"{path}: expected a readable {path.suffix} file of numbers ({_reason(error)})") from error
    for key, array in arrays.items():
        if not isinstance(array, np.ndarray):  # bytes: a member of the archive that is no array
            raise Refusal(f"{path}: expected a readable .npz file of numbers ({key!r} is no array)")
    return arrays


def _read_csv(path: Path) -> Array:
    """Read numbers, below a header or not; utf-8-sig, since spreadsheets begin a file with a mark."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        numeric = [_is_number(cell) for cell in lines[0].split(",")] if lines else []
        if any(numeric) and not all(numeric):
            raise Refusal(f"{path}: expected a header or numbers in line 1; got both: {lines[0][:60]!r}")
        rows = lines if all(numeric) else lines[1:]
        if not any(row.strip() for row in rows):
            return np.empty((0, 0))
        numbers = np.loadtxt(rows, delimiter=",", ndmin=2)
        greys = ((numbers >= 0) & (numbers <= 255) & (numbers == np.round(numbers))).all()
        return numbers.astype(np.uint8) if greys else numbers  # whole numbers 0...255 are grey levels, as in any file
    except Refusal:
        raise
    except (ValueError, OSError) as error:
        raise Refusal(f"{path}: expected a readable .csv file of numbers ({_reason(error)})") from error


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _reason(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def read_dataset(path: Path, whole: bool = False, options: ReadOptions | None = None) -> Dataset:
    """Read a user's file: one array ``x`` (split 80/10/10 with seed 777), or arrays train/validation/test.

    With ``whole`` one array is left in its order, as a split called ``all``. Shards, Parquet, and a .npy or
    uncompressed IDX file above 1 GiB, stay on the disk (:mod:`vaelab.data.streaming`).

    An .npz may carry labels: ``y`` beside ``x``, or ``train_labels`` and so on. Images (N, H, W) are
    flattened, and their shape is kept for the figures.
    """
    if not path.exists():
        raise Refusal(f"data: expected a named data set or a file; there is no file {str(path)!r}")
    if streams(path):
        return read_streamed(path, whole)
    arrays = {key.lower(): value for key, value in _read_arrays(path).items()}
    named = [name for name in _SPLITS if name in arrays]
    if named and len(named) < len(_SPLITS):
        raise Refusal(f"{path}: expected arrays train, validation and test together; got only {', '.join(named)}")
    keys = named or (["x"] if "x" in arrays else [])
    if not keys:
        raise Refusal(f"{path}: expected an array x, or train, validation and test; got {sorted(arrays)}")
    shapes = {arrays[key].shape[1:] for key in keys}
    if len(shapes) != 1 or len(next(iter(shapes))) not in (1, 2):
        raise Refusal(f"{path}: expected rows (N, X) or images (N, H, W); got shapes {sorted(shapes)}")
    shape = next(iter(shapes))
    for key in keys:
        require_numbers(f"{path}: {key}", arrays[key])
    flat = [arrays[key].reshape(len(arrays[key]), math.prod(shape)) for key in keys]
    pixels, kind, scale = classify_values(str(path), np.concatenate(flat))
    image_shape = (int(shape[0]), int(shape[1])) if len(shape) == 2 else None
    splits: dict[str, Split] = {}
    start = 0
    for key, rows in zip(keys, map(len, flat), strict=True):
        labels = arrays.get("y") if key == "x" else arrays.get(f"{key}_labels")
        splits[key] = Split(pixels[start : start + rows], require_labels(f"{path}: labels of {key}", labels, rows))
        start += rows
    if not named:
        splits = {"all": splits["x"]} if whole else split_shuffled(splits["x"])
    return Dataset(path.name, splits, kind, scale, image_shape)

"""Data larger than memory: large files and directories of shards, whose training rows stay on the disk."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from vaelab.data.dataset import Dataset, Split, classify_values, require_labels
from vaelab.data.parquet import row_groups
from vaelab.data.rows import Facts, Rows
from vaelab.data.sources import Archive, Array, Plain, Source, Stamp, stamp_of
from vaelab.refusals import Refusal

__all__ = ["HELD_OUT", "STREAM_FROM", "read_streamed", "streams"]

STREAM_FROM = 2**30  # bytes: the same on every machine, so that the same file is the same run
HELD_OUT = 10_000  # rows of validation and of test at the most, and no more bytes of each than
_HELD_OUT_BYTES = 2**28
_SPLIT_SEED = 777
_SHARDS = (".npy", ".npz", ".parquet")


def streams(path: Path) -> bool:
    """Say whether data stay on the disk: shards, Parquet, and a .npy or uncompressed IDX file above 1 GiB."""
    if path.is_dir() or path.suffix == ".parquet":
        return True
    if not path.name.endswith((".npy", ".idx", "-ubyte")) or path.stat().st_size <= STREAM_FROM:
        return False
    with path.open("rb") as file:
        return file.read(2) != b"\x1f\x8b"  # gzip


def read_streamed(path: Path, whole: bool = False) -> Dataset:
    """Look through a large file or a directory of shards once, and return it with its training rows on the disk.

    Validation and test are a tenth each, at most 10 000 rows and 256 MB, drawn row by row with seed 777 and held in
    memory; all other rows are to train. With ``whole`` nothing is split: every row is in ``all``, on the disk.

    Raises:
        Refusal: no shards, shards that differ, values that are neither bits nor grey levels, fewer than ten rows.
    """
    files = _shards(path) if path.is_dir() else [path]
    return _read(path, tuple((file, stamp_of(file)) for file in files), whole)


def _shards(folder: Path) -> list[Path]:
    """Return the shards of a directory by name; hidden files and what is no data are none of them."""
    found = sorted(file for file in folder.iterdir() if file.suffix in _SHARDS and not file.name.startswith((".", "_")))
    kinds = sorted({file.suffix for file in found})
    if len(kinds) > 1:
        raise Refusal(f"{folder}: expected shards of one format; got {' and '.join(kinds)}")
    if not found:
        raise Refusal(f"{folder}: expected shards ending in {', '.join(_SHARDS)}; got none")
    return found


def _sources(file: Path) -> list[Source]:
    if file.suffix == ".npz":
        return [Archive.of(file)]
    return row_groups(file) if file.suffix == ".parquet" else [Plain.of(_mapped(file))]


def _mapped(file: Path) -> np.memmap[Any, Any]:
    """Map a file to find out where its rows are."""
    try:
        if file.suffix == ".npy":
            found: np.memmap[Any, Any] = np.load(file, mmap_mode="r", allow_pickle=False)
        else:
            header = np.fromfile(file, np.uint8, 4)
            shape = tuple(np.fromfile(file, ">u4", int(header[3]), offset=4).tolist())
            if header[:3].tolist() != [0, 0, 8]:
                raise Refusal(
                    f"{file}: expected an IDX file of unsigned bytes (magic 0x0008..); got {header.tobytes().hex()}"
                )
            found = np.memmap(file, np.uint8, "r", 4 + 4 * len(shape), shape)
    except Refusal:
        raise
    except Exception as error:  # a dozen kinds for a damaged file
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise Refusal(f"{file}: expected a readable file of numbers ({reason})") from error
    if not found.flags.c_contiguous:
        raise Refusal(f"{file}: expected rows that lie one after another (C order); save np.ascontiguousarray of it")
    if found.ndim not in (2, 3):
        raise Refusal(f"{file}: expected rows (N, X) or images (N, H, W); got shape {found.shape}")
    return found


@lru_cache(maxsize=4)  # commands that look at several runs would look through the same file for each
def _read(path: Path, files: tuple[tuple[Path, Stamp], ...], whole: bool) -> Dataset:
    sources = [source for file, _ in files for source in _sources(file)]
    if not sources:
        raise Refusal(f"{path}: expected at least one row; got none")
    first = sources[0]
    for source in sources:
        if (source.dim, source.dtype) != (first.dim, first.dtype):
            expected = f"expected rows of {first.dim} values of {first.dtype} as in {first.path.name}"
            raise Refusal(f"{source.path}: {expected}; got {source.dim} of {source.dtype}")
    count = sum(source.count for source in sources)
    if not count or not first.dim:
        raise Refusal(f"{path}: expected at least one row and one column; got shape ({count}, {first.dim})")
    held = () if whole else _draw_held_out(path, count, first.dim * first.dtype.itemsize)
    kept, kind, scale, facts = _look(sources, np.sort(np.concatenate(held)) if held else np.empty(0, np.int64))
    dtype = np.dtype(np.float32 if kind == "grey" and scale == 1 else np.uint8)
    labels = _labels(sources)
    if whole:
        splits = {"all": Split(Rows(sources, dtype, facts=facts), labels)}
    else:
        left_out = np.sort(np.concatenate(held))
        splits = {"train": Split(Rows(sources, dtype, left_out, facts))}
        for name, rows in zip(("validation", "test"), held, strict=True):
            mine = labels[rows] if labels is not None else None
            splits[name] = Split(kept[np.searchsorted(left_out, rows)].astype(dtype), mine)
        sizes = [f"{len(split):,}" for split in splits.values()]
        message = "%s stays on the disk: %s rows to train, %s to validate and %s to test"
        logging.getLogger("vaelab").warning(message, path, *sizes)
    return Dataset(path.name, splits, kind, scale, first.image_shape)


def _draw_held_out(path: Path, count: int, row_bytes: int) -> tuple[npt.NDArray[np.int64], ...]:
    if count < 10:
        raise Refusal(f"{path}: expected at least 10 rows to split into train, validation and test; got {count}")
    size = max(1, min(count // 10, HELD_OUT, _HELD_OUT_BYTES // row_bytes))
    drawn = np.random.default_rng(_SPLIT_SEED).choice(count, 2 * size, replace=False)
    return np.sort(drawn[:size]), np.sort(drawn[size:])


def _look(
    sources: Sequence[Source], keep: npt.NDArray[np.int64]
) -> tuple[Array, Literal["binary", "grey"], int, Facts]:
    """Go through all rows once: check every value, keep some rows, and find the facts of all others."""
    digest = hashlib.sha256(f"{sources[0].dim}/{sources[0].dtype.str}".encode())
    low, high, sums = np.inf, -np.inf, np.zeros(sources[0].dim)
    kind: Literal["binary", "grey"] = "binary"
    kept, scale, count = [], 1, 0
    for source, first, rows in Rows(sources).chunks():
        _, this_kind, this_scale = classify_values(str(source.path), rows)
        if this_kind == "grey":
            kind, scale = "grey", this_scale
        digest.update(np.ascontiguousarray(rows).data)
        low, high = min(low, float(rows.min())), max(high, float(rows.max()))
        mine = rows[keep[slice(*np.searchsorted(keep, [first, first + len(rows)]))] - first]
        kept.append(mine)
        sums += rows.sum(0, dtype=np.float64) - mine.sum(0, dtype=np.float64)
        count += len(rows) - len(mine)
    return np.concatenate(kept), kind, scale, Facts(low, high, sums / count, digest.digest())


def _labels(sources: Sequence[Source]) -> npt.NDArray[np.int64] | None:
    found = [require_labels(str(source.path), source.labels(), source.count) for source in sources]
    labels = [part for part in found if part is not None]
    if labels and len(labels) < len(found):
        without = next(source.path for source, part in zip(sources, found, strict=True) if part is None)
        raise Refusal(f"{without}: expected labels as in the other shards; got none")
    return np.concatenate(labels) if labels else None

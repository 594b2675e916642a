"""Data larger than memory: large files and directories of shards, whose training rows stay on the disk."""

from __future__ import annotations

import logging
import operator
from collections.abc import Mapping, Sequence
from functools import lru_cache, reduce
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vaelab.data.dataset import Dataset
from vaelab.data.formats.table import FORMATS, format_of
from vaelab.data.naming import listed, require_same_names
from vaelab.data.opening import open_regular, reason_of, require_regular, status_of
from vaelab.data.packing import packing_of
from vaelab.data.roles import label_among, refuse_counting, require_alike, require_no_index, require_no_labels
from vaelab.data.splits import Split, require_labels
from vaelab.data.splitting import Splitting
from vaelab.data.streaming.rows import Facts, Rows, begin_digest
from vaelab.data.streaming.sources import Source, Stamp, stamp_of
from vaelab.data.values import (
    Array,
    Coding,
    ReadOptions,
    Summary,
    decide,
    observed_sums,
    require_one_meaning,
    summarise,
)
from vaelab.errors import InputError

__all__ = ["HELD_OUT", "STREAM_FROM", "read_streamed", "streams"]

STREAM_FROM = 2**30  # bytes: the same on every machine, so that the same file is the same run
HELD_OUT = 10_000  # most rows of validation, and of test
_HELD_OUT_BYTES = 2**28  # most bytes of each


def streams(path: Path) -> bool:
    """Return whether data stay on the disk: a directory of shards, Parquet, a .npy or plain IDX file above 1 GiB."""
    if path.is_dir():
        return True
    status, known = status_of(path), format_of(path.name)
    require_regular(path, status.st_mode)
    if known is None or known.on_disk == "never" or (known.on_disk == "large" and status.st_size <= STREAM_FROM):
        return False
    if known.on_disk == "always":
        return True
    with open_regular(path) as file:
        return packing_of(path.name, file.read(8)) is None


def read_streamed(path: Path, splitting: Splitting | None = None, options: ReadOptions | None = None) -> Dataset:
    """Read through a large file or a directory of shards once; return a data set whose training rows stay on the disk.

    Validation and test are a tenth each, at most 10 000 rows and 256 MB, drawn row by row and held in memory; all
    other rows are for training. If the rows stay ``whole`` every one is in the split ``all``, on the disk.

    Raises:
        InputError: no shards, shards that differ (columns of Parquet are matched by name), values that are neither bits
            nor grey levels, fewer than ten rows.
    """
    options, splitting = options or ReadOptions(), splitting or Splitting()
    if splitting not in (Splitting(seed=splitting.seed), Splitting(whole=True, seed=splitting.seed)):
        raise InputError(
            f"{path}: expected no split_column, group_column or stratify, as these rows stay on the disk, where "
            "validation and test are drawn row by row"
        )
    if options.drop or (options.columns, options.variables, options.names) != (None, None, None):
        raise InputError(
            f"{path}: {'drop' if options.drop else 'columns'}: expected a table that is read into memory; these rows "
            "stay on the disk; save the columns to use as .csv"
        )
    files = _shards(path) if path.is_dir() else [path]
    for file in files:
        require_regular(file, status_of(file).st_mode)
    return _read(path, tuple((file, stamp_of(file)) for file in files), splitting, options)


def _shards(folder: Path) -> list[Path]:
    """Return the shards of a directory in the order of their names, without hidden files and files of other formats."""
    try:
        files = sorted(folder.iterdir())
    except OSError as error:
        raise InputError(f"{folder}: expected a readable directory of shards; {reason_of(error)}") from None
    endings = tuple(ending for known in FORMATS if known.shards for ending in known.endings)
    shards = [file for file in files if file.name.endswith(endings) and not file.name.startswith((".", "_"))]
    kinds = sorted({file.suffix for file in shards})
    if len(kinds) > 1:
        raise InputError(f"{folder}: expected shards of one format; got {' and '.join(kinds)}")
    if not shards:
        others = listed(sorted({file.suffix for file in files if file.suffix}))
        got = f"files ending in {others}" if others else "none"
        raise InputError(f"{folder}: expected shards ending in {', '.join(endings)}, or images; got {got}")
    return shards


def _sources(file: Path, options: ReadOptions) -> Sequence[Source]:
    known = format_of(file.name)
    if known is None or known.sources is None:
        raise InputError(f"{file}: expected a file whose rows can stay on the disk; got {file.name!r}")
    return known.sources(file, options)


def _alike(path: Path, sources: Sequence[Source]) -> tuple[Sequence[Source], list[str]]:
    """Return the sources with their columns in the order of the first, and notes on what was changed.

    Raises:
        InputError: shards of other columns, another width or another type.
    """
    first = sources[0]
    ordered, notes = [], []
    for source in sources:
        if source.names is not None and first.names is not None:
            require_same_names(str(source.path), first.names, source.names, f"as in {first.path.name}")
            if source.names != first.names:
                notes.append(f"the columns of {source.path.name} are put in the order of {first.path.name}")
                source = source.with_columns(first.names)
        if (source.dim, source.dtype) != (first.dim, first.dtype):
            expected = f"expected rows of {first.dim} values of {first.dtype} as in {first.path.name}"
            raise InputError(f"{source.path}: {expected}; got {source.dim} of {source.dtype}")
        if source.names is not None and source.label != first.label:
            raise InputError(
                f"{source.path}: expected labels in {first.label!r} as in {first.path.name}; got {source.label!r}"
            )
        notes += [f"column {name!r} of {source.path.name} numbers the rows and is left out" for name in source.index]
        ordered.append(source)
    if first.names is not None and first.label is not None:
        notes.append(f"the labels are in column {first.label!r}")
    return ordered, list(dict.fromkeys(notes))


@lru_cache(maxsize=4)  # commands that use several runs would read through the same file for each of them
def _read(path: Path, files: tuple[tuple[Path, Stamp], ...], splitting: Splitting, options: ReadOptions) -> Dataset:
    unordered = [source for file, _ in files for source in _sources(file, options)]
    if not unordered:
        raise InputError(f"{path}: expected at least one row; got none")
    if options.label_column is not None and unordered[0].names is None and unordered[0].label is None:
        label_among(path, None, options)  # an InputError: there are no names
    if options.weight_column is not None:
        raise InputError(
            f"{path}: weight_column: expected data in memory; these rows stay on the disk, and have no weights there"
        )
    sources, notes = _alike(path, unordered)
    first = sources[0]
    count = sum(source.count for source in sources)
    if not count or not first.dim:
        raise InputError(f"{path}: expected at least one row and one column; got shape ({count}, {first.dim})")
    row_bytes = first.dim * first.dtype.itemsize
    held_out = () if splitting.whole else _draw_held_out(path, count, row_bytes, splitting.seed)
    left_out = np.sort(np.concatenate(held_out)) if held_out else np.empty(0, np.int64)
    sample, coding, facts = _read_through(path, sources, left_out, options)
    labels = _labels(sources)
    if splitting.whole:
        splits = {"all": Split(Rows(sources, coding, facts=facts), labels)}
    else:
        splits = {"train": Split(Rows(sources, coding, left_out, facts))}
        for name, rows in zip(("validation", "test"), held_out, strict=True):
            x = coding.store(sample[np.searchsorted(left_out, rows)])
            splits[name] = Split(x, labels[rows] if labels is not None else None)
        sizes = [f"{len(part):,}" for part in splits.values()]
        message = "%s stays on the disk: %s rows to train, %s to validate and %s to test"
        logging.getLogger("vaelab").warning(message, path, *sizes)
    for note in notes:
        logging.getLogger("vaelab").warning("%s: %s", path, note)
    return Dataset(path.name, splits, coding.kind, coding.scale, first.image_shape, first.names, tuple(notes))


def _draw_held_out(path: Path, count: int, row_bytes: int, seed: int) -> tuple[npt.NDArray[np.int64], ...]:
    """Return the numbers of the rows of validation and test, ascending."""
    if count < 10:
        raise InputError(f"{path}: expected at least 10 rows to split into train, validation and test; got {count}")
    size = max(1, min(count // 10, HELD_OUT, _HELD_OUT_BYTES // row_bytes))
    drawn = np.random.default_rng(seed).choice(count, 2 * size, replace=False)
    return np.sort(drawn[:size]), np.sort(drawn[size:])


def _read_through(
    path: Path, sources: Sequence[Source], wanted: npt.NDArray[np.int64], options: ReadOptions
) -> tuple[Array, Coding, Facts]:
    """Read all rows once: check every value, return the wanted rows, how values are stored, and facts of the others."""
    digest = begin_digest(sources[0])
    sums, counts, samples = np.zeros(sources[0].dim), np.zeros(sources[0].dim), []
    summaries: dict[Path, Summary] = {}
    starts: dict[Path, int] = {}
    for source, first, rows in Rows(sources).chunks():
        starts.setdefault(source.path, first)
        summary = summarise(str(source.path), rows, first - starts[source.path])
        earlier = summaries.get(source.path)
        summaries[source.path] = summary if earlier is None else earlier + summary
        digest.update(np.ascontiguousarray(rows).data)
        chosen = rows[wanted[slice(*np.searchsorted(wanted, [first, first + len(rows)]))] - first]
        samples.append(chosen)
        (total_sum, total_count), (own_sum, own_count) = observed_sums(rows), observed_sums(chosen)
        sums, counts = sums + total_sum - own_sum, counts + total_count - own_count
    total, sample = reduce(operator.add, summaries.values()), np.concatenate(samples)
    if sources[0].image_shape is None:
        require_no_index(path, sources[0].names, total)
        _require_no_count(path, sources[0].names, sample, wanted, total)
        require_alike(path, sources[0].names, total, options)
        if len(sample) and not any(source.label is not None for source in sources):
            require_no_labels(path, sources[0].names, sample, total, options)
    coding = _decide(path, summaries, total, options, sources[0].names)
    if coding.kind not in ("binary", "grey"):
        raise InputError(
            f"{path}: expected bits or grey levels, as the rows stay on the disk; real numbers and counts are read "
            "into memory, from one file of up to 1 GiB"
        )
    require_one_meaning(path, {file.name: float(summary.high.max()) for file, summary in summaries.items()})
    low, high = float(total.low.min()) / coding.divisor, float(total.high.max()) / coding.divisor
    means = sums / np.where(counts > 0, counts, np.nan) / coding.divisor
    return sample, coding, Facts(low, high, means, digest.digest(), total.missing > 0)


def _require_no_count(
    path: Path, names: Sequence[str] | None, sample: Array, numbers: npt.NDArray[np.int64], total: Summary
) -> None:
    """Raise an InputError if a column counts the rows, as the rows in ``sample``, of these numbers, show."""
    if len(numbers):
        firsts = sample.astype(np.float64) - numbers[:, None]
        for column in np.flatnonzero((firsts == total.low).all(0) & (total.high > total.low)):
            name = None if names is None else names[int(column)]
            refuse_counting(path, int(column), name, float(total.low[column]), float(total.high[column]))


def _decide(
    path: Path, summaries: Mapping[Path, Summary], total: Summary, options: ReadOptions, names: Sequence[str] | None
) -> Coding:
    """Return what the values of all shards mean; if only some shards are at fault, the InputError names the first."""
    try:
        return decide(str(path), total, options, names)
    except InputError:
        good = 0
        fault: InputError | None = None
        for file, summary in summaries.items():
            try:
                decide(str(file), summary, options)
                good += 1
            except InputError as error:
                fault = fault or error
        if good and fault is not None:
            raise fault from None
        raise


def _labels(sources: Sequence[Source]) -> npt.NDArray[np.int64] | None:
    """Return the labels of all rows, or None; an InputError if only some shards have labels."""
    parts = [require_labels(str(source.path), source.labels(), source.count) for source in sources]
    labels = [part for part in parts if part is not None]
    if labels and len(labels) < len(parts):
        without = next(source.path for source, part in zip(sources, parts, strict=True) if part is None)
        raise InputError(f"{without}: expected labels as in the other shards; got none")
    return np.concatenate(labels) if labels else None

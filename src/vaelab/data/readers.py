"""Reading a data file: which format it has, and the data set that it becomes."""

from __future__ import annotations

import logging
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn

from vaelab.data.assembly import assemble
from vaelab.data.content import Content, RawTable
from vaelab.data.dataset import Dataset
from vaelab.data.foreign import Foreign, foreign_file
from vaelab.data.formats import text
from vaelab.data.formats.table import ENDINGS, FORMATS, Format, folder_format, format_of
from vaelab.data.opening import Opened, open_unpacked, reason_of, status_of
from vaelab.data.packing import DAMAGE
from vaelab.data.parts import joined, observed_parts, without_named
from vaelab.data.splitting import Splitting
from vaelab.data.streaming.read import read_streamed, streams
from vaelab.data.streaming.sources import MissingValues
from vaelab.data.values import ReadOptions
from vaelab.errors import InputError

__all__ = ["read_dataset", "read_table"]


def read_dataset(
    path: Path,
    splitting: Splitting | None = None,
    options: ReadOptions | None = None,
    held_out: Mapping[str, Path] | None = None,
) -> Dataset:
    """Read a user's file: one table or array, which is split, or arrays train, validation and test.

    Shards, Parquet, and a .npy or uncompressed IDX file above 1 GiB, stay on the disk
    (:mod:`vaelab.data.streaming.read`).

    An .npz may hold labels: ``y`` beside ``x``, or ``train_labels`` and so on. Images (N, H, W) are
    flattened, and their shape is kept for the figures.

    Args:
        path: the file, or a directory of shards or of images.
        splitting: how the rows are divided; by default 80 % / 10 % / 10 % with seed 777.
        options: how values are read.
        held_out: files of validation and test; the rows of ``path`` are for training then.

    Raises:
        InputError: a file that is missing, damaged, of another format or too large for memory, values that are
            neither bits nor grey levels, columns that may not be observed values, files that do not fit together.
    """
    splitting, options, held_out = splitting or Splitting(), options or ReadOptions(), held_out or {}
    if held_out and splitting != Splitting(seed=splitting.seed):
        raise InputError(
            f"data: expected no split_column, group_column, stratify or split=False beside a file of "
            f"{' and of '.join(held_out)}, which is a split itself"
        )
    files = {"train" if held_out else "x": path, **held_out}
    for file in files.values():
        _require_content(file)
        if folder_format(file) is None and streams(file) and not _as_table(file, splitting, options, bool(held_out)):
            if held_out:
                raise InputError(f"{file}: expected files that are read into memory; these rows stay on the disk")
            try:
                return read_streamed(path, splitting, options)
            except MissingValues:  # a single file may be read into memory instead
                if path.is_dir():
                    raise
    contents = {name: without_named(file, _read(file, options), splitting, options) for name, file in files.items()}
    parts = observed_parts(contents, files, options)
    data = Dataset(path.name, **vars(assemble(path, joined(parts), splitting, options)))
    for note in data.notes:
        logging.getLogger("vaelab").warning("%s: %s", path, note)
    return data


def read_table(path: Path) -> RawTable | None:
    """Return the table in a file as the user has it, every column of it, or None if the file holds arrays.

    The cells of a table of text are text, as they are written. Columns without names are numbered.

    Raises:
        InputError: a file that is missing, damaged or of another format.
    """
    _require_content(path)
    if path.is_dir():
        return None
    with open_unpacked(path) as opened:
        read = _reader_of(opened)
        return text.read_as_written(opened) if read is text.read else read(opened, ReadOptions()).table


def _require_content(path: Path) -> None:
    status = status_of(path)
    if stat.S_ISREG(status.st_mode) and status.st_size == 0:
        raise InputError(f"{path}: expected at least one row and one column; the file is empty")


def _as_table(path: Path, splitting: Splitting, options: ReadOptions, held_out: bool) -> bool:
    """Return whether a file is read into memory though others of its format stay on the disk."""
    known = None if path.is_dir() else format_of(path.name)
    if known is None or known.in_memory is None:
        return False
    said = (options.columns, options.variables, options.names, options.weight_column) != (None,) * 4 or options.drop
    divided = splitting not in (Splitting(seed=splitting.seed), Splitting(whole=True, seed=splitting.seed))
    return held_out or said or divided or known.in_memory(path, options)


def _read(path: Path, options: ReadOptions) -> Content:
    folder = folder_format(path)
    if folder is not None and folder.folder is not None:
        return folder.folder(path, options)
    with open_unpacked(path) as opened:
        return _reader_of(opened)(opened, options)


def _reader_of(opened: Opened) -> Callable[[Opened, ReadOptions], Content]:
    """Return what reads a file: by the name of what is in it, or for a packed file of any name by its first bytes."""
    path, named = opened.path, format_of(opened.name)
    try:
        head = opened.stream.peek(16)[:16]
    except DAMAGE as error:
        raise InputError(f"{path}: expected a readable file; it is damaged ({reason_of(error)})") from error
    begun = next((known for known in FORMATS if known.begins and head.startswith(known.begins)), None)
    foreign = foreign_file(opened.name, head)
    if named is None:
        if opened.packed and begun is not None and begun.packs and begun.read is not None:
            return begun.read
        _refuse_ending(opened, foreign, begun)
    if named.folder is not None:
        raise InputError(f"{path}: expected a folder of images; got one image; give the folder")
    if opened.packed and not named.packs:
        raise InputError(f"{path}: expected {named.called} as it is, since it is compressed itself; unpack it")
    if begun is named:
        foreign = None  # a format that is a zip archive itself
    if foreign is not None or begun not in (None, named):
        called = foreign.called if foreign is not None else (begun or named).called
        way = f"; {foreign.way}" if foreign is not None else ""
        raise InputError(f"{path}: expected {named.called}, as its name says; it is {called}{way}")
    if named.read is None:
        raise InputError(f"{path}: expected a file to read into memory; got {named.called}")
    return named.read


def _refuse_ending(opened: Opened, foreign: Foreign | None, begun: Format | None) -> NoReturn:
    path = opened.path
    if foreign is not None:
        raise InputError(
            f"{path}: expected a table of text (.csv) or of another known format; it is {foreign.called}; {foreign.way}"
        )
    if begun is not None and not opened.packed:
        got = f"it is {begun.called}, which is to end in {begun.endings[0]}"
    elif opened.packed:
        got = f"the packed file holds none of them; call a packed table NAME.csv{path.suffix.lower()}"
    elif not path.suffix:
        got = f"got {path.name!r}; a table of text is to be called {path.stem}.csv"
    else:
        got = f"got {path.suffix!r}"
    raise InputError(f"{path}: expected a data file ending in one of {', '.join(ENDINGS)}; {got}")

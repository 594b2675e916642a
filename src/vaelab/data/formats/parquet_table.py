"""Parquet files whose columns have several types, text or missing values: read into memory as a table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from vaelab.data.choices import dropped
from vaelab.data.content import Content, RawTable
from vaelab.data.formats.missing import note_of_missing
from vaelab.data.formats.parquet import is_index, pyarrow_parquet
from vaelab.data.frames import order_of
from vaelab.data.opening import Opened, open_regular, reason_of, require_fits
from vaelab.data.roles import label_among
from vaelab.data.tables import missing_in
from vaelab.data.values import Array, ReadOptions
from vaelab.errors import InputError

__all__ = ["is_table", "read"]


def is_table(path: Path, options: ReadOptions) -> bool:
    """Return whether a file has columns of text or of several types.

    Other files stay on the disk: tables of one type of number without nulls, and columns of lists.
    """
    with open_regular(path) as file:
        try:
            parquet = pyarrow_parquet().ParquetFile(file)
            schema = parquet.schema_arrow
            label = label_among(path, schema.names, options)
            observed = [name for name in schema.names if name != label and not is_index(parquet, schema, name)]
            types = [schema.field(name).type for name in observed]
            if len(types) < 2 and not all(map(_is_column, types)):
                return False  # a column of lists or bytes, each a row
            return len(set(types)) > 1 or not all(map(_is_plain, types))
        except InputError:
            raise
        except Exception as error:  # pyarrow raises a dozen kinds for a damaged file
            raise InputError(f"{path}: expected a readable Parquet file ({reason_of(error)})") from error


def _is_column(kind: Any) -> bool:
    """Return whether a type of Arrow is that of numbers, booleans or text, or of nothing at all."""
    return _is_text(kind) or _is_number(kind) or str(kind) in ("bool", "null")


def _is_plain(kind: Any) -> bool:
    """Return whether values of a type are numbers in an array of NumPy as they are."""
    return str(kind) == "bool" or str(kind).startswith(("int", "uint", "float", "double", "halffloat"))


def _is_text(kind: Any) -> bool:
    name = str(kind.value_type if hasattr(kind, "index_type") else kind)
    return name in ("string", "large_string", "string_view")


def _is_number(kind: Any) -> bool:
    name = str(kind.value_type if hasattr(kind, "index_type") else kind)
    return name.startswith(("int", "uint", "float", "double", "halffloat", "decimal"))


def read(opened: Opened, options: ReadOptions) -> Content:
    """Read a table of numbers, booleans, text and categories; null is a missing value.

    Raises:
        InputError: a damaged file, one that is larger than memory, columns of dates, lists and other types that are
            not left out by ``options``.
    """
    path, pyarrow = opened.path, pyarrow_parquet()
    try:
        parquet = pyarrow.ParquetFile(opened.file)
        schema = parquet.schema_arrow
        names = _readable(path, schema, options)
        sizes = [parquet.metadata.row_group(number).total_byte_size for number in range(parquet.num_row_groups)]
        require_fits(path, sum(sizes) + 8 * parquet.metadata.num_rows * len(names))
        types = {name: schema.field(name).type for name in names}
        text = [name for name, kind in types.items() if _is_text(kind) and not hasattr(kind, "index_type")]
        opened.file.seek(0)
        table = pyarrow.ParquetFile(opened.file, read_dictionary=text).read(columns=names)
        columns = {name: _values(table.column(name)) for name in names}
        orders = {name: order for name in names if (order := order_of(table.column(name))) is not None}
    except InputError:
        raise
    except Exception as error:  # pyarrow raises a dozen kinds for a damaged file
        raise InputError(f"{path}: expected a readable Parquet file ({reason_of(error)})") from error
    notes = note_of_missing([f"column {name!r}" for name in names], list(map(missing_in, columns.values())))
    empty = np.full(len(table), np.nan)  # in place of columns that are left out, whatever their type
    every = RawTable(tuple(schema.names), [columns.get(name, empty) for name in schema.names], orders)
    return Content({}, notes=tuple(notes), table=every)


def _readable(path: Path, schema: Any, options: ReadOptions) -> list[str]:
    """Return the names of the columns to read; an InputError for types that are no values, and not left out."""
    left_out = dropped(options.columns, schema.names)
    names = [name for name in schema.names if _is_column(schema.field(name).type)]
    if len(set(schema.names)) < len(schema.names):
        twice = next(name for name in schema.names if schema.names.count(name) > 1)
        raise InputError(f"{path}: expected different names of columns; {twice!r} is there more than once")
    for name in schema.names:
        if name not in names and name not in left_out:
            raise InputError(
                f"{path}: expected columns of numbers, booleans or text; got {name!r} of {schema.field(name).type}; "
                f"leave it out (--columns FILE, columns= in Python, with {name}: drop)"
            )
    return names


def _values(column: Any) -> Array:
    """Return a column of Arrow as numbers or booleans, NaN where a value is missing, or as text with None."""
    if _is_text(column.type):
        codes = column.dictionary_encode() if not hasattr(column.type, "index_type") else column
        parts = [
            np.array([*chunk.dictionary.to_pylist(), None], object)[
                chunk.indices.fill_null(len(chunk.dictionary)).to_numpy(zero_copy_only=False)
            ]
            for chunk in codes.chunks
        ]
        return np.concatenate(parts) if parts else np.empty(0, object)
    if hasattr(column.type, "index_type"):  # categories that are numbers
        column = column.cast(column.type.value_type)
    if column.null_count or str(column.type).startswith(("decimal", "null")):
        column = column.cast("float64")
    values: Array = column.to_numpy()
    return values

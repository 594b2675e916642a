"""Parquet files, read by pyarrow: the meaning of the columns, and row groups as runs of rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from vaelab.data.naming import LABELS, listed
from vaelab.data.opening import open_regular, reason_of
from vaelab.data.roles import is_index_name, label_among
from vaelab.data.streaming.sources import MissingValues, Packed, require_unpackable, stamp_of
from vaelab.data.values import Array, ReadOptions
from vaelab.errors import InputError

__all__ = ["RowGroup", "is_index", "pyarrow_parquet", "sources"]

_MEANING = (
    "columns of one type of number; or one column of lists of numbers or of binary values of one "
    f"length, each a row; and beside them labels in a column called {', '.join(LABELS)}"
)


@dataclass(frozen=True)
class RowGroup(Packed):
    """One row group of a Parquet file."""

    group: int = 0
    columns: tuple[str, ...] = ()
    label_column: str | None = None
    index_columns: tuple[str, ...] = ()
    lists: bool = False  # one column, of lists or of bytes

    @property
    def label(self) -> str | None:
        return self.label_column

    @property
    def index(self) -> tuple[str, ...]:
        return self.index_columns

    @property
    def names(self) -> tuple[str, ...] | None:
        return None if self.lists else self.columns

    def with_columns(self, names: Sequence[str]) -> RowGroup:
        return replace(self, columns=tuple(names))

    def unpack(self) -> Array:
        table = self._table(self.columns)
        if not self.lists:
            return np.column_stack([column.to_numpy() for column in table.columns])
        lists = table.column(0).combine_chunks()
        if str(lists.type).startswith("fixed_size_binary"):
            values = np.frombuffer(lists.buffers()[1], np.uint8)
            return values[lists.offset * self.dim :][: self.count * self.dim].reshape(self.count, self.dim)
        flat = lists.flatten()
        if flat.null_count or len(flat) != self.count * self.dim or {len(row) for row in lists} != {self.dim}:
            raise InputError(
                f"{self.path}: expected lists of {self.dim} numbers in {self.columns[0]!r}; got other lengths"
            )
        return flat.to_numpy(zero_copy_only=False).reshape(self.count, self.dim)  # type: ignore[no-any-return]

    def labels(self) -> Array | None:
        return None if self.label_column is None else self._table((self.label_column,)).column(0).to_numpy()

    def _table(self, columns: tuple[str, ...]) -> Any:
        with self.opened() as file:
            try:
                table = pyarrow_parquet().ParquetFile(file).read_row_group(self.group, columns=list(columns))
            except Exception as error:  # pyarrow raises a dozen kinds for a damaged file
                raise InputError(f"{self.path}: expected a readable Parquet file ({reason_of(error)})") from error
        if len(table) != self.count:
            raise InputError(f"{self.path}: expected {self.count:,} rows in row group {self.group}; got {len(table):,}")
        for name, column in zip(table.column_names, table.columns, strict=True):
            if column.null_count:
                raise MissingValues(f"{self.path}: expected no missing values; column {name!r} has {column.null_count}")
        return table.select(list(columns))


def pyarrow_parquet() -> Any:
    """Return the module pyarrow.parquet; an InputError if it is not installed."""
    try:
        import pyarrow.parquet
    except ImportError:
        raise InputError('data: Parquet needs pyarrow; pip install "vaelab[parquet]"') from None
    return pyarrow.parquet


def sources(path: Path, options: ReadOptions) -> Sequence[RowGroup]:
    """Return the row groups of a file. Only its schema, its sizes and columns of row numbers are read.

    Raises:
        InputError: columns that are neither values nor rows, or a row group too large to be unpacked.
    """
    with open_regular(path) as opened:
        try:
            file = pyarrow_parquet().ParquetFile(opened)
            return _row_groups(path, file, options)
        except InputError:
            raise
        except Exception as error:  # pyarrow raises a dozen kinds for a damaged file
            raise InputError(f"{path}: expected a readable Parquet file ({reason_of(error)})") from error


def _row_groups(path: Path, file: Any, options: ReadOptions) -> list[RowGroup]:
    stamp, schema, groups = stamp_of(path), file.schema_arrow, []
    if len(set(schema.names)) < len(schema.names):
        raise InputError(f"{path}: expected different names of columns; got {listed(schema.names)}")
    label = label_among(path, schema.names, options)
    index = tuple(name for name in schema.names if name != label and is_index(file, schema, name))
    columns = tuple(name for name in schema.names if name != label and name not in index)
    for number in range(file.num_row_groups):
        count = file.metadata.row_group(number).num_rows
        if not count:
            continue
        lists = bool(columns) and _holds_lists(schema.field(columns[0]).type)
        # Only for lists: pyarrow aborts where damage has changed what is said of a column.
        values = file.metadata.row_group(number).column(schema.names.index(columns[0])).num_values if lists else 0
        dim, dtype = _meaning(path, [schema.field(name) for name in columns], values, count)
        require_unpackable(path, count * dim * dtype.itemsize, "write it with a smaller row_group_size")
        groups.append(RowGroup(path, stamp, count, dim, dtype, None, number, columns, label, index, lists))
    return groups


def is_index(file: Any, schema: Any, name: str) -> bool:
    """Return whether a column numbers the rows, by its name and its numbers."""
    if not is_index_name(name) or np.dtype(schema.field(name).type.to_pandas_dtype()).kind not in "iu":
        return False
    after = None  # the next number of the count
    for batch in file.iter_batches(columns=[name]):
        column = batch.column(0)
        if column.null_count or (after is not None and column[0].as_py() != after):
            return False
        if len(column) > 1 and not (np.diff(column.to_numpy()) == 1).all():
            return False
        after = column[len(column) - 1].as_py() + 1 if len(column) else after
    return after is not None


def _holds_lists(kind: Any) -> bool:
    listed = hasattr(kind, "value_type") and not str(kind).startswith("dictionary")
    return listed or str(kind).startswith("fixed_size_binary")


def _meaning(path: Path, fields: list[Any], values: int, count: int) -> tuple[int, np.dtype[Any]]:
    """Return how many values a row has, and their type."""
    types = {str(field.type): field for field in fields}
    if len(types) > 1:
        first, other = list(types.values())[:2]
        got = f"{_typed(first)} and {_typed(other)}"
        raise InputError(f"{path}: expected {_MEANING}; got {got}; make them one type, as df.astype('float32') does")
    if not fields:
        raise InputError(f"{path}: expected {_MEANING}; got no columns of values")
    kind, width = fields[0].type, len(fields)
    if width == 1 and str(kind).startswith("fixed_size_binary"):
        return int(kind.byte_width), np.dtype(np.uint8)
    if width == 1 and _holds_lists(kind):
        kind, width = kind.value_type, values // max(count, 1)
    try:
        dtype = np.dtype(kind.to_pandas_dtype())
    except NotImplementedError:  # such as categories
        dtype = np.dtype(object)
    if dtype.kind not in "biuf":
        raise InputError(f"{path}: expected {_MEANING}; got {_typed(fields[0])}")
    return width, dtype


def _typed(field: Any) -> str:
    words = " (a column of words)" if "string" in str(field.type) else ""
    return f"{field.name!r} of {field.type}{words}"

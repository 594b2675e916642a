"""Shards in Parquet, read by pyarrow: what their columns mean, and their row groups as runs of rows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vaelab.data.sources import Array, Packed, Source, require_unpackable, stamp_of
from vaelab.refusals import Refusal

__all__ = ["LABELS", "RowGroup", "row_groups"]

LABELS = ("y", "label")
_MEANING = (
    "columns of one type of number, each a pixel; or one column of lists of numbers or of binary values of one "
    f"length, each a row; and beside them a column {' or '.join(LABELS)}"
)


@dataclass(frozen=True)
class RowGroup(Packed):
    """One row group of a Parquet file."""

    group: int = 0
    columns: tuple[str, ...] = ()
    label: str | None = None

    def unpack(self) -> Array:
        table = self._table(self.columns)
        if len(self.columns) > 1 or self.dim == 1:
            return np.column_stack([column.to_numpy() for column in table.columns])
        lists = table.column(0).combine_chunks()
        if str(lists.type).startswith("fixed_size_binary"):
            values = np.frombuffer(lists.buffers()[1], np.uint8)
            return values[lists.offset * self.dim :][: self.count * self.dim].reshape(self.count, self.dim)
        flat = lists.flatten()
        if flat.null_count or len(flat) != self.count * self.dim or {len(row) for row in lists} != {self.dim}:
            raise Refusal(
                f"{self.path}: expected lists of {self.dim} numbers in {self.columns[0]!r}; got other lengths"
            )
        return flat.to_numpy(zero_copy_only=False).reshape(self.count, self.dim)  # type: ignore[no-any-return]

    def labels(self) -> Array | None:
        return None if self.label is None else self._table((self.label,)).column(0).to_numpy()

    def _table(self, columns: tuple[str, ...]) -> Any:
        with self.opened() as file:
            try:
                table = _pyarrow().ParquetFile(file).read_row_group(self.group, columns=list(columns))
            except OSError as error:  # pyarrow's own errors are of this kind
                raise Refusal(f"{self.path}: expected a readable Parquet file ({_reason(error)})") from error
        for name, column in zip(table.column_names, table.columns, strict=True):
            if column.null_count:
                raise Refusal(f"{self.path}: expected no missing values; column {name!r} has {column.null_count}")
        return table


def _pyarrow() -> Any:
    try:
        import pyarrow.parquet
    except ImportError:
        raise Refusal('data: Parquet needs pyarrow; pip install "vaelab[parquet]"') from None
    return pyarrow.parquet


def row_groups(path: Path) -> list[Source]:
    """Return the row groups of a file, its schema and sizes looked at and nothing more.

    Raises:
        Refusal: columns of another meaning than pixels or rows, or a row group too large to be unpacked.
    """
    try:
        file = _pyarrow().ParquetFile(path)
    except (OSError, ValueError) as error:
        raise Refusal(f"{path}: expected a readable Parquet file ({_reason(error)})") from error
    stamp, schema, groups = stamp_of(path), file.schema_arrow, []
    label = next((name for name in LABELS if name in schema.names), None)
    columns = tuple(name for name in schema.names if name != label)
    for number in range(file.num_row_groups):
        count = file.metadata.row_group(number).num_rows
        if not count:
            continue
        values = file.metadata.row_group(number).column(schema.names.index(columns[0])).num_values if columns else 0
        dim, dtype = _meaning(path, [schema.field(name) for name in columns], values, count)
        require_unpackable(path, count * dim * dtype.itemsize, "write it with a smaller row_group_size")
        groups.append(RowGroup(path, stamp, count, dim, dtype, None, number, columns, label))
    return list(groups)


def _meaning(path: Path, fields: list[Any], values: int, count: int) -> tuple[int, np.dtype[Any]]:
    """Return how many pixels a row has, and their type."""
    types = {str(field.type): field for field in fields}
    if len(types) > 1:
        first, other = list(types.values())[:2]
        got = f"{first.name!r} of {first.type} and {other.name!r} of {other.type}"
        raise Refusal(f"{path}: expected {_MEANING}; got {got}")
    if not fields:
        raise Refusal(f"{path}: expected {_MEANING}; got no columns of pixels")
    kind, width = fields[0].type, len(fields)
    if hasattr(kind, "value_type") and width == 1:
        kind, width = kind.value_type, values // max(count, 1)
    elif str(kind).startswith("fixed_size_binary") and width == 1:
        return int(kind.byte_width), np.dtype(np.uint8)
    dtype = np.dtype(kind.to_pandas_dtype()) if str(kind) != "null" else np.dtype(object)
    if dtype.kind not in "biuf":
        raise Refusal(f"{path}: expected {_MEANING}; got {fields[0].name!r} of {fields[0].type}")
    return width, dtype


def _reason(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]

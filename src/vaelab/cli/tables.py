"""Tables of observations: the facts of columns in the terminal, and the user's columns in a file."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vaelab.cli.output import print_table, write

__all__ = ["cells_of", "column_rows", "csv_text", "flat_columns", "print_columns", "write_table"]

_SHOWN = 40  # columns of the data in the terminal


def print_columns(facts: list[dict[str, Any]]) -> None:
    """Print the facts of columns as a table; of very many columns the first, and those with a remark."""
    shown = facts if len(facts) <= _SHOWN else [fact for fact in facts[_SHOWN:] if fact["remark"]]
    shown = facts if len(facts) <= _SHOWN else [*facts[:_SHOWN], *shown[:_SHOWN]]
    print_table(["column", "kind", "levels", "missing", "mean", "remark"], column_rows(shown))
    if len(shown) < len(facts):
        print(f"{len(facts) - len(shown):,} more columns; --json has all")


def column_rows(facts: list[dict[str, Any]]) -> list[list[str]]:
    """Return the cells of the facts of columns."""
    return [
        [
            fact["name"],
            fact["kind"],
            _levels(fact),
            f"{100 * fact['missing']:.3g} %" if fact["missing"] else "",
            "" if fact["mean"] is None else f"{fact['mean']:.4g}",
            fact["remark"] or "",
        ]
        for fact in facts
    ]


def _levels(fact: dict[str, Any]) -> str:
    """Return the levels of a column: of two which is 0 and which is 1, of more the shares of the first."""
    levels = fact["levels"]
    if levels is None:
        return ""
    if fact["kind"] == "binary":
        return f"{levels[0]} = 0, {levels[1]} = 1"
    if fact["shares"] is None:
        return ", ".join(map(str, levels[:4]))
    named = [f"{level} {100 * share:.0f} %" for level, share in zip(levels[:4], fact["shares"], strict=False)]
    return ", ".join(named) + (f" and {len(levels) - 4:,} more" if len(levels) > 4 else "")


def flat_columns(arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """Return arrays (N,) and (N, D) as columns by name: ``codes`` (N, 2) become ``codes_1`` and ``codes_2``.

    >>> list(flat_columns({"codes": np.zeros((3, 2)), "labels": np.zeros(3)}))
    ['codes_1', 'codes_2', 'labels']
    """
    columns: dict[str, npt.NDArray[Any]] = {}
    for name, array in arrays.items():
        parts = {name: array} if array.ndim == 1 else {f"{name}_{k + 1}": array[:, k] for k in range(array.shape[1])}
        columns |= parts
    return columns


def write_table(target: Path, table: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write columns by name to a .csv file: an empty cell where a value is missing."""
    write(target, csv_text(table).encode())


def csv_text(table: Mapping[str, npt.NDArray[Any]]) -> str:
    """Return columns by name as text: a line of names, and a line for each row.

    >>> csv_text({"a": np.array([0.5, np.nan]), "b": np.array(["x, y", None], object)})
    'a,b\\n0.5,"x, y"\\n,\\n'
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table)
    writer.writerows(zip(*map(_computed, table.values()), strict=True))
    return text.getvalue()


def cells_of(values: npt.NDArray[Any]) -> list[str]:
    """Return the values of a column as text, empty where one is missing; real numbers with the digits of their type."""
    if values.dtype == object:
        return ["" if value is None else str(value) for value in values]
    if values.dtype.kind != "f":
        return list(map(str, values.tolist()))
    return ["" if value != value else str(value).removesuffix(".0") for value in values]


def _computed(values: npt.NDArray[Any]) -> list[str]:
    """Return the cells of a column that a model computed: real numbers with the digits of float32."""
    return cells_of(values.astype(np.float32) if values.dtype.kind == "f" else values)

"""The command that describes data."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vaelab.cli.options import (
    ColumnsFile,
    Drop,
    GroupColumn,
    Json,
    LabelColumn,
    ScaleOfValues,
    SplitColumn,
    SplitSeed,
    Stratify,
    TestFile,
    ValidationFile,
    ValuesOfData,
    WeightColumn,
    reading,
    reading_words,
)
from vaelab.cli.output import print_json, print_table
from vaelab.cli.usage import say_next
from vaelab.errors import InputError

if TYPE_CHECKING:
    from vaelab.data import Dataset

__all__ = ["show_data"]


def show_data(
    name: Annotated[str | None, typer.Argument(metavar="[NAME|FILE]", help="A named data set or a file.")] = None,
    values: ValuesOfData = None,
    scale: ScaleOfValues = None,
    label_column: LabelColumn = None,
    weight_column: WeightColumn = None,
    columns: ColumnsFile = None,
    drop: Drop = False,
    validation: ValidationFile = None,
    test: TestFile = None,
    split_column: SplitColumn = None,
    group_column: GroupColumn = None,
    stratify: Stratify = False,
    split_seed: SplitSeed = None,
    as_json: Json = False,
) -> None:
    """Describe a data set or a file; without a name, list the data sets."""
    from vaelab.data import DATASETS, describe, load_data

    more = reading_words(locals())
    options = {name: value for name, value in reading(locals()).items() if value is not None}
    if name is None:
        if options:
            raise InputError(f"data: expected {', '.join(options)} for a file; give its name")
        described = {known: describe(load_data(known)) for known in DATASETS}
    else:
        described = {name: describe(_loaded(name, options, not as_json))}
    if as_json:
        print_json(described if name is None else described[name])
        return
    for key, facts in described.items():
        _print_facts(key, facts)
    sys.stdout.flush()
    say_next("data", more, data=next(iter(described)))


def _loaded(name: str, options: dict[str, Any], table: bool) -> Dataset:
    """Return the data; where kinds of columns are not clear, print what was found in a ``table`` before the error."""
    from vaelab.data import UnclearColumns, load_data

    try:
        return load_data(name, **options)
    except UnclearColumns as unclear:
        if table:
            print_table(["column", "kind"], [[column, kind] for column, kind in unclear.found.items()])
            sys.stdout.flush()
        raise


def _print_facts(name: str, facts: dict[str, Any]) -> None:
    from vaelab.cli.tables import print_columns

    table = facts.pop("table")
    print(name)
    for fact, value in facts.items():
        for line in _lines_of(value):
            print(f"  {fact.replace('_', ' '):14}{line}")
    if table is not None:
        print_columns(table)


def _lines_of(value: object) -> list[str]:
    """Return a fact in words, without the signs of Python; what does not apply has no line."""
    if value is None or value == []:
        return []
    if isinstance(value, dict):
        return [", ".join(f"{count:,} {name}" for name, count in value.items())]
    if isinstance(value, list):
        return [" x ".join(map(str, value))] if isinstance(value[0], int) else value
    return [str(value)]

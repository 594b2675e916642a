"""Options that several commands have."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from vaelab.errors import InputError, shown

__all__ = [
    "CHAINS",
    "SAMPLES",
    "TEMPERATURES",
    "ColumnsFile",
    "DataFile",
    "Drop",
    "GroupColumn",
    "Json",
    "LabelColumn",
    "ModelName",
    "ModelPath",
    "Overwrite",
    "RunPath",
    "ScaleOfValues",
    "SplitColumn",
    "SplitSeed",
    "Stratify",
    "TestFile",
    "ValidationFile",
    "ValuesOfData",
    "WeightColumn",
    "Words",
    "layers_of",
    "reading",
    "reading_words",
    "require_no_data",
]

# Those of likelihood.Effort, which is not imported here: help has to be instant.
SAMPLES, CHAINS, TEMPERATURES = 100, 16, 1000
ModelName = Annotated[str, typer.Argument(metavar="MODEL", help="A model; vaelab settings lists all.")]
Words = Annotated[
    list[str] | None,
    typer.Argument(metavar="SETTING", help="key=value; a .yaml, .toml or .json file first."),
]

RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.")]
ModelPath = Annotated[Path, typer.Argument(metavar="RUN", help="A run directory or a saved model.")]
DataFile = Annotated[str | None, typer.Option("--data", metavar="FILE", help="Where the data of the run are now.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")]
ValuesOfData = Annotated[
    Literal["grey", "bits", "unit", "real", "count"] | None,
    typer.Option("--values", metavar="KIND", help="grey (0 to 255), bits, unit ([0, 1]), real or count."),
]
ScaleOfValues = Annotated[
    float | None, typer.Option("--scale", metavar="S", help="The data are grey levels from 0 to S.")
]
LabelColumn = Annotated[
    str | None, typer.Option("--label-column", metavar="NAME", help="The column that holds the labels.")
]
WeightColumn = Annotated[
    str | None, typer.Option("--weight-column", metavar="NAME", help="The column that holds the weights of the rows.")
]
ColumnsFile = Annotated[
    Path | None,
    typer.Option("--columns", metavar="FILE", help="YAML, TOML or JSON: kinds of columns by name."),
]
Drop = Annotated[bool, typer.Option("--drop", help="Leave out constant, duplicate and ID columns.")]
ValidationFile = Annotated[
    str | None, typer.Option("--validation", metavar="FILE", help="A file that is the validation split.")
]
TestFile = Annotated[str | None, typer.Option("--test", metavar="FILE", help="A file that is the test split.")]
SplitColumn = Annotated[
    str | None, typer.Option("--split-column", metavar="NAME", help="The column with train, validation or test.")
]
GroupColumn = Annotated[
    str | None, typer.Option("--group-column", metavar="NAME", help="Rows with one value here are in one split.")
]
Stratify = Annotated[bool, typer.Option("--stratify", help="Each class has the same share in each split.")]
SplitSeed = Annotated[int | None, typer.Option("--split-seed", metavar="N", help="Seed of the split.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


def require_no_data(command: str, word: str) -> None:
    """Refuse data where a model or a setting is expected."""
    from vaelab.data import DATASETS
    from vaelab.data.formats.table import ENDINGS

    if word in DATASETS or word.lower().endswith(ENDINGS):
        raise InputError(f"{command}: {shown(word)} is data; write vaelab {command} MODEL --data {word}")


def reading(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a command that say how data are read and split, by name; None where one is not given."""
    from vaelab.settings import READING, read_content

    options = {name: None if arguments[name] is False else arguments[name] for name in READING}
    return options | {"columns": None if options["columns"] is None else read_content(options["columns"], "columns")}


def reading_words(arguments: Mapping[str, Any]) -> str:
    """Return the options of :func:`reading` that a user gave, as they are typed."""
    from vaelab.settings import READING

    given = [(f"--{name.replace('_', '-')}", arguments[name]) for name in READING]
    given = [(option, value) for option, value in given if value is not None and value is not False]
    return "".join(f" {option}" if value is True else f" {option} {shlex.quote(str(value))}" for option, value in given)


def layers_of(command: str, words: list[str] | None, **flags: Any) -> list[dict[str, Any]]:
    """Return the settings that a command names, a layer each: of its config file, of its words, of its flags."""
    from vaelab.settings import parse_overrides, read_config

    files = [word for word in words or [] if "=" not in word]
    for word in files:
        require_no_data(command, word)
    if len(files) > 1 or "=" in (words or []):
        arguments = " ".join(map(shown, words or []))
        raise InputError(
            f"{command}: expected one config file at most, then key=value words without spaces; got {arguments}"
        )
    layers = [read_config(Path(file)) for file in files]
    overrides = parse_overrides([word for word in words or [] if "=" in word])
    given = {key: value for key, value in flags.items() if value is not None}
    for key in given.keys() & overrides.keys():
        if overrides[key] != given[key]:
            option = f"--{key.replace('_', '-')}"
            raise InputError(f"{key}: expected one value; got two, {option} {given[key]} and {key}={overrides[key]}")
    return [*layers, overrides, given]

"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from vaelab.refusals import Refusal

__all__ = [
    "Json",
    "LabelColumn",
    "ModelName",
    "Overwrite",
    "RunPath",
    "ScaleOfValues",
    "ValuesOfData",
    "Words",
    "layers_of",
]

ModelName = Annotated[str, typer.Argument(help="gaussian-vae, bernoulli-vae, sbn, deep-gaussian-vae or autoencoder.")]
Words = Annotated[
    list[str] | None, typer.Argument(metavar="[CONFIG] [KEY=VALUE]...", help="A .yaml or .toml file; settings.")
]

RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")]
ValuesOfData = Annotated[
    Literal["grey", "bits", "unit"] | None,
    typer.Option("--values", help="What the data are: grey levels 0...255, bits 0 and 1, or real numbers in [0, 1]."),
]
ScaleOfValues = Annotated[float | None, typer.Option("--scale", help="The data are grey levels from 0 to this value.")]
LabelColumn = Annotated[
    str | None, typer.Option("--label-column", help="Column of the labels  [default: label, class, target or y]")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


def layers_of(command: str, words: list[str] | None, **flags: Any) -> list[dict[str, Any]]:
    """Return the settings that a command names, a layer each: of its config file, of its words, of its flags."""
    from vaelab.settings import parse_overrides, read_config

    files = [word for word in words or [] if "=" not in word]
    if len(files) > 1:
        raise Refusal(f"{command}: expected at most one config file, then key=value words; got {' '.join(files)}")
    layers = [read_config(Path(file)) for file in files]
    layers += [parse_overrides([word for word in words or [] if "=" in word])]
    return [*layers, {key: value for key, value in flags.items() if value is not None}]

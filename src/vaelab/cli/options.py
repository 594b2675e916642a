"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["Json", "Overwrite", "RunPath"]

RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]

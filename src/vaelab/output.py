"""What commands leave: tables in the terminal, one JSON object, files, and a word on standard error."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from vaelab.refusals import Refusal, did_you_mean

__all__ = ["leads", "print_json", "print_table", "require_target", "say", "write", "write_arrays"]


def leads() -> bool:
    """Return whether this process is the one, or the first of a launcher's ranks: the one that reports."""
    return os.environ.get("WORLD_SIZE", "1") == "1" or os.environ.get("RANK", "0") == "0"


def say(text: str) -> None:
    """Print to standard error; a rank that does not report otherwise gives its number."""
    print(text if leads() else f"rank {os.environ['RANK']}: {text}", file=sys.stderr)


def print_json(content: Any) -> None:
    """Print one JSON object on standard output."""
    print(json.dumps(content))


def print_table(header: list[str], rows: list[list[str]]) -> None:
    """Print a table, as wide as the terminal or 200 columns where there is none."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(*header, box=box.SIMPLE_HEAD)
    for row in rows:
        table.add_row(*row)
    console = Console()
    if not console.is_terminal:
        console = Console(width=200)
    console.print(table)


def require_target(out: Path | None, default: Path, suffixes: tuple[str, ...]) -> Path:
    """Return the file to write, or refuse one of another kind."""
    target = out if out is not None else default
    if target.suffix not in suffixes:
        hint = did_you_mean(target.suffix, suffixes)
        raise Refusal(f"out: expected a file ending in {' or '.join(suffixes)}; got {str(target)!r}{hint}")
    return target


def write(target: Path, content: bytes) -> None:
    """Write a file and say so."""
    from vaelab.runs import write_file

    write_file(target, content)
    say(f"wrote {target}")


def write_arrays(target: Path, arrays: dict[str, Any]) -> None:
    """Write arrays by name to an .npz file, which is there when it is whole; they may be larger than memory."""
    import numpy as np

    from vaelab.runs import replaced

    with replaced(target) as file:
        np.savez_compressed(file, **arrays)
    say(f"wrote {target}")

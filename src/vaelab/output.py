"""What commands leave: tables in the terminal, one JSON object, files, and a word on standard error."""

from __future__ import annotations

import json
import os
import sys
import textwrap
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
    """Print a table; on a terminal that is too narrow, print each row as a block of lines, one a column.

    No number is cut or wrapped, whatever the width.
    """
    from rich import box
    from rich.console import Console
    from rich.measure import Measurement
    from rich.table import Table
    from rich.text import Text

    table = Table(*header, box=box.SIMPLE_HEAD)
    rows = [[_writable(cell) for cell in row] for row in rows]
    for row in rows:
        table.add_row(*map(Text, row))  # as it stands: a name may have brackets
    console = Console()
    unlimited = console.options.update(max_width=100_000)
    needed = Measurement.get(console, unlimited, table).maximum
    if console.is_terminal and needed > console.width:
        print("\n\n".join(_block(header, row, console.width) for row in rows))
    else:
        Console(width=max(needed, console.width)).print(table)


def _block(header: list[str], row: list[str], width: int) -> str:
    """Return a row of a table as lines, its first cell above the names and values of the others."""
    lines = [row[0]]
    for name, value in zip(header[1:], row[1:], strict=True):
        whole = value.replace(" ± ", "\xa0±\xa0").replace(" +- ", "\xa0+-\xa0").replace(" of ", "\xa0of\xa0")
        text = f"{name}: {whole}"
        lines += textwrap.wrap(text, width, initial_indent="  ", subsequent_indent="    ", break_long_words=False)
    return "\n".join(lines).replace("\xa0", " ")


def _writable(text: str) -> str:
    """Return a text with the signs that standard output can write, so that its width is known."""
    encoding, errors = (
        getattr(sys.stdout, "encoding", None) or "utf-8",
        getattr(sys.stdout, "errors", None) or "replace",
    )
    return text.encode(encoding, errors).decode(encoding)


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

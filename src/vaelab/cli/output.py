"""The output of commands: tables in the terminal, one JSON object, files, and messages on standard error."""

from __future__ import annotations

import json
import os
import sys
import textwrap
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vaelab.errors import InputError, did_you_mean

__all__ = [
    "announce_loading",
    "going_on",
    "is_rank_zero",
    "print_json",
    "print_table",
    "require_report",
    "require_target",
    "say",
    "write",
    "write_arrays",
]


def is_rank_zero() -> bool:
    """Return whether this process is rank 0 or the only process; it alone prints results."""
    return os.environ.get("WORLD_SIZE", "1") == "1" or os.environ.get("RANK", "0") == "0"


def say(text: str) -> None:
    """Print to standard error; a rank other than 0 names its number."""
    print(text if is_rank_zero() else f"rank {os.environ['RANK']}: {text}", file=sys.stderr)


def announce_loading(command: str) -> None:
    """Say on a terminal that a command has begun: first, PyTorch is loaded, which takes a second or more."""
    if sys.stderr is not None and sys.stderr.isatty() and is_rank_zero():
        print(f"vaelab {command}: loading PyTorch ...", file=sys.stderr, flush=True)


def print_json(content: Any) -> None:
    """Print one JSON object on standard output."""
    print(json.dumps(content))


def print_table(header: list[str], rows: list[list[str]]) -> None:
    """Print a table; on a terminal that is too narrow, print each row as a block of lines, one line per column.

    Numbers are never cut or wrapped.
    """
    from rich import box
    from rich.console import Console
    from rich.measure import Measurement
    from rich.table import Table
    from rich.text import Text

    table = Table(*header, box=box.SIMPLE_HEAD)
    rows = [[_writable(cell) for cell in row] for row in rows]
    for row in rows:
        table.add_row(*map(Text, row))  # without markup: a name may have brackets
    console = Console()
    unlimited = console.options.update(max_width=100_000)
    needed = Measurement.get(console, unlimited, table).maximum
    if console.is_terminal and needed > console.width:
        print("\n\n".join(_block(header, row, console.width) for row in rows))
    else:
        Console(width=max(needed, console.width)).print(table)


def print_values(rows: list[tuple[str, str, list[str]]]) -> None:
    """Print names, values and notes, a value on the line of its name or, if the terminal is narrow, below it."""
    width = _terminal_width()
    for name, value, notes in rows:
        fits = len(f"{name:22}{value}") <= width
        print(f"{name:22}{value}" if fits else f"{name}\n  {value}")
        for note in notes:
            print_text(note, 22 if fits else 4)


def print_text(text: str, indent: int = 0) -> None:
    """Print a line of text; on a terminal, wrap it between words, never within a number."""
    margin = " " * indent
    lines = _wrapped(text, _terminal_width(), margin, margin)
    print("\n".join(lines) if lines else "")


def _terminal_width() -> int:
    from rich.console import Console

    console = Console()
    return console.width if console.is_terminal else 100_000


def _block(header: list[str], row: list[str], width: int) -> str:
    """Return a row of a table as lines: its first cell, then the names and values of the others."""
    lines = [row[0]]
    for name, value in zip(header[1:], row[1:], strict=True):
        lines += _wrapped(f"{name}: {value}", width, "  ", "    ")
    return "\n".join(lines)


def _wrapped(text: str, width: int, first: str, others: str) -> list[str]:
    """Break a text between words, but never between a value and its standard error."""
    for sign in ("±", "+-", "of", "="):
        text = text.replace(f" {sign} ", f"\xa0{sign}\xa0")
    lines = textwrap.wrap(
        text, width, initial_indent=first, subsequent_indent=others, break_long_words=False, break_on_hyphens=False
    )
    return [line.replace("\xa0", " ") for line in lines]


def _writable(text: str) -> str:
    """Return a text with signs that standard output can encode, so that its width is known."""
    encoding, errors = (
        getattr(sys.stdout, "encoding", None) or "utf-8",
        getattr(sys.stdout, "errors", None) or "replace",
    )
    return text.encode(encoding, errors).decode(encoding)


@contextmanager
def going_on(what: str) -> Iterator[None]:
    """Run the block after the numbers were printed; if it fails, print a message and continue."""
    try:
        yield
    except Exception as error:
        if "--debug" in sys.argv:
            traceback.print_exc()
        reason = " ".join(str(error).split())
        say(f"{what}: {reason or type(error).__name__}")


def require_target(
    out: Path | None,
    default: Path,
    suffixes: tuple[str, ...],
    overwrite: bool = False,
    read: Iterable[str | Path] = (),
    argument: str = "out",
) -> Path:
    """Return the file to write; all commands have the same rule.

    An existing file is replaced with ``overwrite``; without it only if the command chose the name and vaelab wrote the
    file. A file that the command reads is never replaced, under whatever name, and nothing is written into a directory
    that it reads.

    Raises:
        InputError: a file of another kind, an existing file, or a file that the command reads.
    """
    from vaelab.storage import is_ours

    target = out if out is not None else default
    if target.suffix not in suffixes:
        hint = did_you_mean(target.suffix, suffixes)
        raise InputError(f"{argument}: expected a file ending in {' or '.join(suffixes)}; got {str(target)!r}{hint}")
    for source in read:
        if any(_same(place, Path(source)) for place in (target, target.parent)):
            reason = f"{str(target)!r} is, or lies in, {str(source)!r}, the data that are read"
            raise InputError(f"{argument}: {reason}; choose another name")
    if target.is_dir():
        raise InputError(f"{argument}: expected a file to write; {str(target)!r} is a directory")
    if os.path.lexists(target) and not overwrite and not (out is None and is_ours(target)):
        raise InputError(f"{argument}: expected a new file; {str(target)!r} exists already (--overwrite replaces it)")
    return target


def _same(one: Path, other: Path) -> bool:
    """Return whether two paths are the same file or directory, also by a link, a hard link or another spelling."""
    return one.exists() and other.exists() and os.path.samefile(one, other)


def require_report(out: Path | None, overwrite: bool = False) -> None:
    """Refuse a directory in which a report would replace files that vaelab did not write."""
    from vaelab.runs import require_own_page, require_removable

    if out is None or not os.path.lexists(out):
        return
    if not out.is_dir():
        raise InputError(f"out: expected a directory; {str(out)!r} is a file, which is kept")
    if not any(out.iterdir()):
        return
    if not overwrite:
        raise InputError(f"out: expected a new or empty directory; {str(out)!r} is not empty (--overwrite replaces it)")
    require_removable(out)
    require_own_page(out)


def write(target: Path, content: bytes) -> None:
    """Write a file and print its name."""
    from vaelab.storage import write_file

    write_file(target, content)
    say(f"wrote {target}")


def write_arrays(target: Path, arrays: dict[str, Any]) -> None:
    """Write arrays by name to an .npz file, atomically; they may be larger than memory."""
    import numpy as np

    from vaelab.storage import replaced

    with replaced(target) as file:
        np.savez_compressed(file, **arrays)
    say(f"wrote {target}")

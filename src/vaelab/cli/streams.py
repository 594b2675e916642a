"""Standard output and standard error with any encoding: a sign that it lacks does not stop a command."""

from __future__ import annotations

import codecs
import io
import os
import select
import sys
import unicodedata

__all__ = ["abandon_broken", "write_any_text"]

_ASCII = {
    "±": "+-", "×": "x", "−": "-", "–": "-", "—": "-", "…": "...", "∞": "inf", "≤": "<=", "≥": ">=", "≈": "~",
    "→": "->", "←": "<-", "·": "*", "²": "^2", "³": "^3", "√": "sqrt", "∑": "sum", "ß": "ss",
    "‘": "'", "’": "'", "“": '"', "”": '"', "─": "-", "━": "-", "│": "|",
}  # fmt: skip


def _replaced(error: UnicodeError) -> tuple[str, int]:
    """Return plain signs for those that an encoding has none for: ± becomes +-, é e, an undecodable byte \\xff."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = "".join(map(_plain, error.object[error.start : error.end]))
    return text, error.end


def _plain(sign: str) -> str:
    if sign in _ASCII:
        return _ASCII[sign]
    if "\udc80" <= sign <= "\udcff":  # a byte of a file name that is not valid text
        return f"\\x{ord(sign) - 0xDC00:02x}"
    if "GREEK" in (name := unicodedata.name(sign, "")):
        return name.rsplit(" ", 1)[-1].lower()
    base = unicodedata.normalize("NFKD", sign)[0]
    return base if base.isascii() else "?"


def write_any_text() -> None:
    """Let both streams write every text; signs that their encoding lacks are replaced."""
    codecs.register_error("vaelab", _replaced)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="vaelab")


def abandon_broken() -> bool:
    """Return whether the reader of a stream has closed it, as ``head`` does; the remaining output is dropped."""
    broken = False
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and _reader_has_left(stream):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            broken = True
    return broken


def _reader_has_left(stream: io.TextIOWrapper) -> bool:
    try:
        poll = select.poll()
        poll.register(stream.fileno(), 0)
    except (OSError, ValueError):  # not a file, or a closed one
        return False
    return any(event & select.POLLERR for _, event in poll.poll(0))

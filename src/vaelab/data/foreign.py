"""Files of other programs that vaelab does not read: how each is recognised, and how its table becomes one that is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["Foreign", "foreign_file"]


@dataclass(frozen=True)
class Foreign:
    """A kind of file that is not read: what it is called, what to do, and how its name ends or its bytes begin."""

    called: str
    way: str
    endings: tuple[str, ...] = ()
    begins: tuple[bytes, ...] = ()


def _in_python(reader: str) -> str:
    return f"in Python give the frame of {reader} to vaelab.Dataset.from_arrays"


_SHEET = f"save the sheet as 'CSV UTF-8', or {_in_python('pandas.read_excel')}"
_ARRAYS = "save its arrays with numpy.savez"
_FILES = (
    Foreign("an Excel workbook", _SHEET, (".xlsx", ".xls", ".xlsm", ".xlsb"), (b"\xd0\xcf\x11\xe0",)),
    Foreign("a spreadsheet", _SHEET, (".ods",)),
    Foreign(
        "an SPSS file",
        f"save it as .csv in SPSS, or {_in_python('pandas.read_spss')}",
        (".sav",),
        (b"$FL2@(#)",),
    ),
    Foreign("a portable SPSS file", "save it as .csv in SPSS", (".por",)),
    Foreign(
        "a Stata file",
        f"save it as .csv in Stata (export delimited), or {_in_python('pandas.read_stata')}",
        (".dta",),
        (b"<stata_dta>",),
    ),
    Foreign(
        "a SAS file",
        f"save it as .csv in SAS (proc export), or {_in_python('pandas.read_sas')}",
        (".sas7bdat", ".xpt"),
    ),
    Foreign(
        "an R file",
        "save its table in R with write.csv(TABLE, 'FILE.csv', row.names = FALSE)",
        (".rds", ".rdata", ".rda"),
        (b"RDX2\n", b"RDX3\n"),
    ),
    Foreign("JSON", _in_python("pandas.read_json"), (".json",)),
    Foreign("JSON lines", _in_python("pandas.read_json(FILE, lines=True)"), (".jsonl", ".ndjson")),
    Foreign("a Feather file", _in_python("pandas.read_feather"), (".feather", ".arrow"), (b"ARROW1\0\0",)),
    Foreign("an ARFF file", "save its rows as .csv, with the names of the columns in line 1", (".arff",)),
    Foreign("a database", _in_python("pandas.read_sql"), (".sqlite", ".db"), (b"SQLite format 3\0",)),
    Foreign(
        "a web page", "save its table as .csv", (".html", ".htm"), (b"<html", b"<!DOCTYPE html", b"<!doctype html")
    ),
    Foreign("a PDF", "save its table as .csv", (".pdf",), (b"%PDF-",)),
    Foreign(
        "a pickle, which is never opened",
        _ARRAYS,
        (".pkl", ".pickle", ".pt"),
        (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"),
    ),
    Foreign("packed twice", "unpack it", (), (b"\x1f\x8b", b"BZh", b"\xfd7zXZ")),
    Foreign("compressed by zstd", "unpack it", (".zst",), (b"\x28\xb5\x2f\xfd",)),
    Foreign("a zip archive", _ARRAYS, (), (b"PK\x03\x04",)),
    Foreign("one image", "give a folder of images", (), (b"\x89PNG", b"\xff\xd8\xff")),
)


def foreign_file(name: str, head: bytes) -> Foreign | None:
    """Return which file of another program one is, by the ending of its name or else by its first bytes, or None.

    >>> foreign_file("answers.xlsx", b"PK\\x03\\x04").called, foreign_file("rows.csv", b"PK\\x03\\x04").called
    ('an Excel workbook', 'a zip archive')
    """
    suffix = Path(name).suffix.lower()
    by_name = next((known for known in _FILES if suffix in known.endings), None)
    return by_name or next((known for known in _FILES if head.startswith(known.begins)), None)

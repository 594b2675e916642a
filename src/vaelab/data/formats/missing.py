"""The note on the missing values of a table in a file."""

from __future__ import annotations

from collections.abc import Sequence

from vaelab.data.naming import listed
from vaelab.data.values import Array

__all__ = ["note_of_missing"]


def note_of_missing(called: Sequence[str], marks: Sequence[Array], words: Sequence[str] = ("",)) -> list[str]:
    """Return a sentence on the missing values: how many, where the first is, and which words stand for them.

    Args:
        called: what each column is called.
        marks: for each column where its values are missing.
        words: the different texts of the cells that are missing.

    >>> import numpy as np
    >>> note_of_missing(["column 'a'"], [np.array([False, True])], ["", "NA"])
    ["50.0 % of the cells are missing values (1 of 2), first in row 2, column 'a', written as 'NA' or as empty cells"]
    """
    count, total = sum(int(mark.sum()) for mark in marks), sum(map(len, marks))
    if not count:
        return []
    row, place = min((int(mark.argmax()), place) for place, mark in enumerate(marks) if mark.any())
    written = [word for word in words if word]
    as_what = f", written as {listed(written)}{' or as empty cells' if '' in words else ''}" if written else ""
    return [
        f"{100 * count / total:.1f} % of the cells are missing values ({count:,} of {total:,}), "
        f"first in row {row + 1}, {called[place]}{as_what}"
    ]

"""What a reader of a format returns: the arrays of a file by their roles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vaelab.data.values import Array

__all__ = ["SPLITS", "Content"]

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Content:
    """The arrays of a file: ``x``, or the splits by name, and ``labels of x`` and so on if there are any.

    ``names`` are those of the columns of ``x``, ``notes`` sentences on what the reader left out or renamed. ``archive``
    is true for a format that names its arrays and not their columns, ``text`` for one whose numbers have no type.
    """

    arrays: Mapping[str, Array]
    names: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()
    archive: bool = False
    text: bool = False

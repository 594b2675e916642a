"""What a section of a report is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vaelab.report.member import Member

__all__ = ["Builder", "Section"]


@dataclass(frozen=True)
class Section:
    """A figure as PNG, with the two texts beside it."""

    name: str
    title: str
    look: str
    found: str
    figure: bytes


Builder = Callable[[Sequence[Member]], Section | None]

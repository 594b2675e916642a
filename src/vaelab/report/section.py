"""The parts of a section of a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from vaelab.report.member import ReportedRun

__all__ = ["Builder", "LeftOut", "Section"]


@dataclass(frozen=True)
class Section:
    """A figure as PNG, with the two texts beside it."""

    name: str
    title: str
    guide: str
    finding: str
    figure: bytes


@dataclass(frozen=True)
class LeftOut:
    """A figure that could not be drawn, and why."""

    name: str
    reason: str


class Builder(Protocol):
    """A function from runs to a section, or None where there is nothing of its kind to show.

    Raises:
        InputError: there is something to show, and the reason why it cannot be drawn.
    """

    __name__: str

    def __call__(self, members: Sequence[ReportedRun]) -> Section | None: ...

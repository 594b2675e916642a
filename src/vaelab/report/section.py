"""The parts of a section of a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from vaelab.report.member import ReportedRun

__all__ = ["Builder", "LeftOut", "Live", "Section"]


@dataclass(frozen=True)
class Live:
    """The view of the explorer that shows more of a section, the run it opens with, and the text of the link."""

    view: str
    run: ReportedRun
    words: str


@dataclass(frozen=True)
class Section:
    """A figure as PNG, with the texts beside it: what to look for, and what these runs show and need, a line each."""

    name: str
    title: str
    guide: str
    finding: str
    figure: bytes
    live: Live | None = None
    advice: str = ""


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

    @property
    def __name__(self) -> str: ...

    def __call__(self, members: Sequence[ReportedRun]) -> Section | None: ...

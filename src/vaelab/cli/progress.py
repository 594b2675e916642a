"""Progress on standard error: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from vaelab.objectives import METRICS

if TYPE_CHECKING:
    from vaelab.studies.suggestion import Tried

__all__ = ["SuggestProgress", "TrainingProgress", "WorkProgress", "describe"]

_LINES = 50  # lines of a long task without a terminal
_SECONDS = 15.0  # between two lines of a task that is no training, at least


def describe(row: dict[str, Any]) -> str:
    """Return a logged row as one short line."""
    keys = (*(f"val/{metric}" for metric in METRICS), *(f"train/{metric}" for metric in METRICS), "train/kl")
    parts = [f"{key} {row[key]:.2f}" for key in keys if key in row]
    if "observations_per_second" in row:
        parts.append(f"{row['observations_per_second']:,.0f} observations/s")
    return "  ".join(parts)


def _short(row: dict[str, Any]) -> str:
    """Return a logged row short enough for a place next to a progress bar."""
    names = {
        "train/bound": "bound",
        "train/reconstruction": "rec.",
        "train/kl": "KL",
        "train/log-likelihood": "log p",
        "train/pseudo-likelihood": "pseudo",
    }
    parts = [f"{name} {row[key]:.1f}" for key, name in names.items() if key in row]
    if "observations_per_second" in row:
        parts.append(f"{row['observations_per_second']:,.0f}/s")
    return "  ".join(parts)


class _Bar:
    def __init__(self) -> None:
        self.console = Console(stderr=True)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TimeRemainingColumn(),
            TextColumn("{task.fields[text]}"),
        )
        self.progress = Progress(*columns, console=self.console, disable=not self.console.is_terminal)

    def __enter__(self) -> Self:
        self.progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.stop()

    def line(self, text: str) -> None:
        """Print a plain line (soft-wrapped, without markup)."""
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)


class TrainingProgress(_Bar):
    """Shows the progress of trainings from their logged rows, one bar per name.

    Without a terminal it prints validations, about fifty lines in a training and the last one.
    """

    def __init__(self) -> None:
        super().__init__()
        self.tasks: dict[str, Any] = {}
        self.printed: dict[str, int] = {}  # the step of the last line of each name

    def row(self, name: str, row: dict[str, Any]) -> None:
        """Show a logged row of the training called ``name``."""
        if self.progress.disable:
            step, steps = row["step"], row["steps"]
            due = step - self.printed.get(name, -steps) >= steps / _LINES or row.get("finished", False)
            if due and any(key.startswith("val/") for key in row):
                self.printed[name] = step
                self.line(f"{name}  step {row['step']:,} of {row['steps']:,}  {describe(row)}")
            return
        if name not in self.tasks:
            self.tasks[name] = self.progress.add_task(name, total=row["steps"], text="")
        self.progress.update(self.tasks[name], completed=row["step"], text=_short(row))

    def end(self, name: str, text: str) -> None:
        """Replace the bar of the training called ``name`` by a line about its result."""
        if name in self.tasks:
            self.progress.remove_task(self.tasks.pop(name))
        self.line(text)


class SuggestProgress(TrainingProgress):
    """Shows the progress of ``vaelab suggest``: the training that runs, the time left, and a line for each model."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds, self.begun = seconds, time.monotonic()
        self.budget = self.progress.add_task("budget", total=seconds, text="left")

    def row(self, name: str, row: dict[str, Any]) -> None:
        """Show a logged row on a terminal; elsewhere the lines of the models are enough."""
        if not self.progress.disable:
            super().row(name, row)
            self.progress.update(self.budget, completed=min(self.seconds, time.monotonic() - self.begun))

    def model(self, tried: Tried) -> None:
        """Show the numbers of a model, and how much of the budget is left."""
        left = _duration(max(0.0, self.seconds - (time.monotonic() - self.begun)))
        number = tried.failure or f"{tried.validation:.2f} ({tried.number}), {tried.seconds:.1f} s"
        self.end(tried.name, f"{tried.name}: {number}; at most {left} left")


class WorkProgress(_Bar):
    """Shows the progress of one task and the time left.

    Without a terminal it prints a line now and then: never one in the first seconds, at most about fifty in all.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name, self.begun = name, time.monotonic()
        self.printed = (self.begun, 0.0)  # when the last line was printed, and the share that was done then
        self.task = self.progress.add_task(name, total=None, text="left")

    def __call__(self, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` parts are done."""
        self.progress.update(self.task, completed=done, total=total)
        if not self.progress.disable or not 0 < done < total:
            return
        now, share = time.monotonic(), done / total
        if now - self.printed[0] >= _SECONDS and share - self.printed[1] >= 1 / _LINES:
            self.printed = now, share
            left = (now - self.begun) * (1 - share) / share
            self.line(f"{self.name}  {share:.0%} done, about {_duration(left)} left")


def _duration(seconds: float) -> str:
    """Return a duration as people say it: seconds, minutes, or hours and minutes."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"

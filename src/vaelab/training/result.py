"""The result of a training: its logged rows, its best bound, and the reason why it stopped."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from vaelab.objectives import METRICS
from vaelab.training.verdict import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["FitResult", "History", "Row", "StopReason"]

Row = dict[str, float]  # a row of the log: numbers by name
StopReason = Literal["finished", "patience", "interrupted"]


class History(list[Row]):
    """The logged rows of a training, a list of dictionaries.

    Every row has ``step``, ``steps`` (of the whole training), ``seconds`` (of training so far), ``lr`` and
    ``observations_per_second``, and the means over the steps since the row before: ``train/bound``,
    ``train/reconstruction`` (the mean log-likelihood) and ``train/kl``, in nats. Rows of a validation also have
    ``val/bound``. For a deterministic auto-encoder ``reconstruction`` replaces ``bound``, for a density model
    ``log-likelihood``, which has no KL; one that counts has no ``lr``, and its steps are passes over all rows.

    >>> history = History([{"step": 10, "train/bound": -9.0}, {"step": 20, "train/bound": -8.0, "val/bound": -8.5}])
    >>> history.column("val/bound")
    [(20, -8.5)]
    """

    def column(self, name: str) -> list[tuple[int, float]]:
        """Return (step, value) of every row that has a value of this name."""
        return [(int(row["step"]), row[name]) for row in self if name in row]

    def plot(self) -> Figure:
        """Draw the value in training and in validation against the seconds of training; returns a matplotlib figure."""
        from vaelab.plots import curves

        label = objective_label(self)
        lines = {
            name: [{"seconds": row["seconds"], "value": row[key]} for row in self if key in row]
            for name, key in (("training", f"train/{label}"), ("validation", f"val/{label}"))
        }
        return curves(lines, ("value",), f"{label} (nats per observation)")


def objective_label(rows: Iterable[Row]) -> str:
    """Return the name of the objective in the log: bound, reconstruction of an auto-encoder, or log-likelihood.

    >>> objective_label([{"train/reconstruction": -9.0, "train/bound": -9.5}]), objective_label([])
    ('bound', 'bound')
    """
    keys = {key.partition("/")[2] for row in rows for key in row if key.startswith(("train/", "val/"))}
    return next((metric for metric in METRICS if metric in keys), "bound")


@dataclass(frozen=True)
class FitResult:
    """The result of a training; printed, it is a few lines of text.

    Attributes:
        steps: optimiser steps that were made.
        best_bound: the best validation bound in nats, which is that of the weights that the model now has; minus
            infinity if no validation was made.
        best_step: the step of that validation, 0 if there was none.
        seconds: of training, without validation and writing.
        stop_reason: ``finished``, ``patience`` (no better validation for too long) or ``interrupted``.
        history: the logged rows, those before a resumption included.
        signal: the number of the signal that interrupted the training.
        verdict: whether more steps would help; None after an interruption.
        warning: a sentence where a density model is below independent columns on the validation rows; otherwise empty.
    """

    steps: int
    best_bound: float
    best_step: int
    seconds: float
    stop_reason: StopReason
    history: History = field(repr=False)
    signal: int | None = None
    verdict: Verdict | None = None
    warning: str = ""

    def __str__(self) -> str:
        first = f"{self.steps:,} steps in {self.seconds:.1f} s ({self.stop_reason})"
        label = objective_label(self.history)
        best = f"best validation {label} {self.best_bound:.2f} nats at step {self.best_step:,}"
        verdict = "" if self.verdict is None else self.verdict.sentence
        lines = [first, best if self.best_step else "", verdict, self.warning and f"warning: {self.warning}"]
        return "\n".join(line for line in lines if line)

    def to_dict(self) -> dict[str, Any]:
        """Return everything except the history as JSON values; ``best_bound`` is None if there was no validation."""
        values = {name: value for name, value in vars(self).items() if name != "history"}
        verdict = asdict(self.verdict) if self.verdict is not None else None
        return values | {"best_bound": self.best_bound if self.best_step else None, "verdict": verdict}

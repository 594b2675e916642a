"""What the explorer shows: a model, rows of a split of its data, and what is known of its training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from vaelab.data import Dataset
from vaelab.evaluation import EvaluationRecord
from vaelab.models import LatentVariableModel, require_latent
from vaelab.report import ReportedRun
from vaelab.report.tables import command, protocol
from vaelab.settings import Settings
from vaelab.training.verdict import judge

__all__ = ["Subject", "selection"]


@dataclass(frozen=True)
class Subject:
    """A model with the data to show it on.

    Args:
        title: how the page calls it.
        model: the model, in evaluation mode.
        data: the data set; rows of ``split`` are shown.
        split: the name of a split.
        metrics: the logged steps of the training.
        evaluations: the numbers that are known of these weights.
        facts: pairs of a name and a text: the settings, and the command that trains the model again.
        selected: the step whose weights were selected, if that is known.
        verdict: whether more steps would have helped, as a sentence; None if that is not known.
    """

    title: str
    model: LatentVariableModel
    data: Dataset
    split: str = "test"
    metrics: Sequence[dict[str, Any]] = ()
    evaluations: Sequence[EvaluationRecord] = ()
    facts: Sequence[tuple[str, str]] = field(default=())
    selected: int | None = None
    verdict: str | None = None

    @classmethod
    def of_run(cls, member: ReportedRun, data: Dataset | None = None) -> Self:
        """Return the subject of a run: the weights that it selected, and the test rows of its data.

        ``data`` are those of the run, for one whose data were given in Python.
        """
        model, metrics = require_latent(member.model, "explore"), member.run.metrics()
        selected, verdict = selection(metrics, member.run.settings)
        return cls(
            member.title,
            model,
            member.data if data is None else data,
            metrics=metrics,
            evaluations=member.evaluations(),
            facts=[("command", command(member)), *protocol([member])],
            selected=selected,
            verdict=verdict,
        )


def selection(metrics: Sequence[dict[str, Any]], settings: Settings) -> tuple[int | None, str | None]:
    """Return the step of the selected weights, and whether more steps would have helped, from a log."""
    what = "bound" if any("val/bound" in row for row in metrics) else "reconstruction"
    curve = [(row["step"], row[f"val/{what}"]) for row in metrics if f"val/{what}" in row]
    rise = settings.build_objective().warm_up
    counted = [(bound, -step) for step, bound in curve if step >= rise]  # of equal bounds the first
    last = metrics[-1] if metrics else {}
    if not counted or "finished" not in last:
        return (-max(counted)[1] if counted else None), None
    early = last["step"] < last["steps"]
    return -max(counted)[1], judge(curve, settings.training, last["steps"], early, what, rise).sentence

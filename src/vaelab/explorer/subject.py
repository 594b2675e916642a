"""What the explorer shows: a model, rows of a split of its data, and what is known of its training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from vaelab.data import Dataset
from vaelab.evaluation import EvaluationRecord
from vaelab.models import LatentVariableModel
from vaelab.report import ReportedRun
from vaelab.report.tables import command, protocol

__all__ = ["Subject"]


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
    """

    title: str
    model: LatentVariableModel
    data: Dataset
    split: str = "test"
    metrics: Sequence[dict[str, Any]] = ()
    evaluations: Sequence[EvaluationRecord] = ()
    facts: Sequence[tuple[str, str]] = field(default=())

    @classmethod
    def of_run(cls, member: ReportedRun) -> Self:
        """Return the subject of a run: the weights that it selected, and the test rows of its data."""
        return cls(
            member.title,
            member.model,
            member.data,
            metrics=member.run.metrics(),
            evaluations=member.evaluations(),
            facts=[("command", command(member)), *protocol([member])],
        )

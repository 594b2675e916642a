"""One candidate trained and evaluated within its time, in a run directory of its own."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from vaelab.data import Dataset
from vaelab.errors import Failure
from vaelab.evaluation import evaluate
from vaelab.likelihood import BoundName
from vaelab.models import DensityModel, Model
from vaelab.runs import DataSource, Run
from vaelab.seeds import seeded
from vaelab.settings import Settings, resolve
from vaelab.studies.suggestion.candidates import Candidate
from vaelab.studies.suggestion.result import Tried
from vaelab.training import FitResult, check_settings, fit, for_data, train

__all__ = ["Stopped", "Trials", "codes_for"]

_STEPS = 20  # of the training that measures the time of a step
_ROWS = 100  # at least, of the evaluation that measures the time of a row
_LATE = 1.25  # times its share of the time after which a training is stopped, finished or not
_CODES, _CODES_PER_SECOND = (1000, 300, 100, 30, 10), 5_000  # of a second of the whole budget
HELD_OUT = ("validation", "test")

Watch = Callable[[str, dict[str, Any]], None]


class Stopped(Exception):
    """The user stopped a training or an evaluation; ``number`` is that of the signal."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


class _OutOfTime(Exception):
    """A training took longer than its time."""


def codes_for(data: Dataset, seconds: float) -> int:
    """Return K, how many codes of a row a lower bound has: as many as fit into a small part of the time.

    It depends on the rows and the budget alone, so that it is the same for all models.

    >>> import numpy as np
    >>> codes_for(Dataset.from_arrays(np.eye(50, dtype=np.uint8)), seconds=180)
    1000
    """
    rows = sum(len(split) for name, split in data.splits.items() if name in HELD_OUT)
    return next((codes for codes in _CODES if codes * rows <= _CODES_PER_SECOND * seconds), _CODES[-1])


@dataclass(frozen=True)
class Trials:
    """What all candidates have in common.

    Attributes:
        data: the data.
        source: where a run finds them again; None if they were given in Python.
        layer: settings of all trainings: the data, how they are read, the seed and the device.
        out: the directory of the run directories.
        codes: K of the lower bounds.
        watch: called with the name of a candidate and each row that it logs.
    """

    data: Dataset
    source: DataSource | None
    layer: Mapping[str, Any]
    out: Path
    codes: int
    watch: Watch | None = None

    def settings(self, candidate: Candidate) -> Settings:
        """Return the settings of a candidate, completed for the data.

        Raises:
            InputError: the model does not suit the data.
        """
        settings = for_data(resolve(candidate.model, candidate.settings, self.layer), self.data)
        check_settings(settings, self.data)
        return settings

    def run(self, candidate: Candidate, settings: Settings, seconds: float) -> tuple[Tried, Mapping[str, Tensor]]:
        """Train and evaluate a candidate; return its row, and its numbers of the rows of each split.

        Args:
            candidate: the model to try.
            settings: its settings.
            seconds: its share of the time.

        Raises:
            Stopped: the user stopped it.
        """
        row, begun = Tried.of(candidate), time.monotonic()
        try:
            fitted = self._fitted(settings, seconds)
            result = self._trained(candidate, fitted, begun + _LATE * seconds)
        except Failure as failure:
            return replace(row, failure=f"failed ({failure})"), {}
        run, spent = Run(self.out / candidate.name), time.monotonic() - begun
        if run.weights() is None:
            return replace(row, failure=f"not done in {spent:.0f} s"), {}
        row = replace(row, seconds=round(spent, 2), cut=_cut(result, spent, settings, fitted))
        return self._evaluated(run, row)

    def _trained(self, candidate: Candidate, settings: Settings, end: float) -> FitResult | None:
        """Train a candidate; return None if it was stopped because it took too long."""

        def logged(row: dict[str, Any]) -> None:
            if self.watch is not None:
                self.watch(candidate.name, row)
            if time.monotonic() > end:
                raise _OutOfTime

        path = self.out / candidate.name
        try:
            result = train(settings, path, data=self.data, source=self.source, overwrite=True, callback=logged)[1]
        except _OutOfTime:
            return None
        if result.stop_reason == "interrupted":
            raise Stopped(result.signal or signal.SIGINT)
        return result

    def _fitted(self, settings: Settings, seconds: float) -> Settings:
        """Return the settings with as many steps as fit into the time, after a short training that measures a step.

        A model that counts takes no steps, and has no such settings.
        """
        if "training" in settings.absent:
            return settings
        begun, training = time.monotonic(), settings.training
        short = training.model_copy(update={"steps": _STEPS, "validate_every": _STEPS})
        with seeded(settings.seed, "weights"):
            model = settings.build_model(self.data)
        built = time.monotonic()  # what a likelihood learns before the training takes as long again
        result = fit(model, self.data, settings=short, seed=settings.seed, device=settings.device)
        if result.stop_reason == "interrupted":
            raise Stopped(result.signal or signal.SIGINT)
        validation = max(0.0, time.monotonic() - built - result.seconds)
        step = result.seconds / _STEPS + validation / (training.validate_every or _STEPS)
        evaluation = self._seconds_of_evaluation(model)
        left = seconds - (time.monotonic() - begun) - (built - begun) - evaluation
        steps = min(training.steps or _STEPS, max(_STEPS, int(left / step)))
        return settings.model_copy(update={"training": training.model_copy(update={"steps": steps})})

    def _seconds_of_evaluation(self, model: Model) -> float:
        """Return how long the evaluation will take, from that of some rows."""
        held_out = self._held_out()
        rows = min(held_out["validation"], max(_ROWS, held_out["validation"] // 20))
        found = evaluate(model, self.data, "validation", _bounds(model), self.codes, rows=rows)
        record = found.records[0]
        times = len(held_out) if record.temperatures else sum(held_out.values()) / rows  # log Z serves all rows
        return (record.seconds or 0.0) * times

    def _held_out(self) -> dict[str, int]:
        """Return the rows of the splits that are evaluated."""
        return {name: len(split) for name, split in self.data.splits.items() if name in HELD_OUT}

    def _evaluated(self, run: Run, row: Tried) -> tuple[Tried, Mapping[str, Tensor]]:
        """Evaluate a trained run on the validation and the test split, and keep the numbers in it."""
        loaded, values = run.load(), {}
        for split in self._held_out():
            found = evaluate(loaded.model, self.data, split, _bounds(loaded.model), self.codes)
            found = found.of_weights(loaded.weights, loaded.step)
            record = found.records[0]
            if record.interrupted:
                raise Stopped(signal.SIGINT)
            run.add_evaluations(found.records, loaded.weights, found.values)
            row = row.with_number(split, record)
            values[split] = found.values[record.name]
        return row, values


def _bounds(model: Model) -> tuple[BoundName, ...] | None:
    """Return the number to compute: log p(x) of a density model, a lower bound of a model with codes."""
    return None if isinstance(model, DensityModel) else ("iwae",)


def _cut(result: FitResult | None, seconds: float, settings: Settings, fitted: Settings) -> str:
    """Return in what a training was cut short; an empty text if it ended by itself."""
    if result is None:
        return f"stopped after {seconds:.0f} s"
    if "training" in settings.absent:
        return ""
    default, steps = settings.training.steps or 0, fitted.training.steps or 0
    cut = steps < default and result.stop_reason == "finished"
    return f"trained for {steps:,} of {default:,} steps, to keep within the time" if cut else ""

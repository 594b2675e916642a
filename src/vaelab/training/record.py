"""What a training remembers: the estimates since the last log line, and the best weights so far."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from vaelab.models import LatentVariableModel
from vaelab.objectives import Objective
from vaelab.runs import Run
from vaelab.settings import TrainingSettings
from vaelab.training.result import Row

__all__ = ["Best", "Diverged", "Log", "Saving"]

_LONGEST = 300.0  # seconds between checkpoints at most, however far apart validations are
_QUICK, _SHARE = 0.25, 10  # a checkpoint that takes longer, in seconds, is at most an eleventh of the time


class Diverged(RuntimeError):
    """The bound or the weights stopped being finite; the last good checkpoint is kept."""


class Log:
    """Collects the estimates of the steps on the device; one synchronisation a log line."""

    def __init__(self, size: int, device: torch.device) -> None:
        self.values = torch.zeros(size, 4, device=device)
        self.width = 4
        self.count = 0
        self.seconds = 0.0
        self.started, self.counted = 0.0, 0  # since when, and after how many estimates, time is taken
        self.good = "none"

    def start(self) -> None:
        self.started, self.counted = time.perf_counter(), self.count

    def add(self, means: Tensor) -> None:
        """Take in ``Estimate.means()`` of a step."""
        self.width = len(means)
        self.values[self.count, : self.width] = means
        self.count += 1

    def require_finite(self, step: int) -> Tensor:
        """Return the values since the last row, or raise :class:`Diverged` with the step where it went wrong."""
        values = self.values[: self.count].cpu()
        finite = values.isfinite().all(1)
        if not finite.all():
            first = int((~finite).int().argmax())
            good = f"{values[first - 1, 0]:.2f}" if first else self.good
            raise Diverged(
                f"training: the bound is not finite at step {step - self.count + first + 1}; {_advice(good)}"
            )
        return values

    def row(self, step: int, total: int, batch: int, rate: float, objective: Objective) -> Row:
        """Return the means since the last row, or raise :class:`Diverged`."""
        values = self.require_finite(step)
        elapsed = time.perf_counter() - self.started
        self.seconds += elapsed
        bound, reconstruction, kl, relaxed = values.mean(0).tolist()  # the last is nought where nothing is relaxed
        self.good = f"{values[-1, 0]:.2f}"
        images = (self.count - self.counted) * batch / elapsed if elapsed > 0 else 0.0
        self.count = 0
        self.start()
        row: Row = {"step": step, "steps": total, "train/reconstruction": reconstruction}
        if objective.metric == "bound":
            row |= {"train/bound": bound, "train/kl": kl}
        if self.width == 4:
            row["train/relaxed-bound"] = relaxed
        return row | {"lr": rate, "images_per_second": round(images, 1), "seconds": round(self.seconds, 3)}

    def state_dict(self) -> dict[str, Any]:
        seconds = self.seconds + (time.perf_counter() - self.started if self.count else 0.0)
        return {"values": self.values[: self.count].clone(), "seconds": seconds, "good": self.good}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.count, self.seconds, self.good = len(state["values"]), state["seconds"], state["good"]
        self.values[: self.count] = state["values"].to(self.values.device)


def _advice(good: str) -> str:
    return (
        f"the last good value was {good}; try a lower training.learning_rate, training.clip=10 or more training.warmup"
    )


class Best:
    """The weights of the best validation bound: in the run directory, or in memory without one."""

    def __init__(self, model: LatentVariableModel, run: Run | None, settings: TrainingSettings) -> None:
        self.model, self.run, self.settings = model, run, settings
        self.bound, self.step, self.validations_since = float("-inf"), 0, 0
        self.weights: dict[str, Tensor] = {}
        self.curve: list[tuple[int, float]] = []  # every validation

    def offer(self, bound: float, step: int) -> None:
        """Keep the present weights if their bound is better; refuse weights that are not finite.

        While beta rises nothing is kept, for the training maximises another objective than this bound; and until the
        learning rate has risen too, no patience is used up.
        """
        if not math.isfinite(bound):
            good = f"{self.bound:.2f}" if self.weights else "none"
            raise Diverged(f"training: the validation bound is {bound} at step {step}; {_advice(good)}")
        self.curve.append((step, bound))
        if step < self.settings.kl_warmup:
            return
        self.validations_since += step > self.settings.warmup
        if bound > self.bound:
            self.bound, self.step, self.validations_since = bound, step, 0
            self.weights = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
            self.write()

    @property
    def out_of_patience(self) -> bool:
        """Whether too many validations have passed without a better one."""
        return self.settings.patience is not None and self.validations_since >= self.settings.patience

    def write(self) -> None:
        """Write the best weights; after a checkpoint was loaded too, which may be older than those in the directory."""
        if self.run is not None and self.weights:
            self.run.save_weights(self.weights)

    def require_finite_weights(self, model: LatentVariableModel, step: int) -> None:
        """Raise :class:`Diverged` before weights that are not finite are written."""
        if not all(bool(value.isfinite().all()) for value in model.state_dict().values()):
            good = f"{self.bound:.2f}" if self.weights else "none"
            raise Diverged(f"training: the weights are not finite at step {step}; {_advice(good)}")

    def restore(self, model: LatentVariableModel) -> None:
        """Give the model the best weights."""
        if self.weights:
            model.load_state_dict(self.weights)

    def state_dict(self) -> dict[str, Any]:
        keys = ("bound", "step", "validations_since", "weights", "curve")
        return {key: getattr(self, key) for key in keys}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for key, value in state.items():
            setattr(self, key, value)


class Saving:
    """When a checkpoint is due: at each validation, and after five minutes; less often where it takes long to write."""

    def __init__(self) -> None:
        self.since, self.took = time.monotonic(), 0.0

    def due(self, validated: bool, ends: bool) -> bool:
        """Return whether to write one after this step."""
        waited = time.monotonic() - self.since
        rest = _SHARE * self.took if self.took > _QUICK else 0.0
        return ends or (validated and waited >= rest) or waited > _LONGEST

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Take the time of writing one, inside the block."""
        started = time.monotonic()
        yield
        self.since = time.monotonic()
        self.took = self.since - started

"""The log of a training: means over the steps between two rows, and the check that they are finite."""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import Tensor

from vaelab.errors import Failure
from vaelab.objectives import Objective
from vaelab.training.result import Row

__all__ = ["Diverged", "Log", "advice"]


class Diverged(Failure):
    """The bound or the weights stopped being finite; the last good checkpoint is kept."""


def advice(last_good: str) -> str:
    """Return the advice at the end of the message of :class:`Diverged`."""
    return f"the last good value was {last_good}; try a lower learning_rate, clip=10 or more warmup"


_ROOM = 1000  # steps between two rows for which there is room from the start


class Log:
    """Collects the means of the steps on the device, so that only a row of the log waits for the device.

    Args:
        device: the device of the training.
    """

    def __init__(self, device: torch.device) -> None:
        self.values = torch.zeros(_ROOM, 4, device=device)
        self.width = 4
        self.count = 0
        self.seconds = 0.0
        self.started, self.counted = 0.0, 0  # the time is that since ``started``, of the steps after ``counted``
        self.last_good = "none"

    def start(self) -> None:
        """Start the clock: at the beginning, and again after a validation, which is not training time."""
        self.started, self.counted = time.perf_counter(), self.count

    def add(self, means: Tensor) -> None:
        """Add ``Estimate.means()`` of a step."""
        self.width = len(means)
        self._make_room(self.count + 1)
        self.values[self.count, : self.width] = means
        self.count += 1

    def _make_room(self, count: int) -> None:
        """Make room for the means of so many steps, and for as many again."""
        if count > len(self.values):
            room = self.values.new_zeros(2 * count, self.values.shape[1])
            room[: len(self.values)] = self.values
            self.values = room

    def require_finite(self, step: int) -> Tensor:
        """Return the values since the last row.

        Raises:
            Diverged: one of them is not finite; names the step where that began.
        """
        values = self.values[: self.count].cpu()
        finite = values.isfinite().all(1)
        if not finite.all():
            first = int((~finite).int().argmax())
            last_good = f"{values[first - 1, 0]:.2f}" if first else self.last_good
            at = step - self.count + first + 1
            raise Diverged(f"training: the bound is not finite at step {at}; {advice(last_good)}")
        return values

    def row(self, step: int, steps: int, batch_size: int, learning_rate: float, objective: Objective) -> Row:
        """Return the means since the last row, with the time and the speed.

        Raises:
            Diverged: see :meth:`require_finite`.
        """
        values = self.require_finite(step)
        elapsed = time.perf_counter() - self.started
        self.seconds += elapsed
        bound, reconstruction, kl, relaxed = values.mean(0).tolist()  # the last is zero if nothing is relaxed
        self.last_good = f"{values[-1, 0]:.2f}"
        per_second = (self.count - self.counted) * batch_size / elapsed if elapsed > 0 else 0.0
        self.count = 0
        self.start()
        row: Row = {"step": step, "steps": steps}
        if objective.metric not in ("bound", "reconstruction"):
            row[f"train/{objective.metric_of_step or objective.metric}"] = bound
        else:
            row["train/reconstruction"] = reconstruction
        if objective.metric == "bound":
            row |= {"train/bound": bound, "train/kl": kl}
        if self.width == 4:
            row["train/relaxed-bound"] = relaxed
        speed = {"observations_per_second": round(per_second, 1), "seconds": round(self.seconds, 3)}
        return row | {"lr": learning_rate, **speed}

    def state_dict(self) -> dict[str, Any]:
        seconds = self.seconds + (time.perf_counter() - self.started if self.count else 0.0)
        return {"values": self.values[: self.count].clone(), "seconds": seconds, "last_good": self.last_good}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.count, self.seconds, self.last_good = len(state["values"]), state["seconds"], state["last_good"]
        self._make_room(self.count)
        self.values[: self.count] = state["values"].to(self.values.device)

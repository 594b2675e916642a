"""Baselines: what is subtracted from the learning signal of a code without changing the gradient's mean."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal

import torch
from torch import Tensor, nn

from vaelab.objectives import Objective

__all__ = ["BASELINES", "BaselineName", "leave_one_out"]

BaselineName = Literal["none", "running-average", "leave-one-out"]


class Baseline(nn.Module, ABC):
    """Maps values (K, B), detached, to learning signals (K, B); the baseline of a code never depends on it."""

    @abstractmethod
    def forward(self, objective: Objective, values: Tensor) -> Tensor:
        """Return the learning signal of each code."""


class NoBaseline(Baseline):
    """Subtracts nothing."""

    def forward(self, objective: Objective, values: Tensor) -> Tensor:
        """Return the plain signals."""
        return objective.signal(values, 0.0)


class RunningAverage(Baseline):
    """Subtracts the exponential average of the values of past batches (before this one).

    Formula: c <- decay c + (1 - decay) mean objective(values), divided by 1 - decay^t against the start at
    zero. Source: Mnih & Gregor (2014), https://arxiv.org/abs/1402.0030, section 2.3.
    """

    average: Tensor
    weight: Tensor

    def __init__(self, decay: float = 0.9) -> None:
        super().__init__()
        self.decay = decay
        self.register_buffer("average", torch.zeros(()))
        self.register_buffer("weight", torch.zeros(()))

    def forward(self, objective: Objective, values: Tensor) -> Tensor:
        """Return the signals under the average of the past; then, in training mode, take this batch in."""
        # clone: the buffers change in place below, the signal must not
        baseline = (self.average / self.weight.clamp_min(1e-12)).clone()
        if self.training:
            self.average.lerp_(objective(values).mean().to(self.average.dtype), 1 - self.decay)
            self.weight.lerp_(torch.ones_like(self.weight), 1 - self.decay)
        return objective.signal(values, baseline)


class LeaveOneOut(Baseline):
    """Subtracts what the objective would be had the code behaved as the others on average.

    For the mean this is RLOO (Kool, van Hoof & Welling, 2019, https://openreview.net/forum?id=r1lgTGL5DE),
    for log-mean-exp it is VIMCO (Mnih & Rezende, 2016, https://arxiv.org/abs/1602.06725).
    """

    def forward(self, objective: Objective, values: Tensor) -> Tensor:
        """Return objective(values) - objective(values with the k-th replaced by the mean of the others)."""
        return leave_one_out(objective, values)


def leave_one_out(objective: Objective, values: Tensor) -> Tensor:
    """Return the leave-one-out learning signals (K, B) of values (K, B), K of at least 2.

    Formula: s_k = L(v) - L(v with v_k <- mean_{j != k} v_j).

    >>> from vaelab.objectives import ELBO
    >>> leave_one_out(ELBO(), torch.tensor([[1.0], [3.0]]))
    tensor([[-1.],
            [ 1.]])
    """
    count = len(values)
    others = (values.sum(0) - values) / (count - 1)  # (K, B): mean of the other codes' values
    replaced = torch.where(
        torch.eye(count, dtype=torch.bool, device=values.device).unsqueeze(-1), others, values.unsqueeze(1)
    )  # (K values, K left out, B)
    return objective(values) - objective(replaced)


BASELINES: dict[str, type[Baseline]] = {
    "none": NoBaseline,
    "running-average": RunningAverage,
    "leave-one-out": LeaveOneOut,
}

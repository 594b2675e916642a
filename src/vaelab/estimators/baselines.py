"""Baselines: what is subtracted from the learning signal of a code without changing the gradient's mean."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from vaelab.distributed import mean_over_ranks
from vaelab.distributions import map_parameters
from vaelab.errors import InputError
from vaelab.objectives import Objective

__all__ = ["BASELINES", "Baseline", "BaselineName", "leave_one_out"]

BaselineName = Literal["none", "running-average", "leave-one-out", "network"]


class Baseline(nn.Module, ABC):
    """Maps values (K, B), detached, to learning signals (K, B); the baseline of a code never depends on it.

    With the signals comes the baseline's own loss, shape (), or None if it learns nothing by gradient.
    """

    @abstractmethod
    def forward(self, objective: Objective, values: Tensor, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the learning signal of each code, and the baseline's own loss."""

    def prepare(self, x: Tensor) -> None:
        """Create, once, the parameters whose sizes depend on the observations (B, X)."""

    def normalised(self, q: Distribution) -> Distribution:
        """Return q with the gradients that will flow into it on the scale this baseline wants."""
        return q


class NoBaseline(Baseline):
    """Subtracts nothing."""

    def forward(self, objective: Objective, values: Tensor, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the plain signals."""
        return objective.signal(values, 0.0), None


class _Running(nn.Module):
    """Exponential average, s <- decay s + (1 - decay) value, divided by 1 - decay^t against its start at zero."""

    total: Tensor
    weight: Tensor

    def __init__(self, decay: float) -> None:
        super().__init__()
        self.decay = decay
        self.register_buffer("total", torch.zeros(()))
        self.register_buffer("weight", torch.zeros(()))

    def forward(self) -> Tensor:
        """Return the average of the past; zero before anything was seen."""
        return self.total / self.weight.clamp_min(1e-12)  # a new tensor: the buffers change in place

    def take(self, value: Tensor) -> None:
        """Take a value in."""
        self.total.lerp_(value.to(self.total.dtype), 1 - self.decay)
        self.weight.lerp_(torch.ones_like(self.weight), 1 - self.decay)


class RunningAverage(Baseline):
    """Subtracts the exponential average of the values of past batches (before this one).

    Formula: c <- decay c + (1 - decay) mean objective(values), divided by 1 - decay^t against the start at
    zero. Source of the idea: Mnih & Gregor (2014), https://arxiv.org/abs/1402.0030, section 2.3; the decay is ours.
    """

    def __init__(self, decay: float = 0.9) -> None:
        super().__init__()
        self.average = _Running(decay)

    def forward(self, objective: Objective, values: Tensor, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the signals under the average of the past; then, in training mode, take this batch in."""
        signal = objective.signal(values, self.average())
        if self.training:
            self.average.take(mean_over_ranks(objective(values).mean()))
        return signal, None


class LeaveOneOut(Baseline):
    """Subtracts what the objective would be had the code behaved as the others on average.

    For the mean this is RLOO (Kool, van Hoof & Welling, 2019, https://openreview.net/forum?id=r1lgTGL5DE),
    for log-mean-exp it is VIMCO (Mnih & Rezende, 2016, https://arxiv.org/abs/1602.06725), with the geometric mean
    of the other weights: the mean of their logarithms.
    """

    def forward(self, objective: Objective, values: Tensor, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return objective(values) - objective(values with the k-th replaced by the mean of the others)."""
        return leave_one_out(objective, values), None


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


class Network(Baseline):
    """Subtracts a network of the observation plus a running average, and normalises the variance (NVIL).

    Formula: s_k = v_k - c - C(x), the gradients that reach the encoder divided by max(1, sqrt(variance of s)).
    C is one hidden layer of 100 tanh units that minimises (objective(v) - c - C(x))^2; c and the variance are
    exponential averages over past batches, decay 0.8. The division changes the length of the encoder's
    gradient, never its direction, and is the same for every observation: it applies to a closed-form KL too.

    Source: Mnih & Gregor (2014), https://arxiv.org/abs/1402.0030, sections 2.3.1 to 2.3.3 and appendix A.
    There the averages already hold the present batch; here only past ones, which keeps the mean exact.
    """

    def __init__(self, decay: float = 0.8, hidden: int = 100) -> None:
        super().__init__()
        self.centre, self.variance = _Running(decay), _Running(decay)
        self.hidden = hidden
        self.network: nn.Sequential | None = None

    def prepare(self, x: Tensor) -> None:
        """Create C for observations (B, X)."""
        if self.network is None:
            layers = (nn.Linear(x.shape[-1], self.hidden), nn.Tanh(), nn.Linear(self.hidden, 1))
            self.network = nn.Sequential(*layers).to(x)

    def forward(self, objective: Objective, values: Tensor, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the signals and the squared error of C; in training mode take this batch in."""
        if self.network is None:
            raise InputError("estimator.baseline: 'network' has the size of the data; call prepare(x, q) before score")
        predicted = self.centre() + self.network(x).squeeze(-1)  # (B,)
        signal = objective.signal(values, predicted.detach())
        error = objective(values) - predicted  # (B,)
        if self.training:
            surprise = (error + self.centre()).detach()
            mean = mean_over_ranks(surprise.mean())
            self.variance.take(mean_over_ranks((surprise - mean).square().mean()))
            self.centre.take(mean)
        return signal, error.square().mean()

    def normalised(self, q: Distribution) -> Distribution:
        """Return q with the gradients into it divided by max(1, standard deviation of past signals)."""
        factor = self.variance().sqrt().clamp_min(1.0).reciprocal()
        return map_parameters(q, lambda p: p.detach() + factor * (p - p.detach()))


BASELINES: dict[str, type[Baseline]] = {
    "none": NoBaseline,
    "running-average": RunningAverage,
    "leave-one-out": LeaveOneOut,
    "network": Network,
}

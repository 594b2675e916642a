"""Baselines: numbers that are subtracted from the learning signal of a code without changing the mean of the
gradient.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from vaelab.distributed import mean_over_ranks
from vaelab.distributions import map_parameters
from vaelab.errors import require_choice
from vaelab.estimators.contract import Sizes, require_samples
from vaelab.objectives import Objective

__all__ = ["BASELINES", "Baseline", "BaselineName", "build_baseline", "leave_one_out", "observation_network"]


class Baseline(nn.Module, ABC):
    """Maps signal terms (K, B), detached, to learning signals (K, B); the baseline of a code never depends on it.

    With the signals comes the loss of the baseline's parameters, shape (), or None if it learns nothing by gradient.

    Attributes:
        name: what users type.
        subtracts: what it subtracts, for the documentation.
        source: where it was published, for the documentation.
        least_samples: the fewest codes K that it works with.
        normalises: whether it may scale the gradient of the encoder, if it does so at all.

    Args:
        data_dim: X, size of an observation.
    """

    name: ClassVar[str]
    subtracts: ClassVar[str]
    source: ClassVar[str] = ""
    least_samples: ClassVar[int] = 1
    normalises: bool = True

    def __init__(self, data_dim: int) -> None:
        super().__init__()

    @abstractmethod
    def forward(self, objective: Objective, values: Tensor, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the learning signal of each code, and the loss of the baseline's parameters."""

    def normalised(self, q: Distribution) -> Distribution:
        """Return q with the gradients that will flow into it on the scale that this baseline wants."""
        return q


class NoBaseline(Baseline):
    """Subtracts nothing."""

    name: ClassVar[str] = "none"
    subtracts: ClassVar[str] = "nothing"

    def forward(self, objective: Objective, values: Tensor, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the plain signals."""
        return objective.signal(values, 0.0), None


class _Running(nn.Module):
    """Exponential average, `s <- decay s + (1 - decay) value`, divided by `1 - decay^t` to correct for the start at
    zero.
    """

    total: Tensor
    weight: Tensor

    def __init__(self, decay: float) -> None:
        super().__init__()
        self.decay = decay
        self.register_buffer("total", torch.zeros(()))
        self.register_buffer("weight", torch.zeros(()))

    def forward(self) -> Tensor:
        """Return the average of the past values; zero before the first."""
        return self.total / self.weight.clamp_min(1e-12)  # a new tensor: the buffers change in place

    def update(self, value: Tensor) -> None:
        """Include a value."""
        self.total.lerp_(value.to(self.total.dtype), 1 - self.decay)
        self.weight.lerp_(torch.ones_like(self.weight), 1 - self.decay)


class RunningAverage(Baseline):
    """Subtracts the exponential average of the objective over past batches (without the present one).

    Formula: `c <- decay c + (1 - decay) mean L(v)`, divided by `1 - decay^t` to correct for the start at zero.
    Source of the idea: Mnih & Gregor (2014), https://arxiv.org/abs/1402.0030, section 2.3; the decay is ours.
    """

    name: ClassVar[str] = "running-average"
    subtracts: ClassVar[str] = (
        "the exponential average (decay 0.9) of the objective in past batches, without the present one"
    )
    source: ClassVar[str] = "Mnih & Gregor (2014), <https://arxiv.org/abs/1402.0030>, section 2.3"

    def __init__(self, data_dim: int, decay: float = 0.9) -> None:
        super().__init__(data_dim)
        self.average = _Running(decay)

    def forward(self, objective: Objective, values: Tensor, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the signals under the average of the past; then, in training mode, include this batch."""
        signal = objective.signal(values, self.average())
        if self.training:
            self.average.update(mean_over_ranks(objective(values).mean()))
        return signal, None


class LeaveOneOut(Baseline):
    """Subtracts the objective with the log-weight of the code replaced by the mean of the others.

    For the mean this is RLOO (Kool, van Hoof & Welling, 2019, https://openreview.net/forum?id=r1lgTGL5DE), for
    log-mean-exp it is VIMCO (Mnih & Rezende, 2016, https://arxiv.org/abs/1602.06725) with the geometric mean of the
    other weights, that is, the mean of their logarithms.
    """

    name: ClassVar[str] = "leave-one-out"
    subtracts: ClassVar[str] = "the objective with the log-weight of the code replaced by the mean of the others"
    source: ClassVar[str] = (
        "Kool, van Hoof & Welling (2019), <https://openreview.net/forum?id=r1lgTGL5DE>; VIMCO: Mnih & Rezende (2016), "
        "<https://arxiv.org/abs/1602.06725>"
    )
    least_samples: ClassVar[int] = 2

    def forward(self, objective: Objective, values: Tensor, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return objective(values) - objective(values with the k-th replaced by the mean of the others)."""
        return leave_one_out(objective, values), None


def leave_one_out(objective: Objective, values: Tensor) -> Tensor:
    """Return the leave-one-out learning signals (K, B) of values (K, B), K of at least 2.

    Formula: `s_k = L(v) - L(v with v_k <- mean_{j != k} v_j)`.

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


def observation_network(data_dim: int, hidden: int = 100) -> nn.Sequential:
    """Return a network from observations (B, X) to a number each, (B, 1): one layer of tanh units."""
    return nn.Sequential(nn.Linear(data_dim, hidden), nn.Tanh(), nn.Linear(hidden, 1))


class Network(Baseline):
    """Subtracts a network of the observation plus a running average, and normalises the variance (NVIL).

    Formula: `s_k = v_k - c - C(x)`; the gradient of the encoder is divided by `max(1, sqrt(v_s))`, where `v_s` is
    the variance of the signals. `C` has one hidden layer of 100 tanh units and minimises `(L(v) - c - C(x))^2`; `c`
    and the variance are exponential averages over past batches with decay 0.8. The division changes the length of
    the encoder's gradient, not its direction, and is the same for every observation. It applies to a closed-form KL
    too. Source: Mnih & Gregor (2014), https://arxiv.org/abs/1402.0030, sections 2.3.1 to 2.3.3 and appendix A. There
    the averages include the present batch; here they contain only past batches, which keeps the mean exact.
    """

    name: ClassVar[str] = "network"
    subtracts: ClassVar[str] = (
        "a network of the observation, plus a running average (NVIL); it also divides the encoder's gradient by the "
        "standard deviation of the signals, if that is above 1"
    )
    source: ClassVar[str] = "Mnih & Gregor (2014), <https://arxiv.org/abs/1402.0030>"

    def __init__(self, data_dim: int, decay: float = 0.8) -> None:
        super().__init__(data_dim)
        self.centre, self.variance = _Running(decay), _Running(decay)
        self.network = observation_network(data_dim)

    def forward(self, objective: Objective, values: Tensor, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the signals and the squared error of C; in training mode include this batch in the averages."""
        predicted = self.centre() + self.network(x).squeeze(-1)  # (B,)
        signal = objective.signal(values, predicted.detach())
        error = objective(values) - predicted  # (B,)
        if self.training:
            surprise = (error + self.centre()).detach()
            mean = mean_over_ranks(surprise.mean())
            self.variance.update(mean_over_ranks((surprise - mean).square().mean()))
            self.centre.update(mean)
        return signal, error.square().mean()

    def normalised(self, q: Distribution) -> Distribution:
        """Return q with the gradients into it divided by max(1, standard deviation of past signals)."""
        if not self.normalises:
            return q
        factor = self.variance().sqrt().clamp_min(1.0).reciprocal()
        return map_parameters(q, lambda p: p.detach() + factor * (p - p.detach()))


BASELINES: dict[str, type[Baseline]] = {kind.name: kind for kind in (NoBaseline, RunningAverage, LeaveOneOut, Network)}

if TYPE_CHECKING:
    BaselineName = str
else:
    BaselineName = Literal[tuple(BASELINES)]  # settings and their documentation read the choices from it


def build_baseline(name: BaselineName, sizes: Sizes, samples: int) -> Baseline:
    """Build a baseline by name, or raise an :class:`~vaelab.errors.InputError` for one that needs more codes."""
    require_choice("baseline", name, BASELINES)
    kind = BASELINES[name]
    require_samples(samples, kind.least_samples, f" for the baseline {name}")
    return kind(sizes.data_dim)

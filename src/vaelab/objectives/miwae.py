"""Bounds of groups of codes: MIWAE, the mean of their importance-weighted bounds, and PIWAE, for the encoder alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from vaelab.errors import InputError, require_int
from vaelab.objectives.contract import Combination, Objective
from vaelab.objectives.iwae import log_mean_exp

__all__ = ["MIWAE", "PIWAE"]


@dataclass(frozen=True)
class _OfGroups(Objective):
    """Base of the objectives of K codes in ``groups`` groups of equal size."""

    combination: ClassVar[Combination] = "importance-weighted"
    samples: ClassVar[int] = 8
    groups: int = 2

    def __post_init__(self) -> None:
        require_int("groups", self.groups, 1)

    def require_samples(self, samples: int) -> int:
        """Return a number of codes that the groups divide, or refuse it."""
        if samples % self.groups:
            raise InputError(
                f"objective.groups: expected a divisor of the number of codes, estimator.samples={samples}; got "
                f"{self.groups}"
            )
        return samples

    def grouped(self, log_weights: Tensor) -> Tensor:
        """Return log-weights (K, ...) by group, (K/M, M, ...)."""
        size = self.require_samples(len(log_weights)) // self.groups
        return log_weights.reshape(self.groups, size, *log_weights.shape[1:]).transpose(0, 1)


@dataclass(frozen=True)
class MIWAE(_OfGroups):
    """Mean of M importance-weighted bounds, each of a group of K/M of the K codes:

    `1/M sum_m log M/K sum_(k in group m) w_k`.

    One group gives the IWAE of all codes, groups of one code the mean of the log-weights (the ELBO). Its mean is that
    of the IWAE of K/M codes, and so is the mean of its gradient; both vary less, because M of them are averaged. The
    gradient of an encoder loses its signal in the noise as the codes of an IWAE grow (Rainforth et al., 2018,
    section 3); more groups of fewer codes restore it.

    Source: Rainforth et al. (2018), https://arxiv.org/abs/1802.04537.

    Args:
        groups: M, which divides the number of codes.

    Raises:
        InputError: fewer than one group, or (when codes are combined) a number of codes that the groups do not divide.

    >>> MIWAE(groups=2)(torch.tensor([[1.0], [1.0], [3.0], [3.0]]))
    tensor([2.])
    """

    name: ClassVar[str] = "miwae"
    formula: ClassVar[str] = r"$L(v) = \frac{1}{M}\sum_m \log\frac{M}{K}\sum_{k\in m} e^{v_k}$"
    signal_formula: ClassVar[str] = r"$(L_m(v) - \text{baseline})/M$ of its group $m$"

    def __call__(self, log_weights: Tensor) -> Tensor:
        return log_mean_exp(self.grouped(log_weights)).mean(0)

    def signal(self, log_weights: Tensor, baseline: Tensor | float) -> Tensor:
        # The bounds of the other groups do not depend on z_k, so that only that of its own group remains.
        signals = (log_mean_exp(self.grouped(log_weights)) - baseline) / self.groups  # (M, B)
        return signals.repeat_interleave(len(log_weights) // self.groups, 0)

    def path_factor(self, log_weights: Tensor) -> Tensor:
        return torch.softmax(self.grouped(log_weights), 0).transpose(0, 1).flatten(0, 1)


@dataclass(frozen=True)
class PIWAE(_OfGroups):
    """Partially importance-weighted: decoder and prior maximise the IWAE of all K codes, the encoder the MIWAE of M
    groups.

    `decoder and prior: log 1/K sum_k w_k; encoder: 1/M sum_m log M/K sum_(k in group m) w_k`

    A tighter bound is better for the model, but worse for the gradient of the encoder; each gets the target that suits
    it, from the same codes. The reported bound is that of decoder and prior, the IWAE of K codes.

    Source: Rainforth et al. (2018), https://arxiv.org/abs/1802.04537.

    Args:
        groups: M of the encoder's target, which divides the number of codes.

    Raises:
        InputError: see :class:`MIWAE`.

    >>> objective = PIWAE(groups=2)
    >>> objective.encoder
    MIWAE(groups=2)
    >>> objective(torch.zeros(4, 1))
    tensor([0.])
    """

    name: ClassVar[str] = "piwae"
    formula: ClassVar[str] = r"$L(v) = \log\frac{1}{K}\sum_k e^{v_k}$; of the encoder that of `miwae`"
    signal_formula: ClassVar[str] = MIWAE.signal_formula

    def __call__(self, log_weights: Tensor) -> Tensor:
        return log_mean_exp(log_weights)

    @property
    def encoder(self) -> MIWAE:
        """What the encoder maximises."""
        return MIWAE(self.groups)

"""The path of distributions from a start, q(z|x) or p(z), to p(x, z), and how densely it is walked."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaelab.errors import require_choice
from vaelab.models import LatentVariableModel

__all__ = ["Path", "Place", "Start", "temperatures_between"]

Start = Literal["posterior", "prior"]
_STEEPNESS = 4.0  # of the sigmoid along which the temperatures lie


@dataclass(frozen=True)
class Place:
    """Codes z (K, B, D), the log-densities of both ends of the path there, (K, B) each, and their gradients, (K, B, D).

    The gradients are None where no kernel asked for them.
    """

    z: Tensor
    start: Tensor
    joint: Tensor
    start_gradient: Tensor | None = None
    joint_gradient: Tensor | None = None

    def log_density(self, temperature: float) -> Tensor:
        """Return log f_t(z), (K, B)."""
        return (1 - temperature) * self.start + temperature * self.joint

    def gradient(self, temperature: float) -> Tensor:
        """Return the gradient of log f_t at z, (K, B, D)."""
        assert self.start_gradient is not None
        assert self.joint_gradient is not None
        return (1 - temperature) * self.start_gradient + temperature * self.joint_gradient

    @property
    def log_ratio(self) -> Tensor:
        """`log p(x, z) - log f_0(z)`, (K, B)."""
        return self.joint - self.start

    def moved(self, to: Place, accepted: Tensor) -> Place:
        """Return the place of each chain: the new one where a move was accepted, (K, B), else the old one."""

        def chosen(new: Tensor | None, old: Tensor | None) -> Tensor | None:
            if new is None or old is None:
                return None
            return torch.where(accepted if new.ndim == accepted.ndim else accepted.unsqueeze(-1), new, old)

        return Place(
            torch.where(accepted.unsqueeze(-1), to.z, self.z),
            torch.where(accepted, to.start, self.start),
            torch.where(accepted, to.joint, self.joint),
            chosen(to.start_gradient, self.start_gradient),
            chosen(to.joint_gradient, self.joint_gradient),
        )


class Path:
    """The geometric path `f_t(z) = f_0(z)^(1 - t) p(x, z)^t` for observations x (B, X).

    `f_0` is q(z|x) (``posterior``) or p(z) (``prior``); both are normalised, so that the ratio of the normalising
    constants at t = 1 and t = 0 is p(x).

    Args:
        model: the model.
        x: observations in the model's type.
        start: where the path starts.
        gradients: whether :meth:`at` computes gradients.
    """

    def __init__(self, model: LatentVariableModel, x: Tensor, start: Start, gradients: bool) -> None:
        require_choice("start", start, get_args(Start))
        # a tensor that was made in inference mode cannot be part of a graph, but a copy of it can
        self.model, self.x, self.gradients = model, x.clone() if x.is_inference() else x, gradients
        with torch.no_grad():
            q: Distribution = model.posterior(self.x) if start == "posterior" else model.prior()
            self.first = q if start == "posterior" else q.expand(torch.Size([len(x)]))
            self.prior: Distribution | None = model.prior() if start == "posterior" else None  # None: it is the start

    @cached_property
    def scale(self) -> Tensor:
        """Standard deviations of the start, (B, D); 1 where they are infinite or unknown."""
        with torch.no_grad():
            try:
                deviations: Tensor = self.first.stddev
            except NotImplementedError:  # as torch says of some transformed distributions
                return self.x.new_ones(1, 1)
            return torch.where(deviations.isfinite() & (deviations > 0), deviations, 1.0)

    def sample(self, chains: int) -> Tensor:
        """Draw codes from the start of the path, (K, B, D)."""
        with torch.no_grad():
            z: Tensor = self.first.sample(torch.Size([chains]))
        return z

    def at(self, z: Tensor) -> Place:
        """Return the log-densities at codes z (K, B, D), and their gradients if the path has them."""
        if not self.gradients:
            with torch.no_grad():
                return Place(z, *self._densities(z))
        with torch.enable_grad():
            z = z.detach().requires_grad_()
            start, joint = self._densities(z)
            of_start, of_joint = _gradient(start, z), _gradient(joint, z)
        return Place(z.detach(), start.detach(), joint.detach(), of_start, of_joint)

    def _densities(self, z: Tensor) -> tuple[Tensor, Tensor]:
        start: Tensor = self.first.log_prob(z)
        log_prior: Tensor = start if self.prior is None else self.prior.log_prob(z)
        return start, log_prior + self.model.log_likelihood(self.x, z)


def _gradient(log_density: Tensor, z: Tensor) -> Tensor:
    """Return the gradient at z, (K, B, D): 0 where the log-density does not depend on z, as that of a uniform prior."""
    if not log_density.requires_grad:
        return torch.zeros_like(z)
    (gradient,) = torch.autograd.grad(log_density.sum(), z, retain_graph=True, allow_unused=True)
    return torch.zeros_like(z) if gradient is None else gradient


def temperatures_between(count: int) -> list[float]:
    """Return ``count + 1`` temperatures from 0 to 1, closer to each other near both ends.

    Formula: `t_k = (s(d (2k / T - 1)) - s(-d)) / (s(d) - s(-d))`, s the sigmoid and d = 4: the schedule of Wu et al.
    (2017), https://arxiv.org/abs/1611.04273.

    >>> temperatures_between(2)
    [0.0, 0.5, 1.0]
    """

    def sigmoid(value: float) -> float:
        return 1 / (1 + math.exp(-value))

    low, high = sigmoid(-_STEEPNESS), sigmoid(_STEEPNESS)
    inner = [(sigmoid(_STEEPNESS * (2 * k / count - 1)) - low) / (high - low) for k in range(1, count)]
    return [0.0, *inner, 1.0]

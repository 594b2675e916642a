"""Markov kernels that leave a distribution of the path unchanged: for real codes and for bits.

A kernel moves all chains at once, from a :class:`~vaelab.likelihood.annealing.Place` to the next, and says which share
of its proposals was accepted. Its step size is a number that is tuned before, in a run of its own, and then fixed: a
kernel that adapts while weights are collected would bias them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from vaelab.distributions import Code
from vaelab.errors import InputError, require_choice
from vaelab.likelihood.annealing import Path, Place

__all__ = ["KERNELS", "Gibbs", "HamiltonianMonteCarlo", "Kernel", "Langevin", "kernel_for"]


class Kernel(ABC):
    """Base of the kernels.

    Attributes:
        name: what users type.
        code: the kind of code that it moves.
        gradients: whether it needs gradients of the log-density.
        first_step: step size where the tuning begins; None where there is nothing to tune.
        acceptance: the share of accepted proposals that the tuning aims at.
    """

    name: ClassVar[str]
    code: ClassVar[Code]
    gradients: ClassVar[bool] = True
    first_step: ClassVar[float | None] = None
    acceptance: ClassVar[float] = 1.0

    @abstractmethod
    def move(self, path: Path, place: Place, temperature: float, step: float) -> tuple[Place, Tensor]:
        """Return where the chains are after one move at a temperature, and the acceptance probabilities, (K, B)."""


class HamiltonianMonteCarlo(Kernel):
    """Hamiltonian Monte Carlo for real codes: leapfrog steps with fresh momenta, accepted or refused as a whole.

    Momenta are scaled by the standard deviations of the start of the path, so that one step size fits all units.
    Sources: Duane et al. (1987), https://doi.org/10.1016/0370-2693(87)91197-X; Neal (2011),
    https://arxiv.org/abs/1206.1901, section 5.3.
    """

    name = "hmc"
    code = "real"
    first_step = 0.3
    acceptance = 0.65
    leapfrogs: ClassVar[int] = 5

    def move(self, path: Path, place: Place, temperature: float, step: float) -> tuple[Place, Tensor]:
        momentum = torch.randn_like(place.z)
        new, left = self.leapfrog(path, place, momentum, temperature, step * path.scale)
        before = place.log_density(temperature) - 0.5 * momentum.square().sum(-1)
        after = new.log_density(temperature) - 0.5 * left.square().sum(-1)
        chance = (after - before).nan_to_num(nan=-torch.inf).clamp(max=0).exp()
        return place.moved(new, torch.rand_like(chance) < chance), chance

    def leapfrog(
        self, path: Path, place: Place, momentum: Tensor, temperature: float, step: Tensor
    ) -> tuple[Place, Tensor]:
        """Follow the dynamics from a place, and return where it ends and the momenta there."""
        momentum = momentum + 0.5 * step * place.gradient(temperature)
        for number in range(self.leapfrogs):
            place = path.at(place.z + step * momentum)
            half = 0.5 if number == self.leapfrogs - 1 else 1.0
            momentum = momentum + half * step * place.gradient(temperature)
        return place, momentum


class Langevin(Kernel):
    """Metropolis-adjusted discrete Langevin proposals for bits: all bits are proposed to flip at once, each on its own.

    Formula: bit j flips with probability `sigmoid(1/2 g_j (1 - 2 z_j) - 1 / (2 a))`, g the gradient of the log-density
    where bits are read as real numbers, a the step size. Two evaluations of the density move all bits. Source: Zhang,
    Liu & Liu (2022), https://arxiv.org/abs/2206.09914.
    """

    name = "langevin"
    code = "bits"
    first_step = 0.2
    acceptance = 0.574

    def move(self, path: Path, place: Place, temperature: float, step: float) -> tuple[Place, Tensor]:
        logits = self.flip_logits(place, temperature, step)
        flips = (torch.rand_like(logits) < torch.sigmoid(logits)).to(logits.dtype)
        new = path.at((place.z - flips).abs())
        chance = self.chance(place, new, flips, temperature, step)
        return place.moved(new, torch.rand_like(chance) < chance), chance

    def flip_logits(self, place: Place, temperature: float, step: float) -> Tensor:
        """Return the logits with which the bits are proposed to flip, (K, B, D)."""
        return 0.5 * place.gradient(temperature) * (1 - 2 * place.z) - 0.5 / step

    def chance(self, place: Place, new: Place, flips: Tensor, temperature: float, step: float) -> Tensor:
        """Return the probability with which a proposal is accepted, (K, B)."""
        forth = _log_prob(self.flip_logits(place, temperature, step), flips)
        back = _log_prob(self.flip_logits(new, temperature, step), flips)
        gain = new.log_density(temperature) - place.log_density(temperature)
        return (gain + back - forth).nan_to_num(nan=-torch.inf).clamp(max=0).exp()


class Gibbs(Kernel):
    """Gibbs sampling for bits: each bit in turn is drawn given all others, from the first to the last and back.

    Formula: bit j flips with probability `sigmoid(log f(z with bit j flipped) - log f(z))`. A move evaluates the
    density 2 D - 1 times. A scan in one direction alone would not satisfy detailed balance; forth and back it does.
    Source: Geman & Geman (1984), https://doi.org/10.1109/TPAMI.1984.4767596.
    """

    name = "gibbs"
    code = "bits"
    gradients = False

    def move(self, path: Path, place: Place, temperature: float, step: float) -> tuple[Place, Tensor]:
        size = place.z.shape[-1]
        for bit in (*range(size), *reversed(range(size - 1))):
            flipped = place.z.clone()
            flipped[..., bit] = 1 - flipped[..., bit]
            new = path.at(flipped)
            gain = new.log_density(temperature) - place.log_density(temperature)
            place = place.moved(new, torch.rand_like(gain) < torch.sigmoid(gain))
        return place, torch.ones_like(place.start)


KERNELS: dict[str, type[Kernel]] = {kind.name: kind for kind in (HamiltonianMonteCarlo, Langevin, Gibbs)}


def kernel_for(code: Code, name: str | None = None) -> Kernel:
    """Return the kernel of a name, or the default of a kind of code.

    Raises:
        InputError: an unknown kernel, or one for another kind of code.

    >>> kernel_for("bits").name
    'langevin'
    """
    if name is None:
        return next(kind for kind in KERNELS.values() if kind.code == code)()
    require_choice("kernel", name, KERNELS)
    if KERNELS[name].code != code:
        known = " or ".join(each for each, kind in KERNELS.items() if kind.code == code)
        raise InputError(f"kernel: expected {known} for codes of kind {code!r}; got {name!r}")
    return KERNELS[name]()


def _log_prob(logits: Tensor, bits: Tensor) -> Tensor:
    """Return the log-probability of independent bits, summed over the last axis."""
    return (logits * bits - F.softplus(logits)).sum(-1)

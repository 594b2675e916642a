"""A walk along the path from a start to p(x, z), forwards or backwards, and the weights that it collects."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import torch
from torch import Tensor

from vaelab.data.weights import weighted_mean, weighted_median
from vaelab.errors import require_int
from vaelab.likelihood.annealing import Path, Start, temperatures_between
from vaelab.likelihood.contract import BoundEstimate, Callback
from vaelab.likelihood.importance import effective_samples
from vaelab.likelihood.kernels import Kernel, kernel_for
from vaelab.models import LatentVariableModel, require_latent
from vaelab.seeds import seeded

__all__ = ["TUNING_ROWS", "Annealing", "Walked", "estimate_of", "rows_at_once", "walked"]

_ELEMENTS = 1_000_000  # numbers that are decoded at once
TUNING_ROWS, _CHAINS = 20, 4  # of the run that tunes the step sizes
_FIRST = 30  # moves at its first temperature
_RATE = 0.2  # by which the logarithm of a step size changes, times the error of the acceptance

Walked = tuple[Tensor, Tensor]  # log w of the chains at the end of a walk, (K, B), and the acceptance, (B,)


@dataclass
class Annealing:
    """A walk along the path between a start and p(x, z): its temperatures, its kernel and the kernel's step sizes."""

    model: LatentVariableModel
    kernel: Kernel
    temperatures: list[float]
    start: Start
    steps: list[float] = field(default_factory=list)  # one for each temperature between the ends

    @classmethod
    def of(cls, model: LatentVariableModel, temperatures: int, start: Start, kernel: str | None) -> Annealing:
        """Return a walk of so many temperatures, with step sizes that are not tuned yet.

        Raises:
            InputError: a model without likelihood, or an argument out of range.
        """
        require_latent(model, "ais").require_likelihood()
        require_int("temperatures", temperatures, 1)
        return cls(model, kernel_for(model.code, kernel), temperatures_between(temperatures), start)

    def path(self, x: Tensor) -> Path:
        """Return the path for observations x (B, X)."""
        return Path(self.model, x, self.start, self.kernel.gradients)

    def tune(self, x: Tensor, seed: int) -> None:
        """Choose the step sizes in a run of its own, on the first rows, so that the right share of moves is accepted.

        Its codes do not depend on those of the walks, so that the step sizes are constants for the walks.
        """
        step = self.kernel.first_step
        self.steps = [step or 0.0] * (len(self.temperatures) - 2)
        if step is None or not self.steps:
            return
        with seeded(seed, "ais-pilot"):
            path = self.path(x[:TUNING_ROWS])
            place = path.at(path.sample(_CHAINS))
            for index, temperature in enumerate(self.temperatures[1:-1]):
                for _ in range(_FIRST if index == 0 else 1):
                    place, chance = self.kernel.move(path, place, temperature, step)
                    step *= math.exp(_RATE * (float(chance.mean()) - self.kernel.acceptance))
                self.steps[index] = step

    def forwards(self, path: Path, chains: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Walk from the start to p(x, z); yield at each temperature log w so far and the acceptance, (K, B) each."""
        place = path.at(path.sample(chains))
        log_weights = torch.zeros(place.start.shape, dtype=torch.float64)
        accepted = torch.ones_like(place.start)
        for index, (before, after) in enumerate(pairwise(self.temperatures)):
            log_weights += (after - before) * place.log_ratio.double().cpu()
            if index < len(self.steps):  # at the end nothing is weighed any more
                place, accepted = self.kernel.move(path, place, after, self.steps[index])
            yield log_weights, accepted

    def backwards(self, path: Path, z: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Walk from exact codes of p(z|x), (K, B, D), to the start; the kernels are those of ``forwards``, reversed.

        Every kernel satisfies detailed balance, so each is its own reverse: only their order is reversed.
        """
        place = path.at(z)
        log_weights = torch.zeros(place.start.shape, dtype=torch.float64)
        accepted = torch.ones_like(place.start)
        for index in reversed(range(len(self.temperatures) - 1)):
            before, after = self.temperatures[index : index + 2]
            log_weights += (after - before) * place.log_ratio.double().cpu()
            if index > 0:
                place, accepted = self.kernel.move(path, place, before, self.steps[index - 1])
            yield log_weights, accepted


def rows_at_once(chains: int, columns: int) -> int:
    """Return for how many rows of so many columns the chains move together."""
    return max(1, _ELEMENTS // (chains * columns))


def walked(
    walk: Iterator[tuple[Tensor, Tensor]], temperatures: int, number: int, count: int, callback: Callback | None
) -> Walked:
    """Return what a walk ends with; it is the ``number``-th of ``count`` walks in ``callback``'s total."""
    shares = []
    log_weights = torch.empty(0)
    for index, (log_weights, accepted) in enumerate(walk):  # noqa: B007 - those of the last temperature count
        shares.append(accepted.mean(0).double().cpu())
        if callback is not None:
            callback(number * temperatures + index + 1, count * temperatures)
    return log_weights, torch.stack(shares).mean(0)


def estimate_of(
    walks: Sequence[Walked], sign: int, annealing: Annealing, weights: Tensor | None = None
) -> BoundEstimate:
    """Return `s log 1/K sum_k w_k^s` of every observation, s = 1 for a lower bound and -1 for an upper one."""
    signed = [sign * log_weights for log_weights, _ in walks]
    effective = torch.cat([effective_samples(log_weights) for log_weights in signed])
    values = torch.cat([log_weights.logsumexp(0) - math.log(len(log_weights)) for log_weights in signed])
    acceptance = torch.cat([share for _, share in walks])
    weights = None if weights is None else weights[: len(values)]
    return BoundEstimate(
        sign * values,
        diagnostics={"effective_samples": effective, "acceptance": acceptance},
        details={
            "median_effective_samples": float(weighted_median(effective, weights)),
            "acceptance": float(weighted_mean(acceptance, weights)),
            "temperatures": len(annealing.temperatures) - 1,
            "kernel": annealing.kernel.name,
            "start": annealing.start,
        },
        weights=weights,
    )

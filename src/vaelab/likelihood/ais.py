"""Annealed importance sampling: log p(x) estimated along a path, and bracketed from both sides on rows of the model."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import torch
from torch import Tensor

from vaelab.data import Observations
from vaelab.errors import require_int
from vaelab.likelihood.annealing import Path, Start, temperatures_between
from vaelab.likelihood.contract import BoundEstimate, Callback, Effort, Observed, as_split, finished
from vaelab.likelihood.importance import effective_samples
from vaelab.likelihood.kernels import Kernel, kernel_for
from vaelab.models import LatentVariableModel
from vaelab.networks import evaluation_mode
from vaelab.seeds import seeded

__all__ = ["Bracket", "annealed_importance", "bracket"]

_ELEMENTS = 1_000_000  # numbers that are decoded at once
_ROWS, _CHAINS = 20, 4  # of the run that tunes the step sizes
_FIRST = 30  # moves at its first temperature
_RATE = 0.2  # by which the logarithm of a step size changes, times the error of the acceptance


@dataclass
class _Annealing:
    """A walk along the path between a start and p(x, z): its temperatures, its kernel and the kernel's step sizes."""

    model: LatentVariableModel
    kernel: Kernel
    temperatures: list[float]
    start: Start
    steps: list[float] = field(default_factory=list)  # one for each temperature between the ends

    def path(self, x: Tensor) -> Path:
        return Path(self.model, x, self.start, self.kernel.gradients)

    def tune(self, x: Tensor, seed: int) -> None:
        """Choose the step sizes in a run of its own, so that the kernel's share of proposals is accepted."""
        step = self.kernel.first_step
        self.steps = [step or 0.0] * (len(self.temperatures) - 2)
        if step is None or not self.steps:
            return
        with seeded(seed, "ais-pilot"):
            path = self.path(x)
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
        """Walk from exact codes of p(z|x), (K, B, D), to the start; the kernels are those of ``forwards``, reversed."""
        place = path.at(z)
        log_weights = torch.zeros(place.start.shape, dtype=torch.float64)
        accepted = torch.ones_like(place.start)
        for index in reversed(range(len(self.temperatures) - 1)):
            before, after = self.temperatures[index : index + 2]
            log_weights += (after - before) * place.log_ratio.double().cpu()
            if index > 0:
                place, accepted = self.kernel.move(path, place, before, self.steps[index - 1])
            yield log_weights, accepted


def annealed_importance(
    model: LatentVariableModel,
    observed: Observed,
    samples: int = Effort.chains,
    seed: int = 0,
    callback: Callback | None = None,
    *,
    temperatures: int = Effort.temperatures,
    start: Start = "posterior",
    kernel: str | None = None,
) -> BoundEstimate:
    """Estimate log p(x) of every observation by annealed importance sampling, in nats.

    Formula: `log 1/K sum_k w_k` with `log w = sum_i (t_i - t_i-1) [log p(x, z_i) - log f_0(z_i)]`, where `z_1 ~ f_0`
    and each next code comes from a Markov kernel that leaves `f_t = f_0^(1 - t) p(x, z)^t` unchanged at its
    temperature. The mean of `w` is p(x), so that the estimate is a lower bound on log p(x) in expectation. With one
    temperature it is the importance-weighted bound. ``diagnostics`` has ``effective_samples``, of the K chains, and
    ``acceptance``, the mean share of accepted moves. The step sizes of the kernel are tuned in a run of its own on a
    few observations, and are fixed while weights are collected. Sources: Neal (2001),
    https://arxiv.org/abs/physics/9803008; for decoders: Wu et al. (2017), https://arxiv.org/abs/1611.04273.

    Args:
        model: the model.
        observed: a split, or observations (N, X).
        samples: K, the number of chains of an observation.
        seed: of the codes.
        callback: called with the finished and the total work.
        temperatures: how many steps the path from t = 0 to t = 1 has.
        start: f_0, q(z|x) (``posterior``) or p(z) (``prior``).
        kernel: ``hmc`` for real codes, ``langevin`` (the default) or ``gibbs`` for bits; None chooses.

    Raises:
        InputError: a model without likelihood, or an argument out of range.

    >>> from vaelab.models import gaussian_vae
    >>> model = gaussian_vae(6, latent_dim=2, seed=0)
    >>> annealed_importance(model, torch.ones(3, 6), samples=4, temperatures=10).values.shape
    torch.Size([3])
    """
    require_int("samples", samples, 1)
    annealing, split = _annealing(model, temperatures, start, kernel), as_split(model, observed)
    rows = max(1, _ELEMENTS // (samples * split.dim))
    starts = range(0, len(split), rows)

    def chunks() -> Iterator[tuple[Tensor, Tensor]]:
        for number, first in enumerate(starts):
            x = split.bits(slice(first, first + rows)).to(model.any_weight)
            with seeded(seed, "ais", number):
                walk = annealing.forwards(annealing.path(x), samples)
                yield _walked(walk, temperatures, number, len(starts), callback)

    with evaluation_mode(model):
        annealing.tune(split.bits(slice(0, _ROWS)).to(model.any_weight), seed)
        return finished(chunks(), lambda done: _estimate(done, 1, annealing, split))


@dataclass(frozen=True)
class Bracket:
    """log p(x) of rows that the model drew, bounded from both sides: the gap bounds the error of either estimate.

    Attributes:
        lower: annealed importance sampling, a lower bound in expectation.
        upper: the same path walked backwards from the codes of the rows, an upper bound in expectation.
        rows: the rows, (N, X + Y).
    """

    lower: BoundEstimate
    upper: BoundEstimate
    rows: Tensor

    @property
    def gap(self) -> BoundEstimate:
        """Upper minus lower estimate of each row, in nats; its mean is at least 0 in expectation."""
        return BoundEstimate(self.upper.values - self.lower.values)


def bracket(
    model: LatentVariableModel,
    rows: int = 100,
    samples: int = Effort.chains,
    seed: int = 0,
    callback: Callback | None = None,
    *,
    temperatures: int = Effort.temperatures,
    start: Start = "posterior",
    kernel: str | None = None,
    given: object = None,
) -> Bracket:
    """Bound log p(x) of rows that the model draws from both sides, by annealing forwards and backwards.

    Formula: a row `z* ~ p(z)`, `x ~ p(x|z*)` comes with an exact code of `p(z|x)`. From it the path is walked
    backwards, with the reversed kernels; the mean of `1 / w` is `1 / p(x)`, so that `-log 1/K sum_k 1 / w_k` is an
    upper bound on log p(x) in expectation. The gap says how far either estimate can be from the truth on such rows;
    for real rows it is a hint. Source: Grosse, Ghahramani & Adams (2015), https://arxiv.org/abs/1511.02543.

    Args:
        model: the model.
        rows: how many rows are drawn.
        samples: K, the number of chains of a row, in each direction.
        seed: of the rows and the codes.
        callback: called with the finished and the total work.
        temperatures, start, kernel: as for :func:`annealed_importance`.
        given: y of a conditional model, as for ``model.sample``.

    Raises:
        InputError: a model without likelihood, or an argument out of range.

    >>> from vaelab.models import bernoulli_vae
    >>> found = bracket(bernoulli_vae(6, latent_dim=3, seed=0), rows=20, samples=8, temperatures=50)
    >>> abs(found.gap.mean) < 0.1
    True
    """
    require_int("rows", rows, 1)
    annealing = _annealing(model, temperatures, start, kernel)
    x, z = _simulated(model, rows, seed, given)
    half = None if callback is None else (lambda done, total: callback(done, 2 * total))
    lower = annealed_importance(model, x, samples, seed, half, temperatures=temperatures, start=start, kernel=kernel)
    chunks: list[tuple[Tensor, Tensor]] = []
    size = max(1, _ELEMENTS // (samples * x.shape[1]))
    parts = list(zip(x.split(size), z.split(size), strict=True))
    with evaluation_mode(model):
        annealing.tune(x[:_ROWS], seed)
        for number, (row, code) in enumerate(parts):
            with seeded(seed, "ais-backwards", number):
                walk = annealing.backwards(annealing.path(row), code.expand(samples, -1, -1))
                other = None if callback is None else (lambda done, total: callback(total + done, 2 * total))
                chunks.append(_walked(walk, temperatures, number, len(parts), other))
    return Bracket(lower, _estimate(chunks, -1, annealing, as_split(model, x)), x)


def _annealing(model: LatentVariableModel, temperatures: int, start: Start, kernel: str | None) -> _Annealing:
    model.require_likelihood()
    require_int("temperatures", temperatures, 1)
    return _Annealing(model, kernel_for(model.code, kernel), temperatures_between(temperatures), start)


def _simulated(model: LatentVariableModel, count: int, seed: int, given: object) -> tuple[Tensor, Tensor]:
    """Draw rows of the model (N, X + Y) with the codes (N, D) from which they come."""
    y = model.given_rows(given, count)
    with torch.no_grad(), evaluation_mode(model), seeded(seed, "ais-rows"):
        z = model.prior().sample((count,))
        x = model.conditional(z, y).sample()
    return torch.cat([x, y.to(x)], -1), z


def _walked(
    walk: Iterator[tuple[Tensor, Tensor]], temperatures: int, number: int, chunks: int, callback: Callback | None
) -> tuple[Tensor, Tensor]:
    """Return log w of the chains at the end of a walk, (K, B), and the mean share of accepted moves, (B,)."""
    shares = []
    log_weights = torch.empty(0)
    for index, (log_weights, accepted) in enumerate(walk):  # noqa: B007 - those of the last temperature count
        shares.append(accepted.mean(0).double().cpu())
        if callback is not None:
            callback(number * temperatures + index + 1, chunks * temperatures)
    return log_weights, torch.stack(shares).mean(0)


def _estimate(
    chunks: list[tuple[Tensor, Tensor]], sign: int, annealing: _Annealing, split: Observations
) -> BoundEstimate:
    """Return `s log 1/K sum_k w_k^s` of every observation, s = 1 for a lower bound and -1 for an upper one."""
    signed = [sign * log_weights for log_weights, _ in chunks]
    effective = torch.cat([effective_samples(log_weights) for log_weights in signed])
    values = torch.cat([log_weights.logsumexp(0) - math.log(len(log_weights)) for log_weights in signed])
    acceptance = torch.cat([share for _, share in chunks])
    return BoundEstimate(
        sign * values,
        diagnostics={"effective_samples": effective, "acceptance": acceptance},
        details={
            "median_effective_samples": float(effective.median()),
            "acceptance": float(acceptance.mean()),
            "temperatures": len(annealing.temperatures) - 1,
            "kernel": annealing.kernel.name,
            "start": annealing.start,
        },
        weights=None if split.weights is None else split.weights[: len(values)],
    )

"""The K-curve: the importance-weighted bound of every smaller K from the same weights, and its limit as K grows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from vaelab.data.weights import weighted_mean
from vaelab.likelihood.pareto import HEAVY

__all__ = ["FEWEST_OF_A_LIMIT", "SLOW", "Limit", "block_means", "decades", "limit_of", "log_blocks"]

FEWEST_OF_A_LIMIT = 64  # codes
SLOW = 1 / HEAVY - 1  # the exponent of weights whose Pareto shape is 0.7; of weights with a variance it is 1
_BLOCKS = 32  # the bound of K/16, K/4 and K codes: means over 2, 8 and 32 of these
_RATIO = 4


@dataclass(frozen=True)
class Limit:
    """Where the mean importance-weighted bound of some observations tends to as K grows, by extrapolation.

    Attributes:
        value: in nats.
        standard_error: of it as an estimate of the mean log p(x) of these observations: of the codes and of the fit.
        exponent: a, of the gap `c K^-a` that was fitted.
    """

    value: float
    standard_error: float
    exponent: float

    def details(self) -> dict[str, float]:
        """Return it as fields of a record."""
        return {"limit": self.value, "limit_standard_error": self.standard_error, "exponent": self.exponent}


def decades(samples: int) -> tuple[int, ...]:
    """Return 1, 10, 100, ... and K itself.

    >>> decades(5000)
    (1, 10, 100, 1000, 5000)
    """
    return (*(10**power for power in range(math.ceil(math.log10(samples)))), samples) if samples > 1 else (1,)


def block_means(log_weights: Tensor) -> Tensor:
    """Return iwae-k for k = 1, 10, 100, ..., K, (P, B), from log-weights (K, B).

    Each is a mean over disjoint blocks of k codes, so its expectation is that of iwae-k. Codes that fill no block of k
    are left out for that k.

    >>> block_means(torch.tensor([[0.0]] * 20 + [[1.0]] * 20)).flatten().tolist()[:2]
    [0.5, 0.5]
    """
    means, blocks = [log_weights.mean(0)], log_weights
    for _ in decades(len(log_weights))[1:-1]:
        count = len(blocks) // 10
        blocks = blocks[: 10 * count].view(count, 10, -1).logsumexp(1) - math.log(10)
        means.append(blocks.mean(0))
    if len(log_weights) > 1:
        means.append(log_weights.logsumexp(0) - math.log(len(log_weights)))
    return torch.stack(means)


def log_blocks(log_weights: Tensor) -> Tensor:
    """Return the log-mean weights of 32 blocks of K/32 codes, (32, B), from which a limit is computed."""
    size = len(log_weights) // _BLOCKS
    return log_weights[: size * _BLOCKS].view(_BLOCKS, size, -1).logsumexp(1) - math.log(size)


def limit_of(blocks: Tensor, weights: Tensor | None = None) -> Limit | None:
    """Return the limit of the mean bound as K grows, from :func:`log_blocks` (32, N); None where none is in sight.

    The gap of the bound is `log p(x) - E[iwae-K] = Var(w) / (2 K p(x)^2) + O(K^-2)` for weights with a variance, so it
    falls as `K^-a` with a = 1. Weights with a Pareto tail of shape s between 1/2 and 1 have no variance, and their gap
    falls with `a = 1/s - 1`. So `L - c K^-a` goes through the means of K/16, K/4 and K codes:
    `L = m_3 + (m_3 - m_2)^2 / (2 m_2 - m_1 - m_3)` (Aitken). Where the curve is flat within its noise, or falls faster
    than a = 1, a = 1 is taken: the jackknife `L = m_3 + (m_3 - m_2) / 3`. There is no limit where the curve rises by as
    much from K/4 to K as from K/16 to K/4.

    The standard error has two parts: of the codes, from the same formula for both halves of them; and of the fit, the
    difference from the jackknife. What q(z|x) never draws is in neither.

    Sources: Nowozin (2018), https://openreview.net/forum?id=HyZoi-WRb (the expansion and the jackknife); Domke &
    Sheldon (2018), https://arxiv.org/abs/1808.09034, theorem 3 (the rate).
    """
    levels = [_grouped(blocks, count) for count in (2, 8, 32)]
    halves = [_grouped(blocks, count) for count in (1, 4, 16)]
    first, second, third = (float(weighted_mean(level.mean(0), weights)) for level in levels)
    if not math.isfinite(first):
        return None
    apart = torch.stack([(level[: len(level) // 2].mean(0) - level[len(level) // 2 :].mean(0)) / 2 for level in halves])
    before, last = second - first, third - second
    straight = third + last / (_RATIO - 1)
    slope = torch.tensor([0.0, -1.0, 1.0], dtype=apart.dtype)
    jackknife = torch.tensor([0.0, -1.0, _RATIO], dtype=apart.dtype) / (_RATIO - 1)
    if last <= 2 * _noise(apart, slope, weights) or before > _RATIO * last:
        return Limit(straight, _noise(apart, jackknife, weights), 1.0)
    if before <= last:
        return None
    value = third + last**2 / (before - last)
    of_before = -((last / (before - last)) ** 2)  # derivative of the value
    of_last = last * (2 * before - last) / (before - last) ** 2
    gradient = torch.tensor([-of_before, of_before - of_last, 1 + of_last], dtype=apart.dtype)
    error = math.hypot(_noise(apart, gradient, weights), value - straight)
    return Limit(value, error, math.log(before / last) / math.log(_RATIO))


def _grouped(blocks: Tensor, count: int) -> Tensor:
    """Return the log-mean weights of ``count`` neighbouring blocks each."""
    return blocks.view(-1, count, blocks.shape[-1]).logsumexp(1) - math.log(count)


def _noise(apart: Tensor, gradient: Tensor, weights: Tensor | None) -> float:
    """Return the standard error of a mean over the rows, from the differences of halves of their codes (3, N)."""
    each = gradient @ apart
    of_rows = torch.ones_like(each) if weights is None else weights.to(each)
    return float((of_rows * each).square().sum().sqrt() / of_rows.sum())

"""The path from independent bits to a restricted Boltzmann machine, walked in both directions by Gibbs sampling."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from vaelab.distributed import uniform

__all__ = ["BoltzmannPath"]


@dataclass(frozen=True, eq=False)
class BoltzmannPath:
    """Distributions `f_t(x) / Z_t` between independent bits with logits a, at t = 0, and an RBM, at t = 1.

    Formula: `log f_t(x) = sum_i x_i [(1 - t) a_i + t b_i] + sum_j softplus(t u_j)` with the input `u = c + x W` of the
    hidden units, so that `log Z_0 = H log 2 + sum_i softplus(a_i)`. A move at t draws `h_j = 1` with probability
    `sigmoid(t u_j)`, then `x_i = 1` with probability `sigmoid((1 - t) a_i + t (b + W h)_i)`; it leaves f_t unchanged,
    and is its own reverse. Source: Salakhutdinov & Murray (2008), https://doi.org/10.1145/1390156.1390266.

    Attributes:
        visible: b, (X,).
        hidden: c, (H,).
        weights: W, (X, H).
        base: a, (X,).
    """

    visible: Tensor
    hidden: Tensor
    weights: Tensor
    base: Tensor

    @property
    def log_start(self) -> Tensor:
        """log Z_0, shape ()."""
        return len(self.hidden) * math.log(2) + F.softplus(self.base).sum()

    def forwards(self, count: int, temperatures: int) -> tuple[Tensor, Tensor]:
        """Walk from independent bits to the RBM.

        Formula: `log w = log Z_0 + sum_k [log f_k(x_k-1) - log f_k-1(x_k-1)]` over `t_k = k / T`, where x_0 is drawn at
        t = 0 and a move at t_k leads from x_k-1 to x_k. The mean of w is Z, so that the logarithm of a mean of several
        is below log Z in expectation (Neal, 2001, https://arxiv.org/abs/physics/9803008).

        Args:
            count: K, the number of chains.
            temperatures: T, the number of moves of each.

        Returns:
            the last x of each chain, (K, X), and log w, float64 of shape (K,).
        """
        with torch.no_grad():
            x = self._drawn(self.base.expand(count, -1))
            log_weights = self.log_start.double().expand(count)
            for before, now in pairwise(_temperatures(temperatures)):
                inputs = self.hidden + x @ self.weights
                log_weights = log_weights + self._rise(x, inputs, before, now)
                x = self._moved(inputs, now)
            return x, log_weights

    def backwards(self, x: Tensor, temperatures: int) -> Tensor:
        """Walk from given x (B, X) to independent bits, and return log w, float64 of shape (B,).

        Formula: `log w = log f_T(x_T) - log Z_0 - sum_k [log f_k(x_k-1) - log f_k-1(x_k-1)]`, where x_T is x and a move
        at t_k leads from x_k to x_k-1. The mean of w is p_T(x), the probability that a walk forwards ends at x, and p_T
        becomes p(x) as T grows: so log w is below log p_T(x) in expectation, and this needs no Z (Burda, Grosse &
        Salakhutdinov, 2015, https://arxiv.org/abs/1412.8566). Where x is drawn from the RBM itself, the mean of
        `f_T(x) / w` is at least Z.
        """
        with torch.no_grad():
            inputs = self.hidden + x @ self.weights
            log_weights = (x @ self.visible).double() + F.softplus(inputs).sum(-1) - self.log_start.double()
            for now, before in pairwise(_temperatures(temperatures)[::-1]):
                x = self._moved(inputs, now)
                inputs = self.hidden + x @ self.weights
                log_weights = log_weights - self._rise(x, inputs, before, now)
            return log_weights

    def _rise(self, x: Tensor, inputs: Tensor, before: float, now: float) -> Tensor:
        """Return `log f_now(x) - log f_before(x)`, (K,)."""
        of_hidden = F.softplus(now * inputs).sub_(F.softplus(before * inputs)).sum(-1)
        return (now - before) * (x @ (self.visible - self.base)) + of_hidden

    def _moved(self, inputs: Tensor, t: float) -> Tensor:
        h = self._drawn(t * inputs)
        return self._drawn(torch.lerp(self.base, self.visible, t) + t * (h @ self.weights.T))

    def _drawn(self, logits: Tensor) -> Tensor:
        return (uniform(logits.shape, logits) < torch.sigmoid(logits)).to(logits.dtype)


def _temperatures(count: int) -> list[float]:
    return [step / count for step in range(count + 1)]

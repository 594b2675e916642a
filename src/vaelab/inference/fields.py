"""Two mean fields: upper bounds on the mean of log(1 + e^z) for a unit with independent parents, and their updates."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["FIELDS", "Field", "FieldName", "Gaussian", "Product"]

FieldName = Literal["product", "gaussian"]
_NEWTON_STEPS = 2
_HALVINGS = 10


class Field(ABC):
    """What every field guarantees, for children i with parents j of means mu_j and `z_i = sum_j J_ij S_j + h_i`.

    For any `xi` in [0, 1],

    `<log(1 + e^z)> <= xi <z> + log <e^(-xi z) + e^((1 - xi) z)>`,

    by Jensen's inequality after multiplication with `e^(-xi z)`. The right side is convex in `xi`. Fields differ in
    how they compute the last mean. Shapes: mu (B, P), xi (B, C), J (C, P), h (C,).
    """

    elementwise: ClassVar[bool]

    @abstractmethod
    def cost(self, mu: Tensor, xi: Tensor, J: Tensor, h: Tensor) -> Tensor:
        """Return the bound on <log(1 + e^z_i)>, (B, C)."""

    @abstractmethod
    def slopes(self, mu: Tensor, xi: Tensor, J: Tensor, h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the cost and its two derivatives in xi, (B, C) each, the derivatives up to one positive factor."""

    @abstractmethod
    def parents(self, mu: Tensor, xi: Tensor, child: Tensor, J: Tensor, h: Tensor, drive: Tensor) -> Iterator[Tensor]:
        """Yield mu after each update of the parents, none of which lowers the bound.

        ``child`` (B, C) are the children's values or means, NaN for one that is missing and so says nothing about its
        parents; ``drive`` (B, P) is what the parents' own logits are on average.
        """

    def tighten(self, mu: Tensor, xi: Tensor, J: Tensor, h: Tensor) -> Tensor:
        """Return a better xi by steps of Newton's method inside a bracket, (B, C): never a worse one."""
        low, high = torch.zeros_like(xi), torch.ones_like(xi)  # the slope is <= 0 at 0 and >= 0 at 1
        best, lowest = xi, torch.full_like(xi, torch.inf)
        for _ in range(_NEWTON_STEPS):
            cost, slope, curvature = self.slopes(mu, xi, J, h)
            best, lowest = torch.where(cost < lowest, xi, best), torch.minimum(cost, lowest)
            low, high = torch.where(slope < 0, xi, low), torch.where(slope > 0, xi, high)
            step = xi - slope / curvature.clamp_min(torch.finfo(xi.dtype).tiny)
            xi = torch.where((step > low) & (step < high), step, (low + high) / 2)
        return torch.where(self.cost(mu, xi, J, h) < lowest, xi, best)


class Product(Field):
    """The exact mean over independent parents: a product over them.

    Formula:

    `cost_i = xi_i <z_i> + log(A_i + B_i)`

    `A_i = e^(-xi_i h_i) prod_j (1 - mu_j + mu_j e^(-xi_i J_ij))`

    and `B_i` likewise with `1 - xi_i` for `-xi_i`. This is an upper bound, so that `L` is a lower bound on log p(x).
    The parents are updated one after the other:

    `mu_j <- sigmoid(drive_j + sum_i J_ij (S_i - xi_i) + sum_i K_ij)`,

    where, with `phi_i = B_i / (A_i + B_i)`, `K_ij` is the sum of

    `(1 - phi_i) (1 - e^(-xi_i J_ij)) / (1 - mu_j + mu_j e^(-xi_i J_ij))`

    `phi_i (1 - e^((1 - xi_i) J_ij)) / (1 - mu_j + mu_j e^((1 - xi_i) J_ij))`

    As `-log(A_i + B_i)` is convex in a single `mu_j`, its tangent lies below it. The update maximises `L` with the
    tangent in its place, and so never lowers `L`. Source: Saul, Jaakkola & Jordan (1996),
    https://arxiv.org/abs/cs/9603102.
    """

    elementwise: ClassVar[bool] = True

    def cost(self, mu: Tensor, xi: Tensor, J: Tensor, h: Tensor) -> Tensor:
        log_a, log_b = self._logs(mu, xi, J, h)
        return xi * (mu @ J.T + h) + torch.logaddexp(log_a, log_b)

    def slopes(self, mu: Tensor, xi: Tensor, J: Tensor, h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        first, second, logs = [], [], []
        m = mu.unsqueeze(1)  # (B, 1, P)
        for tilt in (-xi, 1 - xi):
            e = m * torch.expm1(tilt.unsqueeze(-1) * J)  # (B, C, P)
            logs.append(tilt * h + torch.log1p(e).sum(-1))
            tilted = (m + e) / (1 + e)  # means of the parents, weighted by e^(tilt z)
            moved = J * tilted
            first.append(-(h + moved.sum(-1)))
            second.append((moved * (J - moved)).sum(-1))  # sum of J^2 times the tilted variances
        phi = torch.sigmoid(logs[1] - logs[0])  # (B, C)
        mean = mu @ J.T + h
        slope = mean + (1 - phi) * first[0] + phi * first[1]
        spread = phi * (1 - phi) * (first[0] - first[1]).square()
        return xi * mean + torch.logaddexp(*logs), slope, (1 - phi) * second[0] + phi * second[1] + spread

    def parents(self, mu: Tensor, xi: Tensor, child: Tensor, J: Tensor, h: Tensor, drive: Tensor) -> Iterator[Tensor]:
        log_a, log_b = self._logs(mu, xi, J, h)
        log_ratio = log_b - log_a  # (B, C)
        seen, difference = _seen(child - xi)
        linear = drive + difference @ J  # (B, P)
        for j in range(J.shape[1]):
            old, tilt = mu[:, j : j + 1], J[:, j]
            e, g = torch.expm1(-xi * tilt), torch.expm1((1 - xi) * tilt)  # (B, C)
            below_a, below_b = 1 + old * e, 1 + old * g
            phi = torch.sigmoid(log_ratio)
            pull = (1 - phi) * e / below_a + phi * g / below_b  # -K
            new = _inside(torch.sigmoid(linear[:, j : j + 1] - (seen * pull).sum(-1, keepdim=True)))
            log_ratio = log_ratio + torch.log((1 + new * g) * below_a / ((1 + new * e) * below_b))
            mu = torch.cat([mu[:, :j], new, mu[:, j + 1 :]], -1)
            yield mu

    @staticmethod
    def _logs(mu: Tensor, xi: Tensor, J: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """Return log A and log B, (B, C) each."""
        m = mu.unsqueeze(1)  # (B, 1, P)
        log_a = -xi * h + torch.log1p(m * torch.expm1(-xi.unsqueeze(-1) * J)).sum(-1)
        log_b = (1 - xi) * h + torch.log1p(m * torch.expm1((1 - xi).unsqueeze(-1) * J)).sum(-1)
        return log_a, log_b


class Gaussian(Field):
    """The mean computed as if z were Gaussian with its mean and variance; it needs products of matrices only.

    Formula: with `v_i = sum_j J_ij^2 mu_j (1 - mu_j)` and `t_i = <z_i> + 1/2 (1 - 2 xi_i) v_i`,

    `cost_i = 1/2 xi_i^2 v_i + log(1 + e^t_i)`,

    and the best `xi_i` is `sigmoid(t_i)`. A sum of many parents is only approximately Gaussian, so `L` is close to a
    lower bound on log p(x), but is not one. All parents are updated together: with `s_i = sigmoid(t_i)`,

    `mu_j <- sigmoid(drive_j + sum_i J_ij (S_i - s_i) - 1/2 (1 - 2 mu_j) sum_i J_ij^2 (xi_i^2 + (1 - 2 xi_i) s_i))`.

    This is a direction of ascent, and the step is halved until `L` does not fall. Source: Saul & Jordan (1999), A
    mean field learning algorithm for unsupervised neural networks, https://doi.org/10.1007/978-94-011-5014-9_20.
    """

    elementwise: ClassVar[bool] = False

    def cost(self, mu: Tensor, xi: Tensor, J: Tensor, h: Tensor) -> Tensor:
        t, v = self._moments(mu, xi, J, h)
        return 0.5 * xi.square() * v + F.softplus(t)

    def slopes(self, mu: Tensor, xi: Tensor, J: Tensor, h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        t, v = self._moments(mu, xi, J, h)
        s = torch.sigmoid(t)
        return 0.5 * xi.square() * v + F.softplus(t), xi - s, 1 + v * s * (1 - s)  # both derivatives over v

    def parents(self, mu: Tensor, xi: Tensor, child: Tensor, J: Tensor, h: Tensor, drive: Tensor) -> Iterator[Tensor]:
        def value(mu: Tensor) -> Tensor:
            entropy = torch.special.entr(mu) + torch.special.entr(1 - mu)
            parents_part: Tensor = (drive * mu + entropy).sum(-1)
            return parents_part + _seen(child * (mu @ J.T) - self.cost(mu, xi, J, h))[1].sum(-1)  # (B,)

        t, _ = self._moments(mu, xi, J, h)
        s = torch.sigmoid(t)
        seen, difference = _seen(child - s)
        curved = (seen * (xi.square() + (1 - 2 * xi) * s)) @ J.square()  # (B, P)
        target = _inside(torch.sigmoid(drive + difference @ J - 0.5 * (1 - 2 * mu) * curved))
        step, before = torch.ones_like(mu[:, :1]), value(mu)
        for _ in range(_HALVINGS):
            fell = (value(mu + step * (target - mu)) < before).unsqueeze(-1)
            if not fell.any():
                break
            step = torch.where(fell, step / 2, step)
        else:
            step = torch.where(fell, torch.zeros_like(step), step)
        yield mu + step * (target - mu)

    @staticmethod
    def _moments(mu: Tensor, xi: Tensor, J: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        v = (mu * (1 - mu)) @ J.square().T
        return mu @ J.T + h + 0.5 * (1 - 2 * xi) * v, v


def _seen(of_children: Tensor) -> tuple[Tensor, Tensor]:
    """Return 1 where a quantity of the children is not NaN, and 0 elsewhere; and the quantity with 0 for NaN."""
    missing = of_children.isnan()
    return (~missing).to(of_children.dtype), of_children.masked_fill(missing, 0)


def _inside(mu: Tensor) -> Tensor:
    """Clip probabilities away from 0 and 1, where logarithms are infinite."""
    least = 4 * torch.finfo(mu.dtype).eps
    return mu.clamp(least, 1 - least)


FIELDS: dict[FieldName, Callable[[], Field]] = {"product": Product, "gaussian": Gaussian}

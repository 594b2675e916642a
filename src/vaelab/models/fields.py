"""Two mean fields: upper bounds on <log(1 + e^z)> of a unit whose parents are independent bits, and their updates."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["FIELDS", "Field", "FieldName", "Gaussian", "Product"]

FieldName = Literal["product", "gaussian"]
_NEWTON_STEPS = 4
_HALVINGS = 10


class Field(ABC):
    """What every field guarantees, for children i with parents j of means mu_j and z_i = sum_j J_ij S_j + h_i.

    For any xi in [0, 1], <log(1 + e^z)> <= xi <z> + log <e^(-xi z) + e^((1 - xi) z)>, by Jensen's inequality
    after multiplying with e^(-xi z); the right side is convex in xi. Fields differ in how they take the last mean.
    Shapes: mu (B, P), xi (B, C), J (C, P), h (C,).
    """

    elementwise: ClassVar[bool]

    @abstractmethod
    def cost(self, mu: Tensor, xi: Tensor, J: Tensor, h: Tensor) -> Tensor:
        """Return the bound on <log(1 + e^z_i)>, (B, C)."""

    @abstractmethod
    def slope(self, mu: Tensor, xi: Tensor, J: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """Return the first derivative of the cost in xi and the second, (B, C), up to a common positive factor."""

    @abstractmethod
    def parents(self, mu: Tensor, xi: Tensor, child: Tensor, J: Tensor, h: Tensor, drive: Tensor) -> Iterator[Tensor]:
        """Yield mu after each update of the parents, none of which lowers the bound.

        ``child`` (B, C) are the children's values or means, ``drive`` (B, P) what the parents' own logits are on
        average.
        """

    def tighten(self, mu: Tensor, xi: Tensor, J: Tensor, h: Tensor) -> Tensor:
        """Return a better xi by Newton's method inside a bracket, (B, C): never a worse one."""
        best, lowest = xi, self.cost(mu, xi, J, h)
        low, high = torch.zeros_like(xi), torch.ones_like(xi)  # the slope is <= 0 at 0 and >= 0 at 1
        for _ in range(_NEWTON_STEPS):
            slope, curvature = self.slope(mu, xi, J, h)
            low, high = torch.where(slope < 0, xi, low), torch.where(slope > 0, xi, high)
            step = xi - slope / curvature.clamp_min(torch.finfo(xi.dtype).tiny)
            xi = torch.where((step > low) & (step < high), step, (low + high) / 2)
            cost = self.cost(mu, xi, J, h)
            best, lowest = torch.where(cost < lowest, xi, best), torch.minimum(cost, lowest)
        return best


class Product(Field):
    """The mean over independent parents itself: a product over them.

    Formula: cost_i = xi_i <z_i> + log(A_i + B_i), A_i = e^(-xi_i h_i) prod_j (1 - mu_j + mu_j e^(-xi_i J_ij)) and
    B_i likewise with 1 - xi_i for -xi_i: an upper bound, so that L is a lower bound on log p(x). One parent is
    updated after the other, mu_j <- sigmoid(drive_j + sum_i J_ij (S_i - xi_i) + sum_i K_ij), where with
    phi_i = B_i / (A_i + B_i)

        K_ij = (1 - phi_i) (1 - e^(-xi_i J_ij)) / (1 - mu_j + mu_j e^(-xi_i J_ij))
             + phi_i (1 - e^((1-xi_i) J_ij)) / (1 - mu_j + mu_j e^((1-xi_i) J_ij)).

    As -log(A_i + B_i) is convex in a single mu_j, its tangent lies below it; the update maximises L with the
    tangent in its place, and so never lowers L. Source: Saul, Jaakkola & Jordan (1996),
    https://arxiv.org/abs/cs/9603102.
    """

    elementwise: ClassVar[bool] = True

    def cost(self, mu: Tensor, xi: Tensor, J: Tensor, h: Tensor) -> Tensor:
        log_a, log_b = self._logs(mu, xi, J, h)
        return xi * (mu @ J.T + h) + torch.logaddexp(log_a, log_b)

    def slope(self, mu: Tensor, xi: Tensor, J: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        first, second, logs = [], [], []
        for tilt in (-xi, 1 - xi):
            e = torch.expm1(tilt.unsqueeze(-1) * J)  # (B, C, P)
            tilted = (
                mu.unsqueeze(1) * (1 + e) / (1 + mu.unsqueeze(1) * e)
            )  # means of the parents, weighed by e^(tilt z)
            logs.append(tilt * h + torch.log1p(mu.unsqueeze(1) * e).sum(-1))
            first.append(-(h + (J * tilted).sum(-1)))
            second.append((J.square() * tilted * (1 - tilted)).sum(-1))
        phi = torch.sigmoid(logs[1] - logs[0])  # (B, C)
        slope = mu @ J.T + h + (1 - phi) * first[0] + phi * first[1]
        spread = phi * (1 - phi) * (first[0] - first[1]).square()
        return slope, (1 - phi) * second[0] + phi * second[1] + spread

    def parents(self, mu: Tensor, xi: Tensor, child: Tensor, J: Tensor, h: Tensor, drive: Tensor) -> Iterator[Tensor]:
        log_a, log_b = self._logs(mu, xi, J, h)
        linear = drive + (child - xi) @ J  # (B, P)
        for j in range(J.shape[1]):
            old = mu[:, j : j + 1]
            e, g = torch.expm1(-xi * J[:, j]), torch.expm1((1 - xi) * J[:, j])  # (B, C)
            phi = torch.sigmoid(log_b - log_a)
            pull = (1 - phi) * e / (1 + old * e) + phi * g / (1 + old * g)  # -K
            new = _inside(torch.sigmoid(linear[:, j : j + 1] - pull.sum(-1, keepdim=True)))
            log_a = log_a + torch.log1p(new * e) - torch.log1p(old * e)
            log_b = log_b + torch.log1p(new * g) - torch.log1p(old * g)
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
    """The mean as if z were Gaussian, with the mean and variance it has: products of matrices alone.

    Formula: cost_i = 1/2 xi_i^2 v_i + log(1 + e^t_i), t_i = <z_i> + 1/2 (1 - 2 xi_i) v_i and v_i = sum_j J_ij^2
    mu_j (1 - mu_j); the best xi_i is sigmoid(t_i). A sum of many parents is nearly Gaussian, but no more than
    nearly: L is close to a lower bound on log p(x), and none. All parents are updated together,

        mu_j <- sigmoid(drive_j + sum_i J_ij (S_i - s_i) - 1/2 (1 - 2 mu_j) sum_i J_ij^2 (xi_i^2 + (1 - 2 xi_i) s_i)),

    s_i = sigmoid(t_i); that is a direction of ascent, and the step is halved until L does not fall. Source: Saul &
    Jordan (1999), A mean field learning algorithm for unsupervised neural networks, https://doi.org/10.1007/978-94-011-5014-9_20.
    """

    elementwise: ClassVar[bool] = False

    def cost(self, mu: Tensor, xi: Tensor, J: Tensor, h: Tensor) -> Tensor:
        t, v = self._moments(mu, xi, J, h)
        return 0.5 * xi.square() * v + F.softplus(t)

    def slope(self, mu: Tensor, xi: Tensor, J: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        t, v = self._moments(mu, xi, J, h)
        s = torch.sigmoid(t)
        return xi - s, 1 + v * s * (1 - s)  # both over v

    def parents(self, mu: Tensor, xi: Tensor, child: Tensor, J: Tensor, h: Tensor, drive: Tensor) -> Iterator[Tensor]:
        def value(mu: Tensor) -> Tensor:
            entropy = torch.special.entr(mu) + torch.special.entr(1 - mu)
            own: Tensor = (drive * mu + entropy).sum(-1)
            return own + (child * (mu @ J.T) - self.cost(mu, xi, J, h)).sum(-1)  # (B,)

        t, _ = self._moments(mu, xi, J, h)
        s = torch.sigmoid(t)
        curved = (xi.square() + (1 - 2 * xi) * s) @ J.square()  # (B, P)
        target = _inside(torch.sigmoid(drive + (child - s) @ J - 0.5 * (1 - 2 * mu) * curved))
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


def _inside(mu: Tensor) -> Tensor:
    """Keep probabilities off 0 and 1, where logarithms end."""
    least = 4 * torch.finfo(mu.dtype).eps
    return mu.clamp(least, 1 - least)


FIELDS: dict[FieldName, Callable[[], Field]] = {"product": Product, "gaussian": Gaussian}

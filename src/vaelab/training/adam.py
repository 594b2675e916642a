"""Adam, all weights in one kernel: the steps of ``torch.optim.Adam`` without its book-keeping."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["Adam", "Group", "clipped"]

_EPSILON = 1e-8
_Row = tuple[Tensor, Tensor, Tensor, Tensor]  # a weight, its gradient, and its two moments


@dataclass(frozen=True)
class Group:
    """Weights that learn at ``factor`` times the rate, with their decays of the two moments."""

    weights: Sequence[nn.Parameter]
    factor: float = 1.0
    betas: tuple[float, float] = (0.9, 0.999)


class Adam:
    """Adaptive moment estimation, in one kernel for all weights of a group.

    Formula: m <- b1 m + (1 - b1) g, v <- b2 v + (1 - b2) g^2, and at step t the weight loses
    rate m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + 1e-8). A weight without a gradient stays as it is.
    Source: Kingma & Ba (2015), https://arxiv.org/abs/1412.6980.

    Args:
        groups: the weights, each in one group.

    >>> weight = nn.Parameter(torch.ones(2))
    >>> adam = Adam([Group([weight])])
    >>> adam.step([torch.tensor([3.0, -0.1])], adam.next(rate=0.5))
    >>> weight
    Parameter containing:
    tensor([0.5000, 1.5000], requires_grad=True)
    """

    def __init__(self, groups: Sequence[Group]) -> None:
        self.groups = groups
        self.weights = [weight for group in groups for weight in group.weights]
        self.means = [torch.zeros_like(weight) for weight in self.weights]
        self.squares = [torch.zeros_like(weight) for weight in self.weights]
        for moment in self.means + self.squares:
            torch._dynamo.mark_static_address(moment)  # they stay where they are: else no CUDA graph is made of a step
        self.count = 0

    def next(self, rate: float) -> list[float]:
        """Begin the next step, and return the numbers in which it differs from others, two for each group.

        They are s and e of the same step written as s m / (sqrt(v) + e).
        """
        self.count += 1
        numbers: list[float] = []
        for group in self.groups:
            first, second = (1 - beta**self.count for beta in group.betas)
            numbers += [rate * group.factor * math.sqrt(second) / first, _EPSILON * math.sqrt(second)]
        return numbers

    def step(self, gradients: Sequence[Tensor | None], numbers: Sequence[float] | Tensor) -> None:
        """Move every weight against its gradient, given in the order of ``weights``."""
        update = _formula if torch.compiler.is_compiling() else _kernel
        rows = iter(zip(self.weights, gradients, self.means, self.squares, strict=True))
        with torch.no_grad():
            for index, group in enumerate(self.groups):
                own = [(w, g, m, v) for w, g, m, v in islice(rows, len(group.weights)) if g is not None]
                update(own, group.betas, numbers[2 * index], numbers[2 * index + 1])

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed training needs."""
        return {"count": self.count, "means": self.means, "squares": self.squares}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self.count = int(state["count"])
        for own, other in zip(self.means + self.squares, state["means"] + state["squares"], strict=True):
            own.copy_(other)


def _kernel(own: Sequence[_Row], betas: tuple[float, float], size: float | Tensor, epsilon: float | Tensor) -> None:
    if not own:
        return
    weights, gradients, means, squares = ([row[part] for row in own] for part in range(4))
    torch._fused_adam_(
        weights,
        [gradient.contiguous() for gradient in gradients],
        means,
        squares,
        [],
        [_late(weights[0].device)] * len(own),
        lr=float(size),
        beta1=betas[0],
        beta2=betas[1],
        weight_decay=0.0,
        eps=float(epsilon),
        amsgrad=False,
        maximize=False,
    )


@lru_cache
def _late(device: torch.device) -> Tensor:
    """Return a step at which 1 - beta^t is 1: the kernel divides by it, and size and epsilon hold it already."""
    return torch.full((), 1e9, device=device)


def _formula(own: Sequence[_Row], betas: tuple[float, float], size: float | Tensor, epsilon: float | Tensor) -> None:
    """Do as the kernel does, for a compiler that fuses it with what made the gradients."""
    for weight, gradient, mean, square in own:
        mean.lerp_(gradient, 1 - betas[0])
        square.mul_(betas[1]).addcmul_(gradient, gradient, value=1 - betas[1])
        weight -= size * mean / (square.sqrt() + epsilon)


def clipped(gradients: Sequence[Tensor | None], count: int, largest: float | None) -> Sequence[Tensor | None]:
    """Shorten the first ``count`` gradients, all by one factor, until their joint norm is at most ``largest``.

    Source: Pascanu, Mikolov & Bengio (2013), https://arxiv.org/abs/1211.5063.
    """
    if largest is None:
        return gradients
    found = [gradient for gradient in gradients[:count] if gradient is not None]
    norm = nn.utils.get_total_norm(found, foreach=False)  # the kernel for all of them does not compile
    factor = (largest / (norm + 1e-6)).clamp(max=1.0)
    own = [None if gradient is None else gradient * factor for gradient in gradients[:count]]
    return [*own, *gradients[count:]]

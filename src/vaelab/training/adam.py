"""Adam, all weights in one kernel: the steps of ``torch.optim.Adam`` without its book-keeping."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["Adam", "Group", "clip_gradients"]

_EPSILON = 1e-8


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
    >>> Adam([Group([weight])]).step([torch.tensor([3.0, -0.1])], rate=0.5)
    >>> weight
    Parameter containing:
    tensor([0.5000, 1.5000], requires_grad=True)
    """

    def __init__(self, groups: Sequence[Group]) -> None:
        self.groups = groups
        self.weights = [weight for group in groups for weight in group.weights]
        self.means = [torch.zeros_like(weight) for weight in self.weights]
        self.squares = [torch.zeros_like(weight) for weight in self.weights]
        self.count = torch.zeros((), device=self.weights[0].device)  # a tensor, because the kernel reads it there

    def step(self, gradients: Sequence[Tensor | None], rate: float) -> None:
        """Move every weight against its gradient, given in the order of ``weights``."""
        self.count += 1
        start = 0
        for group in self.groups:
            stop = start + len(group.weights)
            rows = [row for row in range(start, stop) if gradients[row] is not None]
            start = stop
            with torch.no_grad():
                torch._fused_adam_(
                    [self.weights[row] for row in rows],
                    [gradients[row].contiguous() for row in rows],  # type: ignore[union-attr]
                    [self.means[row] for row in rows],
                    [self.squares[row] for row in rows],
                    [],
                    [self.count] * len(rows),
                    lr=rate * group.factor,
                    beta1=group.betas[0],
                    beta2=group.betas[1],
                    weight_decay=0.0,
                    eps=_EPSILON,
                    amsgrad=False,
                    maximize=False,
                )

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed training needs."""
        return {"count": self.count, "means": self.means, "squares": self.squares}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self.count.copy_(state["count"])
        for own, other in zip(self.means + self.squares, state["means"] + state["squares"], strict=True):
            own.copy_(other)


def clip_gradients(gradients: Sequence[Tensor | None], largest: float) -> None:
    """Shorten gradients in place, all by one factor, until their joint Euclidean norm is at most ``largest``.

    Source: Pascanu, Mikolov & Bengio (2013), https://arxiv.org/abs/1211.5063.
    """
    found = [gradient for gradient in gradients if gradient is not None]
    norm = nn.utils.get_total_norm(found)
    torch._foreach_mul_(found, (largest / (norm + 1e-6)).clamp(max=1.0))

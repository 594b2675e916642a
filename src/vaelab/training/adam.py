"""Adam, the default optimiser: torch's kernel for all weights of a group."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["Adam"]


class Adam:
    """Adaptive moment estimation.

    Formula: `m <- beta_1 m + (1 - beta_1) g` and `v <- beta_2 v + (1 - beta_2) g^2`; step `t` subtracts

    `eta m / (1 - beta_1^t) / (sqrt(v / (1 - beta_2^t)) + 10^-8)`

    from a weight, `eta` the learning rate. A weight without a gradient is not changed. Source: Kingma & Ba (2015),
    https://arxiv.org/abs/1412.6980.

    ``torch.optim.Adam(fused=True)`` takes the same steps. It is not the default because its first use imports torch's
    compiler and because its bookkeeping counts in the steps of small networks (``benchmarks/optimizers.py``).
    The kernel is called directly, although that is not public: torch's functional form first counts the step of each
    weight.

    Args:
        groups: dictionaries with ``params``, ``lr`` and, if they are not the default, ``betas``.

    >>> weight = nn.Parameter(torch.ones(2))
    >>> optimizer = Adam([{"params": [weight], "lr": 0.5}])
    >>> weight.grad = torch.tensor([3.0, -0.1])
    >>> optimizer.step()
    >>> weight
    Parameter containing:
    tensor([0.5000, 1.5000], requires_grad=True)
    """

    def __init__(self, groups: Sequence[dict[str, Any]]) -> None:
        self.param_groups: list[dict[str, Any]] = [{"betas": (0.9, 0.999), "eps": 1e-8, **group} for group in groups]
        self.weights: list[nn.Parameter] = [weight for group in groups for weight in group["params"]]
        self.means = [torch.zeros_like(weight) for weight in self.weights]
        self.squares = [torch.zeros_like(weight) for weight in self.weights]
        self.count = 0
        # The kernel divides by 1 - beta^t. At this step that is 1, because begin_step has divided already.
        self._late = torch.full((), 1e9, device=self.weights[0].device)

    def begin_step(self) -> list[float]:
        """Count a step, and return the numbers in which it differs from others, two for each group.

        They are s and e of the same step written as s m / (sqrt(v) + e).
        """
        self.count += 1
        numbers: list[float] = []
        for group in self.param_groups:
            first, second = (1 - beta**self.count for beta in group["betas"])
            numbers += [group["lr"] * math.sqrt(second) / first, group["eps"] * math.sqrt(second)]
        return numbers

    @torch.no_grad()
    def step(self) -> None:
        """Move every weight against its gradient."""
        numbers = iter(self.begin_step())
        rows = zip(self.weights, self.means, self.squares, strict=True)
        for group in self.param_groups:
            size, epsilon = next(numbers), next(numbers)
            moved = [row for row in islice(rows, len(group["params"])) if row[0].grad is not None]
            if moved:
                self._move(moved, group["betas"], size, epsilon)

    def _move(
        self, rows: Sequence[tuple[Tensor, Tensor, Tensor]], betas: tuple[float, float], size: float, epsilon: float
    ) -> None:
        """Apply the kernel to weights, each with its two moments."""
        weights, means, squares = (list(part) for part in zip(*rows, strict=True))
        torch._fused_adam_(
            weights,
            [weight.grad.contiguous() for weight in weights if weight.grad is not None],  # the kernel takes no strides
            means,
            squares,
            [],
            [self._late] * len(rows),
            lr=size,
            beta1=betas[0],
            beta2=betas[1],
            weight_decay=0.0,
            eps=epsilon,
            amsgrad=False,
            maximize=False,
        )

    def state_dict(self) -> dict[str, Any]:
        return {"count": self.count, "means": self.means, "squares": self.squares}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.count = int(state["count"])
        for one, saved in zip(self.means + self.squares, state["means"] + state["squares"], strict=True):
            one.copy_(saved)

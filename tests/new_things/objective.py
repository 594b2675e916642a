"""An objective for test_new_things: Renyi's bound with alpha = 1/2."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from vaelab.objectives.contract import Objective

__all__ = ["HalfRenyi"]


@dataclass(frozen=True)
class HalfRenyi(Objective):
    """2 log 1/K sum_k w_k^(1/2). Source: Li & Turner (2016), https://arxiv.org/abs/1602.02311."""

    name: ClassVar[str] = "half-renyi"

    def __call__(self, log_weights: Tensor) -> Tensor:
        return 2 * ((0.5 * log_weights).logsumexp(0) - math.log(len(log_weights)))

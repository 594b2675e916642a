"""The prior of independent bits."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import nn

from vaelab.distributions import Bernoulli, Code
from vaelab.errors import require_int

__all__ = ["BernoulliPrior"]


class BernoulliPrior(nn.Module):
    """`p(z) = prod_j Bernoulli(z_j; sigmoid(l_j))`; the logits `l` are zero (probability 1/2) or learned.

    >>> BernoulliPrior(3)()
    Bernoulli(logits: (3,))
    """

    code: ClassVar[Code] = "bits"

    def __init__(self, latent_dim: int, learned: bool = False) -> None:
        super().__init__()
        zeros = torch.zeros(require_int("latent_dim", latent_dim, 1))
        self.logits = nn.Parameter(zeros, requires_grad=learned)

    def forward(self) -> Bernoulli:
        """Return the prior over bits, event shape (D,)."""
        return Bernoulli(self.logits)

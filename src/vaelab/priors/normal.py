"""The standard normal prior."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from vaelab.distributions import Code, DiagonalNormal
from vaelab.errors import require_int

__all__ = ["GaussianPrior"]


class GaussianPrior(nn.Module):
    """`p(z) = N(0, I)` over `R^D`.

    >>> GaussianPrior(3)()
    DiagonalNormal(loc: (3,), log_scale: (3,))
    """

    code: ClassVar[Code] = "real"

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.zeros: Tensor
        self.register_buffer("zeros", torch.zeros(require_int("latent_dim", latent_dim, 1)), persistent=False)

    def forward(self) -> DiagonalNormal:
        """Return N(0, I), event shape (D,)."""
        return DiagonalNormal(self.zeros, self.zeros)

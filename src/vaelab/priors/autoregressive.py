"""The prior of bits of which each depends on all before it."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import nn

from vaelab.distributions import Autoregressive, Code
from vaelab.errors import require_int

__all__ = ["AutoregressivePrior"]

_UNITS = 64  # hidden units, at least


class AutoregressivePrior(nn.Module):
    """`p(z) = prod_j p(z_j | z_1, ..., z_j-1)`: one masked network (MADE) computes all D conditionals at once.

    Formula: `log p(z) = sum_j [z_j l_j - log(1 + exp l_j)]`, where the logits l are those of
    :class:`~vaelab.distributions.Autoregressive`, with D hidden units, at least 64, and bits read as -1/2 and 1/2. It
    starts as the uniform distribution. log p(z) is exact; a draw takes a step for each bit. Its KL from independent
    bits has no closed form, so objectives use that of the codes. Sources: an autoregressive prior of bits: Gregor et
    al. (2014), https://arxiv.org/abs/1310.8499; the network: Germain et al. (2015), https://arxiv.org/abs/1502.03509.

    Args:
        latent_dim: number of bits D.

    Raises:
        InputError: a size below 1.

    >>> AutoregressivePrior(3)()
    Autoregressive(logits: (3,), shifts: (64,))
    """

    code: ClassVar[Code] = "bits"

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        size = require_int("latent_dim", latent_dim, 1)
        units = max(_UNITS, size)
        self.logits = nn.Parameter(torch.zeros(size))
        self.shifts = nn.Parameter(torch.zeros(units))
        self.direct = nn.Parameter(torch.zeros(size, size))
        self.inward = nn.Parameter(torch.randn(units, size) / size**0.5)
        self.outward = nn.Parameter(torch.zeros(size, units))

    def forward(self) -> Autoregressive:
        """Return the prior over bits, event shape (D,)."""
        p = Autoregressive(self.logits, self.shifts, self.direct, self.inward, self.outward)
        return p.around(torch.full_like(self.logits, 0.5))

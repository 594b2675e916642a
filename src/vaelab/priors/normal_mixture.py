"""A mixture of normal distributions as prior, learned with the model."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import nn

from vaelab.distributions import Code, DiagonalNormal, Mixture
from vaelab.errors import require_int

__all__ = ["NormalMixturePrior"]

_SPREAD = 0.5  # standard deviation of the means at the start


class NormalMixturePrior(nn.Module):
    """`p(z) = sum_c w_c N(z; mu_c, diag(sigma_c^2))`, whose weights, means and standard deviations are learned.

    It starts near N(0, I): all weights are equal, all standard deviations 1, and the means are draws of N(0, 1/4). Its
    KL from a normal distribution has no closed form, so objectives use that of the codes. Sources: Nalisnick, Hertel &
    Smyth (2016), http://bayesiandeeplearning.org/2016/papers/BDL_42.pdf; as a baseline: Tomczak & Welling (2018),
    https://arxiv.org/abs/1705.07120.

    Args:
        latent_dim: size of the code D.
        components: number of components C.

    Raises:
        InputError: a size or a number below 1.

    >>> NormalMixturePrior(3, components=5)()
    Mixture(log_weights: (5,), DiagonalNormal(loc: (5, 3), log_scale: (5, 3)))
    """

    code: ClassVar[Code] = "real"

    def __init__(self, latent_dim: int, components: int = 100) -> None:
        super().__init__()
        size, count = require_int("latent_dim", latent_dim, 1), require_int("components", components, 1)
        self.log_weights = nn.Parameter(torch.zeros(count))
        self.means = nn.Parameter(_SPREAD * torch.randn(count, size))
        self.log_scales = nn.Parameter(torch.zeros(count, size))

    def forward(self) -> Mixture:
        """Return the mixture, event shape (D,)."""
        return Mixture(self.log_weights, DiagonalNormal(self.means, self.log_scales))

"""A mixture of independent bits as prior, learned with the model."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import nn

from vaelab.distributions import Bernoulli, Code, Mixture
from vaelab.errors import require_int

__all__ = ["BernoulliMixturePrior"]

_SPREAD = 0.5  # standard deviation of the logits at the start


class BernoulliMixturePrior(nn.Module):
    """`p(z) = sum_c w_c prod_j Bernoulli(z_j; sigmoid(l_cj))`, whose weights and logits are learned.

    It starts near the uniform distribution: all weights are equal, and the logits are draws of N(0, 1/4). log p(z) is
    exact. Its KL from independent bits has no closed form, so objectives use that of the codes. Source: Dong, Su, Shen
    & Chen (2019), https://arxiv.org/abs/1908.11078.

    Args:
        latent_dim: number of bits D.
        components: number of components C.

    Raises:
        InputError: a size or a number below 1.

    >>> BernoulliMixturePrior(3, components=5)()
    Mixture(log_weights: (5,), Bernoulli(logits: (5, 3)))
    """

    code: ClassVar[Code] = "bits"

    def __init__(self, latent_dim: int, components: int = 100) -> None:
        super().__init__()
        size, count = require_int("latent_dim", latent_dim, 1), require_int("components", components, 1)
        self.log_weights = nn.Parameter(torch.zeros(count))
        self.logits = nn.Parameter(_SPREAD * torch.randn(count, size))

    def forward(self) -> Mixture:
        """Return the mixture, event shape (D,)."""
        return Mixture(self.log_weights, Bernoulli(self.logits))

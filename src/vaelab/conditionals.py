"""Priors, likelihoods and posteriors: modules whose ``forward`` returns a distribution.

    prior() -> p(z)        likelihood(z) -> p(x|z)        posterior(x) -> q(z|x)

Every module says in ``code`` what a code is: ``real`` numbers, ``bits``, or a ``point`` without noise.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from vaelab.distributions import Bernoulli, Delta, DiagonalNormal
from vaelab.errors import InputError, require_int
from vaelab.networks import MLP

__all__ = [
    "BernoulliLikelihood",
    "BernoulliPosterior",
    "BernoulliPrior",
    "Code",
    "DeltaPosterior",
    "GaussianPosterior",
    "GaussianPrior",
]

Code = Literal["real", "bits", "point"]


class GaussianPrior(nn.Module):
    """p(z) = N(0, I) over R^D."""

    code: ClassVar[Code] = "real"

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.zeros: Tensor
        self.register_buffer("zeros", torch.zeros(require_int("latent_dim", latent_dim, 1)), persistent=False)

    def forward(self) -> DiagonalNormal:
        """Return N(0, I), event shape (D,)."""
        return DiagonalNormal(self.zeros, self.zeros)


class BernoulliPrior(nn.Module):
    """p(z) = prod_j Bernoulli(z_j; sigmoid(l_j)); the logits l are zero (probability 1/2) or learned."""

    code: ClassVar[Code] = "bits"

    def __init__(self, latent_dim: int, learned: bool = False) -> None:
        super().__init__()
        zeros = torch.zeros(require_int("latent_dim", latent_dim, 1))
        self.logits = nn.Parameter(zeros, requires_grad=learned)

    def forward(self) -> Bernoulli:
        """Return the prior over bits, event shape (D,)."""
        return Bernoulli(self.logits)


class BernoulliLikelihood(nn.Module):
    """p(x|z): the bits of x independent given z, their logits a linear map of the trunk's features.

    Args:
        trunk: network of the code.
        data_dim: observation size X.
        data_mean: mean observation (X,); the output bias starts at its logit, clipped to [0.001, 0.999].
    """

    def __init__(self, trunk: MLP, data_dim: int, data_mean: Tensor | None = None) -> None:
        super().__init__()
        self.trunk = trunk
        self.logits = nn.Linear(trunk.width, require_int("data_dim", data_dim, 1))
        if data_mean is not None:
            if tuple(data_mean.shape) != (data_dim,):
                raise InputError(f"data_mean: expected shape ({data_dim},); got {tuple(data_mean.shape)}")
            with torch.no_grad():
                self.logits.bias.copy_(torch.logit(data_mean.clamp(0.001, 0.999)))

    def forward(self, z: Tensor) -> Bernoulli:
        """Return p(x|z) for codes of shape (..., D): batch shape (...), event shape (X,)."""
        return Bernoulli(self.logits(self.trunk(z)))


class GaussianPosterior(nn.Module):
    """q(z|x) = N(mu(x), sigma(x)): mu and log sigma are the two halves of one linear map of the trunk's features."""

    code: ClassVar[Code] = "real"

    def __init__(self, trunk: MLP, latent_dim: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = nn.Linear(trunk.width, 2 * require_int("latent_dim", latent_dim, 1))

    def forward(self, x: Tensor) -> DiagonalNormal:
        """Return q(z|x) for observations (B, X): batch shape (B,), event shape (D,)."""
        loc, log_scale = self.head(self.trunk(x)).chunk(2, -1)
        return DiagonalNormal(loc, log_scale)


class BernoulliPosterior(nn.Module):
    """q(z|x) over bits: one linear head of logits on the trunk."""

    code: ClassVar[Code] = "bits"

    def __init__(self, trunk: MLP, latent_dim: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.logits = nn.Linear(trunk.width, require_int("latent_dim", latent_dim, 1))

    def forward(self, x: Tensor) -> Bernoulli:
        """Return q(z|x) for observations (B, X): batch shape (B,), event shape (D,)."""
        return Bernoulli(self.logits(self.trunk(x)))


class DeltaPosterior(nn.Module):
    """The code of x without noise: the encoder of a deterministic auto-encoder."""

    code: ClassVar[Code] = "point"

    def __init__(self, trunk: MLP, latent_dim: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.loc = nn.Linear(trunk.width, require_int("latent_dim", latent_dim, 1))

    def forward(self, x: Tensor) -> Delta:
        """Return the point mass at the code of x: batch shape (B,), event shape (D,)."""
        return Delta(self.loc(self.trunk(x)))

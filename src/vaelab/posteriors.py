"""Posteriors q(z|x): modules whose ``forward(x)`` returns a distribution over codes.

Each says in ``code`` what a code is: ``real`` numbers, ``bits``, or a ``point`` without noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn

from vaelab.distributions import Bernoulli, Chain, Code, Delta, DiagonalNormal
from vaelab.errors import require_int
from vaelab.networks import MLP, Build, Size, build_network

__all__ = ["BernoulliPosterior", "ChainPosterior", "DeltaPosterior", "GaussianPosterior"]


class _NetworkPosterior(nn.Module):
    """A posterior whose parameters a network returns, ``_numbers`` for each number of the code."""

    _numbers: ClassVar[int] = 1

    def __init__(self, inputs: Size, latent_dim: int, network: Build = MLP) -> None:
        super().__init__()
        self.network = build_network(network, inputs, self._numbers * require_int("latent_dim", latent_dim, 1))


class GaussianPosterior(_NetworkPosterior):
    """`q(z|x) = N(mu(x), sigma(x))`: mu and log sigma are the two halves of a network's output.

    Args:
        inputs: size of an observation, a number or the shape of an image.
        latent_dim: size of the code D.
        network: from the sizes of input and output to a module; a linear map by default.

    >>> import torch
    >>> GaussianPosterior(5, 2)(torch.zeros(7, 5))
    DiagonalNormal(loc: (7, 2), log_scale: (7, 2))
    """

    code: ClassVar[Code] = "real"

    _numbers = 2

    def forward(self, x: Tensor) -> DiagonalNormal:
        """Return q(z|x) for observations (B, X): batch shape (B,), event shape (D,)."""
        loc, log_scale = self.network(x).chunk(2, -1)
        return DiagonalNormal(loc, log_scale)


class BernoulliPosterior(_NetworkPosterior):
    """q(z|x) over independent bits: a network returns their logits.

    Args:
        inputs: size of an observation, a number or the shape of an image.
        latent_dim: size of the code D.
        network: from the sizes of input and output to a module; a linear map by default.

    >>> import torch
    >>> BernoulliPosterior(5, 2)(torch.zeros(7, 5))
    Bernoulli(logits: (7, 2))
    """

    code: ClassVar[Code] = "bits"

    def forward(self, x: Tensor) -> Bernoulli:
        """Return q(z|x) for observations (B, X): batch shape (B,), event shape (D,)."""
        return Bernoulli(self.network(x))


class DeltaPosterior(_NetworkPosterior):
    """The code of x without noise: the encoder of a deterministic auto-encoder.

    Args:
        inputs: size of an observation, a number or the shape of an image.
        latent_dim: size of the code D.
        network: from the sizes of input and output to a module; a linear map by default.

    >>> import torch
    >>> DeltaPosterior(5, 2)(torch.zeros(7, 5))
    Delta(loc: (7, 2))
    """

    code: ClassVar[Code] = "point"

    def forward(self, x: Tensor) -> Delta:
        """Return the point at the code of x: batch shape (B,), event shape (D,)."""
        return Delta(self.network(x))


class ChainPosterior(nn.Module):
    """`q(z|x) = q(y_1|x) prod_l q(y_l+1|y_l)`.

    Args:
        conditionals: module from x to q(y_1|x), then from each layer to the distribution of the next.
        sizes: sizes of the layers, y_1 first.
    """

    def __init__(self, conditionals: Sequence[nn.Module], sizes: Sequence[int]) -> None:
        super().__init__()
        self.conditionals = nn.ModuleList(conditionals)
        self.layers = tuple(sizes)
        self.code: Code = conditionals[0].code  # type: ignore[assignment]

    def forward(self, x: Tensor) -> Chain:
        """Return q(z|x) for observations (B, X): batch shape (B,), event shape (D,)."""
        first, *others = self.conditionals
        return Chain(first(x), others, self.layers)

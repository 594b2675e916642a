"""Posteriors q(z|x): modules whose ``forward(x)`` returns a distribution over codes.

Each says in ``code`` what a code is: ``real`` numbers, ``bits``, or a ``point`` without noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from torch import Tensor, nn

from vaelab.distributions import Bernoulli, Chain, Code, Delta, DiagonalNormal, FlowedNormal, FullNormal
from vaelab.errors import require_int
from vaelab.networks import MLP, Build, CouplingFlow, Size, build_network

__all__ = [
    "REAL_POSTERIORS",
    "BernoulliPosterior",
    "ChainPosterior",
    "DeltaPosterior",
    "FlowPosterior",
    "FullPosterior",
    "GaussianPosterior",
    "RealPosteriorName",
]

_CONTEXT = 32  # numbers of the encoder that a flow reads


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


class FullPosterior(nn.Module):
    """`q(z|x) = N(mu(x), L(x) L(x)^T)`: a normal distribution of correlated units, `L = diag(sigma) (I + B)`.

    A network returns mu, log sigma and `sqrt(D) B`, D (D + 3) / 2 numbers: with that factor the share of B in the
    variance of a unit does not grow with D at the start. See :class:`~vaelab.distributions.FullNormal`.

    Args:
        inputs: size of an observation, a number or the shape of an image.
        latent_dim: size of the code D.
        network: from the sizes of input and output to a module; a linear map by default.

    >>> import torch
    >>> FullPosterior(5, 3)(torch.zeros(7, 5))
    FullNormal(loc: (7, 3), log_scale: (7, 3), below: (7, 3))
    """

    code: ClassVar[Code] = "real"

    def __init__(self, inputs: Size, latent_dim: int, network: Build = MLP) -> None:
        super().__init__()
        self.latent_dim = size = require_int("latent_dim", latent_dim, 1)
        self._sizes = [size, size, size * (size - 1) // 2]
        self.network = build_network(network, inputs, sum(self._sizes))

    def forward(self, x: Tensor) -> FullNormal:
        """Return q(z|x) for observations (B, X): batch shape (B,), event shape (D,)."""
        loc, log_scale, below = self.network(x).split(self._sizes, -1)
        return FullNormal(loc, log_scale, below / math.sqrt(self.latent_dim))


class FlowPosterior(nn.Module):
    """q(z|x): a normal distribution that passes through a flow whose parameters depend on x.

    A network returns mu, log sigma and 32 numbers c that the flow reads. The flow has affine coupling layers: both the
    draw and the density of any code take one or two passes through each of them. In an inverse autoregressive flow
    (Kingma et al., 2016, https://arxiv.org/abs/1606.04934) the density of a code that it did not draw takes D passes;
    estimators with a constant q, annealed importance sampling and the VampPrior compute such densities. It starts as
    the normal distribution of independent units. It needs the package zuko (the extra ``flows``). See
    :class:`~vaelab.distributions.FlowedNormal` and :class:`~vaelab.networks.CouplingFlow`.

    Args:
        inputs: size of an observation, a number or the shape of an image.
        latent_dim: size of the code D.
        network: from the sizes of input and output to a module; a linear map by default.

    Raises:
        InputError: zuko is not installed.

    >>> import torch
    >>> FlowPosterior(5, 3)(torch.zeros(7, 5))
    FlowedNormal(loc: (7, 3), log_scale: (7, 3), context: (7, 32))
    """

    code: ClassVar[Code] = "real"

    def __init__(self, inputs: Size, latent_dim: int, network: Build = MLP) -> None:
        super().__init__()
        self.latent_dim = size = require_int("latent_dim", latent_dim, 1)
        self.network = build_network(network, inputs, 2 * size + _CONTEXT)
        self.flow = CouplingFlow(size, _CONTEXT, "posterior")

    def forward(self, x: Tensor) -> FlowedNormal:
        """Return q(z|x) for observations (B, X): batch shape (B,), event shape (D,)."""
        loc, log_scale, context = self.network(x).split([self.latent_dim, self.latent_dim, _CONTEXT], -1)
        return FlowedNormal(loc, log_scale, context, self.flow)


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


# The posteriors that the option ``posterior`` of a model with a Gaussian code names. A row is called with the size of
# an observation, that of the code, and what builds the network.
REAL_POSTERIORS: dict[str, Callable[[Size, int, Build], nn.Module]] = {
    "diagonal": GaussianPosterior,
    "full": FullPosterior,
    "flow": FlowPosterior,
}

if TYPE_CHECKING:
    RealPosteriorName = str
else:
    RealPosteriorName = Literal[tuple(REAL_POSTERIORS)]  # the settings read the names of the table from here

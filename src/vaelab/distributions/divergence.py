"""The Kullback-Leibler divergence of each unit of a code whose units are independent."""

from __future__ import annotations

from torch import Tensor
from torch.distributions import Distribution, kl_divergence

from vaelab.distributions.bernoulli import Bernoulli
from vaelab.distributions.full_normal import FullNormal
from vaelab.distributions.normal import DiagonalNormal

__all__ = ["by_unit", "kl_by_unit"]


def kl_by_unit(q: Distribution, p: Distribution) -> Tensor:
    """Return `KL[q(z_j|x) || p(z_j)]` in closed form, nats, (..., D), for q and p of independent units of one kind.

    Raises:
        NotImplementedError: units that are not independent, or of different kinds.

    >>> import torch
    >>> kl_by_unit(Bernoulli(torch.tensor([0.0, 2.0])), Bernoulli(torch.zeros(2)))
    tensor([0.0000, 0.3278])
    """
    for kind in (DiagonalNormal, Bernoulli):
        if isinstance(q, kind) and isinstance(p, kind):
            alone = [each.map_parameters(lambda parameter: parameter.unsqueeze(-1)) for each in (q, p)]
            return kl_divergence(*alone)
    raise NotImplementedError(f"{type(q).__name__} and {type(p).__name__}")


def by_unit(distribution: Distribution) -> Distribution:
    """Return the distribution of each unit alone, as one of independent units, where it has a formula.

    The KL of such distributions, by :func:`kl_by_unit`, is that of each unit; of correlated units it does not add up
    to the KL of the code.

    >>> import torch
    >>> by_unit(FullNormal(torch.zeros(2), torch.zeros(2), torch.ones(1))).stddev
    tensor([1.0000, 1.4142])
    """
    return distribution.marginals() if isinstance(distribution, FullNormal) else distribution

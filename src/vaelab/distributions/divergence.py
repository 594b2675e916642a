"""The Kullback-Leibler divergence of each unit of a code whose units are independent."""

from __future__ import annotations

from torch import Tensor
from torch.distributions import Distribution, kl_divergence

from vaelab.distributions.bernoulli import Bernoulli
from vaelab.distributions.normal import DiagonalNormal

__all__ = ["kl_by_unit"]


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

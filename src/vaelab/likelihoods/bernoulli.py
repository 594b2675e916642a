"""The likelihood of independent bits."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vaelab.data import Dataset, DataSpec
from vaelab.distributions import Bernoulli
from vaelab.errors import InputError
from vaelab.networks import MLP, Build, Size, build_network, output_bias

__all__ = ["BernoulliLikelihood"]


class BernoulliLikelihood(nn.Module):
    """p(x|z): the bits of x are independent given z, and a network of z returns their logits.

    Where the data have a mean, and the network ends in a bias for each column, that bias starts at the logit of the
    mean, clipped to [0.001, 0.999].

    Args:
        latent_dim: size of the code D.
        data: the data set, its spec, or the number of columns X.
        network: from the sizes of input and output to a module; a linear map by default.

    Raises:
        InputError: data that are not all bits.

    >>> BernoulliLikelihood(3, 5)(torch.zeros(7, 2, 3))
    Bernoulli(logits: (7, 2, 5))
    """

    def __init__(self, latent_dim: Size, data: Dataset | DataSpec | int, network: Build = MLP) -> None:
        super().__init__()
        spec = DataSpec.of(data)
        if other := sorted({kind for kind, _, _ in spec.groups} - {"binary"}):
            raise InputError(
                f"likelihood: expected bits, of which bernoulli is the likelihood; got {' and '.join(other)} values"
            )
        self.network = build_network(network, latent_dim, spec.event_shape)
        bias = output_bias(self.network)
        if spec.mean is not None and bias is not None and bias.shape == spec.mean.shape:
            with torch.no_grad():
                bias.copy_(torch.logit(spec.mean.clamp(0.001, 0.999)))

    def forward(self, z: Tensor) -> Bernoulli:
        """Return p(x|z) for codes of shape (..., D): batch shape (...), event shape (X,)."""
        return Bernoulli(self.network(z))

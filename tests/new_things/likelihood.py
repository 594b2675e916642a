"""A likelihood for test_new_things: bits that are read with errors."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vaelab.data import DataSpec
from vaelab.distributions import Bernoulli
from vaelab.networks import Build, build_network

__all__ = ["NoisyBernoulli"]


class NoisyBernoulli(nn.Module):
    """p(x_j = 1|z) = 0.05 + 0.9 sigmoid(l_j): one bit in twenty is read wrongly."""

    def __init__(self, latent_dim: int, data: DataSpec, network: Build) -> None:
        super().__init__()
        self.network = build_network(network, latent_dim, data.event_shape)

    def forward(self, z: Tensor) -> Bernoulli:
        return Bernoulli(torch.logit(0.05 + 0.9 * torch.sigmoid(self.network(z))))

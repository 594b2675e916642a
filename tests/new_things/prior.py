"""A prior for test_new_things: a mixture of two products of bits."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import nn
from torch.distributions import Bernoulli, Categorical, Independent, MixtureSameFamily

from vaelab.distributions import Code

__all__ = ["TwoBits"]


class TwoBits(nn.Module):
    """p(z) = 1/2 sum_c prod_j Bernoulli(z_j; sigmoid(l_cj)), with learned logits."""

    code: ClassVar[Code] = "bits"

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.stack([torch.ones(latent_dim), -torch.ones(latent_dim)]))

    def forward(self) -> MixtureSameFamily:
        components = Independent(Bernoulli(logits=self.logits, validate_args=False), 1, validate_args=False)
        return MixtureSameFamily(Categorical(logits=self.logits.new_zeros(2)), components, validate_args=False)

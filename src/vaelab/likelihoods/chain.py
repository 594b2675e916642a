"""The likelihood of a code of several layers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from vaelab.errors import InputError
from vaelab.likelihoods.columns import ColumnLikelihood

__all__ = ["BottomLayer", "columns_of"]


class BottomLayer(nn.Module):
    """`p(x|z) = p(x|y_1)`: a likelihood that depends only on the first layer of the code.

    Args:
        conditional: module from y_1 to p(x|y_1).
        sizes: sizes of the layers, y_1 first.
        given: number of columns that are given after the code, in a conditional model.
    """

    def __init__(self, conditional: nn.Module, sizes: Sequence[int], given: int = 0) -> None:
        super().__init__()
        self.conditional, self.sizes, self.given = conditional, tuple(sizes), given

    def forward(self, z: Tensor) -> Distribution:
        """Return p(x|z) for codes of shape (..., D): batch shape (...), event shape (X,)."""
        width = sum(self.sizes)
        if z.shape[-1] != width + self.given:
            raise InputError(f"network: expected inputs of shape (..., {width + self.given}); got {tuple(z.shape)}")
        first = z[..., : self.sizes[0]]
        p: Distribution = self.conditional(torch.cat([first, z[..., width:]], -1) if self.given else first)
        return p


def columns_of(likelihood: nn.Module) -> ColumnLikelihood | None:
    """Return the likelihood of the columns, also that of a code of several layers; None for another module."""
    conditional = likelihood.conditional if isinstance(likelihood, BottomLayer) else likelihood
    return conditional if isinstance(conditional, ColumnLikelihood) else None

"""The likelihood of a code of several layers."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.distributions import Distribution

from vaelab.errors import InputError

__all__ = ["BottomLayer"]


class BottomLayer(nn.Module):
    """`p(x|z) = p(x|y_1)`: a likelihood that depends only on the first layer of the code.

    Args:
        conditional: module from y_1 to p(x|y_1).
        sizes: sizes of the layers, y_1 first.
    """

    def __init__(self, conditional: nn.Module, sizes: Sequence[int]) -> None:
        super().__init__()
        self.conditional, self.sizes = conditional, tuple(sizes)

    def forward(self, z: Tensor) -> Distribution:
        """Return p(x|z) for codes of shape (..., D): batch shape (...), event shape (X,)."""
        if z.shape[-1] != sum(self.sizes):
            raise InputError(f"network: expected inputs of shape (..., {sum(self.sizes)}); got {tuple(z.shape)}")
        p: Distribution = self.conditional(z[..., : self.sizes[0]])
        return p

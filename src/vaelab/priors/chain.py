"""The prior of a code of several layers."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from vaelab.distributions import Chain, Code

__all__ = ["ChainPrior"]


class ChainPrior(nn.Module):
    """`p(z) = p(y_L) prod_l p(y_l|y_l+1)`.

    Args:
        top: the prior of the last layer, y_L.
        conditionals: modules from y_L to p(y_L-1|y_L), and so on down to p(y_1|y_2).
        sizes: sizes of the layers, y_1 first.
    """

    def __init__(self, top: nn.Module, conditionals: Sequence[nn.Module], sizes: Sequence[int]) -> None:
        super().__init__()
        self.top, self.conditionals = top, nn.ModuleList(conditionals)
        self.layers = tuple(sizes)
        self.code: Code = top.code  # type: ignore[assignment]
        self.has_posterior = bool(getattr(top, "has_posterior", False))

    def forward(self) -> Chain:
        """Return the prior, event shape (D,)."""
        return Chain(self.top(), list(self.conditionals), self.layers, downwards=True)

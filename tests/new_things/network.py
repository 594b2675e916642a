"""A network for test_new_things: a linear map beside the hidden layers."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from vaelab.networks.mlp import MLP, Activation
from vaelab.networks.sizes import Size

__all__ = ["SkipNetwork"]


class SkipNetwork(nn.Module):
    """MLP(v) + A v."""

    def __init__(
        self, inputs: Size, outputs: Size, hidden_dims: Sequence[int] = (), activation: Activation = "relu"
    ) -> None:
        super().__init__()
        self.deep = MLP(inputs, outputs, hidden_dims, activation)
        self.shallow = MLP(inputs, outputs)

    def forward(self, v: Tensor) -> Tensor:
        total: Tensor = self.deep(v) + self.shallow(v)
        return total

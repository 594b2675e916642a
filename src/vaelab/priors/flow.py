"""A normalizing flow as prior: a neural spline flow with coupling layers, by zuko."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import nn

from vaelab.distributions import Code, DiagonalNormal, Flow
from vaelab.errors import require_int
from vaelab.networks import import_flows, start_as_identity

__all__ = ["FlowPrior"]

_LAYERS, _BINS, _UNITS = 4, 8, (64, 64)


class FlowPrior(nn.Module):
    """`p(z) = N(f(z); 0, I) |det df/dz|` with an invertible function f that is learned: a neural spline flow.

    f has four coupling layers with two hidden layers of 64 units. A layer maps each number of z by a monotonic spline
    of 8 rational-quadratic pieces on [-5, 5], and is the identity outside. The parameters of the splines are constants
    for one half of z, and functions of that half for the other; the next layer exchanges the halves. Of an odd number
    of units the middle one has constants in every layer. log p(z) and a draw take one pass and two passes through each
    layer. It starts as N(0, I). Its KL has no closed form, so objectives use that of the codes. It needs the package
    zuko (the extra ``flows``). Sources: coupling: Dinh, Sohl-Dickstein & Bengio (2017),
    https://arxiv.org/abs/1605.08803; splines: Durkan, Bekasov, Murray & Papamakarios (2019),
    https://arxiv.org/abs/1906.04032; as a prior: Chen et al. (2017), https://arxiv.org/abs/1611.02731.

    Args:
        latent_dim: size of the code D.

    Raises:
        InputError: a size below 1, or zuko is not installed.

    >>> import torch
    >>> FlowPrior(3)().log_prob(torch.zeros(5, 3)).shape
    torch.Size([5])
    """

    code: ClassVar[Code] = "real"

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.latent_dim = require_int("latent_dim", latent_dim, 1)
        self.flow: Any = import_flows("prior").NSF(
            latent_dim, bins=_BINS, transforms=_LAYERS, hidden_features=_UNITS, passes=2
        )
        start_as_identity(self.flow)

    def forward(self) -> Flow:
        """Return the flow, event shape (D,); it has no formula for its mean."""
        transforms = [layer() for layer in self.flow.transform.transforms]
        zeros = next(self.flow.parameters()).new_zeros(self.latent_dim)
        return Flow(transforms, DiagonalNormal(zeros, zeros))

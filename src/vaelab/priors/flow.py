"""A normalizing flow as prior: a neural spline flow with coupling layers, by zuko."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.distributions import AffineTransform

from vaelab.distributions import Code, DiagonalNormal, Flow
from vaelab.errors import InputError, require_int
from vaelab.networks import import_flows, start_as_identity

__all__ = ["FlowPrior", "StandardisedFlowPrior"]

_LAYERS, _BINS, _UNITS = 4, 8, (64, 64)
_CONSTANT = 1e-6  # the largest standard deviation of a number that does not vary, relative to 1 + |mean|


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


class StandardisedFlowPrior(FlowPrior):
    """`p(z) = p_F((z - m) / s) prod_j 1 / s_j`: the density p_F of a :class:`FlowPrior`, of standardised codes.

    It is for codes that no KL brings near N(0, I), such as those of a deterministic auto-encoder: a spline is the
    identity outside [-5, 5]. Until :meth:`standardise` sets m and s there is no density. Source: Ghosh et al. (2020),
    https://arxiv.org/abs/1903.12436.

    Args:
        latent_dim: size of the code D.

    Raises:
        InputError: as :class:`FlowPrior`.

    >>> prior = StandardisedFlowPrior(2)
    >>> prior.standardise(torch.tensor([[0.0, 90.0], [2.0, 110.0]]))
    >>> prior().log_prob(torch.tensor([1.0, 100.0])).exp()  # 1 / (2 pi) of the flow, divided by 1 * 10
    tensor(0.0159, grad_fn=<ExpBackward0>)
    """

    code: ClassVar[Code] = "point"
    shift: Tensor
    scale: Tensor

    def __init__(self, latent_dim: int) -> None:
        super().__init__(latent_dim)
        self.register_buffer("shift", torch.zeros(latent_dim))
        self.register_buffer("scale", torch.zeros(latent_dim))

    def standardise(self, codes: Tensor) -> None:
        """Set m and s to the mean and the standard deviation of codes (N, D); s of a constant number is 1.

        A number is constant if its standard deviation is at most `1e-6 (1 + |m|)`, the size of rounding errors.
        """
        mean, deviation = codes.double().mean(0), codes.double().std(0, correction=0)
        self.shift.copy_(mean)
        self.scale.copy_(torch.where(deviation > _CONSTANT * (1 + mean.abs()), deviation, 1))

    @property
    def is_fitted(self) -> bool:
        """Whether m and s are known."""
        return bool((self.scale > 0).all())

    def forward(self) -> Flow:
        """Return the flow, event shape (D,), or refuse if nothing has been fitted yet; its mean has no formula."""
        if not torch.compiler.is_compiling() and not self.is_fitted:
            raise InputError(
                "density: this auto-encoder has no density of its codes yet; "
                "vaelab.fit_prior (on the command line fit-prior) fits the flow"
            )
        flow = super().forward()
        standard = AffineTransform(self.shift, self.scale, event_dim=1).inv  # (z - m) / s keeps the digits of z - m
        return Flow([standard, *flow.transforms], flow.base)

"""Invertible functions by the package zuko."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.distributions import Distribution

from vaelab.errors import InputError, require_int

__all__ = ["CouplingFlow", "import_flows", "start_as_identity"]

_LAYERS, _UNITS = 4, (64, 64)


class CouplingFlow(nn.Module):
    """An invertible function of u whose parameters depend on a context c: four affine coupling layers.

    A layer maps each number of one half of u to `a u_j + b`, where a and b are functions of c, and each number of the
    other half to such a term whose a and b also depend on the first half. The next layer exchanges the halves. The
    functions are networks with two hidden layers of 64 units. f and its inverse take one pass and two passes through
    each layer. It starts as the identity. It needs the package zuko (the extra ``flows``). Source: Dinh, Sohl-Dickstein
    & Bengio (2017), https://arxiv.org/abs/1605.08803.

    Args:
        dim: size of u.
        context: size of c.
        option: the option that asked for it, named if zuko is missing.

    Raises:
        InputError: a size out of range, or zuko is not installed.

    >>> import torch
    >>> flow, u, c = CouplingFlow(3, 2), torch.ones(5, 3), torch.zeros(5, 2)
    >>> value, log_det = flow(u, c)
    >>> value.shape, log_det.shape, bool(torch.equal(flow(value, c, inverse=True)[0], u))
    (torch.Size([5, 3]), torch.Size([5]), True)
    """

    def __init__(self, dim: int, context: int, option: str = "flow") -> None:
        super().__init__()
        dim, context = require_int("dim", dim, 1), require_int("context", context, 0)
        flow = import_flows(option).MAF(
            dim, context, transforms=_LAYERS, passes=2, hidden_features=_UNITS, activation=nn.SiLU
        )
        start_as_identity(flow)
        self.layers = nn.ModuleList(flow.transform.transforms)

    def forward(self, u: Tensor, context: Tensor, inverse: bool = False) -> tuple[Tensor, Tensor | None]:
        """Return f(u; c) (..., D) and `log |det df/du|` (...,) for c (..., C); or `f^-1(u; c)` and None."""
        layers: list[Any] = [layer(context) for layer in self.layers]
        if inverse:
            for layer in reversed(layers):
                u = layer.inv(u)
            return u, None
        log_det = u.new_zeros(u.shape[:-1])
        for layer in layers if u.numel() else ():  # zuko does not take zero rows
            u, change = layer.call_and_ladj(u)
            log_det = log_det + change
        return u, log_det


def start_as_identity(flow: Any) -> None:
    """Set the last weights of each layer of a flow of zuko to zero, so that the flow is the identity."""
    for layer in flow.transform.transforms:
        last = layer.hyper[-1].parameters() if hasattr(layer, "hyper") else layer.parameters()
        for weight in last:
            nn.init.zeros_(weight)


def import_flows(option: str) -> Any:
    """Return ``zuko.flows``; torch checks values as before, although zuko switches that off when it is imported.

    Raises:
        InputError: zuko is not installed; the error begins with the option that needs it.
    """
    checked: bool = Distribution._validate_args
    try:
        import zuko.flows
    except ModuleNotFoundError:
        raise InputError(f'{option}: flow needs the package zuko; pip install "vaelab[flows]" installs it') from None
    finally:
        Distribution.set_default_validate_args(checked)
    return zuko.flows

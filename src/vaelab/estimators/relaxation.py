"""Bits as thresholds of logistic noise, and their relaxation."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Distribution

from vaelab import distributed
from vaelab.errors import InputError, require_number

__all__ = ["conditional_noise", "logistic", "require_temperature", "tied_slope", "uniform"]


def uniform(q: Distribution, *sizes: int) -> Tensor:
    """Draw uniform noise of shape sizes + (B, D), its logit as far from infinite below as it is above."""
    like = q.mean.detach()
    u = distributed.uniform((*sizes, *like.shape), like)
    return u.clamp_(min=torch.finfo(like.dtype).eps / 4)


def logistic(u: Tensor, logits: Tensor) -> Tensor:
    """Return `z = l + log u - log(1 - u)`, shape of u: the bit is `1(z > 0)`, which is `1(u > 1 - sigmoid(l))`."""
    return logits + torch.log(u) - torch.log1p(-u)


def conditional_noise(v: Tensor, logits: Tensor, bits: Tensor) -> Tensor:
    """Return z given the bit, shape of v: distributed as ``logistic`` conditional on that bit.

    Formula: `z~ = s softplus(log v - log(1 - v) + softplus(s l))` with the sign `s = 2 b - 1` of the bit `b`. This is
    the quantile function of Tucker et al. (2017), https://arxiv.org/abs/1703.07370, appendix, in a form that never
    overflows.

    >>> u = torch.tensor([0.3]), torch.tensor([0.9])
    >>> conditional_noise(u[0], torch.zeros(1), torch.ones(1)).exp()  # 1 + 2 * 3/7
    tensor([1.8571])
    """
    sign = 2 * bits - 1
    return sign * F.softplus(logistic(v, F.softplus(sign * logits)))


def tied_slope(z: Tensor, logits: Tensor) -> Tensor:
    """Return dz~/dl, shape of z, where z~ is a draw given the bit and has the value of z.

    Common random numbers: v is the quantile of z given its bit, held constant, so that ``conditional_noise`` gives z
    again. Formula: `(1 - exp(-|z|)) sigmoid(s l)` with `s` the sign of `z`; `dz/dl` is 1.

    >>> tied_slope(torch.tensor([1.0]), torch.zeros(1))  # (1 - 1/e) / 2
    tensor([0.3161])
    """
    return -torch.expm1(-z.abs()) * torch.sigmoid(z.sign() * logits)


def require_temperature(argument: str, value: float) -> float:
    """Return a temperature, or refuse one that is not above zero."""
    value = require_number(argument, value, 0.0)
    if value == 0:
        raise InputError(f"{argument}: expected a temperature above 0; got 0")
    return value

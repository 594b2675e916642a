"""The continuous Bernoulli distribution of numbers between 0 and 1."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor
from torch.distributions import constraints

from vaelab.distributed import uniform
from vaelab.distributions.vector import VectorDistribution

__all__ = ["ContinuousBernoulli"]

# The Bernoulli numbers B_2, B_4, ..., of the series of log(sinh(h) / h), h = l / 2.
_BERNOULLI_NUMBERS = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510, 43867 / 798)


class ContinuousBernoulli(VectorDistribution):
    """Independent numbers in [0, 1] with a density proportional to `exp(l_j x_j)`.

    Formula: `log p(x) = sum_j [x_j l_j - A(l_j)]` with `A(l) = log((exp(l) - 1) / l)`; the density of a Bernoulli
    distribution for x between 0 and 1, with the constant that makes it a density there. The mean of a number is
    `A'(l) = 1 / (1 - exp(-l)) - 1 / l`: 1/2 for l = 0, as for a bit, and nearer to 1/2 than `sigmoid(l)` elsewhere.

    For |l| < 1 the derivatives A' and A'' are computed from the series of A in powers of l^2, as their formulae lose
    all digits near 0.

    Source: Loaiza-Ganem & Cunningham (2019), https://arxiv.org/abs/1907.06845.

    Args:
        logits: l, shape (..., X). An infinite one counts as the largest number of its type.
        validate_args: check parameters and values, as in torch; false by default.

    >>> p = ContinuousBernoulli(torch.tensor([0.0, 4.0]))
    >>> p.mean, p.log_prob(torch.tensor([0.5, 1.0]))
    (tensor([0.5000, 0.7687]), tensor(1.4048))
    """

    arg_constraints = {"logits": constraints.real_vector}  # noqa: RUF012
    support = constraints.independent(constraints.unit_interval, 1)
    has_rsample = False

    def __init__(self, logits: Tensor, validate_args: bool = False) -> None:
        limit = torch.finfo(logits.dtype).max
        self.logits = logits.clamp(-limit, limit)
        super().__init__(logits, validate_args)

    @property
    def mean(self) -> Tensor:
        return _mean(self.logits)

    @property
    def variance(self) -> Tensor:
        near, near_zero, size, tail = _parts(self.logits)
        return torch.where(near, _series(near_zero.square(), 2), size.square().reciprocal() - tail * (1 + tail))

    @property
    def mode(self) -> Tensor:
        """1 for a positive logit, 0 for a negative one; for 0 all values are equally probable, and it is 0."""
        return (self.logits > 0).to(self.logits.dtype)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draw by the inverse of the distribution function, `log(1 + u (exp(l) - 1)) / l` for u uniform on [0, 1)."""
        with torch.no_grad():
            noise = uniform(self._extended_shape(sample_shape), self.logits)
            size = self.logits.abs().clamp_min(torch.finfo(self.logits.dtype).eps)
            low = -torch.log1p(noise * torch.expm1(-size)) / size  # for -|l|: the density falls
            return torch.where(self.logits > 0, 1 - low, low).clamp(0, 1)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        return self.log_prob_of_entries(value).sum(-1)

    def log_prob_of_entries(self, value: Tensor) -> Tensor:
        """Return the log-density of each number, shape (..., X)."""
        if torch.compiler.is_compiling():  # a compiler fuses this itself, including derivatives of any order
            return _log_density(self.logits, value)
        # of x l - A(l) both terms without l where l > 0, so that no difference of large numbers is left
        density: Tensor = self.logits * (value - (self.logits > 0).to(self.logits.dtype))
        rest: Tensor = _LogNormaliser.apply(self.logits)  # type: ignore[no-untyped-call]
        return density - rest

    def entropy(self) -> Tensor:
        """Return the differential entropy in nats, `sum_j [A(l_j) - l_j A'(l_j)]`, shape batch_shape."""
        return -self.log_prob_of_entries(self.mean).sum(-1)


def _log_density(logits: Tensor, value: Tensor) -> Tensor:
    """Return `x l - A(l)` in plain operations, from the series of A where |l| < 1."""
    near, near_zero, size, _ = _parts(logits)
    centre = torch.where(near, 0.5, (logits > 0).to(logits.dtype))
    square = near_zero.square()
    rest = torch.where(near, square * _series(square, 0), (-torch.expm1(-size)).log() - size.log())
    return logits * (value - centre) - rest


class _LogNormaliser(torch.autograd.Function):
    """`A(l) - max(l, 0) = log((1 - exp(-|l|)) / |l|)`, exact also near 0, with its derivative from the series there."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor) -> Tensor:
        ctx.save_for_backward(logits)
        size = logits.abs().clamp_min(torch.finfo(logits.dtype).tiny)
        value: Tensor = torch.expm1(-size).neg_().div_(size).log_()
        return value

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (logits,) = ctx.saved_tensors
        slope: Tensor = _mean(logits) - (logits > 0).to(logits.dtype)
        return gradients[0] * slope


def _mean(logits: Tensor) -> Tensor:
    """Return `A'(l) = 1 / (1 - exp(-l)) - 1 / l`, differentiable."""
    near, near_zero, size, tail = _parts(logits)
    series = 0.5 + near_zero * _series(near_zero.square(), 1)
    below = size.reciprocal() - tail  # at -|l|
    return torch.where(near, series, torch.where(logits > 0, 1 - below, below))


def _parts(logits: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return where |l| < 1; l there; |l| elsewhere, and with it `exp(-|l|) / (1 - exp(-|l|))`.

    Both numbers are replaced where they are not used, so that no gradient is NaN.
    """
    near = logits.abs() < 1
    size = torch.where(near, 1, logits.abs())
    return near, torch.where(near, logits, 0), size, (-size).exp() / -torch.expm1(-size)


def _series(square: Tensor, derivative: Literal[0, 1, 2]) -> Tensor:
    """Return the series of `A(l) - l / 2` over `l^2` (0), of its derivative over l (1), or its second derivative (2).

    Formula: `A(l) - l / 2 = log(sinh(l / 2) / (l / 2)) = sum_n B_2n l^2n / (2n (2n)!)`, with Bernoulli numbers B.
    """
    terms = 4 if square.dtype != torch.float64 else len(_BERNOULLI_NUMBERS)  # the next is below the type's precision
    coefficients, factorial = [], 1.0
    for n, number in enumerate(_BERNOULLI_NUMBERS[:terms], start=1):
        factorial *= (2 * n - 1) * 2 * n
        factor = (1, 2 * n, 2 * n * (2 * n - 1))[derivative]
        coefficients.append(number * factor / (2 * n * factorial))
    total = torch.full_like(square, coefficients.pop())
    for coefficient in reversed(coefficients):
        total = total * square + coefficient
    return total

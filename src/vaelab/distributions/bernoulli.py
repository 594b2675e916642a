"""Independent Bernoulli bits as one distribution over vectors."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import repeat
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import constraints
from torch.distributions.kl import kl_divergence, register_kl

from vaelab.distributed import uniform
from vaelab.distributions.vector import VectorDistribution

__all__ = ["Bernoulli"]


class Bernoulli(VectorDistribution):
    """Independent Bernoulli bits, given by logits.

    Formula: `log p(x) = sum_j [x_j l_j - softplus(l_j)]`, which equals `sum_j [x_j log sigmoid(l_j) + (1 - x_j) log
    sigmoid(-l_j)]` and is finite for every logit. An infinite logit counts as the largest number of its type.

    Args:
        logits: l, shape (..., X). The value of ``log_prob`` may lack leading axes: it is never copied K times.
        validate_args: check parameters and values, as in torch; false by default.

    >>> Bernoulli(torch.zeros(3)).log_prob(torch.ones(3))
    tensor(-2.0794)
    >>> Bernoulli(torch.zeros(64, 200))
    Bernoulli(logits: (64, 200))
    """

    arg_constraints = {"logits": constraints.real_vector}  # noqa: RUF012
    support = constraints.independent(constraints.boolean, 1)
    has_rsample = False

    def __init__(self, logits: Tensor, validate_args: bool = False) -> None:
        self.logits = logits
        super().__init__(logits, validate_args)

    @property
    def mean(self) -> Tensor:
        return torch.sigmoid(self.logits)

    @property
    def variance(self) -> Tensor:
        return torch.sigmoid(self.logits) * torch.sigmoid(-self.logits)

    @property
    def mode(self) -> Tensor:
        return (self.logits > 0).to(self.logits.dtype)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draw zeros and ones in the type of the logits: uniform noise compared with the probabilities."""
        with torch.no_grad():
            shape = self._extended_shape(sample_shape)
            return (uniform(shape, self.logits) < torch.sigmoid(self.logits)).to(self.logits.dtype)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        if self.shares_codes(value):
            return self.logits[:, 0] @ value.T.to(self.logits.dtype) - F.softplus(self.logits).sum(-1)  # (K, B)
        if torch.compiler.is_compiling():  # a compiler fuses this itself, including derivatives of any order
            return (self.logits * value - F.softplus(self.logits)).sum(-1)
        density: Tensor = _BernoulliLogDensity.apply(self.logits, value)  # type: ignore[no-untyped-call]
        return density

    def shares_codes(self, value: Tensor) -> bool:
        """Return whether the same K codes, logits (K, 1, X), are scored for every value (B, X).

        Then the density is a product of matrices, without a (K, B, X) tensor.
        """
        return value.ndim == 2 and self.logits.ndim == 3 and self.logits.shape[1] == 1

    def log_prob_of_entries(self, value: Tensor) -> Tensor:
        """Return `x_j l_j - softplus(l_j)` for each column, shape (..., X)."""
        logits = _finite(self.logits)
        return logits * value - F.softplus(logits)

    def log_prob_of_observed(self, value: Tensor) -> Tensor:
        if not self.shares_codes(value):
            return super().log_prob_of_observed(value)
        logits, mask = self.logits[:, 0], (~value.isnan()).to(self.logits.dtype)
        return logits @ value.masked_fill(value.isnan(), 0).T.to(mask) - F.softplus(logits) @ mask.T  # (K, B)

    def entropy(self) -> Tensor:
        """Return the entropy in nats, `sum_j softplus(-|l_j|) + |l_j| sigmoid(-|l_j|)`, shape batch_shape."""
        size = _finite(self.logits).abs()
        return (F.softplus(-size) + size * torch.sigmoid(-size)).sum(-1)


class _BernoulliLogDensity(torch.autograd.Function):
    """`sum_j [x_j l_j - softplus(l_j)]` with gradient `x - sigmoid(l)`; the value may lack leading axes of the logits.

    Both directions work on blocks of the first axis that fit the processor's cache, so that no temporary tensor is as
    large as the logits.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, value: Tensor) -> Tensor:
        ctx.save_for_backward(logits, value)
        if not _is_suffix(value, logits):
            return _summed(logits, value)
        is_worthwhile = not any(ctx.needs_input_grad) or logits.numel() >= _SHARED * value.numel()
        signs = _signs(value.to(logits.dtype)) if logits.device.type == "cpu" and is_worthwhile else None
        if signs is None:
            parts = [_summed(rows, bits) for rows, bits in _blocks(logits, value)]
        else:
            blocks = list(_blocks(logits, signs))
            scratch = torch.empty_like(blocks[0][0])  # used again: new memory takes as long as the sums
            parts = [_summed_bits(rows, bits, scratch[: rows.shape[0]]) for rows, bits in blocks]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None]:
        logits, value = ctx.saved_tensors
        upstream = gradients[0].unsqueeze(-1)
        for_logits = for_value = None
        if ctx.needs_input_grad[0]:
            # for a second derivative, or where a sum over broadcast axes is needed:
            if torch.is_grad_enabled() or not _is_suffix(value, logits):
                for_logits = ((value - torch.sigmoid(logits)) * upstream).sum_to_size(logits.shape)
            else:
                for_logits = torch.empty_like(logits)
                for rows, out, bits, weight in _blocks(logits, for_logits, value, upstream):
                    torch.sigmoid(rows, out=out).neg_().add_(bits).mul_(weight)
        if ctx.needs_input_grad[1]:
            for_value = (_finite(logits) * upstream).sum_to_size(value.shape)
        return for_logits, for_value


_SHARED = 8  # codes for which it is worth while to ask whether the values are bits


def _signs(value: Tensor) -> Tensor | None:
    """Return 1 for a bit that is 1 and -1 for one that is 0; None if some value is not a bit."""
    return 2 * value - 1 if torch.equal(value.square(), value) else None


_FACTORS = 8  # probabilities that are multiplied before a logarithm is taken: in float32 their product may be e^-87


def _summed_bits(logits: Tensor, signs: Tensor, scratch: Tensor) -> Tensor:
    """Return `sum_j log sigmoid(s_j l_j)` over the last axis, s_j = 1 for a bit that is 1 and -1 for one that is 0.

    It is faster than :func:`_summed`: the logarithm is taken of products over several columns. Where some product is
    below the smallest number of full precision, the sum is computed there. ``scratch`` is memory of the shape of the
    logits.
    """
    probabilities = torch.mul(logits, signs, out=scratch).sigmoid_()  # p(x_j), in (..., X)
    factors = math.gcd(_FACTORS, logits.shape[-1])
    products = probabilities.view(*logits.shape[:-1], factors, logits.shape[-1] // factors).prod(-2)
    if products.numel() > 0 and float(products.amin()) < torch.finfo(logits.dtype).tiny:
        return _summed(logits, (signs + 1) / 2)
    return products.log_().sum(-1)


def _summed(logits: Tensor, value: Tensor) -> Tensor:
    """Return `sum_j [x_j l_j - softplus(l_j)]` over the last axis.

    The terms are subtracted one by one, because the difference of two large sums would be lost to rounding.
    """
    total = (logits * value).sub_(F.softplus(logits)).sum(-1)
    if logits.device.type == "cpu" and math.isfinite(
        total.sum()
    ):  # on other devices this would force a synchronisation
        return total
    logits = _finite(logits)
    return (logits * value).sub_(F.softplus(logits)).sum(-1)


def _finite(logits: Tensor) -> Tensor:
    """Replace infinite logits by the largest number, so that their softplus and their product with 0 are finite."""
    limit = torch.finfo(logits.dtype).max
    return logits.clamp(-limit, limit)


def _is_suffix(value: Tensor, logits: Tensor) -> bool:
    """Return whether the value's shape is the end of the logits' shape."""
    return logits.shape[logits.ndim - value.ndim :] == value.shape


_BLOCK = 250_000  # numbers: one megabyte in float32


def _blocks(first: Tensor, *others: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Cut tensors into blocks along the first axis of the first; a tensor without that axis, or with size 1, stays."""
    count = first.shape[0] if first.ndim > 1 else 1
    step = max(1, _BLOCK * count // max(1, first.numel()))
    if first.device.type != "cpu" or step >= count:
        yield first, *others
        return
    cut = (t.split(step) if t.ndim == first.ndim and t.shape[0] == count else repeat(t) for t in others)
    yield from zip(first.split(step), *cut, strict=False)


def _kl_bernoulli(q: Bernoulli, p: Bernoulli) -> Tensor:
    # sum mu log(mu / pi) + (1 - mu) log((1 - mu) / (1 - pi)) as cross-entropy minus entropy. Every term of
    # either is non-negative, so nothing overflows; for prior 1/2 the cross-entropy is D log 2.
    mean, complement, logits = torch.sigmoid(q.logits), torch.sigmoid(-q.logits), _finite(p.logits)
    cross = (mean * F.softplus(-logits) + complement * F.softplus(logits)).sum(-1)
    return cross - q.entropy()


register_kl(Bernoulli, Bernoulli)(_kl_bernoulli)
_example = Bernoulli(torch.zeros(1))
kl_divergence(
    _example, _example
)  # torch caches the formula that it finds; later, a step that is already compiled would be compiled again

"""The multinomial distribution of rows of counts."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.distributions import constraints

from vaelab.distributed import uniform
from vaelab.distributions.vector import VectorDistribution
from vaelab.errors import InputError

__all__ = ["Multinomial"]

_DRAWN_AT_ONCE = 2**22  # numbers


class Multinomial(VectorDistribution):
    """Counts of n things over X columns, given by logits: each falls on column j with probability `softmax(l)_j`.

    Formula: `log p(x) = log n! - sum_j log x_j! + sum_j x_j log softmax(l)_j`. n is the sum of the value's own row: it
    is given, and its probability is not part of the density. Rows that are drawn, the mean and the mode have ``total``.

    Args:
        logits: l, shape (..., X). The value of ``log_prob`` may lack leading axes: it is never copied K times. A logit
            beyond a quarter of the largest number of its type counts as that.
        total: n of the rows that are drawn, and of mean and mode; 0 if it is not known, so that they are refused.
        validate_args: check parameters and values, as in torch; false by default.

    >>> p = Multinomial(torch.tensor([0.0, 0.0]), total=4)
    >>> p.mean, p.log_prob(torch.tensor([1.0, 3.0])).exp()
    (tensor([2., 2.]), tensor(0.2500))
    """

    arg_constraints = {"logits": constraints.real_vector}  # noqa: RUF012
    constants: ClassVar[tuple[str, ...]] = ("total",)
    support = constraints.independent(constraints.nonnegative_integer, 1)
    has_rsample = False

    def __init__(self, logits: Tensor, total: int | Tensor = 0, validate_args: bool = False) -> None:
        limit = torch.finfo(logits.dtype).max / 4
        self.logits, self.total = logits.clamp(-limit, limit), total
        super().__init__(logits, validate_args)

    @property
    def log_probs(self) -> Tensor:
        """The log-probability of each column, shape (..., X)."""
        return self.logits.log_softmax(-1)

    @property
    def mean(self) -> Tensor:
        return self._known_total() * self.log_probs.exp()

    def mean_of(self, total: Tensor) -> Tensor:
        """Return the mean for rows of other totals n, one for each row, (...): shape (..., X).

        >>> Multinomial(torch.zeros(2)).mean_of(torch.tensor(3.0))
        tensor([1.5000, 1.5000])
        """
        return total.unsqueeze(-1) * self.log_probs.exp()

    @property
    def variance(self) -> Tensor:
        p = self.log_probs.exp()
        return self._known_total() * p * (1 - p)

    @property
    def mode(self) -> Tensor:
        """The most probable counts: the largest n of all quotients `p_j / 1, p_j / 2, ...` (Finucan, 1964)."""
        total = self._known_total()
        p = self.log_probs.double().exp()  # (..., X)
        # counts floor(p / t) for the largest threshold 1 / t that does not give more than n: t is found by bisection
        low, high = torch.full_like(p[..., :1], float(total)), torch.full_like(p[..., :1], float(total + p.shape[-1]))
        for _ in range(64):
            middle = (low + high) / 2
            fits = (p * middle).floor().sum(-1, keepdim=True) <= total
            low, high = torch.where(fits, middle, low), torch.where(fits, high, middle)
        counts = (p * low).floor()
        left = total - counts.sum(-1, keepdim=True)  # among quotients that are equal, those of the first columns
        rank = (-p / (counts + 1)).argsort(dim=-1, stable=True).argsort(-1)
        mode: Tensor = (counts + (rank < left)).to(self.logits.dtype)
        return mode

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draw ``total`` things one by one, by the inverse of the distribution function of the columns."""
        total = self._known_total()
        with torch.no_grad():
            shape = self._extended_shape(sample_shape)
            bounds = self.log_probs.double().exp().cumsum(-1)
            bounds = (bounds / bounds[..., -1:]).expand(shape).reshape(-1, shape[-1]).contiguous()
            counts = torch.zeros_like(bounds)
            at_once = max(1, _DRAWN_AT_ONCE // max(1, len(bounds)))
            for start in range(0, total, at_once):
                noise = uniform((*shape[:-1], min(at_once, total - start)), bounds).reshape(len(bounds), -1)
                chosen = torch.searchsorted(bounds, noise, right=True)
                counts.scatter_add_(-1, chosen, torch.ones_like(noise))
            return counts.to(self.logits.dtype).reshape(shape)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        value = value.to(self.logits.dtype)
        coefficient = torch.lgamma(value.sum(-1) + 1) - torch.lgamma(value + 1).sum(-1)
        if value.ndim == 2 and self.logits.ndim == 3 and self.logits.shape[1] == 1:
            # The same K codes for every observation: a product of matrices instead of a (K, B, X) tensor.
            return self.log_probs[:, 0] @ value.T + coefficient  # (K, B)
        return (self.log_probs * value).sum(-1) + coefficient

    def __repr__(self) -> str:
        return f"Multinomial(logits: {tuple(self.logits.shape)}, total: {int(self.total)})"

    def _known_total(self) -> int:
        if torch.compiler.is_exporting():  # a graph has the number as a constant; it was checked before
            return self.total  # type: ignore[return-value]
        total = int(self.total)
        if total < 1:
            raise InputError(
                "total: expected the number of counts of a row, for a draw, a mean or a mode; it is not known (a model "
                "that is built for a data set has the mean number of its training rows)"
            )
        return total

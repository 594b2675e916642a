"""The two-sample test of the maximum mean discrepancy: do two sets of codes come from one distribution?"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vaelab.errors import InputError

__all__ = ["FALSE_ALARMS", "TwoSamples", "two_sample_test"]

FALSE_ALARMS = 0.05  # how often the test finds a difference where there is none
_PERMUTATIONS = 199  # with 199, p <= 0.05 has a probability of exactly 10 in 200 where there is no difference


@dataclass(frozen=True)
class TwoSamples:
    """The result of the test.

    Attributes:
        mmd: the unbiased estimate of `MMD^2`; it may be below zero.
        null: the same of random divisions of all codes into two sets, (P,).
        told_apart: share of the codes that lie nearer to their own set than to the other, by the mean of the kernel to
            all other codes of each set (a half for as near to both); about 1/2 where there is no difference.
        p_value: share of divisions, with the true one among them, whose value is not below ``mmd``.
        width: of the kernel.
    """

    mmd: float
    null: Tensor
    told_apart: float
    p_value: float
    width: float

    @property
    def differs(self) -> bool:
        """Whether the test finds a difference, which has the probability 0.05 where there is none."""
        return self.p_value <= FALSE_ALARMS


def two_sample_test(x: Tensor, y: Tensor, permutations: int = _PERMUTATIONS) -> TwoSamples:
    """Test whether codes x (n, D) and y (m, D) are drawn from one distribution, by their maximum mean discrepancy.

    `MMD^2 = 1/(n(n-1)) sum_(i!=j) k(x_i, x_j) + 1/(m(m-1)) sum_(i!=j) k(y_i, y_j) - 2/(nm) sum_(i,j) k(x_i, y_j)`

    (Gretton et al., 2012, https://jmlr.org/papers/v13/gretton12a.html, equation 3) with the kernel
    `k(u, v) = exp(-|u - v|^2 / (2 s^2))`, where `s` is the median of the distances between all codes. Between bits
    `|u - v|^2` is the Hamming distance. The null distribution is that of ``permutations`` random divisions of all
    codes into sets of n and m, drawn from torch's generators; the width `s` is that of all codes, so it is the same
    for each of them. Where both sets come from one distribution, all divisions are equally probable, so that
    `p <= 0.05` has a probability of at most 0.05 for any number of codes.

    Raises:
        InputError: fewer than two codes in a set, or codes of different sizes.

    >>> _ = torch.manual_seed(0)
    >>> two_sample_test(torch.randn(100, 2), torch.randn(100, 2)).differs
    False
    >>> two_sample_test(torch.randn(100, 2), torch.randn(100, 2) + 1).differs
    True
    """
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or min(len(x), len(y)) < 2:
        raise InputError(
            f"codes: expected two tables of at least two codes of one size; got shapes {tuple(x.shape)} and "
            f"{tuple(y.shape)}"
        )
    n, m = len(x), len(y)
    both = torch.cat([x, y])
    squares = torch.cdist(both, both, compute_mode="use_mm_for_euclid_dist").square()  # (n + m, n + m)
    width = float(squares[torch.ones_like(squares, dtype=torch.bool).triu(1)].median().sqrt())
    kernel = torch.exp(squares / (-2 * (width or 1.0) ** 2)).fill_diagonal_(1.0)
    order = torch.stack([torch.arange(n + m), *(torch.randperm(n + m) for _ in range(permutations))])
    first = torch.zeros(permutations + 1, n + m, dtype=kernel.dtype).scatter_(1, order[:, :n], 1.0).T  # (n + m, P + 1)
    rows = kernel @ first
    within, across = (first * rows).sum(0), ((1 - first) * rows).sum(0)
    other = kernel.sum() - within - 2 * across
    values = (within - n) / (n * (n - 1)) + (other - m) / (m * (m - 1)) - 2 * across / (n * m)
    mmd, null = values[0], values[1:]
    to_first = rows[:, 0] - first[:, 0]  # without the kernel of a code to itself
    to_other = kernel.sum(1) - 1 - to_first
    own = torch.where(first[:, 0] > 0, to_first / (n - 1) - to_other / m, to_other / (m - 1) - to_first / n)
    reached = int((null >= mmd - 1e-12).sum())  # of equal values one may be smaller by rounding
    nearer = torch.where(own.abs() < 1e-12, 0.5, (own > 0).double())
    return TwoSamples(float(mmd), null, float(nearer.mean()), (1 + reached) / (permutations + 1), width)

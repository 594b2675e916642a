"""How heavy the tail of importance weights is: the shape of a generalised Pareto distribution."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["FEWEST", "HEAVY", "pareto_shape"]

HEAVY = 0.7  # a larger shape means that the mean of the weights cannot be relied on, with any affordable K
FEWEST = 25  # weights, for a tail of five
_PRIOR, _SHAPE = 10, 0.5  # a weak prior of the shape: ten observations of 1/2
_GRID = 30


def pareto_shape(log_weights: Tensor) -> Tensor:
    """Return the shape k of the tail of K importance weights, (B,), from log-weights (K, B); NaN for K below 25.

    The `M = min(K / 5, 3 sqrt(K))` largest weights, less the next one, are described by a generalised Pareto
    distribution. With k above 1/2 the weights have no variance; above 0.7 their mean is not to be relied on; above 1
    they have no mean. Weights that equal the next one, such as those of a code of bits that is drawn repeatedly, are
    not in the tail. Sources: Vehtari et al. (2024), Pareto smoothed importance sampling,
    https://arxiv.org/abs/1507.02646; the estimate of k: Zhang & Stephens (2009),
    https://doi.org/10.1198/tech.2009.08017.

    >>> uniform = torch.rand(4000, 1, generator=torch.Generator().manual_seed(0)).double()
    >>> bool((pareto_shape(-0.6 * uniform.log()) - 0.6).abs() < 0.15)  # weights with a tail of shape 0.6
    True
    """
    count = len(log_weights)
    if count < FEWEST:
        return log_weights.new_full(log_weights.shape[1:], torch.nan)
    size = int(min(count / 5, 3 * count**0.5))
    largest = log_weights.double().topk(size + 1, 0).values.flip(0)  # (M + 1, B), increasing
    weights = (largest - largest[-1]).exp()
    excess = weights[1:] - weights[0]
    # where the tail is one value, such as of equal weights, it has no width
    flat = excess[-1] <= 1e-12
    shape = _fitted(torch.where(flat, torch.linspace(0.1, 1, size, dtype=excess.dtype)[:, None], excess))
    return torch.where(flat, 0.0, shape)


def _fitted(x: Tensor) -> Tensor:
    """Return the shape of a generalised Pareto distribution for increasing numbers (M, B): a mean over a profile.

    Numbers that are zero belong to no tail, and add nothing to the sums.
    """
    size = (x > 0).sum(0)  # (B,), at least 1
    points = _GRID + int(len(x) ** 0.5)
    number = torch.arange(1, points + 1, dtype=x.dtype)
    place = len(x) - size + (size / 4 + 0.5).long().clamp_min(1) - 1
    quartile = x.gather(0, place[None])[0]
    b = (1 - (points / (number - 0.5)).sqrt())[:, None] / (3 * quartile) + 1 / x[-1]  # (G, B)
    k = torch.log1p(-b[:, None] * x).sum(1) / size  # (G, B)
    profile = size * ((-b / k).log() - k - 1)
    b = (profile.softmax(0) * b).sum(0)  # (B,)
    shape = torch.log1p(-b * x).sum(0) / size
    return (shape * size + _SHAPE * _PRIOR) / (size + _PRIOR)

"""What the map of codes needs of all rows together: principal axes, and how often near codes have the same class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["NEAREST", "Neighbours", "Plane", "planes"]

_AXES = 10  # principal axes of a page, at most
_ROWS = 2000  # whose neighbours are compared, at most: their number squared counts
NEAREST = 5  # codes whose classes are compared with that of a row


@dataclass(frozen=True)
class Neighbours:
    """How often the nearest codes of a row have its class, among so many ``rows``.

    ``share`` is the mean over the rows, ``chance`` that of classes dealt out at random. ``mixed`` are the two classes
    that are most often near each other, with the share of the other class among the nearest codes; None with one class.
    """

    rows: int
    nearest: int
    share: float
    chance: float
    mixed: tuple[int, int, float] | None


@dataclass(frozen=True)
class Plane:
    """The principal axes of the codes of one layer.

    ``mean`` (L,); ``axes`` (k, L), unit vectors, that of the largest variance first; ``variances`` (k,) of the codes
    along them; ``total``, the sum of the variances of all L units; ``neighbours``, None without classes.
    """

    mean: Tensor
    axes: Tensor
    variances: Tensor
    total: float
    neighbours: Neighbours | None


def planes(codes: Tensor, layers: Sequence[int] = (), labels: Tensor | None = None) -> list[Plane]:
    """Return the principal axes of each layer of codes (N, D); of the whole code without layers.

    An axis points to where its largest entry is positive, so that the same codes give the same axes. Source: Pearson
    (1901), https://doi.org/10.1080/14786440109462720.

    Args:
        codes: one code for each row.
        layers: sizes of the layers, whose sum is D.
        labels: the class of each row, integers (N,).

    >>> plane, = planes(torch.tensor([[0.0, 1.0], [2.0, 1.0]]), labels=torch.tensor([0, 1]))
    >>> plane.axes[0].tolist(), plane.variances.tolist(), plane.neighbours.share
    ([1.0, 0.0], [1.0, 0.0], 0.0)
    """
    return [_plane(part.double(), labels) for part in codes.split(list(layers) or [codes.shape[1]], 1)]


def _plane(codes: Tensor, labels: Tensor | None) -> Plane:
    mean = codes.mean(0)
    centred = codes - mean
    covariance = centred.T @ centred / len(codes)  # (L, L)
    variances, vectors = torch.linalg.eigh(covariance)
    axes = vectors.T.flip(0)[:_AXES]
    largest = axes.gather(1, axes.abs().argmax(1, keepdim=True))
    return Plane(
        mean,
        axes * largest.sign(),
        variances.flip(0)[:_AXES].clamp(min=0),
        float(covariance.trace()),
        None if labels is None or len(codes) < 2 else _neighbours(codes, labels.long()),
    )


def _neighbours(codes: Tensor, labels: Tensor) -> Neighbours:
    """Compare classes; codes that are equally far count in equal parts. Of many rows some are taken, evenly."""
    taken = torch.linspace(0, len(codes) - 1, min(_ROWS, len(codes))).round().long()
    codes, labels = codes[taken], labels[taken]
    nearest = min(NEAREST, len(codes) - 1)
    counts = torch.bincount(labels).double()
    one_hot = torch.nn.functional.one_hot(labels, len(counts)).double()
    pairs = torch.zeros(len(counts), len(counts), dtype=torch.float64)  # [a, b]: codes of b near one of a
    for start, distances in _distances(codes):
        limit = distances.kthvalue(nearest, 1, keepdim=True).values
        inside, tied = (distances < limit).double(), (distances == limit).double()
        weight = inside + tied * (nearest - inside.sum(1, keepdim=True)) / tied.sum(1, keepdim=True)
        pairs += one_hot[start : start + len(distances)].T @ weight @ one_hot
    rows = len(codes)
    return Neighbours(
        rows,
        nearest,
        float(pairs.trace() / (nearest * rows)),
        float((counts * (counts - 1)).sum() / (rows * (rows - 1))),
        _mixed(pairs, counts, nearest),
    )


def _distances(codes: Tensor, rows: int = 500) -> Iterator[tuple[int, Tensor]]:
    """Yield the distances of some rows from all, infinite from themselves, with the number of the first."""
    for start in range(0, len(codes), rows):
        part = codes[start : start + rows]
        distances = torch.cdist(part, codes, compute_mode="donot_use_mm_for_euclid_dist")  # equal codes: exactly 0
        distances[torch.arange(len(part)), torch.arange(start, start + len(part))] = torch.inf
        yield start, distances


def _mixed(pairs: Tensor, counts: Tensor, nearest: int) -> tuple[int, int, float] | None:
    if len(counts) < 2:
        return None
    shares = (pairs + pairs.T) / (nearest * (counts[:, None] + counts)).clamp(min=1)
    shares = shares.triu(1)
    first, second = divmod(int(shares.argmax()), len(counts))
    return first, second, float(shares[first, second])

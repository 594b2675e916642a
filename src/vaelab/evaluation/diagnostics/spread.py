"""Some of the rows of a split, spread evenly over it; numbers of rows in words."""

from __future__ import annotations

import torch

from vaelab.data import Observations, Resident
from vaelab.data.weights import Weighted
from vaelab.errors import InputError
from vaelab.seeds import seeded

__all__ = ["counted", "spread"]


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, such as ``1 row`` and ``1,000 rows``.

    >>> counted(1, "row"), counted(1000, "row")
    ('1 row', '1,000 rows')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def spread(observed: Observations, count: int, seed: int) -> Observations:
    """Return at most ``count`` rows in memory, spread evenly over those whose weight is above 0.

    Bits that are drawn anew each time they are seen are drawn once, from ``seed``.

    Raises:
        InputError: no row has a weight above 0.

    >>> rows = Resident(torch.arange(5.0).unsqueeze(1), 1, redraw=False)
    >>> spread(rows, 3, seed=0).bits(slice(None)).flatten()
    tensor([0., 2., 4.])
    """
    weights = None if observed.weights is None else observed.weights.cpu()
    places = torch.arange(len(observed)) if weights is None else weights.nonzero().flatten()
    if not len(places):
        raise InputError(f"rows: expected more, as each of the first {len(observed):,} has weight 0")
    if count < len(places):
        places = places[torch.linspace(0, len(places) - 1, count, dtype=torch.float64).round().long()]
    with seeded(seed, "rows"):
        rows = Resident(observed.bits(places.to(observed.device)), 1, redraw=False)
    return rows if weights is None else Weighted(rows, weights[places])

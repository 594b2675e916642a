"""The exact log p(x): of a density model its own, otherwise by summing over every code of few bits."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from vaelab.inference import Enumeration
from vaelab.likelihood.contract import BoundEstimate, Callback, Observed, as_split
from vaelab.models import DensityModel, LatentVariableModel, Model, require_latent

__all__ = ["exact", "require_few_bits"]

_ROWS = 1000


def require_few_bits(model: LatentVariableModel) -> None:
    """Raise an :class:`~vaelab.errors.InputError` for codes that are not bits, or more than 20 of them."""
    require_latent(model, "exact").require_likelihood()
    Enumeration(model)


def exact(
    model: Model,
    observed: Observed,
    samples: int = 1,
    seed: int = 0,
    callback: Callback | None = None,
    *,
    double: bool = False,
) -> BoundEstimate:
    """Exact `log p(x)`: that of a density model, or `log sum_z p(z) p(x|z)` over every code of at most 20 bits.

    Nothing is drawn: ``samples`` and ``seed`` have no effect.

    Args:
        model: a density model, or one whose codes are bits.
        observed: a split, or observations (N, X).
        samples: not used.
        seed: not used.
        callback: called with the observations done and all observations.
        double: whether to sum in float64, on a copy of the model.

    Raises:
        InputError: codes that are not bits, or more than 20 of them.

    >>> from vaelab.models import bernoulli_vae
    >>> exact(bernoulli_vae(6, latent_dim=3), torch.ones(2, 6)).values.shape
    torch.Size([2])
    """
    split = as_split(model, observed)
    model = copy.deepcopy(model).double() if double else model
    if isinstance(model, DensityModel):
        return BoundEstimate(model.values_of(split, callback=callback), weights=split.weights)
    model = require_latent(model, "exact")
    enumeration = Enumeration(model)
    values: list[Tensor] = []
    with torch.no_grad():
        for start in range(0, len(split), _ROWS):
            x = split.bits(slice(start, start + _ROWS)).to(model.any_weight)  # (B, X)
            values.append(enumeration.log_likelihood(x).cpu())  # (B,)
            if callback is not None:
                callback(min(start + _ROWS, len(split)), len(split))
    return BoundEstimate(torch.cat(values), weights=split.weights)

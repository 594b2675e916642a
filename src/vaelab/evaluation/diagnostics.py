"""Diagnostics of the code: which units carry information about x."""

from __future__ import annotations

import torch
from torch import Tensor

from vaelab.evaluation.bounds import Observed, as_split
from vaelab.models import LatentVariableModel

__all__ = ["active_units", "encode_all"]


def encode_all(model: LatentVariableModel, observed: Observed, rows: int = 2000) -> Tensor:
    """Return the posterior means of a whole split, shape (N, D), on the CPU."""
    observed = as_split(model, observed)
    return torch.cat([model.encode(observed.bits(slice(i, i + rows))).cpu() for i in range(0, len(observed), rows)])


def active_units(model: LatentVariableModel, observed: Observed) -> dict[str, float]:
    """Count the units of the code that are used.

    Real codes: units whose posterior mean varies over the data by more than 0.01 (Burda et al., 2016,
    https://arxiv.org/abs/1509.00519, section 5.2). Bits: units that tell more than 0.01 nat about x, the
    entropy of the average bit less the average entropy of the bit. ``average_bit_entropy`` (nats a unit, at
    most log 2) is the first of the two alone: near zero for a bit that is always the same; but a bit that
    ignores x and is drawn at 1/2 has it at log 2 too, which is why the second is subtracted.
    """
    means = encode_all(model, observed)  # (N, D)
    if model.code != "bits":
        return {"active_units": int((means.var(0, correction=0) > 0.01).sum()), "units": means.shape[1]}
    of_average = _bit_entropy(means.double().mean(0))  # (D,)
    averaged = _bit_entropy(means.double()).mean(0)  # (D,)
    return {
        "active_units": int((of_average - averaged > 0.01).sum()),
        "units": means.shape[1],
        "average_bit_entropy": float(of_average.mean()),
    }


def _bit_entropy(probability: Tensor) -> Tensor:
    entropy: Tensor = torch.special.entr(probability) + torch.special.entr(1 - probability)
    return entropy

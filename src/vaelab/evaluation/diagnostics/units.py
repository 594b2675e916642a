"""Active units: how many units of the code carry information about x, and how many nats each."""

from __future__ import annotations

import torch
from torch import Tensor

from vaelab.evaluation.active_units import ACTIVE
from vaelab.evaluation.diagnostics.contract import Diagnosis, Sample

__all__ = ["active_and_nats"]


def active_and_nats(sample: Sample) -> Diagnosis:
    """Count the active units, and measure the nats that each unit carries.

    Active is as in :func:`~vaelab.evaluation.active_units.active_units`: of real-valued codes
    `Var_x[E_q(z_j|x)[z_j]] > 0.01` (Burda et al., 2016, https://arxiv.org/abs/1509.00519), of bits
    `I(z_j; x) > 0.01` nat.

    Numbers: ``units``, ``active_units``; ``nats``, what the active units carry together, and ``all_nats``, what all
    units do: of bits the mutual information with x, of real-valued codes `E_x KL[q(z_j|x) || p(z_j)]`.
    """
    units = sample.units
    nats = units.kl if units.information is None else units.information
    count, active = len(units.mean), int(units.active.sum())
    numbers: dict[str, float] = {"units": count, "active_units": active}
    arrays: dict[str, Tensor] = {"active": units.active.to(torch.uint8)}
    sentences = [f"{active:,} of {count:,} units are active: {_rule(units.information is not None)}."]
    if not nats.isnan().any():
        carried, everything = float(nats[units.active].sum()), float(nats.sum())
        numbers |= {"nats": carried, "all_nats": everything}
        arrays |= {"nats": nats.float()}
        sentences.append(f"They carry {carried:.1f} of the {everything:.1f} nats of all units.")
    return Diagnosis(name="units", title="Active units", numbers=numbers, arrays=arrays, sentences=sentences)


def _rule(bits: bool) -> str:
    if bits:
        return f"the mutual information of the unit with x is above {ACTIVE} nat"
    return f"the mean of q(z|x) varies over the observations, with a variance above {ACTIVE}"

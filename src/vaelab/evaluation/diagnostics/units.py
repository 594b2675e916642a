"""Active units: how many units of the code carry information about x, and how many nats each."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from vaelab.evaluation.active_units import ACTIVE
from vaelab.evaluation.diagnostics.codes import layers_of
from vaelab.evaluation.diagnostics.contract import Diagnosis, Sample

__all__ = ["active_and_nats"]


def active_and_nats(sample: Sample) -> Diagnosis:
    """Count the active units, and measure the nats that each unit carries.

    Active is as in :func:`~vaelab.evaluation.active_units.active_units`: of real-valued codes
    `Var_x[E_q(z_j|x)[z_j]] > 0.01` (Burda et al., 2016, https://arxiv.org/abs/1509.00519, section 5.2), of bits
    `I(z_j; x) > 0.01` nat. What a unit carries is of bits the mutual information `I(z_j; x)`, each counted alone, and
    of real-valued codes its KL, `E_x KL[q(z_j|x) || p(z_j)] = I(z_j; x) + KL[q(z_j) || p(z_j)]`.

    In a chain of layers the KL of a unit is that of its two distributions given the layers beside it, for one code of
    each row, as in Sønderby et al. (2016), https://arxiv.org/abs/1602.02282; of the layer that is farthest from x it
    is the unit's part of the KL of the ELBO.

    Numbers: ``units``, ``active_units``; where it is known, ``nats``, what the active units carry together,
    ``all_nats``, what all units do, ``half``, how few units carry half of that, and ``kl``, the sum of the KL over all
    units; ``layers``, the same of each layer of a chain, nearest to x first.

    Raises:
        InputError: a single row.
    """
    sample.require_several("units")
    units, bits = sample.units, sample.units.information is not None
    kl = None if sample.codes.kl is None else sample.row_weights @ sample.codes.kl
    nats = units.information if bits else kl
    parts = layers_of(sample.model)
    layers = [_numbers(units.active, nats, kl, part) for part in parts]
    numbers = _numbers(units.active, nats, kl, slice(None)) | ({"layers": layers} if len(parts) > 1 else {})
    arrays: dict[str, Tensor] = {"active": units.active.to(torch.uint8)}
    arrays |= {"layers": torch.tensor([part.stop - part.start for part in parts])}
    arrays |= {name: each.float() for name, each in (("nats", nats), ("kl", kl)) if each is not None}
    arrays |= {"most": torch.tensor(math.log(2))} if bits else {}
    rule = f"I(z; x) of the bit is above {ACTIVE} nat" if bits else f"the mean of q(z|x) has a variance above {ACTIVE}"
    sentences = [f"{numbers['active_units']:,} of {numbers['units']:,} units are active ({rule})."]
    sentences += _of_nats(numbers, nats, bits)
    if len(layers) > 1:
        sentences += [_of_layer(number, layer) for number, layer in enumerate(layers, 1)]
    return Diagnosis(name="units", title="Active units", numbers=numbers, arrays=arrays, sentences=sentences)


def _numbers(active: Tensor, nats: Tensor | None, kl: Tensor | None, part: slice) -> dict[str, Any]:
    """Return the numbers of some units."""
    numbers: dict[str, Any] = {"units": len(active[part]), "active_units": int(active[part].sum())}
    if nats is not None:
        falling = nats[part].sort(descending=True).values.cumsum(0)
        numbers |= {"nats": float(nats[part][active[part]].sum()), "all_nats": float(nats[part].sum())}
        numbers |= {"half": int((falling < numbers["all_nats"] / 2).sum()) + 1}
    if kl is not None:
        numbers |= {"kl": float(kl[part].sum())}
    return numbers


def _of_nats(numbers: dict[str, Any], nats: Tensor | None, bits: bool) -> list[str]:
    """Return the sentence on what the active units carry; none where it is not known, or nothing."""
    if nats is None or not numbers["active_units"]:
        return []
    each = numbers["nats"] / numbers["active_units"]
    what = "about x, each counted alone (a bit carries at most 0.69)" if bits else "(KL of q(z|x) from the prior)"
    return [
        f"They carry {numbers['nats']:.1f} nats {what}, {each:.2f} each on average; the one that carries most has "
        f"{float(nats.max()):.2f}, and half of all is in {numbers['half']:,} unit{'s' if numbers['half'] > 1 else ''}."
    ]


def _of_layer(number: int, layer: dict[str, Any]) -> str:
    carried = f", and carry {layer['nats']:.1f} nats" if "nats" in layer else ""
    return f"Layer {number}: {layer['active_units']:,} of {layer['units']:,} units are active{carried}."

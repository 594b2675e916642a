"""Binarisation protocols: how grey levels become the bits that a model sees. Part of the data, never implicit."""

from __future__ import annotations

from typing import Literal, get_args

import torch

from vaelab.data.dataset import Dataset
from vaelab.data.draws import draw_bits, redraw_bits
from vaelab.data.resident import Observations, Resident
from vaelab.data.rows import Rows, on_disk
from vaelab.data.streamed import Rule, Streamed
from vaelab.errors import InputError, require_choice
from vaelab.seeds import derive_seed

__all__ = ["BINARISATION_SEED", "Binarisation", "draw_bits", "observations", "protocol_of", "redraw_bits"]

Binarisation = Literal["dynamic", "static", "threshold", "none"]
BINARISATION_SEED = 777


def protocol_of(data: Dataset, asked: Binarisation) -> Binarisation:
    """Return the protocol that applies: data that are bits already are binarised by none."""
    return "none" if data.kind == "binary" else asked


def observations(data: Dataset, split: str, protocol: Binarisation, device: torch.device | str = "cpu") -> Observations:
    """Place a split on ``device`` under a binarisation protocol (DESIGN: the protocol is part of the data).

    ``dynamic`` redraws training pixels each time they are seen; validation and test are drawn once with a
    seed derived from 777 and the split's name. ``static`` draws every split once so. ``threshold`` sets bits
    where the grey level exceeds one half. ``none`` takes bits as they are.

    A split on the disk stays there: it is read, and drawn from, as it is asked for.

    Raises:
        InputError: an unknown protocol, or ``none`` on data that are not bits.
    """
    require_choice("binarisation", protocol, get_args(Binarisation))
    found = data.split(split).pixels
    if protocol == "none" and data.kind != "binary":
        low, high = (found.facts.low, found.facts.high) if isinstance(found, Rows) else (found.min(), found.max())
        raise InputError(
            f"binarisation: 'none' expects bits; {data.name} has grey levels in [{low:g}, {high:g}]; "
            "choose dynamic, static or threshold"
        )
    rows = on_disk(found, data.scale)
    if rows is not None:
        return Streamed(rows, data.scale, _rule(data, split, protocol), split, torch.device(device))
    pixels = torch.from_numpy(found)
    if data.kind == "binary":
        return Resident(pixels.to(device), 1, redraw=False)
    if protocol == "dynamic" and split == "train":
        return Resident(pixels.to(device), data.scale, redraw=True)
    if protocol == "threshold":
        bits = pixels > data.scale / 2
    else:  # Drawn on the CPU, so that every device sees the same bits.
        generator = torch.Generator().manual_seed(derive_seed(BINARISATION_SEED, split))
        bits = draw_bits(pixels, data.scale, generator)
    return Resident(bits.to(torch.uint8).to(device), 1, redraw=False)


def _rule(data: Dataset, split: str, protocol: Binarisation) -> Rule:
    if data.kind == "binary":
        return "as it is"
    if protocol == "threshold":
        return "threshold"
    return "redraw" if protocol == "dynamic" and split == "train" else "draw once"

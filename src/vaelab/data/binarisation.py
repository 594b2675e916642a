"""Binarisation: how grey levels become the bits that a model sees, by one protocol for all splits of a data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from vaelab.data.values import Kind
from vaelab.distributed import ALONE, Ranks
from vaelab.errors import InputError, require_choice
from vaelab.seeds import DATA_SEED, derive_seed

__all__ = ["Binarisation", "BitRule", "bit_rule", "draw_bits", "protocol_of", "redraw_bits"]

Binarisation = Literal["dynamic", "static", "threshold", "none"]
How = Literal["redraw", "draw once", "threshold", "as it is"]


@dataclass(frozen=True)
class BitRule:
    """How the stored values of one split become bits.

    ``redraw``: drawn anew each time they are seen. ``draw once``: drawn with a seed that is derived from 777 and the
    name of the split. ``threshold``: one where the grey level exceeds 1/2. ``as it is``: the values are bits, or are
    to be modelled as the numbers that they are, divided by the scale.
    """

    how: How
    scale: float
    split: str
    may_be_missing: bool = False

    def fixed(self) -> BitRule:
        """Return the rule that always gives the same bits: ``redraw`` becomes ``draw once``."""
        return replace(self, how="draw once") if self.how == "redraw" else self

    def generator(self, *place: object) -> torch.Generator:
        """Return the generator of the bits that are drawn once; ``place`` is part of the seed."""
        return torch.Generator().manual_seed(derive_seed(DATA_SEED, self.split, *place))

    def fixed_bits(self, values: Tensor, *place: object) -> Tensor:
        """Return the bits of values under ``draw once`` or ``threshold``; ``place`` is part of the seed.

        They are uint8, or float32 where values may be missing: NaN stays NaN.
        """
        if self.how == "threshold":
            bits = _keep_missing((values > self.scale / 2).float(), values)
        else:
            bits = draw_bits(values, self.scale, self.generator(*place))
        return bits if self.may_be_missing else bits.to(torch.uint8)


def protocol_of(name: str, kind: Kind, requested: Binarisation | None) -> Binarisation:
    """Return the protocol of a data set called ``name``; None asks for the default, ``dynamic`` for grey levels.

    Under ``none`` a model gets the numbers themselves: bits, or real numbers.

    Raises:
        InputError: an unknown protocol, or another than ``none`` for data that are no grey levels.
    """
    if requested is None:
        return "dynamic" if kind == "grey" else "none"
    require_choice("binarisation", requested, get_args(Binarisation))
    if kind != "grey" and requested != "none":
        what = "bits" if kind == "binary" else "no grey levels"
        raise InputError(
            f"binarisation: expected none (or nothing), as the data {name!r} are {what}; got {requested!r}"
        )
    return requested


def bit_rule(protocol: Binarisation, scale: float, split: str, may_be_missing: bool = False) -> BitRule:
    """Return how the values of a split become bits under a protocol."""
    if protocol == "none":
        return BitRule("as it is", scale, split, may_be_missing)
    if protocol == "threshold":
        return BitRule("threshold", scale, split, may_be_missing)
    how: How = "redraw" if protocol == "dynamic" and split == "train" else "draw once"
    return BitRule(how, scale, split, may_be_missing)


def draw_bits(values: Tensor, scale: float, generator: torch.Generator | None = None) -> Tensor:
    """Draw a bit for each value with probability ``values / scale``; float32, the shape of ``values``. NaN stays NaN.

    For uint8 grey levels and a whole scale S the comparison ``u < value`` with u uniform on 0...S-1 has exactly the
    probability value / S; otherwise u is uniform on [0, S).
    """
    return _keep_missing((_noise(values, scale, values.shape, generator) < values).float(), values)


def _keep_missing(bits: Tensor, values: Tensor) -> Tensor:
    """Return the bits, and NaN where the values are NaN; bytes never are."""
    return torch.where(values.isnan(), values, bits) if values.is_floating_point() else bits


def _noise(values: Tensor, scale: float, shape: Sequence[int], generator: torch.Generator | None = None) -> Tensor:
    if values.dtype == torch.uint8 and scale == int(scale) and scale <= 255:
        high = int(scale)
        return torch.randint(0, high, tuple(shape), dtype=torch.uint8, device=values.device, generator=generator)
    return torch.rand(tuple(shape), device=values.device, generator=generator) * scale


def redraw_bits(values: Tensor, scale: float, ranks: Ranks = ALONE) -> Tensor:
    """Draw as :func:`draw_bits` does, from the default generator, several times faster for bytes on a processor.

    A byte of a random word is uniform on 0...255; those that are 255 are drawn again from 0...254, which leaves
    every byte uniform on 0...254. Of several ranks each draws the noise of all, and uses that of its own rows.
    """
    rows, columns = values.shape
    if scale != 255 or values.dtype != torch.uint8 or values.device.type != "cpu":
        noise = _noise(values, scale, (rows * ranks.count, columns))
        return _keep_missing((ranks.share(noise) < values).float(), values)
    count = values.numel() * ranks.count
    words = torch.empty(-(-count // 8), dtype=torch.int64).random_(-(2**63), None)
    noise = words.view(torch.uint8)[:count]
    (again,) = np.nonzero(noise.numpy() == 255)
    noise[torch.from_numpy(again)] = torch.randint(0, 255, (len(again),), dtype=torch.uint8)
    share = ranks.share(noise.view(-1, columns))
    return torch.lt(share, values, out=torch.empty(values.shape))  # written as floats at once

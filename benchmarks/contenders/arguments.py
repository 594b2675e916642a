"""What every worker is told on its command line."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from contenders import CASES, Case
from contenders.turns import weights_file

__all__ = ["Told", "told"]


@dataclass(frozen=True)
class Told:
    """The case, the length of a slice in steps, and where to leave weights, if they are asked for."""

    case: Case
    pixels: Tensor  # grey levels (N, X) in [0, 1], float32
    steps: int
    seed: int
    folder: Path
    save: bool
    dynamic: bool
    precision: str
    compile: bool
    recipe: str
    epochs: int

    def bits(self) -> Tensor:
        """Return bits drawn once from the grey levels, for trainers that draw none."""
        return torch.bernoulli(self.pixels, generator=torch.Generator().manual_seed(self.seed))

    def keeping(self, step: int, weights: Callable[[], Any]) -> Callable[[], None] | None:
        """Return what writes the weights, if they are asked for."""
        return (lambda: torch.save(weights(), weights_file(self.folder, step))) if self.save else None


def told() -> Told:
    """Read the command line, and set the number of threads and the seed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("case", choices=CASES)
    parser.add_argument("--pixels", type=Path, required=True, help="uint8 grey levels (N, X), a tensor in a .pt file")
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--save", action="store_true")
    parser.add_argument("--dynamic", action="store_true")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--recipe", default="")
    parser.add_argument("--epochs", type=int, default=0)
    found = vars(parser.parse_args())
    torch.set_num_threads(found.pop("threads"))
    torch.manual_seed(found["seed"])
    pixels = torch.load(found.pop("pixels"), weights_only=True).float() / 255
    return Told(CASES[found.pop("case")], pixels, **found)

"""vaelab's training of a net that has grown along one axis: what ``cost_curves`` times, and its memory."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from contenders.turns import Turns
from vaelab.data import Dataset, Split
from vaelab.models import gaussian_vae
from vaelab.settings import resolve
from vaelab.training import Row, fit

__all__ = ["resident"]

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def resident(what: str) -> float:
    """Return megabytes of this process as Linux reports them: ``VmRSS`` now, ``VmHWM`` at the most so far."""
    lines = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines())
    return int(lines[what].split()[0]) / 1024


def random_data(rows: int, pixels: int) -> Dataset:
    """Return random grey levels; as many validation rows as are never looked at."""
    levels = np.random.default_rng(0).integers(0, 256, (rows, pixels), dtype=np.uint8)
    return Dataset("grown", {"train": Split(levels), "validation": Split(levels[:100])}, "grey", 255)


def main() -> None:
    turns = Turns()
    told: dict[str, Any] = json.loads(sys.argv[1])
    torch.set_num_threads(told["threads"])
    fit(gaussian_vae(8, 2, [4]), random_data(64, 8), steps=2)  # what the first step loads is no cost of a step
    _CLEAR.write_text("5")  # the peak starts again at what is resident now
    before = resident("VmRSS")
    data = random_data(told["rows"], told["pixels"])
    training = {"steps": 10**9, "validate_every": 10**9, "log_every": told["steps"], "batch_size": told["batch"]}
    layer = {
        "latent_dim": told["latent_dim"],
        "hidden_dims": [told["width"]] * told["layers"],
        "estimator": {"name": "pathwise", "samples": told["samples"]},
        "training": training | {"precision": "float32"},
    }
    settings = resolve("gaussian-vae", layer)
    model = settings.build_model(data)

    def watch(row: Row) -> None:
        turns.pause(megabytes=resident("VmHWM") - before)

    turns.begin()
    fit(
        model,
        data,
        estimator=settings.build_estimator(model),
        objective=settings.build_objective(),
        settings=settings.training,
        callback=watch,
    )


if __name__ == "__main__":
    main()

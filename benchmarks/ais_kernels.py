"""Settings of the kernels of annealed importance sampling, compared at equal processor time.

    python benchmarks/ais_kernels.py [--runs lab/runs] [--rows 20] [--seconds 6]

The runs are those of `vaelab lab`: gaussian-20 for Hamiltonian Monte Carlo, bernoulli-rebar for Langevin and Gibbs.
Each setting has as many temperatures as fit the same processor time, which is measured on some moves of its own. The
value is the mean lower bound on log p(x) of the first test images, 16 chains each: the highest is the best. Differences
are paired with the default, the first of a model, over the same images. OUT/ais_kernels.json and OUT/ais_kernels.md
hold the table and what ran it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from contenders.machine import machine
from vaelab.data import Dataset
from vaelab.likelihood.annealing import temperatures_between
from vaelab.likelihood.walk import Annealing, estimate_of, walked
from vaelab.models import LatentVariableModel, require_latent
from vaelab.networks import evaluation_mode
from vaelab.runs import Run
from vaelab.seeds import seeded

CHAINS = 16
SETTINGS: dict[str, list[dict[str, Any]]] = {
    "gaussian-20": [
        {"kernel": "hmc"},
        *({"kernel": "hmc", "leapfrogs": count} for count in (1, 2, 3, 10, 20)),
        *({"kernel": "hmc", "acceptance": share} for share in (0.5, 0.8, 0.9)),
    ],
    "bernoulli-rebar": [
        {"kernel": "langevin"},
        *({"kernel": "langevin", "acceptance": share} for share in (0.3, 0.45, 0.7, 0.85)),
        {"kernel": "gibbs"},
    ],
}


def annealing_of(model: LatentVariableModel, setting: dict[str, Any], temperatures: int) -> Annealing:
    """Return a walk whose kernel has the options of a setting."""
    annealing = Annealing.of(model, temperatures, "posterior", setting["kernel"])
    for option, value in setting.items():
        if option != "kernel":
            setattr(annealing.kernel, option, value)
    return annealing


def seconds_of_a_move(model: LatentVariableModel, setting: dict[str, Any], x: Tensor) -> float:
    """Return the median processor time of a move of all chains."""
    annealing = annealing_of(model, setting, 2)
    path = annealing.path(x)
    place, seconds = path.at(path.sample(CHAINS)), []
    for _ in range(5):
        begun = time.process_time()
        annealing.kernel.move(path, place, 0.5, annealing.kernel.first_step or 0.0)
        seconds.append(time.process_time() - begun)
    return statistics.median(seconds)


def measure(
    model: LatentVariableModel, setting: dict[str, Any], x: Tensor, seconds: float
) -> tuple[dict[str, Any], Tensor]:
    """Return the row of a setting, and the value of each image."""
    temperatures = max(2, round(seconds / seconds_of_a_move(model, setting, x)))
    annealing = annealing_of(model, setting, temperatures)
    assert annealing.temperatures == temperatures_between(temperatures)
    annealing.tune(x, 0)
    begun = time.process_time()
    with seeded(0, "ais", 0):
        found = estimate_of(
            [walked(annealing.forwards(annealing.path(x), CHAINS), temperatures, 0, 1, None)], 1, annealing
        )
    row = {
        **setting,
        "leapfrogs": getattr(annealing.kernel, "leapfrogs", None),
        "target": annealing.kernel.acceptance if annealing.kernel.first_step else None,
        "temperatures": temperatures,
        "seconds": round(time.process_time() - begun, 1),
        "acceptance": round(found.details["acceptance"], 3),
        "value": round(found.mean, 3),
    }
    row.pop("acceptance") if row["target"] is None else None
    return row, found.values


def table_of(name: str, rows: list[dict[str, Any]]) -> str:
    """Return the rows of a model as Markdown."""
    lines = [
        f"\n{name}:\n",
        "| kernel | leapfrog steps | target acceptance | temperatures | seconds | value | against the default |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells = [row[key] for key in ("kernel", "leapfrogs", "target", "temperatures", "seconds", "value")]
        difference = "" if row["error"] is None else f"{row['difference']:+.3f} ± {row['error']:.3f}"
        lines.append("| " + " | ".join("" if cell is None else str(cell) for cell in (*cells, difference)) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, default=Path("lab/runs"))
    parser.add_argument("--rows", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=6.0, help="of processor time, for each setting")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    found: dict[str, list[dict[str, Any]]] = {}
    tables = []
    for name, settings in SETTINGS.items():
        run = Run(options.runs / name)
        model, data = require_latent(run.load().model, "this benchmark"), run.load_data()
        assert isinstance(data, Dataset)
        x = data.test.observations().bits(slice(0, options.rows))
        found[name], default = [], None
        with evaluation_mode(model):
            for setting in settings:
                row, values = measure(model, setting, x, options.seconds)
                default = values if default is None else default
                paired = values - default
                row["difference"] = round(float(paired.mean()), 3)
                row["error"] = None if values is default else round(float(paired.std()) / len(paired) ** 0.5, 3)
                found[name].append(row)
                print(name, row, flush=True)
        tables.append(table_of(name, found[name]))
    options.out.mkdir(parents=True, exist_ok=True)
    content = {"rows": options.rows, "chains": CHAINS, "models": found, "machine": machine() | {"threads": 1}}
    (options.out / "ais_kernels.json").write_text(json.dumps(content, indent=1) + "\n")
    (options.out / "ais_kernels.md").write_text("\n".join(tables).lstrip() + "\n")


if __name__ == "__main__":
    main()

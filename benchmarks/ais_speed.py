"""Annealed importance sampling on MNIST: time and memory for many images, chains and temperatures.

    python benchmarks/ais_speed.py [--rows 1000] [--chains 16] [--temperatures 1000] [--threads 2]

The model is a Gaussian VAE with 50 numbers and hidden layers of 200 and 200, trained for some hundred steps. Wall time
and processor time are those of the estimate alone; the peak of the resident memory is that of the whole process, with
the data set and the training, as the kernel has it (VmHWM). OUT/ais_speed.json holds the numbers and what ran them; a
run of another size than the default one is printed and not written, unless --out is given.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch

import vaelab
from contenders.machine import machine
from vaelab.cli.progress import WorkProgress
from vaelab.likelihood import annealed_importance

FULL = {"rows": 1000, "chains": 16, "temperatures": 1000}
RESULTS = Path("benchmarks/results")


def peak() -> float:
    """Return the highest resident memory of this process so far, in GB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024 / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, value in FULL.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--steps", type=int, default=500, help="of the training")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    size = {name: getattr(options, name) for name in FULL}
    data = vaelab.load_data("mnist")
    model = vaelab.gaussian_vae(data, latent_dim=50, hidden_dims=[200, 200], seed=0)
    vaelab.fit(model, data, steps=options.steps)
    before = peak()
    observed = data.test.observations().first(size["rows"])
    wall, processor = time.perf_counter(), time.process_time()
    with WorkProgress("annealing") as progress:
        found = annealed_importance(
            model, observed, size["chains"], callback=progress, temperatures=size["temperatures"]
        )
    row = {
        **size,
        "wall_minutes": round((time.perf_counter() - wall) / 60, 2),
        "processor_minutes": round((time.process_time() - processor) / 60, 2),
        "peak_gb_before": round(before, 3),
        "peak_gb": round(peak(), 3),
        "value": round(found.mean, 3),
        "standard_error": round(found.standard_error, 3),
        "acceptance": round(found.details["acceptance"], 3),
        "median_effective_samples": round(found.details["median_effective_samples"], 2),
    }
    for name, value in row.items():
        print(f"{name:26}{value:>12}")
    out = options.out or (RESULTS if size == FULL else None)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        content = {"network": "784-200-200-50", **row, "machine": machine() | {"threads": options.threads}}
        (out / "ais_speed.json").write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()

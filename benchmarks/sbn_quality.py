"""Sigmoid belief networks on dynamic MNIST: how good a bound a training of half an hour reaches.

    python benchmarks/sbn_quality.py [--only NAME] [--steps 60000] [--runs runs/quality] [--out benchmarks/results]

Each network is trained by VIMCO (the importance-weighted bound of 5 codes, leave-one-out) into a run directory of its
own. A training that was stopped goes on where it was when the command is given again. The learning rate was chosen on
the validation split; the test split is looked at once, at the end. OUT/sbn_quality.json holds bounds with standard
errors, steps, seconds of training and what ran them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from pathlib import Path
from typing import Any

NETWORKS: dict[str, dict[str, Any]] = {
    "200": {"layers": [200]},
    "200-200": {"layers": [200, 200]},
}
TRAINING = {"batch_size": 100, "learning_rate": 3e-3, "validate_every": 5000, "log_every": 500, "average": False}
SAMPLES = (100, 1000)


def run_one(name: str, steps: int, runs: Path) -> dict[str, Any]:
    """Train one network, or go on with it, and return what it reaches on the test split."""
    import torch

    from vaelab.data import load_data
    from vaelab.likelihood import elbo, importance_weighted
    from vaelab.models import require_latent
    from vaelab.settings import resolve
    from vaelab.training import train

    layer = {
        **NETWORKS[name],
        "objective": {"name": "iwae"},
        "estimator": {"samples": 5},
        "training": {**TRAINING, "steps": steps},
    }
    settings = resolve("sbn", layer)
    run, fitted = train(settings, runs / f"sbn-{name}-{steps}", resume=True, callback=lambda row: show(name, row))
    if fitted.stop_reason == "interrupted":
        raise KeyboardInterrupt
    model, test = require_latent(run.load_model(), "this benchmark"), load_data("mnist").test.observations()
    found = {"elbo": elbo(model, test, 10)}
    found |= {f"iwae-{count}": importance_weighted(model, test, count) for count in SAMPLES}
    return {
        "network": name,
        "steps": fitted.steps,
        "seconds": round(fitted.seconds),
        "seed": settings.seed,
        "best_step": fitted.best_step,
        "validation": round(fitted.best_bound, 3),
        "test": {key: [round(bound.mean, 3), round(bound.standard_error, 3)] for key, bound in found.items()},
        "threads": torch.get_num_threads(),
        "settings": settings.model_dump(mode="json"),
    }


def show(name: str, row: dict[str, Any]) -> None:
    """Print a validation."""
    if "val/bound" in row:
        print(f"{name}: step {row['step']:,}, {row['seconds']:.0f} s, validation {row['val/bound']:.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=NETWORKS)
    parser.add_argument("--steps", type=int, default=60_000)
    parser.add_argument("--runs", type=Path, default=Path("runs/quality"))
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    path = arguments.out / "sbn_quality.json"
    kept = json.loads(path.read_text())["results"] if path.exists() else []
    for name in [arguments.only] if arguments.only else list(NETWORKS):
        result = run_one(name, arguments.steps, arguments.runs)
        kept = [other for other in kept if (other["network"], other["steps"]) != (name, result["steps"])] + [result]
        summary = {
            "command": f"python benchmarks/sbn_quality.py --steps {arguments.steps}",
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, {result['threads']} thread",
            "protocol": "MNIST, dynamic binarisation, 50 000 training images; bounds in nats on the 10 000 test images",
            "results": sorted(kept, key=lambda other: (other["network"], other["steps"])),
        }
        path.write_text(json.dumps(summary, indent=1) + "\n")
        print(f"{name}: {result['test']} after {result['seconds']} s")


if __name__ == "__main__":
    main()

"""How fast a training step is on an NVIDIA GPU: plain, and compiled, which replays the step as CUDA graphs.

    python benchmarks/gpu.py [--rounds 7] [--steps 500] [--out benchmarks/results]

The contenders train in turn, a slice of steps each, on the packaged MNIST; the rates are medians over the rounds with
the quartiles, the ratio that within the same round. OUT/gpu.json holds the numbers, the card and the versions.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

import torch

import vaelab
from contenders.machine import machine
from vaelab.settings import resolve

BATCH, WARM = 100, 100  # WARM steps are made before the clock starts
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "gaussian-vae 784-400-20": ("gaussian-vae", {"latent_dim": 20, "hidden_dims": [400]}),
    "gaussian-vae 784-200-200-50, iwae-50": (
        "gaussian-vae",
        {
            "latent_dim": 50,
            "hidden_dims": [200, 200],
            "activation": "tanh",
            "objective": {"name": "iwae"},
            "estimator": {"name": "pathwise", "samples": 50},
        },
    ),
    "bernoulli-vae 200 bits, disarm": ("bernoulli-vae", {"estimator": {"name": "disarm"}}),
    "bernoulli-vae 200 bits, rebar": ("bernoulli-vae", {"estimator": {"name": "rebar"}}),
}


def seconds_per_step(data: vaelab.Dataset, name: str, layer: dict[str, Any], compiled: bool, steps: int) -> float:
    """Return the time of a step, without the first steps, which compile and capture."""
    training = {"steps": steps + WARM, "compile": compiled, "batch_size": BATCH, "log_every": WARM}
    training |= {"validate_every": 10**6, "average": False}
    settings = resolve(name, layer, {"training": training})
    model = settings.build_model(data)
    rows: list[dict[str, float]] = []
    vaelab.fit(
        model,
        data,
        objective=settings.build_objective(),
        estimator=settings.build_estimator(model),
        settings=settings.training,
        device="cuda",
        callback=rows.append,
    )
    return (rows[-1]["seconds"] - rows[0]["seconds"]) / (rows[-1]["step"] - rows[0]["step"])


def measure(data: vaelab.Dataset, name: str, layer: dict[str, Any], rounds: int, steps: int) -> dict[str, Any]:
    """Run both contenders in every round and sum up."""
    taken: dict[str, list[float]] = {"plain": [], "compiled": []}
    for turn in range(rounds):
        for contender in list(taken)[:: 1 if turn % 2 else -1]:
            taken[contender].append(seconds_per_step(data, name, layer, contender == "compiled", steps))
    ratios = [plain / compiled for plain, compiled in zip(*taken.values(), strict=True)]
    summary: dict[str, Any] = {
        f"{contender}_steps_per_second": [round(1 / value) for value in statistics.quantiles(times)][::-1]
        for contender, times in taken.items()
    }
    return summary | {"times_as_fast": round(statistics.median(ratios), 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    data, results = vaelab.load_data("mnist"), {}
    for case, (name, layer) in CASES.items():
        results[case] = measure(data, name, layer, options.rounds, options.steps)
        print(case, results[case], flush=True)
        summary = {
            "command": f"python benchmarks/gpu.py --rounds {options.rounds} --steps {options.steps}",
            "machine": machine() | {"card": torch.cuda.get_device_name()},
            "batch_size": BATCH,
            "results": results,
        }
        (options.out / "gpu.json").write_text(json.dumps(summary, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""What a second rank gives: two ranks of one thread beside one rank of two threads, and one of one.

    python benchmarks/scaling.py [--rounds 5] [--steps 600] [--out benchmarks/results]

Each is `vaelab train`, under torchrun where there are two ranks, with the same seed and the same batch in all: they
make the same training. In a round each trains once, in an order that rotates; images a second are those of the run's
own log, between its first line and its last. OUT/scaling.json holds medians, ranges and ratios within a round.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from contenders.machine import machine

CASES = {
    "Gaussian VAE 784-400-20, batch 128": ["latent_dim=20", "hidden_dims=[400]", "training.batch_size=128"],
    "Gaussian VAE 784-400-20, batch 1024": ["latent_dim=20", "hidden_dims=[400]", "training.batch_size=1024"],
    "784-200-200-50, IWAE K=50, batch 20": [
        "latent_dim=50",
        "hidden_dims=[200,200]",
        "objective.name=iwae",
        "estimator.samples=50",
        "training.batch_size=20",
    ],
}
WAYS = {"1 rank x 1 thread": (1, 1), "1 rank x 2 threads": (1, 2), "2 ranks x 1 thread": (2, 1)}
BASE = "1 rank x 2 threads"


def images_per_second(words: list[str], ranks: int, threads: int, steps: int) -> float:
    """Train once and return the rate between the first log line and the last."""
    launcher = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks), "-m"] if ranks > 1 else []
    length = [f"training.steps={steps}", f"training.log_every={steps // 6}", f"training.validate_every={steps}"]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", *launcher, "vaelab", "train", "gaussian-vae", *words, *length]
        environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
        subprocess.run([*command, "--out", f"{folder}/run"], env=environment, check=True, capture_output=True)
        rows = [json.loads(line) for line in Path(folder, "run", "metrics.jsonl").read_text().splitlines()]
        batch = json.loads(Path(folder, "run", "config.json").read_text())["settings"]["training"]["batch_size"]
    first, last = rows[0], rows[-1]
    return float(batch * (last["step"] - first["step"]) / (last["seconds"] - first["seconds"]))


def measure(words: list[str], rounds: int, steps: int) -> list[dict[str, Any]]:
    """Train in every way in every round, and sum up."""
    found: dict[str, list[float]] = {name: [] for name in WAYS}
    names = list(WAYS)
    for turn in range(rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            found[name].append(images_per_second(words, *WAYS[name], steps))
    return [
        {
            "way": name,
            "images_per_second": round(statistics.median(rates)),
            "range": [round(min(rates)), round(max(rates))],
            "of_one_rank_with_two_threads": round(
                statistics.median(rate / base for rate, base in zip(rates, found[BASE], strict=True)), 3
            ),
        }
        for name, rates in found.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    results = {name: measure(words, arguments.rounds, arguments.steps) for name, words in CASES.items()}
    summary = {
        "command": f"python benchmarks/scaling.py --rounds {arguments.rounds} --steps {arguments.steps}",
        "machine": machine(),
        "results": results,
    }
    (arguments.out / "scaling.json").write_text(json.dumps(summary, indent=1) + "\n")
    for name, rows in results.items():
        print(name)
        for row in rows:
            rate, ratio = row["images_per_second"], row["of_one_rank_with_two_threads"]
            print(f"  {row['way']:20}{rate:>9,} images/s   {ratio:.2f} of {BASE}")


if __name__ == "__main__":
    main()

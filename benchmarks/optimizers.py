"""What the default optimiser saves beside torch.optim.Adam(fused=True), which takes the same steps.

    python benchmarks/optimizers.py [--rounds 15] [--threads 1]

Trainings of a few hundred steps take turns in one process: Adam of vaelab, and torch's own through fit(optimizer=...).
The median of the ratios within a round is printed, and the seconds that a new process needs to import torch's compiler,
which the first use of torch.optim does.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys

import torch

from vaelab.data import load_data
from vaelab.models import gaussian_vae
from vaelab.settings import TrainingSettings
from vaelab.training import fit

CASES = {"784-400-20, batch 128": ([400], 20, 128, 100), "784-8-2, batch 10": ([8], 2, 10, 500)}
IMPORT = "import time, torch; t = time.perf_counter(); import torch._dynamo; print(time.perf_counter() - t)"


def seconds_per_step(case: str, torchs: bool) -> float:
    """Train for a number of steps, and return the time of one."""
    hidden, latent, batch, steps = CASES[case]
    model, data, times = gaussian_vae(load_data("mnist"), latent, hidden, seed=0), load_data("mnist"), list[float]()
    settings = TrainingSettings(
        steps=steps + 1,
        batch_size=batch,
        log_every=steps,
        validate_every=steps + 1,
        learning_rate=None if torchs else 1e-3,
    )
    fit(
        model,
        data,
        settings=settings,
        optimizer=(lambda weights: torch.optim.Adam(weights, lr=1e-3, fused=True)) if torchs else None,
        callback=lambda row: times.append(row["seconds"] / row["step"]),
    )
    return times[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print("| net | vaelab's Adam, ms a step | torch.optim.Adam(fused=True) | ratio |", "|---|---|---|---|", sep="\n")
    for case in CASES:
        rounds = []
        for turn in range(arguments.rounds + 1):
            order = (False, True) if turn % 2 else (True, False)
            found = {torchs: seconds_per_step(case, torchs) for torchs in order}
            rounds.append((found[False], found[True]))
        own, torchs = (1000 * statistics.median(column) for column in zip(*rounds[1:], strict=True))
        ratio = statistics.median(theirs / ours for ours, theirs in rounds[1:])
        print(f"| {case} | {own:.3f} | {torchs:.3f} | {ratio:.3f} |", flush=True)
    seconds = subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, text=True, check=True).stdout
    print(f"import of torch's compiler: {float(seconds):.2f} s")


if __name__ == "__main__":
    main()

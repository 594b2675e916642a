"""What a training step costs with each estimator: time, decoder evaluations, peak memory.

    python benchmarks/estimators.py [--rounds 15] [--steps 10] [--device cpu] [--out FILE.json]

The net is the usual one for binary codes (200-200-200-784 either side of 200 bits), the batch 100 rows. The
estimators take turns in rounds, so that whatever else the machine does falls on all of them; the median over
rounds is given, and the ratio to leave-one-out with two codes within the same round. Peak memory is the growth
of a fresh process over the same process before its first step (of the allocator on an accelerator).
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from vaelab.errors import InputError
from vaelab.estimators import ESTIMATORS, Estimator
from vaelab.models import bernoulli_vae, gaussian_vae
from vaelab.objectives import OBJECTIVES
from vaelab.settings import options_of

BATCH, X, D, HIDDEN = 100, 784, 200, (200, 200)
REFERENCE = "score-function leave-one-out elbo K=2"
Configuration = tuple[str, str, dict[str, Any]]


def configurations() -> list[Configuration]:
    """Return every estimator that can work with these nets, with each of its objectives and variants.

    K is 2, 4 and the default of the estimator, as far as it supports them.
    """
    rows: list[Configuration] = [
        (name, objective, {"samples": samples, **options})
        for name, kind in ESTIMATORS.items()
        if not kind.cost.enumerates  # 2^200 codes
        for objective in kind.objectives()
        if objective != "reconstruction"
        for options in kind.variants.values() or ({},)
        for samples in sorted({2, 4, options_of(kind)["samples"][1]})
    ]
    return [row for row in rows if applies(row)]


def applies(configuration: Configuration) -> bool:
    """Return whether an estimator can be built and used with the net of this benchmark."""
    try:
        build(*configuration, "cpu")
    except InputError:
        return False
    return True


def label(name: str, objective: str, options: dict[str, Any]) -> str:
    words = [str(value) for key, value in options.items() if key != "samples"]
    return " ".join([name, *words, objective, f"K={options['samples']}"])


def build(name: str, objective: str, options: dict[str, Any], device: str) -> tuple[Estimator, Callable[[], None]]:
    """Return an estimator and a training step with it: estimate, backward, Adam."""
    torch.manual_seed(0)
    make = bernoulli_vae if "bits" in ESTIMATORS[name].codes else gaussian_vae
    model = make(X, latent_dim=D, hidden_dims=HIDDEN, activation="leaky-relu").to(device)
    estimator = ESTIMATORS[name](model, **options).train()
    goal = OBJECTIVES[objective]()
    estimator.check(model, goal)
    x = (torch.rand(BATCH, X, device=device) < 0.13).float()
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimiser = torch.optim.Adam([*weights, *estimator.parameters()], lr=1e-4, fused=True)

    def step() -> None:
        estimate = estimator(model, goal, x)
        loss = -estimate.surrogate.mean()
        if estimate.auxiliary is not None:
            loss = loss + estimate.auxiliary
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()

    return estimator, step


def wait(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize()


def peak_memory(configuration: Configuration, device: str) -> float:
    """Return the megabytes that three steps take, in a process of their own."""
    if device != "cpu":
        _, step = build(*configuration, device)
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        step()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    command = [sys.executable, __file__, "--peak", json.dumps(configuration)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def print_peak(configuration: Configuration) -> None:
    torch.set_num_threads(1)
    _, step = build(*configuration, "cpu")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again at what is resident now
    before = resident_peak()
    for _ in range(3):
        step()
    print(resident_peak() - before)


def resident_peak() -> float:
    """Return the peak resident memory of this process in megabytes, as Linux reports it."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines["VmHWM"].split()[0]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=10, help="steps of each estimator in a round")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "estimators.json")
    parser.add_argument("--peak", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak is not None:
        print_peak(options.peak)
        return
    torch.set_num_threads(1)
    rows_to_time = configurations()
    built = {label(*row): build(*row, options.device) for row in rows_to_time}
    times: dict[str, list[float]] = {name: [] for name in built}
    for turn in range(options.rounds + 1):
        for name, (_, step) in built.items():
            wait(options.device)
            start = time.perf_counter()
            for _ in range(options.steps):
                step()
            wait(options.device)
            if turn:  # the first round warms up
                times[name].append((time.perf_counter() - start) / options.steps)
    rows: list[dict[str, Any]] = []
    for configuration in rows_to_time:
        name = label(*configuration)
        estimator, objective = built[name][0], OBJECTIVES[configuration[1]]()
        ratio = statistics.median(own / reference for own, reference in zip(times[name], times[REFERENCE], strict=True))
        rows.append(
            {
                "estimator": name,
                "milliseconds": round(1000 * statistics.median(times[name]), 3),
                "ratio": round(ratio, 3),
                "decoder_evaluations": estimator.decoder_evaluations(objective),
                "peak_megabytes": round(peak_memory(configuration, options.device), 1),
            }
        )
        row = rows[-1]
        cost = f"{row['milliseconds']:>9.2f} ms{row['ratio']:>8.2f}{row['decoder_evaluations']:>5}"
        print(f"{name:<46}{cost}{row['peak_megabytes']:>9.1f} MB")
    machine = platform.processor() or platform.machine()
    device = torch.cuda.get_device_name() if options.device != "cpu" else f"{machine}, one thread"
    result = {
        "net": f"{X}-{'-'.join(map(str, HIDDEN))}-{D}, mirrored",
        "batch": BATCH,
        "device": device,
        "torch": torch.__version__,
        "rounds": options.rounds,
        "steps_per_round": options.steps,
        "reference": REFERENCE,
        "rows": rows,
    }
    options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()

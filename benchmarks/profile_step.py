"""Where the time of a training step goes: torch.profiler's self time by operator, and what lies between operators.

    python benchmarks/profile_step.py [--steps 200] [--threads 2] [--out benchmarks/results/profile_step.txt]

The Gaussian VAE 784-400-20, batch 128, trained by vaelab.training.fit itself. The same run is first timed without the
profiler, for its own clock, beside the step's bare matrix products. Self times of operators and the unprofiled time of
a step do not add up exactly: the profiler slows what it watches, and what is left is Python and dispatch.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch._inductor.config
from torch.profiler import ProfilerActivity, profile

from contenders import CASES
from contenders.machine import machine, threads_in_words
from contenders.products import products
from vaelab.data import load_data
from vaelab.seeds import seeded
from vaelab.settings import resolve
from vaelab.training import Row, fit

ROUNDS = 5


class Enough(Exception):
    """Leaves the loop once everything is measured, before its last validation."""


def train(steps: int, training: dict[str, Any], watch: Callable[[Row], None]) -> None:
    """Run the real loop, a log line every ``steps`` steps, until ``watch`` has had enough."""
    case = CASES["gaussian"]
    chosen = {"steps": 10**9, "validate_every": 10**9, "log_every": steps, "batch_size": case.batch_size}
    layer = {"latent_dim": case.latent_dim, "hidden_dims": list(case.hidden_dims), "training": chosen | training}
    settings, data = resolve("gaussian-vae", layer), load_data("mnist")
    with seeded(0, "weights"):
        model = settings.build_model(data)
    with contextlib.suppress(Enough):
        fit(
            model,
            data,
            estimator=settings.build_estimator(model),
            objective=settings.build_objective(),
            settings=settings.training,
            watch=watch,
        )


def bare_products(steps: int) -> float:
    """Return the milliseconds that a step's matrix products alone take."""
    listed = products(CASES["gaussian"], torch.float32)
    times = []
    with torch.inference_mode():
        for _ in range(ROUNDS + 1):
            started = time.perf_counter()
            for _ in range(steps):
                for a, b, out in listed:
                    torch.mm(a, b, out=out)
            times.append(1000 * (time.perf_counter() - started) / steps)
    return statistics.median(times[1:])


def unprofiled(steps: int, training: dict[str, Any]) -> float:
    """Return the milliseconds of a step of the loop, between log lines."""
    times: list[float] = []
    left = 0.0

    def watch(row: Row) -> None:
        nonlocal left
        now = time.perf_counter()
        times.append(1000 * (now - left) / steps)
        if len(times) > ROUNDS:
            raise Enough
        left = time.perf_counter()

    train(steps, training, watch)
    return statistics.median(times[1:])  # the first holds the start as well


def profiled(steps: int, training: dict[str, Any]) -> list[tuple[str, float, float]]:
    """Return (operator, calls a step, self milliseconds a step), the dearest first."""
    profiler = profile(activities=[ProfilerActivity.CPU])
    lines = 0

    def watch(row: Row) -> None:
        nonlocal lines
        lines += 1
        if lines == 1:  # warm by now
            profiler.start()
        else:
            profiler.stop()
            raise Enough

    train(steps, training, watch)
    rows = [(e.key, e.count / steps, e.self_cpu_time_total / 1000 / steps) for e in profiler.key_averages()]
    return sorted(rows, key=lambda row: -row[2])


def report(arguments: argparse.Namespace) -> str:
    """Measure, and return the page."""
    chosen = {"precision": arguments.precision, "compile": arguments.compile}
    found_machine = machine()
    floor, step = bare_products(arguments.steps), unprofiled(arguments.steps, chosen)
    rows = profiled(arguments.steps, chosen)
    total = sum(own for _, _, own in rows)
    threads = threads_in_words(arguments.threads)
    words = f"{arguments.precision}{', compiled' if arguments.compile else ''}, {threads}, {arguments.steps} steps"
    more = " --compile --out FILE" if arguments.compile else ""
    facts = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in found_machine.items())
    lines = [
        f"A training step of {CASES['gaussian'].title}: {words}",
        f"python benchmarks/profile_step.py{more}; {facts}",
        "",
        f"{step:8.3f} ms  a step of vaelab.training.fit, unprofiled (median of {ROUNDS} slices)",
        f"{floor:8.3f} ms  its matrix products alone: the step is {step / floor:.2f} times that",
        f"{total:8.3f} ms  sum of the operators' self times under the profiler",
        "",
        "self time a step, by operator",
        f"{'ms':>8}  {'share':>6}  {'calls':>6}  operator",
    ]
    shown = rows[: arguments.rows]
    lines += [f"{own:8.3f}  {own / total:6.1%}  {calls:6.1f}  {name[:90]}" for name, calls, own in shown]
    rest = sum(own for _, _, own in rows[arguments.rows :])
    lines.append(f"{rest:8.3f}  {rest / total:6.1%}          {max(0, len(rows) - len(shown))} others")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rows", type=int, default=30, help="operators to list")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "profile_step.txt")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch._inductor.config.cpp.enable_kernel_profile = True  # compiled kernels under names of their own
    text = report(arguments)
    arguments.out.write_text(text)
    print(text, end="")


if __name__ == "__main__":
    main()

"""What a training step costs as things grow: seconds and peak memory, each axis doubled from 1 to 64 times its base.

    python benchmarks/cost_curves.py [--rounds 7] [--threads 2] [--only AXIS ...] [--out benchmarks/results]

The base is a Gaussian VAE 784-400-20 with one code an image and batches of 128, trained by vaelab.training.fit in
float32 on 8192 rows of random grey levels. Each point is a process of its own; the points of an axis take turns in
rounds whose order rotates, and the median over the rounds is given. Peak memory is what the process grew by from before
it made its data: data, weights, gradients, Adam's averages and a step's values. A line of slope one is drawn as a
guide: what grows in proportion runs along it. A unit that costs 1.5 times its least or more at the
end of its axis is named as a surprise.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from contenders.machine import machine, threads_in_words
from contenders.turns import Worker

HERE = Path(__file__).parent
BASE = {"batch": 128, "samples": 1, "latent_dim": 20, "width": 400, "layers": 1, "rows": 8192, "pixels": 784}
AXES = {
    "batch": "batch B",
    "samples": "codes an image K",
    "latent_dim": "code size D",
    "width": "hidden width",
    "layers": "hidden layers",
    "rows": "rows of data",
}
FACTORS = (1, 2, 4, 8, 16, 32, 64)
SURPRISE = 1.5  # how many times its cheapest a unit may cost at the end: caches overflow, but no more than that


def steps_at(axis: str, factor: int) -> int:
    """Return how many steps a turn has: fewer where a step is dearer."""
    return 20 if axis in ("rows", "latent_dim") else max(2, 24 // factor)


def measure(axis: str, rounds: int, threads: int, folder: Path, factors: tuple[int, ...]) -> list[dict[str, Any]]:
    """Time the points of an axis in turns."""
    workers: dict[int, Worker] = {}
    seconds: dict[int, list[float]] = {factor: [] for factor in factors}
    megabytes: dict[int, float] = {}
    with contextlib.ExitStack() as stack:
        for factor in factors:
            told = BASE | {axis: BASE[axis] * factor, "steps": steps_at(axis, factor), "threads": threads}
            command = [sys.executable, "-m", "contenders.ours_grown", json.dumps(told)]
            workers[factor] = Worker(command, Path(tempfile.mkdtemp(dir=folder)), threads)
            stack.callback(workers[factor].close)
        for worker in workers.values():
            worker.turn()  # the warm-up
        for turn in range(rounds):
            shift = turn % len(factors)
            for factor in factors[shift:] + factors[:shift]:
                answer = workers[factor].turn()
                seconds[factor].append(answer["seconds"] / steps_at(axis, factor))
                megabytes[factor] = answer["megabytes"]
            print(f"{axis}: round {turn + 1} of {rounds}", file=sys.stderr)
    return [
        {
            "factor": factor,
            "value": BASE[axis] * factor,
            "milliseconds": round(1000 * statistics.median(seconds[factor]), 4),
            "range": [round(1000 * end(seconds[factor]), 4) for end in (min, max)],
            "megabytes": round(megabytes[factor], 1),
        }
        for factor in factors
    ]


def slope(points: list[dict[str, Any]], key: str) -> float:
    """Return the least-squares slope over the upper half of an axis, log against log."""
    upper = points[len(points) // 2 :]
    x, y = ([math.log(point[name]) for point in upper] for name in ("factor", key))
    return statistics.linear_regression(x, y).slope


def dearer(points: list[dict[str, Any]], key: str) -> float:
    """Return what a unit (an image, a code, a layer) costs at the end, over what it costs where it is cheapest."""
    units: list[float] = [point[key] / point["factor"] for point in points]
    return units[-1] / min(units)


def draw(curves: list[dict[str, Any]], threads: int) -> bytes:
    """Draw time above and memory below, a column an axis, log-log with a guide of slope one."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

    from vaelab.plots import LINE_COLOURS, png

    figure = Figure(figsize=(2.75 * len(curves) + 0.6, 6.4), layout="constrained")
    grid = figure.subplots(2, len(curves), squeeze=False, sharex="col", sharey="row")
    for column, curve in enumerate(curves):
        points = curve["points"]
        x = [point["factor"] for point in points]
        for line, key in enumerate(("milliseconds", "megabytes")):
            axes, y = grid[line][column], [point[key] for point in points]
            axes.set_xscale("log", base=2)
            axes.set_yscale("log")
            guide = [y[-1] * factor / x[-1] for factor in x]
            axes.plot(x, guide, color="#888888", linestyle=":", linewidth=1.3, label="slope 1")
            if key == "milliseconds":
                low, high = zip(*(point["range"] for point in points), strict=True)
                axes.fill_between(x, low, high, color=LINE_COLOURS[0], alpha=0.18, linewidth=0)
            axes.plot(x, y, "o-", color=LINE_COLOURS[line], markersize=4.5, linewidth=1.6)
            axes.annotate(
                f"slope {curve['slopes'][key]:.2f}",
                (0.97, 0.04), xycoords="axes fraction", ha="right", fontsize=9, color="#222222",
            )  # fmt: skip
            axes.grid(alpha=0.25)
            axes.spines[["top", "right"]].set_visible(False)
            axes.tick_params(labelsize=9)
        grid[0][column].set_title(f"{AXES[curve['axis']]}, from {points[0]['value']:,}", fontsize=10.5)
        grid[1][column].set_xticks(x, [f"×{factor}" for factor in x])
        grid[1][column].xaxis.set_minor_locator(NullLocator())
    for line, (name, key) in enumerate((("milliseconds a step", "milliseconds"), ("peak memory (MB)", "megabytes"))):
        values = [point[key] for curve in curves for point in curve["points"]]
        grid[line][0].set_ylabel(name)
        grid[line][0].set_ylim(min(values) / 1.8, max(values) * 1.5)
        grid[line][0].yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        grid[line][0].yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        grid[line][0].yaxis.set_minor_formatter(NullFormatter())
    grid[0][0].legend(frameon=False, fontsize=9, loc="upper left")
    figure.supxlabel(
        f"times the base of 784-400-20, batch 128, K = 1, {threads_in_words(threads)}; "
        "slopes over the upper half; band from fastest to slowest round",
        fontsize=9.5,
    )
    return png(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", nargs="+", choices=AXES, default=list(AXES), metavar="AXIS", help=", ".join(AXES))
    parser.add_argument("--largest", type=int, default=FACTORS[-1], help="largest factor, to try things out")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    found_machine = machine()
    factors = tuple(factor for factor in FACTORS if factor <= arguments.largest)
    curves: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for axis in arguments.only:
            points = measure(axis, arguments.rounds, arguments.threads, Path(folder), factors)
            slopes = {key: round(slope(points, key), 3) for key in ("milliseconds", "megabytes")}
            units = {key: round(dearer(points, key), 2) for key in slopes}
            curves.append({"axis": axis, "slopes": slopes, "unit_cost_at_the_end": units, "points": points})
    surprises = [
        f"{curve['axis']}: a unit costs {value} times its least in {key}"
        for curve in curves
        for key, value in curve["unit_cost_at_the_end"].items()
        if value > SURPRISE
    ]
    summary = {
        "command": f"python benchmarks/cost_curves.py --rounds {arguments.rounds} --threads {arguments.threads}",
        "machine": found_machine,
        "threads": arguments.threads,
        "rounds": arguments.rounds,
        "base": BASE,
        "surprises": surprises,
        "curves": curves,
    }
    (arguments.out / "cost_curves.json").write_text(json.dumps(summary, indent=1) + "\n")
    (arguments.out / "cost_curves.png").write_bytes(draw(curves, arguments.threads))
    for curve in curves:
        base, last = curve["points"][0], curve["points"][-1]
        print(
            f"{AXES[curve['axis']]:<18}×{last['factor']}: {base['milliseconds']:.2f} to {last['milliseconds']:.2f} ms, "
            f"{base['megabytes']:.0f} to {last['megabytes']:.0f} MB; slopes of the upper half {curve['slopes']}, "
            f"unit cost at the end {curve['unit_cost_at_the_end']}"
        )
    print("superlinear surprises:", "; ".join(surprises) or "none")


if __name__ == "__main__":
    main()

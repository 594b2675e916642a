"""What the simple models of a table cost as it grows to 100 000 rows of 1 000 columns: seconds of a pass, and memory.

    python benchmarks/simple_models.py [--threads 1] [--passes 1] [--only MODEL ...] [--out benchmarks/results]

The rows are bits of 20 classes, a tenth of each row flipped. independent and chow-liu need one pass over the training
rows; a mixture (20 components, trees 2) and a hidden tree (16 states of each column) make one after another, and the
time is the median of some passes after the first. Each pass includes the log p(x) of 1 000 validation rows. The seconds
are of the processor, so that other programs on the machine change them little. Every point is a process of its own.
Peak memory is what the process grew by from before it made its data: one byte for each value of the table, and what the
model needs; what fits into memory that the process already has does not show, and is drawn at 1 MB. The JSON file is
written after every point; with --only the points of the other models stay.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import sys
import time
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from contenders.machine import machine, threads_in_words

HERE = Path(__file__).parent
MODELS: dict[str, dict[str, Any]] = {
    "independent": {},
    "chow-liu": {},
    "bernoulli-mixture": {"components": 20, "smoothing": 5.0, "restarts": 1},
    "tree-mixture": {"components": 2, "smoothing": 50.0, "restarts": 1},
    "hidden-chow-liu": {"states": 16},
}
MOST_ROWS, MOST_COLUMNS = 100_000, 1_000
ROWS, COLUMNS = (1_000, 10_000, MOST_ROWS), (10, 100, MOST_COLUMNS)
HELD_OUT = 1_000


def table(rows: int, columns: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return bits of 20 classes, a tenth of each row flipped."""
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 2, (20, columns), dtype=np.uint8)
    bits = classes[rng.integers(0, 20, rows)]
    for start in range(0, rows, 1_000):  # without a table of random numbers, which would be the peak
        part = bits[start : start + 1_000]
        part ^= (rng.random(part.shape, dtype=np.float32) < 0.1).view(np.uint8)
    return bits


def measure(name: str, rows: int, columns: int, threads: int, count: int) -> dict[str, Any]:
    """Time the first pass of a model, and so many after it, in this process."""
    import torch

    from contenders.ours_grown import resident
    from vaelab.data import Dataset, Split
    from vaelab.models import MODELS as ROWS_OF_MODELS
    from vaelab.models import Counted

    torch.set_num_threads(threads)

    def passes(bits: np.ndarray[Any, np.dtype[np.uint8]], count: int) -> list[float]:
        data = Dataset("grown", {"train": Split(bits[:-HELD_OUT]), "validation": Split(bits[-HELD_OUT:])}, "binary", 1)
        model = ROWS_OF_MODELS[name].build(data, **MODELS[name])
        assert isinstance(model, Counted)
        seconds, begun = [], time.process_time()
        with torch.no_grad():
            for _ in islice(model.learn(data.train.observations(), data.validation.observations(), 0), count):
                seconds.append(time.process_time() - begun)
                begun = time.process_time()
        return seconds

    passes(table(2 * HELD_OUT, 8), 1)  # what the first pass loads is no cost of a pass
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again at what is resident now
    before = resident("VmRSS")
    seconds = passes(table(rows + HELD_OUT, columns), 1 + count)
    return {
        "model": name,
        "rows": rows,
        "columns": columns,
        "first_pass_seconds": round(seconds[0], 4),
        "pass_seconds": round(statistics.median(seconds[1:] or seconds), 4),
        "megabytes": round(resident("VmHWM") - before, 1),
        "table_megabytes": round((rows + HELD_OUT) * columns / 2**20, 1),
    }


def draw(points: list[dict[str, Any]], threads: int) -> bytes:
    """Draw seconds above and memory below, over the rows at the left and over the columns at the right."""
    from matplotlib.figure import Figure

    from vaelab.plots import LINE_COLOURS, png

    figure = Figure(figsize=(9, 6.6), layout="constrained")
    grid = figure.subplots(2, 2, sharex="col", sharey="row")
    axes_of = (("rows", "columns", MOST_COLUMNS), ("columns", "rows", MOST_ROWS))
    for place, (varied, fixed, most) in enumerate(axes_of):
        for line, (key, least) in enumerate((("pass_seconds", 0.0), ("megabytes", 1.0))):
            axes = grid[line][place]
            axes.set_xscale("log")
            axes.set_yscale("log")
            for name, colour in zip(dict.fromkeys(point["model"] for point in points), LINE_COLOURS, strict=False):
                of_line = sorted(
                    (point[varied], max(point[key], least))
                    for point in points
                    if point["model"] == name and point[fixed] == most
                )
                if not of_line:
                    continue
                axes.plot(*zip(*of_line, strict=True), "o-", color=colour, label=name, markersize=4.5, linewidth=1.6)
            if key == "megabytes":
                sizes = sorted({(point[varied], point["table_megabytes"]) for point in points if point[fixed] == most})
                axes.plot(
                    *zip(*(sizes or [(1, 1)]), strict=True),
                    ":",
                    color="#888888",
                    label="the table, a byte for each value",
                )
            axes.grid(alpha=0.25)
            axes.spines[["top", "right"]].set_visible(False)
            axes.tick_params(labelsize=9)
            axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        grid[1][place].set_xlabel(f"{varied}, at {most:,} {fixed}")
    grid[0][0].set_ylabel("processor seconds of a pass")
    grid[1][0].set_ylabel("peak memory (MB)")
    grid[0][0].legend(frameon=False, fontsize=9)
    grid[1][0].legend(*([each[-1:] for each in grid[1][0].get_legend_handles_labels()]), frameon=False, fontsize=9)
    figure.suptitle(f"Simple models, {threads_in_words(threads)}", fontsize=11)
    return png(figure)


def _points(folder: Path) -> list[dict[str, Any]]:
    """Return the points that a folder has."""
    file = folder / "simple_models.json"
    return json.loads(file.read_text())["points"] if file.exists() else []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=MODELS, default=list(MODELS), metavar="MODEL")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    parser.add_argument("--passes", type=int, default=1, help="after the first")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    summary: dict[str, Any] = {
        "command": f"python benchmarks/simple_models.py --threads {arguments.threads} --passes {arguments.passes}",
        "machine": machine(),
        "threads": arguments.threads,
        "models": MODELS,
        "points": [point for point in _points(arguments.out) if point["model"] not in arguments.only],
    }
    sizes = [(rows, MOST_COLUMNS) for rows in ROWS] + [(MOST_ROWS, columns) for columns in COLUMNS[:-1]]
    for rows, columns in sorted(sizes, key=lambda size: size[0] * size[1]):
        for name in arguments.only:
            with multiprocessing.get_context("fork").Pool(1) as alone:  # forked, so that torch is loaded once
                task = (name, rows, columns, arguments.threads, arguments.passes)
                summary["points"].append(alone.apply(measure, task))
            print(summary["points"][-1], file=sys.stderr)
            (arguments.out / "simple_models.json").write_text(json.dumps(summary, indent=1) + "\n")
            (arguments.out / "simple_models.png").write_bytes(draw(summary["points"], arguments.threads))


if __name__ == "__main__":
    main()

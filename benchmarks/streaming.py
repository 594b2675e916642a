"""Training from a file on the disk against training from memory: throughput, and memory along the way.

    python benchmarks/streaming.py [--rounds 7] [--threads 1] [--sizes 1 2 4] [--folder /tmp] [--out benchmarks/results]

Files of 1, 2 and 4 GiB are made of MNIST's grey levels, repeated and made darker at random, and removed at the end. A
Gaussian VAE 784-400-20 is trained by vaelab.training.fit in batches of 100, from each of them and from MNIST in memory.
The processes take turns, in rounds whose order rotates; before each turn of a process the system is asked to forget
the pages of its file, so that it reads the disk. Given are the median over the rounds of the throughput over that from
memory in the same round, and the memory of each process against the rows it has seen: its own pages (anonymous), and
all that are resident.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from contenders.machine import machine, threads_in_words
from contenders.ours_streaming import forget_pages
from contenders.turns import Worker

HERE = Path(__file__).parent
BATCH = 100
RESIDENT = "memory"


def make_file(path: Path, gigabytes: float) -> None:
    """Write images of MNIST as often as they fit, each pixel that is not black up to 7 levels darker."""
    from vaelab.data import load_data

    images = load_data("mnist").split("train").x[:].reshape(-1, 28, 28)
    count = int(gigabytes * 2**30) // 784 + 1
    noise = np.random.default_rng(0)
    with path.open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (count, 28, 28)}
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, count, len(images)):
            part = images[: count - start]
            darker = noise.integers(0, 8, part.shape, dtype=np.uint8)
            file.write((part - np.minimum(part, darker)).data)
        file.flush()
        os.fsync(file.fileno())  # what is not yet written cannot be forgotten
    forget_pages(path)


def measure(files: dict[str, str], rounds: int, steps: int, threads: int, folder: Path) -> dict[str, dict[str, Any]]:
    """Let all processes take turns."""
    workers: dict[str, Worker] = {}
    found: dict[str, dict[str, Any]] = {name: {"seconds": []} for name in files}
    with contextlib.ExitStack() as stack:
        for name, data in files.items():
            told = {"data": data, "steps": steps, "batch": BATCH, "threads": threads}
            command = [sys.executable, "-m", "contenders.ours_streaming", json.dumps(told)]
            workers[name] = Worker(command, Path(tempfile.mkdtemp(dir=folder)), threads)
            stack.callback(workers[name].close)
        for worker in workers.values():
            worker.turn()  # the warm-up
        names = list(files)
        for turn in range(rounds):
            shift = turn % len(names)
            for name in names[shift:] + names[:shift]:
                answer = workers[name].turn()
                found[name]["seconds"].append(answer.pop("seconds"))
                found[name] |= answer
            print(f"round {turn + 1} of {rounds}", file=sys.stderr)
    return found


def summary(found: dict[str, dict[str, Any]], steps: int) -> list[dict[str, Any]]:
    """Return a row for each process."""
    return [
        {
            "from": name,
            "training_rows": one["rows"],
            "images_per_second": round(BATCH * steps / statistics.median(one["seconds"])),
            "of_resident": [
                round(mine / its, 3) for mine, its in zip(found[RESIDENT]["seconds"], one["seconds"], strict=True)
            ],
            "load_seconds": round(one["load_seconds"], 1),
            "curve": one["curve"],
        }
        for name, one in found.items()
    ]


def draw(rows: list[dict[str, Any]], threads: int) -> bytes:
    """Draw throughput at the left, memory against the rows seen at the right."""
    from matplotlib.figure import Figure

    from vaelab.plots import LINE_COLOURS, png

    figure = Figure(figsize=(10.5, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.7))
    for number, row in enumerate(rows):
        ratios = row["of_resident"]
        colour = LINE_COLOURS[number]
        left.bar(number, statistics.median(ratios), 0.62, color=colour, alpha=0.75)
        left.plot([number] * len(ratios), ratios, "o", color="#333333", markersize=3, alpha=0.7)
        seen = [point["rows"] / 1e6 for point in row["curve"]]
        for key, style in (("resident", ":"), ("anonymous", "-")):
            label = row["from"] if key == "anonymous" else None
            right.plot(seen, [point[key] for point in row["curve"]], style, color=colour, linewidth=1.7, label=label)
    left.axhline(0.8, color="#888888", linestyle=":", linewidth=1.3)
    left.set_xticks(range(len(rows)), [row["from"] for row in rows])
    left.set_ylabel("throughput over that from memory")
    left.set_title(f"784-400-20, batch {BATCH}, {threads_in_words(threads)}; dots are rounds", fontsize=10)
    right.set_xlabel("million rows seen")
    right.set_ylabel("memory (MB)")
    right.set_ylim(bottom=0)
    right.set_title("solid: the process's own pages; dotted: all that are resident", fontsize=10)
    right.legend(frameon=False, fontsize=9, loc="lower right")
    for axes in (left, right):
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    return png(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=2000, help="of a turn; a window is about 856")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--sizes", type=float, nargs="+", default=[1, 2, 4], metavar="GIB")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="where the files may be")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    found_machine = machine()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        files = {RESIDENT: "mnist"}
        for size in arguments.sizes:
            path = Path(folder) / f"{size:g}.npy"
            make_file(path, size)
            files[f"{size:g} GiB"] = str(path)
        found = measure(files, arguments.rounds, arguments.steps, arguments.threads, Path(folder))
    rows = summary(found, arguments.steps)
    result = {
        "command": f"python benchmarks/streaming.py --rounds {arguments.rounds} --steps {arguments.steps} "
        f"--threads {arguments.threads}",
        "machine": found_machine,
        "threads": arguments.threads,
        "steps_of_a_turn": arguments.steps,
        "results": rows,
    }
    (arguments.out / "streaming.json").write_text(json.dumps(result, indent=1) + "\n")
    (arguments.out / "streaming.png").write_bytes(draw(rows, arguments.threads))
    for row in rows:
        own = [point["anonymous"] for point in row["curve"]]
        print(
            f"{row['from']:<8}{row['images_per_second']:>8,} images/s, {statistics.median(row['of_resident']):.2f} of "
            f"resident {row['of_resident']}, own memory {min(own):.0f} to {max(own):.0f} MB, "
            f"peak {row['curve'][-1]['peak']:.0f} MB, loaded in {row['load_seconds']} s"
        )


if __name__ == "__main__":
    main()

"""How fast a training step is: vaelab beside pythae, pyro, a tutorial's loop, and the bare matrix products.

    python benchmarks/throughput.py [--rounds 15] [--threads 2] [--only CASE ...] [--out benchmarks/results]
    python benchmarks/throughput.py --before PATH [--starts 3] [--rounds 15] [--threads 2] [--only CASE ...]

Every contender is a process that trains, by its own loop, for a slice of steps whenever it is its turn; one round is a
slice of each, in an order that rotates. Medians over the rounds are given, with the quartiles, and ratios within the
same round. The peers have an environment of their own (benchmarks/.peers, made on first use). What each contender does
in a step, and which case it cannot run, stands in contenders/__init__.py and in the result.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from contenders import CASES, CONTENDERS, Case, Contender
from contenders.environment import PEERS, peers_python
from contenders.machine import machine, threads_in_words
from contenders.turns import Absent, Worker

FLOOR, RIVAL = "matrix products", "pythae"
HERE = Path(__file__).parent


def save_pixels(folder: Path) -> Path:
    """Write the training images for the workers, which may have no vaelab to ask."""
    import torch

    from vaelab.data import load_data

    path = folder / "pixels.pt"
    torch.save(torch.from_numpy(load_data("mnist").split("train").x), path)
    return path


def start(
    contender: Contender,
    case: str,
    python: Path,
    pixels: Path,
    steps: int,
    threads: int,
    *more: str,
    tree: Path = HERE.parent,
) -> Worker:
    """Start a contender in a folder of its own, beside the pixels."""
    folder = Path(tempfile.mkdtemp(dir=pixels.parent))
    command = [str(python if contender.peer else sys.executable), "-m", f"contenders.{contender.module}", case]
    command += [*contender.options, "--pixels", str(pixels), "--steps", str(steps), "--threads", str(threads)]
    return Worker([*command, "--folder", str(folder), *more], folder, threads, tree)


def measure(case: str, arguments: argparse.Namespace, python: Path, pixels: Path) -> dict[str, Any]:
    """Time a case: seconds a step of each contender in each round."""
    spec = CASES[case]
    steps = max(1, round(spec.steps * arguments.scale))
    left_out: dict[str, str] = {}
    with contextlib.ExitStack() as stack:
        workers: dict[str, Worker] = {}
        for name, contender in CONTENDERS.items():
            if case in contender.cannot:
                left_out[name] = contender.cannot[case]
                continue
            try:
                workers[name] = start(contender, case, python, pixels, steps, arguments.threads)
            except Absent as absent:
                left_out[name] = str(absent)
                continue
            stack.callback(workers[name].close)
        for worker in workers.values():  # the warm-up, which compiles where there is something to compile
            worker.turn()
        seconds: dict[str, list[float]] = {name: [] for name in workers}
        names = list(workers)
        for turn in range(arguments.rounds):
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                seconds[name].append(workers[name].turn()["seconds"] / steps)
            print(f"{case}: round {turn + 1} of {arguments.rounds}", file=sys.stderr)
    rows = [row(name, seconds, spec) for name in seconds]
    return {"case": case, **asdict(spec), "steps": steps, "rows": rows, "left_out": left_out}


def row(name: str, seconds: dict[str, list[float]], case: Case) -> dict[str, Any]:
    """Sum up a contender: medians, quartiles, and ratios within the same round."""
    own = seconds[name]
    low, median, high = quartiles([1000 * value for value in own])
    found: dict[str, Any] = {
        "contender": name,
        "does": CONTENDERS[name].describe,
        "milliseconds": median,
        "fastest": round(1000 * min(own), 4),
        "quartiles": [low, high],
        "steps_per_second": round(1000 / median, 2),
        "images_per_second": round(1000 * case.batch_size / median),
    }
    pairs = zip(own, seconds[FLOOR], strict=True)
    found["times_the_floor"] = quartiles([mine / floor for mine, floor in pairs])
    if RIVAL in seconds:
        rivals = zip(own, seconds[RIVAL], strict=True)
        found["times_as_fast_as_pythae"] = quartiles([rival / mine for mine, rival in rivals])
    return found | {"seconds_per_step": [float(f"{value:.6g}") for value in own]}


def compare(case: str, arguments: argparse.Namespace, pixels: Path) -> list[str]:
    """Time this checkout and another one in turns, and return a line of Markdown for each contender that is vaelab.

    What is compared is the processor time of a step. Both processes are started several times, because where a process
    has its memory changes its speed by a few per cent, for as long as it runs.
    """
    steps, lines = max(1, round(CASES[case].steps * arguments.scale)), []
    for name, contender in CONTENDERS.items():
        if contender.module != "ours":
            continue
        seconds: tuple[list[float], list[float]] = ([], [])
        for start_number in range(arguments.starts):
            trees = [HERE.parent, arguments.before.resolve()]
            take_turns(contender, case, trees, start_number, steps, arguments, pixels, seconds)
        low, middle, high = quartiles([before / now for now, before in zip(*seconds, strict=True)])
        now, then = (1000 * statistics.median(values) for values in seconds)
        lines.append(f"| {case} | {name} | {now:.2f} | {then:.2f} | {middle:.3f} [{low:.3f}, {high:.3f}] |")
        print(lines[-1], file=sys.stderr)
    return lines


def take_turns(
    contender: Contender,
    case: str,
    trees: list[Path],
    first: int,
    steps: int,
    arguments: argparse.Namespace,
    pixels: Path,
    seconds: tuple[list[float], list[float]],
) -> None:
    """Start a contender from each of two trees, and add the processor seconds of a step in each round."""
    with contextlib.ExitStack() as stack:
        workers: dict[int, Worker] = {}
        for index in (first % 2, 1 - first % 2):
            worker = start(contender, case, Path(sys.executable), pixels, steps, arguments.threads, tree=trees[index])
            stack.callback(worker.close)
            worker.turn()  # the warm-up
            workers[index] = worker
        for turn in range(arguments.rounds):
            for index in (turn % 2, 1 - turn % 2):
                before = workers[index].cpu_seconds()
                workers[index].turn()
                seconds[index].append((workers[index].cpu_seconds() - before) / steps)


def quartiles(values: list[float]) -> list[float]:
    """Return lower quartile, median and upper quartile."""
    if len(values) == 1:
        return values * 3
    return [round(value, 4) for value in statistics.quantiles(values, n=4, method="inclusive")]


def table(results: list[dict[str, Any]]) -> str:
    """Return the results as Markdown: medians, quartiles in brackets."""
    lines = []
    for result in results:
        lines += ["", f"**{result['title']}**", ""]
        lines += ["| contender | ms a step | steps/s | images/s | × products | × as fast as pythae |"]
        lines += ["|---|---|---|---|---|---|"]
        for found in result["rows"]:
            low, high = found["quartiles"]
            cells = [f"{found['milliseconds']:.2f} [{low:.2f}, {high:.2f}]", f"{found['steps_per_second']:.1f}"]
            cells += [f"{found['images_per_second']:,}", ratio(found["times_the_floor"])]
            cells += [ratio(found["times_as_fast_as_pythae"]) if "times_as_fast_as_pythae" in found else ""]
            lines.append(f"| {found['contender']} | {' | '.join(cells)} |")
        lines += [""] + [f"{name}: left out, {reason}" for name, reason in result["left_out"].items()]
    return "\n".join(lines).strip()


def ratio(values: list[float]) -> str:
    return f"{values[1]:.2f} [{values[0]:.2f}, {values[2]:.2f}]"


def draw(results: list[dict[str, Any]], threads: int) -> bytes:
    """Draw milliseconds a step, the time of the products alone shaded, a panel a case."""
    from matplotlib.figure import Figure

    from vaelab.plots import LINE_COLOURS, png

    counts = [len(result["rows"]) for result in results]
    figure = Figure(figsize=(9.5, 0.42 * sum(counts) + 0.95 * len(counts) + 0.5), layout="constrained")
    grid = figure.subplots(len(results), 1, squeeze=False, height_ratios=[count + 1.2 for count in counts])[:, 0]
    for axes, result in zip(grid, results, strict=True):
        rows = result["rows"]
        floor = next(found["milliseconds"] for found in rows if found["contender"] == FLOOR)
        widest = max(found["milliseconds"] for found in rows)
        axes.axvspan(0, floor, color="#e8e8e8", zorder=0)
        for position, found in enumerate(rows):
            name, value = found["contender"], found["milliseconds"]
            kind = 0 if name.startswith("vaelab") else 7 if name.startswith(FLOOR) else 1
            axes.barh(position, value, height=0.62, color=LINE_COLOURS[kind], zorder=2)
            low, high = found["quartiles"]
            shown = min(high, 1.25 * widest)
            axes.plot([low, shown], [position, position], color="#222222", linewidth=2.2, zorder=3)
            if shown < high:  # an arrow where the line goes on
                axes.plot(shown, position, ">", color="#222222", markersize=5, zorder=3)
            label = f"{value:.2f} ms   {found['times_the_floor'][1]:.2f} × products"
            if "times_as_fast_as_pythae" in found and name != RIVAL:
                label += f"   {found['times_as_fast_as_pythae'][1]:.1f} × pythae's speed"
            axes.annotate(label, (shown, position), xytext=(6, 0), textcoords="offset points", va="center", fontsize=9)
        axes.set_yticks(range(len(rows)), [found["contender"] for found in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlim(0, 2.1 * widest)
        axes.set_title(result["title"], fontsize=11, loc="left", pad=8)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=9)
    grid[-1].set_xlabel(
        f"milliseconds a step, {threads_in_words(threads)}: median over the rounds, dark line from quartile to quartile"
    )
    return png(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES), metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--scale", type=float, default=1.0, help="factor of the steps in a turn")
    parser.add_argument("--peers", type=Path, default=PEERS, help="folder of the peers' environment")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    parser.add_argument("--before", type=Path, help="another checkout of vaelab to compare this one with")
    parser.add_argument("--starts", type=int, default=3, help="how often both processes are started, with --before")
    arguments = parser.parse_args()
    if arguments.before:
        with tempfile.TemporaryDirectory() as folder:
            pixels = save_pixels(Path(folder))
            rows = [line for case in arguments.only for line in compare(case, arguments, pixels)]
        print(
            "| case | contender | ms a step now | before | speed relative to before |",
            "|---|---|---|---|---|",
            sep="\n",
        )
        print("\n".join(rows))
        return
    arguments.out.mkdir(parents=True, exist_ok=True)
    python = peers_python(arguments.peers)
    found_machine = machine()
    with tempfile.TemporaryDirectory() as folder:
        pixels = save_pixels(Path(folder))
        results = [measure(case, arguments, python, pixels) for case in arguments.only]
    summary = {
        "command": f"python benchmarks/throughput.py --rounds {arguments.rounds} --threads {arguments.threads}",
        "machine": found_machine,
        "threads": arguments.threads,
        "rounds": arguments.rounds,
        "peers": (HERE / "peers" / "requirements.txt").read_text().split("\n# What they stand on")[0].splitlines()[-2:],
        "results": results,
    }
    (arguments.out / "throughput.json").write_text(json.dumps(summary, indent=1) + "\n")
    (arguments.out / "throughput.png").write_bytes(draw(results, arguments.threads))
    print(table(results))


if __name__ == "__main__":
    main()

"""How long a training takes to be good: seconds until the test ELBO on dynamic MNIST reaches a threshold.

    python benchmarks/time_to_quality.py [--threads 2] [--seeds 3] [--only TASK] [--out benchmarks/results] [--gather]

Only training is timed. The weights that each would give its user at the end of an epoch are evaluated afterwards, all
by the same code: copied into vaelab's model, ELBO from 10 codes on the 10 000 test images, whose bits are drawn once. A
recipe is a whole training: vaelab's learning rate anneals to the end, so its curve is that of its full length; the
others, whose rate is constant, are stopped when the threshold is crossed, or at the most epochs they may have.
Contenders run one after the other. A finished one is kept in OUT/time_to_quality/NAME.json and not made again;
--gather sums up what there is.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from contenders import CASES, Contender
from contenders.environment import PEERS, peers_python
from contenders.machine import machine, threads_in_words
from contenders.turns import weights_file
from throughput import save_pixels, start
from vaelab.data import Observations, load_data
from vaelab.likelihood import elbo
from vaelab.models import LatentVariableModel, bernoulli_vae, gaussian_vae

HERE = Path(__file__).parent
ROWS = 50_000


@dataclass(frozen=True)
class Recipe(Contender):
    """A contender with a way to train; ``most`` epochs bound one that has no length of its own."""

    most: int = 0


_OURS = ("--precision", "default", "--recipe")
_SAVE = ("--save",)
TASKS: dict[str, tuple[str, float, dict[str, Recipe]]] = {
    "gaussian": (
        "gaussian",
        -104.0,
        {
            "vaelab": Recipe("ours", "the default recipe of gaussian-vae", (*_OURS, "default")),
            "tutorial": Recipe("tutorial", "Adam 1e-3, batch 128; bits drawn inside the step", _SAVE, most=100),
            "pythae": Recipe(
                "pythae_trainer", "its BaseTrainer, Adam 1e-3, batch 128; trained on grey levels", _SAVE, True, most=100
            ),
            "pythae-bits": Recipe(
                "pythae_trainer",
                "the same; bits drawn whenever an image is fetched",
                (*_SAVE, "--dynamic"),
                True,
                most=100,
            ),
        },
    ),
    "bits": (
        "disarm",
        -120.0,
        {
            "vaelab": Recipe("ours", "the default recipe of bernoulli-vae", (*_OURS, "default")),
            "running-average": Recipe(
                "ours",
                "score function, running-average baseline, K = 4, as in the study",
                (*_OURS, "study's running average"),
            ),
        },
    ),
}


def canonical(weights: dict[str, Any]) -> dict[str, Tensor]:
    """Return a peer's weights under vaelab's names; half its log-variance is the log-scale."""
    found: dict[str, Tensor] = {}

    def put(name: str, layer: dict[str, Tensor]) -> None:
        found.update({f"{name}.{key}": value for key, value in layer.items()})

    for index, layer in enumerate(weights["encoder"]):
        put(f"posterior.network.layers.{2 * index}", layer)
    mean, log_variance = weights["mean"], weights["log_variance"]
    put(
        f"posterior.network.layers.{2 * len(weights['encoder'])}",
        {key: torch.cat([mean[key], 0.5 * log_variance[key]]) for key in mean},
    )
    *hidden, output = weights["decoder"]
    for index, layer in enumerate(hidden):
        put(f"likelihood.network.layers.{2 * index}", layer)
    put(f"likelihood.network.layers.{2 * len(hidden)}", output)
    return found


def test_elbo(path: Path, case: str, test: Observations) -> tuple[float, float]:
    """Return the ELBO of the weights in a file, and its standard error."""
    spec, weights = CASES[case], torch.load(path, weights_only=True)
    build = gaussian_vae if spec.code == "real" else bernoulli_vae
    model: LatentVariableModel = build(test.dim, spec.latent_dim, spec.hidden_dims)
    ours = "encoder" not in weights
    missing, unexpected = model.load_state_dict(weights if ours else canonical(weights), strict=ours)
    assert not unexpected, unexpected
    assert all(name.endswith("shift") for name in missing), missing  # peers do not centre their inputs
    found = elbo(model.eval(), test, 10)
    return found.mean, found.standard_error


def run(task: str, name: str, seed: int, arguments: argparse.Namespace, python: Path, pixels: Path) -> dict[str, Any]:
    """Train one contender and return its curve: seconds of training and test ELBO after each epoch."""
    case, threshold, recipes = TASKS[task]
    recipe = recipes[name]
    test = load_data("mnist").test.observations()
    steps = -(-ROWS // CASES[case].batch_size)  # the loaders' last batch is a short one
    most = min(recipe.most, arguments.most) if arguments.most else recipe.most
    more = ["--seed", str(seed)] + (["--epochs", str(arguments.most)] if arguments.most else [])
    worker = start(recipe, case, python, pixels, steps, arguments.threads, *more)
    curve: list[dict[str, float]] = []
    seconds, settings, reached = 0.0, None, None
    try:
        while True:
            answer = worker.turn()
            path = weights_file(worker.folder, answer["step"])
            seconds = answer.get("trained_seconds", seconds + answer["seconds"])
            value, error = test_elbo(path, case, test)
            path.unlink()
            epoch = len(curve) + 1
            curve.append({"epoch": epoch, "seconds": round(seconds, 3), "elbo": round(value, 3)})
            print(f"{task} {name} seed {seed}: epoch {epoch}, {seconds:.1f} s, {value:.2f}", file=sys.stderr)
            if reached is None and value >= threshold:
                reached = round(seconds, 3)
            settings = answer.get("settings")
            if answer.get("last") or (most and (epoch == most or reached is not None)):
                break
    finally:
        worker.close()
    keys = {"task": task, "recipe": name, "does": recipe.describe, "seed": seed, "threads": arguments.threads}
    reading = {"threshold": threshold, "seconds_to_threshold": reached, "standard_error": round(error, 3)}
    return {**keys, **reading, "curve": curve, "settings": settings}


def summed_up(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a row for each recipe: medians over seeds, and how many times the first recipe's seconds it took."""
    rows: list[dict[str, Any]] = []
    for task, (_, threshold, recipes) in TASKS.items():
        first: float | None = None
        for name, recipe in recipes.items():
            found = [result for result in results if (result["task"], result["recipe"]) == (task, name)]
            if not found:
                continue
            times = sorted(run["seconds_to_threshold"] for run in found if run["seconds_to_threshold"] is not None)
            middle = statistics.median(times) if len(times) == len(found) else None
            first = middle if name == "vaelab" else first
            rows.append(
                {
                    "task": task,
                    "threshold": threshold,
                    "recipe": name,
                    "does": recipe.describe,
                    "seeds": len(found),
                    "reached": len(times),
                    "seconds": times,
                    "median_seconds": middle,
                    "best_elbo": max(point["elbo"] for run in found for point in run["curve"]),
                    "whole_seconds": round(statistics.median(run["curve"][-1]["seconds"] for run in found), 1),
                    "times_vaelab": round(middle / first, 2) if middle and first else None,
                }
            )
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """Return the summary as Markdown."""
    lines = ["| task | recipe | seconds to threshold | × vaelab's | reached | best ELBO |", "|---|---|---|---|---|---|"]
    for row in rows:
        task = f"{row['task']}, {row['threshold']:g}"
        middle = "not reached" if row["median_seconds"] is None else f"{row['median_seconds']:.1f}"
        spread = f" [{row['seconds'][0]:.1f}, {row['seconds'][-1]:.1f}]" if len(row["seconds"]) > 1 else ""
        times = "" if row["times_vaelab"] is None else f"{row['times_vaelab']:.1f}"
        cells = [task, f"{row['recipe']}: {row['does']}", middle + spread, times]
        lines.append("| " + " | ".join([*cells, f"{row['reached']}/{row['seeds']}", f"{row['best_elbo']:.2f}"]) + " |")
    return "\n".join(lines)


def draw(results: list[dict[str, Any]]) -> bytes:
    """Draw test ELBO against seconds of training, a line a seed, a panel a task."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    from vaelab.plots import LINE_COLOURS, png

    tasks = [task for task in TASKS if any(result["task"] == task for result in results)]
    figure = Figure(figsize=(6.8 * len(tasks), 4.9), layout="constrained")
    for axes, task in zip(figure.subplots(1, len(tasks), squeeze=False)[0], tasks, strict=True):
        case, threshold, recipes = TASKS[task]
        axes.axhline(threshold, color="#777777", linewidth=1, linestyle=":", zorder=0)
        lowest = threshold
        for number, name in enumerate(recipes):
            for result in (r for r in results if (r["task"], r["recipe"]) == (task, name)):
                points = result["curve"]
                x, y = [point["seconds"] for point in points], [point["elbo"] for point in points]
                first = name if result["seed"] == 0 else None
                style = ("-", (0, (5, 1)), "--", "-.", (0, (1, 1)))[number % 5]
                axes.plot(x, y, color=LINE_COLOURS[number], linestyle=style, linewidth=1.5, label=first)
                if result["seconds_to_threshold"] is not None:
                    crossed = next(point for point in points if point["elbo"] >= threshold)
                    axes.plot(crossed["seconds"], crossed["elbo"], "o", color=LINE_COLOURS[number], markersize=5)
                lowest = min(lowest, y[min(len(y) - 1, 2)])
        axes.set_ylim(bottom=lowest - 1)
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel(f"seconds of training ({threads_in_words(results[0]['threads'])})")
        axes.set_ylabel("test ELBO (nats)")
        axes.set_title(f"{CASES[case].title.split(',')[0]}, until −{-threshold:g}", fontsize=11, loc="left")
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=9, loc="lower right")
    return png(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=TASKS, default=list(TASKS), metavar="TASK")
    parser.add_argument("--recipes", nargs="+", metavar="RECIPE", help="of those tasks, these recipes only")
    parser.add_argument("--most", type=int, help="at most so many epochs, to try things out")
    parser.add_argument("--peers", type=Path, default=PEERS, help="folder of the peers' environment")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    parser.add_argument("--gather", action="store_true", help="train nothing, sum up what there is")
    arguments = parser.parse_args()
    kept = arguments.out / "time_to_quality"
    kept.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(arguments.threads)
    jobs = [(seed, task, name) for seed in range(arguments.seeds) for task in arguments.only for name in TASKS[task][2]]
    jobs = [job for job in jobs if arguments.recipes is None or job[2] in arguments.recipes]
    jobs = [job for job in jobs if not arguments.gather and not path_of(kept, *job).exists()]
    if jobs:
        python = peers_python(arguments.peers)
        with tempfile.TemporaryDirectory() as folder:
            pixels = save_pixels(Path(folder))
            for seed, task, name in jobs:
                started = time.time()
                result = run(task, name, seed, arguments, python, pixels)
                temporary = path_of(kept, seed, task, name).with_suffix(".tmp")
                temporary.write_text(json.dumps(result, indent=1) + "\n")
                temporary.rename(path_of(kept, seed, task, name))
                print(f"{task} {name} seed {seed}: {time.time() - started:.0f} s in all", file=sys.stderr)
    results = [json.loads(path.read_text()) for path in sorted(kept.glob("*.json"))]
    rows = summed_up(results)
    summary = {
        "command": f"python benchmarks/time_to_quality.py --threads {arguments.threads} --seeds {arguments.seeds}",
        "machine": machine(),
        "protocol": "test ELBO, 10 codes an image, 10 000 test images, bits drawn once; seconds of training alone",
        "rows": rows,
        "results": results,
    }
    (arguments.out / "time_to_quality.json").write_text(json.dumps(summary, indent=1) + "\n")
    (arguments.out / "time_to_quality.png").write_bytes(draw(results))
    print(table(rows))


def path_of(kept: Path, seed: int, task: str, name: str) -> Path:
    return kept / f"{task}-{name}-{seed}.json"


if __name__ == "__main__":
    main()

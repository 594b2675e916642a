"""Every estimator for codes of 200 bits, trained on dynamic MNIST with the same budget of decoder evaluations.

    python benchmarks/estimators_study.py [--budget 20000] [--workers 2] [--out benchmarks/results] [--gather]

For each net and seed, each estimator takes the largest K that decodes at most four codes an observation and step, and
makes as many steps as the budget allows. A finished training is kept in OUT/estimators_study/NAME.json and not made
again, so a study that was stopped goes on, and --gather sums up what there is. At the end OUT/estimators_study.json
holds all of it, and OUT/estimators_study.png the curves. Times are processor seconds of one thread, validations
included, so that what else runs on the machine matters little.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import platform
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

NETS: dict[str, dict[str, Any]] = {
    "linear 200-784": {"hidden_dims": [], "seeds": (0,)},
    "non-linear 200-200-200-784": {"hidden_dims": [200, 200], "seeds": (0, 1, 2)},
}
ESTIMATORS: dict[str, dict[str, Any]] = {
    "score-function, none": {"name": "score-function", "baseline": "none"},
    "score-function, running-average": {"name": "score-function", "baseline": "running-average"},
    "score-function, network": {"name": "score-function", "baseline": "network"},
    "score-function, leave-one-out": {"name": "score-function", "baseline": "leave-one-out"},
    "muprop": {"name": "muprop"},
    "rebar": {"name": "rebar"},
    "relax": {"name": "relax"},
    "arm": {"name": "arm"},
    "disarm": {"name": "disarm"},
    "arms": {"name": "arms"},
    "double-cv": {"name": "double-cv"},
    "rodeo": {"name": "rodeo"},
    "concrete": {"name": "concrete"},
    "straight-through": {"name": "straight-through"},
    "gumbel-straight-through": {"name": "gumbel-straight-through"},
    "leave-one-out (sampled KL)": {"name": "score-function", "baseline": "leave-one-out", "kl": "sampled"},
    "disarm (sampled KL)": {"name": "disarm", "kl": "sampled"},
    "rebar (sampled KL)": {"name": "rebar", "kl": "sampled"},
    "vimco (iwae)": {"name": "score-function", "baseline": "leave-one-out", "objective": "iwae"},
    "disarm (iwae)": {"name": "disarm", "objective": "iwae"},
    "reweighted-wake-sleep (iwae)": {"name": "reweighted-wake-sleep", "objective": "iwae"},
}
LATENT_DIM, BATCH, EVALUATIONS, POINTS = 200, 100, 4, 10
LEARNING_RATE = 2e-3


def settings_of(net: str, label: str, seed: int, budget: int) -> tuple[Any, int]:
    """Return the settings of one training, and the decoder evaluations of its steps."""
    from vaelab.errors import InputError
    from vaelab.estimators import Sizes
    from vaelab.settings import resolve

    options = dict(ESTIMATORS[label])
    objective = {"name": options.pop("objective", "elbo")}
    if objective["name"] == "elbo":
        objective["kl"] = options.pop("kl", "closed-form")
    layer: dict[str, Any] = {
        "latent_dim": LATENT_DIM,
        "hidden_dims": NETS[net]["hidden_dims"],
        "seed": seed,
        "objective": objective,
    }
    for samples in range(EVALUATIONS, 0, -1):
        try:
            settings = resolve("bernoulli-vae", layer, {"estimator": {**options, "samples": samples}})
        except InputError:  # too few codes for a baseline
            continue
        evaluations = settings.build_estimator(Sizes(784, LATENT_DIM)).decoder_evaluations(settings.build_objective())
        if evaluations <= EVALUATIONS or samples == 1:
            break
    steps = budget // evaluations
    training: dict[str, Any] = {
        "steps": steps,
        "validate_every": max(1, steps // POINTS),
        "log_every": 100,
        "batch_size": BATCH,
    }
    training |= {"learning_rate": LEARNING_RATE, "schedule": "cosine", "warmup": 200}
    training |= {"average": False, "precision": "float32"}  # as the papers train
    return resolve("bernoulli-vae", layer, {"estimator": settings.estimator, "training": training}), evaluations


def train_one(net: str, label: str, seed: int, budget: int, path: Path) -> str:
    """Train one estimator, evaluate it on the test split, and write what came of it to ``path``."""
    import torch

    from vaelab.data import load_data
    from vaelab.likelihood import elbo, importance_weighted
    from vaelab.seeds import seeded
    from vaelab.training import Diverged, fit

    torch.set_num_threads(1)
    data = load_data("mnist")
    settings, evaluations = settings_of(net, label, seed, budget)
    with seeded(seed, "weights"):
        model = settings.build_model(data)
    curve: list[dict[str, float]] = []
    started = time.process_time()

    def watch(row: dict[str, Any]) -> None:
        if "val/bound" in row:
            seconds = time.process_time() - started
            curve.append({"step": row["step"], "seconds": round(seconds, 2), "bound": round(row["val/bound"], 3)})

    result: dict[str, Any] = {
        "net": net,
        "estimator": label,
        "seed": seed,
        "samples": settings.estimator["samples"],
        "decoder_evaluations": evaluations,
        "steps": settings.training.steps,
        "settings": settings.model_dump(mode="json"),
    }
    try:
        fitted = fit(
            model,
            data,
            estimator=settings.build_estimator(model),
            objective=settings.build_objective(),
            settings=settings.training,
            seed=seed,
            watch=watch,
        )
        if fitted.stop_reason == "interrupted":
            raise KeyboardInterrupt
        test = data.test.observations()
        bounds = {"elbo": elbo(model, test, 10), "iwae-100": importance_weighted(model, test, 100)}
        result["test"] = {name: [found.mean, found.standard_error] for name, found in bounds.items()}
    except Diverged as error:
        result["diverged"] = str(error)
    result["curve"] = curve
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(result, indent=1) + "\n")
    temporary.rename(path)
    return f"{net}  {label}  seed {seed}: {result.get('test', result.get('diverged'))}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", type=int, default=20_000, help="decoder evaluations an observation, over all steps")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--gather", action="store_true", help="train nothing, gather the trainings that are there")
    arguments = parser.parse_args()
    folder = arguments.out / "estimators_study"
    jobs = []
    for seed in range(3):
        for net, spec in NETS.items():
            for number, label in enumerate(ESTIMATORS):
                path = folder / f"{net.split()[0]}-{number:02d}-{seed}.json"
                if seed in spec["seeds"] and not path.exists() and not arguments.gather:
                    jobs.append((net, label, seed, arguments.budget, path))
    jobs.sort(key=lambda job: job[2])  # seed by seed
    started = time.time()
    with ProcessPoolExecutor(arguments.workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        for future in [pool.submit(train_one, *job) for job in jobs]:
            print(f"{time.time() - started:6.0f} s  {future.result()}", flush=True)
    results = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    summary = {
        "command": f"python benchmarks/estimators_study.py --budget {arguments.budget}",
        "machine": f"{platform.machine()}, {arguments.workers} processes of one thread",
        "protocol": "MNIST, dynamic binarisation, 50 000 training images; bounds in nats on the 10 000 test images",
        "learning_rate": LEARNING_RATE,
        "budget": arguments.budget,
        "results": results,
    }
    (arguments.out / "estimators_study.json").write_text(json.dumps(summary, indent=1) + "\n")
    (arguments.out / "estimators_study.png").write_bytes(draw(results))
    print(table(results))


def table(results: list[dict[str, Any]]) -> str:
    """Return the results as a Markdown table: mean over seeds ± half the range, best first within a net."""
    lines = ["| net | estimator | K | steps | ELBO | IWAE-100 | seconds |", "|---|---|---|---|---|---|---|"]
    for net in NETS:
        rows = []
        for label in ESTIMATORS:
            found = [r for r in results if r["net"] == net and r["estimator"] == label]
            good = [r for r in found if "test" in r]
            if not good:
                rows.append((float("-inf"), f"| {net} | {label} | | | diverged | | |")) if found else None
                continue
            cells = []
            for name in ("elbo", "iwae-100"):
                values = [r["test"][name][0] for r in good]
                spread = f" ± {(max(values) - min(values)) / 2:.2f}" if len(values) > 1 else ""
                cells.append((sum(values) / len(values), spread))
            seconds = sum(r["curve"][-1]["seconds"] for r in good) / len(good)
            shown = " | ".join(f"{value:.2f}{spread}" for value, spread in cells)
            first = good[0]
            line = f"| {net} | {label} | {first['samples']} | {first['steps']:,} | {shown} | {seconds:.0f} |"
            rows.append((cells[0][0], line))
        lines += [line for _, line in sorted(rows, reverse=True)]
    return "\n".join(lines)


def draw(results: list[dict[str, Any]]) -> bytes:
    """Draw validation bound against decoder evaluations, and against processor seconds, for each net."""
    from matplotlib.figure import Figure

    from vaelab.plots import LINE_COLOURS, png

    figure = Figure(figsize=(13, 9.5), layout="constrained")
    grid = figure.subplots(len(NETS), 2, squeeze=False)
    shown = [label for label in ESTIMATORS if "iwae" not in label]  # the others report another bound
    styles = ("-", "--", ":")
    for row, net in zip(grid, NETS, strict=True):
        ends = []
        for number, label in enumerate(shown):
            runs = [r for r in results if (r["net"], r["estimator"]) == (net, label) and "test" in r]
            if not runs:
                continue
            points = list(zip(*(run["curve"] for run in runs), strict=True))
            bounds = [sum(point["bound"] for point in same) / len(same) for same in points]
            ends.append(bounds[1])
            abscissae = (
                [same[0]["step"] * runs[0]["decoder_evaluations"] for same in points],
                [sum(point["seconds"] for point in same) / len(same) for same in points],
            )
            line = {
                "color": LINE_COLOURS[number % len(LINE_COLOURS)],
                "linestyle": styles[number // len(LINE_COLOURS)],
                "label": label,
                "linewidth": 1.6,
            }
            for axes, x in zip(row, abscissae, strict=True):
                axes.plot(x, bounds, **line)
        for axes, name in zip(
            row, ("decoder evaluations an observation", "processor time, one thread (s)"), strict=True
        ):
            axes.set_xlabel(name)
            axes.set_xscale("log" if "time" in name else "linear")
            axes.set_ylabel("validation ELBO (nats)")
            axes.set_title(net, fontsize=11)
            axes.grid(alpha=0.25)
            axes.spines[["top", "right"]].set_visible(False)
            if ends:
                axes.set_ylim(bottom=sorted(ends)[len(ends) // 5])
    handles, labels = grid[-1][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, frameon=False, fontsize=9)
    return png(figure)


if __name__ == "__main__":
    main()

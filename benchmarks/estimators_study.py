"""Every estimator for codes of 200 bits, trained on dynamic MNIST with the same budget of decoder evaluations.

    python benchmarks/estimators_study.py [--study long] [--device cuda] [--workers 2] [--only "rebar (sampled KL)"]

For each net and seed, each estimator takes the largest K that decodes at most four codes an observation and step, and
makes as many steps as the budget of the study allows: 20 000 evaluations for every estimator (``short``), or 200 000
for the best of them and for the cures of collapsed bits (``long``), with compiled steps. A finished training is kept in
OUT/NAME/ and not made again, nor is one that OUT/NAME.json already holds, so a study that was stopped goes on; NAME is
``estimators_study`` or ``estimators_study_long``. At the end OUT/NAME.json holds all of it, and OUT/NAME.png the
curves. Times are processor seconds of one thread, validations included, so that what else runs on the machine matters
little; of a training on a GPU none are kept.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import re
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LINEAR, DEEP = "linear 200-784", "non-linear 200-200-200-784"
NETS: dict[str, list[int]] = {LINEAR: [], DEEP: [200, 200]}  # the hidden layers
LATENT_DIM, BATCH, EVALUATIONS, POINTS = 200, 100, 4, 10
LEARNING_RATE = 2e-3
WARM_UP = 0.25  # of the steps, over which the factor of the KL rises from 0 to 1
FREE_BITS = 0.05  # nats
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
    "bitflip": {"name": "bitflip"},
    "ugc": {"name": "ugc"},
    "local-expectation": {"name": "local-expectation"},
    "half": {"name": "half"},
    "gumbel-straight-through, 10 conditional": {"name": "gumbel-straight-through", "conditional_samples": 10},
    "rebar (sampled KL), warm-up": {"name": "rebar", "kl": "sampled", "warm_up": WARM_UP},
    "rebar, free bits": {"name": "rebar", "free_bits": FREE_BITS},
    "leave-one-out (sampled KL), warm-up": {
        "name": "score-function",
        "baseline": "leave-one-out",
        "kl": "sampled",
        "warm_up": WARM_UP,
    },
}
CURES = ("rebar (sampled KL), warm-up", "rebar, free bits", "leave-one-out (sampled KL), warm-up")  # of collapsed bits
LEFT_OUT = {(DEEP, "local-expectation")}  # which decodes 201 codes for each, where the decoder is not linear
OF_OBJECTIVE = ("kl", "warm_up", "free_bits")  # the other options are those of the estimator


@dataclass(frozen=True)
class Study:
    """What is trained: for how many decoder evaluations an observation, which nets with which seeds, and what."""

    name: str
    budget: int
    seeds: dict[str, tuple[int, ...]]
    labels: tuple[str, ...]
    compile: bool

    def trainings(self) -> list[tuple[str, str, int]]:
        """Return net, estimator and seed of each training, seed by seed."""
        all_seeds = sorted({seed for seeds in self.seeds.values() for seed in seeds})
        return [
            (net, label, seed)
            for seed in all_seeds
            for net, seeds in self.seeds.items()
            for label in self.labels
            if seed in seeds and (net, label) not in LEFT_OUT
        ]


LONG = (
    "rebar (sampled KL)",
    "relax",
    "gumbel-straight-through",
    "half",
    "disarm (sampled KL)",
    "leave-one-out (sampled KL)",
    *CURES,
)
SHORT = tuple(label for label in ESTIMATORS if label not in CURES)
STUDIES = {
    "short": Study("estimators_study", 20_000, {LINEAR: (0,), DEEP: (0, 1, 2)}, SHORT, compile=False),
    "long": Study("estimators_study_long", 200_000, {DEEP: (0, 1, 2)}, LONG, compile=True),
}


def settings_of(study: Study, net: str, label: str, seed: int) -> tuple[Any, int]:
    """Return the settings of one training, and the decoder evaluations of its steps."""
    from vaelab.errors import InputError
    from vaelab.estimators import Sizes
    from vaelab.settings import resolve

    options = dict(ESTIMATORS[label])
    objective = {"name": options.pop("objective", "elbo")}
    objective |= {name: options.pop(name) for name in OF_OBJECTIVE if name in options}
    if objective["name"] == "elbo":
        objective.setdefault("kl", "closed-form")
    share = objective.pop("warm_up", 0)
    layer: dict[str, Any] = {"latent_dim": LATENT_DIM, "hidden_dims": NETS[net], "seed": seed, "objective": objective}
    for samples in range(EVALUATIONS, 0, -1):
        try:
            settings = resolve("bernoulli-vae", layer, {"estimator": {**options, "samples": samples}})
        except InputError:  # too few codes for a baseline
            continue
        evaluations = settings.build_estimator(Sizes(784, LATENT_DIM)).decoder_evaluations(settings.build_objective())
        if label == "local-expectation":
            evaluations = samples  # flips of a linear decoder decode nothing again
        if evaluations <= EVALUATIONS or samples == 1:
            break
    steps = study.budget // evaluations
    if share:
        objective["warm_up"] = int(share * steps)
    training: dict[str, Any] = {
        "steps": steps,
        "validate_every": max(1, steps // POINTS),
        "log_every": 100,
        "batch_size": BATCH,
        "compile": study.compile,
    }
    training |= {"learning_rate": LEARNING_RATE, "schedule": "cosine", "warmup": 200}
    training |= {"average": False, "precision": "float32"}  # as the papers train
    return resolve("bernoulli-vae", layer, {"estimator": settings.estimator, "training": training}), evaluations


def train_one(study: Study, net: str, label: str, seed: int, device: str, path: Path) -> str:
    """Train one estimator, evaluate it on the test split, and write the result to ``path``."""
    import torch

    from vaelab.data import load_data
    from vaelab.evaluation import active_units
    from vaelab.likelihood import elbo, importance_weighted
    from vaelab.seeds import seeded
    from vaelab.training import Diverged, fit

    torch.set_num_threads(1)
    data = load_data("mnist")
    settings, evaluations = settings_of(study, net, label, seed)
    with seeded(seed, "weights"):
        model = settings.build_model(data)
    curve: list[dict[str, float | None]] = []
    started = time.process_time()

    def watch(row: dict[str, Any]) -> None:
        if "val/bound" in row:
            seconds = round(time.process_time() - started, 2) if device == "cpu" else None
            curve.append({"step": row["step"], "seconds": seconds, "bound": round(row["val/bound"], 3)})

    result: dict[str, Any] = {
        "net": net,
        "estimator": label,
        "seed": seed,
        "samples": settings.estimator["samples"],
        "decoder_evaluations": evaluations,
        "steps": settings.training.steps,
        "machine": machine_of(device),
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
            device=device,
            callback=watch,
        )
        if fitted.stop_reason == "interrupted":
            raise KeyboardInterrupt
        test = data.test.observations()
        model.to(device)
        bounds = {"elbo": elbo(model, test, 10), "iwae-100": importance_weighted(model, test, 100)}
        result["test"] = {name: [found.mean, found.standard_error] for name, found in bounds.items()}
        result["units"] = active_units(model, test)
    except Diverged as error:
        result["diverged"] = str(error)
    result["curve"] = curve
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(result, indent=1) + "\n")
    temporary.rename(path)
    return f"{net}  {label}  seed {seed}: {result.get('test', result.get('diverged'))}  {result.get('units', {})}"


def machine_of(device: str) -> str:
    """Return what a training is made on."""
    import torch

    from contenders.machine import machine

    if device == "cpu":
        return f"{machine()['processor']}, one thread"
    return f"{torch.cuda.get_device_name()}, torch {torch.__version__}"


def gathered(out: Path, study: Study) -> list[dict[str, Any]]:
    """Return the results of a study: those of its summary, and those of the trainings since."""
    stored = out / f"{study.name}.json"
    summary = json.loads(stored.read_text()) if stored.exists() else {"results": []}
    found = {}
    for result in summary["results"]:  # a former study had one machine
        found[key(result)] = {"machine": summary.get("machine"), **result}
    for path in sorted((out / study.name).glob("*.json")):
        result = json.loads(path.read_text())
        found[key(result)] = result
    labels = list(ESTIMATORS)
    return sorted(found.values(), key=lambda r: (list(NETS).index(r["net"]), labels.index(r["estimator"]), r["seed"]))


def key(result: dict[str, Any]) -> tuple[str, str, int]:
    """Return what names a training within a study."""
    return result["net"], result["estimator"], result["seed"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", choices=list(STUDIES), default="short")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", nargs="+", choices=list(ESTIMATORS), metavar="ESTIMATOR", help="train these alone")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--gather", action="store_true", help="train nothing, gather the trainings that are there")
    arguments = parser.parse_args()
    study, out = STUDIES[arguments.study], arguments.out
    done = {key(result) for result in gathered(out, study)}
    jobs = []
    for net, label, seed in study.trainings():
        if (net, label, seed) not in done and label in (arguments.only or study.labels) and not arguments.gather:
            name = re.sub(r"[^a-z0-9]+", "-", f"{net.split()[0]} {label} {seed}")
            jobs.append((study, net, label, seed, arguments.device, out / study.name / f"{name}.json"))
    started = time.time()
    with ProcessPoolExecutor(arguments.workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        for future in [pool.submit(train_one, *job) for job in jobs]:
            print(f"{time.time() - started:6.0f} s  {future.result()}", flush=True)
    results = gathered(out, study)
    summary = {
        "command": f"python benchmarks/estimators_study.py --study {arguments.study}",
        "protocol": "MNIST, dynamic binarisation, 50 000 training images; bounds in nats on the 10 000 test images",
        "learning_rate": LEARNING_RATE,
        "budget": study.budget,
        "results": results,
    }
    (out / f"{study.name}.json").write_text(json.dumps(summary, indent=1) + "\n")
    (out / f"{study.name}.png").write_bytes(draw(study, results))


def draw(study: Study, results: list[dict[str, Any]]) -> bytes:
    """Draw validation bound against decoder evaluations, and against processor seconds, for each net."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter

    from vaelab.plots import LINE_COLOURS, png

    figure = Figure(figsize=(13, 2.5 + 3.5 * len(study.seeds)), layout="constrained")
    grid = figure.subplots(len(study.seeds), 2, squeeze=False)
    shown = [label for label in study.labels if "iwae" not in label]  # the others report another bound
    styles = ("-", "--", ":", "-.")
    timed = (run["machine"] for run in results if any(point["seconds"] is not None for point in run["curve"]))
    clocked = next(timed, None)  # times of one machine are drawn
    for row, net in zip(grid, study.seeds, strict=True):
        ends = []
        for number, label in enumerate(shown):
            runs = [r for r in results if (r["net"], r["estimator"]) == (net, label) and "test" in r]
            if not runs:
                continue
            points = list(zip(*(run["curve"] for run in runs), strict=True))
            bounds = [sum(point["bound"] for point in same) / len(same) for same in points]
            ends.append(bounds[1])
            abscissae = [[same[0]["step"] * runs[0]["decoder_evaluations"] for same in points]]
            if all(run["machine"] == clocked for run in runs):
                abscissae.append([sum(point["seconds"] for point in same) / len(same) for same in points])
            line = {
                "color": LINE_COLOURS[number % len(LINE_COLOURS)],
                "linestyle": styles[number // len(LINE_COLOURS)],
                "label": label,
                "linewidth": 1.6,
            }
            for axes, x in zip(row, abscissae, strict=False):
                axes.plot(x, bounds, **line)
        for axes, name in zip(
            row, ("decoder evaluations an observation", "processor time, one thread (s)"), strict=True
        ):
            axes.set_xlabel(name)
            if "time" in name:
                axes.set_xscale("log")
                axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
                axes.xaxis.set_major_formatter("{x:g}")
                axes.xaxis.set_minor_formatter(NullFormatter())
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

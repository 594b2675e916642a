"""Which estimator should train a bernoulli-vae on a binary table? vaelab's defaults with each, on the validation rows.

    python benchmarks/estimators_tables.py --tables FOLDER [--names nltcs ...] [--seeds 0 1] [--workers 2]

FOLDER holds tables as NAME.npz with arrays train, validation and test of bits, as in benchmarks/debd.py. The test split
is not read. Each estimator takes the largest K that decodes at most four codes an observation and step, and all else is
what ``vaelab train bernoulli-vae`` chooses for the table. A row of --out has the ELBO by which the training selected
its weights, and the estimate of log p(x) with 300 codes (``iwae``) of at most 1000 of the same rows. One thread trains
each. Rows that the file has are not made again, so a command that was stopped goes on.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is loaded, here and in the workers

import argparse
import json
import statistics
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

CODES, ROWS = 300, 1000  # of the estimate of log p(x): codes a row, and at most so many rows
LONGEST_FIRST = "pumsb_star accidents voting bbc moviereview plants bnetflix jester baudio mushrooms nips dna nltcs"
ESTIMATORS: dict[str, dict[str, Any]] = {
    "rebar": {"estimator": {"name": "rebar", "samples": 2}, "objective": {"kl": "sampled"}},
    "gumbel-straight-through": {
        "estimator": {"name": "gumbel-straight-through", "samples": 4},
        "objective": {"kl": "closed-form"},
    },
    "half": {"estimator": {"name": "half", "samples": 4}, "objective": {"kl": "closed-form"}},
    "leave-one-out": {
        "estimator": {"name": "score-function", "baseline": "leave-one-out", "samples": 4},
        "objective": {"kl": "sampled"},
    },
}
Row = dict[str, Any]


def train(folder: Path, name: str, label: str, seed: int) -> Row:
    """Train one model on one table, and return the row of the results."""
    import numpy as np
    import torch

    from vaelab.data import Dataset, load_data
    from vaelab.likelihood import importance_weighted
    from vaelab.seeds import seeded
    from vaelab.settings import resolve
    from vaelab.training import fit, for_data

    torch.set_num_threads(1)
    whole = load_data(folder / f"{name}.npz")
    splits = {part: whole.splits[part] for part in ("train", "validation")}
    data = Dataset(whole.name, splits, whole.kind, whole.scale)
    settings: Any = for_data(resolve("bernoulli-vae", {"seed": seed}, ESTIMATORS[label]), data)
    with seeded(seed, "weights"):
        model = settings.build_model(data)
    started = time.process_time()
    result = fit(
        model,
        data,
        estimator=settings.build_estimator(model),
        objective=settings.build_objective(),
        settings=settings.training,
        seed=seed,
    )
    seconds = round(time.process_time() - started, 1)
    x = data.validation.observations().bits(slice(None))
    chosen = np.sort(np.random.default_rng(0).permutation(len(x))[:ROWS])
    found = importance_weighted(model, x[torch.from_numpy(chosen)].float(), CODES, seed=0)
    return {
        "table": name,
        "estimator": label,
        "seed": seed,
        "likelihood": dict(settings)["likelihood"],
        "steps": result.steps,
        "best_step": result.best_step,
        "seconds": seconds,
        "elbo": round(float(result.best_bound), 3),
        "iwae": round(found.mean, 3),
        "standard_error": round(found.standard_error, 3),
    }


def key(row: Row) -> tuple[str, str, int]:
    """Return what names a training."""
    return row["table"], row["estimator"], row["seed"]


def summary(rows: list[Row], bound: str) -> str:
    """Return a bound of each estimator on each table, as means over the seeds that all of them have."""
    names = [name for name in LONGEST_FIRST.split() if any(row["table"] == name for row in rows)]
    labels = [label for label in ESTIMATORS if any(row["estimator"] == label for row in rows)]
    lines = [f"| {bound} | " + " | ".join(labels) + " | seeds |", "|---|" + "---|" * (len(labels) + 1)]
    for name in sorted(names):
        found = {label: {row["seed"]: row[bound] for row in rows if key(row)[:2] == (name, label)} for label in labels}
        seeds = sorted(set.intersection(*(set(values) for values in found.values())))
        if seeds:
            cells = [f"{statistics.mean(found[label][seed] for seed in seeds):.2f}" for label in labels]
            lines.append(f"| {name} | " + " | ".join(cells) + f" | {len(seeds)} |")
    return "\n".join(lines)


def write(path: Path, rows: list[Row]) -> None:
    from contenders.machine import machine

    rows.sort(key=key)
    head = {
        "command": "python benchmarks/estimators_tables.py --tables FOLDER",
        "machine": f"{machine()['processor']}, one thread",
        "estimators": ESTIMATORS,
    }
    text = json.dumps(head)[:-1] + ', "rows": [\n ' + ",\n ".join(json.dumps(row) for row in rows) + "\n]}\n"
    partial = path.with_name(path.name + ".part")
    partial.write_text(text)
    partial.replace(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=Path, required=True, help="the folder of NAME.npz")
    parser.add_argument("--names", nargs="+", default=LONGEST_FIRST.split())
    parser.add_argument("--only", nargs="+", choices=list(ESTIMATORS), default=list(ESTIMATORS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/estimators_tables.json"))
    asked = parser.parse_args()
    rows = json.loads(asked.out.read_text())["rows"] if asked.out.exists() else []
    done = {key(row) for row in rows}
    wanted = [(name, label, seed) for seed in asked.seeds for name in asked.names for label in asked.only]
    with ProcessPoolExecutor(asked.workers, get_context("spawn")) as pool:
        jobs = [pool.submit(train, asked.tables, *job) for job in wanted if job not in done]
        for job in as_completed(jobs):
            rows.append(job.result())
            write(asked.out, rows)
            print(job.result(), flush=True)
    print("\n\n".join(summary(rows, bound) for bound in ("elbo", "iwae")))


if __name__ == "__main__":
    main()

"""Default trainings of small data: today's defaults beside 20 and 400 epochs, by IWAE-1000 on the test split.

    python benchmarks/small_data.py [--data-dir DIR] [--names nltcs plants ...] [--seeds 0] [--threads 2] [--out DIR]

Two data sets are made here from a seed: a table of 3 000 rows and 37 columns (answers that depend on six traits), and
300 images of 64 x 64 (unions of ellipses). DIR holds others as NAME.npz with arrays train, validation and test of bits,
such as the binary data sets of density estimation (Lowd & Davis, 2010, https://doi.org/10.1109/ICDM.2010.128; Van
Haaren & Davis, 2012, https://doi.org/10.1609/aaai.v26i1.8317). Each is trained as a gaussian-vae in three ways:
``20 epochs`` and ``400 epochs`` of batches of 256 rows at a learning rate of 5e-3 with 20 latent numbers, validated
each epoch and without patience, and ``default``, whatever vaelab chooses. The weights are those of the best validation
bound. The columns are independent given the code (``likelihood=bernoulli``).

OUT/small_data.json holds a row for each data set, way and seed; rows that are there are not made again, so a run that
was stopped goes on. The table is of the mean over the seeds, with their range where there are several.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vaelab.data import Dataset, Split, load_data
from vaelab.likelihood import importance_weighted
from vaelab.models import require_latent
from vaelab.seeds import seeded
from vaelab.settings import resolve
from vaelab.training import Diverged, fit, for_data

BEFORE: dict[str, Any] = {"batch_size": 256, "learning_rate": 5e-3, "warmup": 50}
WAYS: dict[str, dict[str, Any]] = {
    "20 epochs": {"latent_dim": 20, "training": {**BEFORE, "epochs": 20}},
    "400 epochs": {"latent_dim": 20, "training": {**BEFORE, "epochs": 400}},
    "default": {},
}
SAMPLES = 1000


def split(name: str, x: np.ndarray, shape: tuple[int, int] | None = None) -> Dataset:
    """Return a data set of bits whose rows are in random order already, cut at 80 and 90 %."""
    first, second = len(x) * 8 // 10, len(x) * 9 // 10
    parts = {"train": x[:first], "validation": x[first:second], "test": x[second:]}
    splits = {
        key: Split(np.ascontiguousarray(part.reshape(len(part), -1)).astype(np.uint8)) for key, part in parts.items()
    }
    return Dataset(name, splits, "binary", 1, image_shape=shape)


def table(rows: int = 3000, columns: int = 37) -> Dataset:
    """Return answers yes or no: logistic in six traits, each person's drawn around those of one of four groups."""
    generator = np.random.default_rng(0)
    groups = 1.5 * generator.normal(size=(4, 6))
    weights = 1.2 * generator.normal(size=(6, columns)) * (generator.random((6, columns)) < 0.5)
    offsets = generator.normal(size=columns)
    traits = groups[generator.integers(0, 4, rows)] + generator.normal(size=(rows, 6))
    probability = 1 / (1 + np.exp(-(traits @ weights + offsets)))
    return split("table-3000x37", generator.random(probability.shape) < probability)


def images(count: int = 300, side: int = 64) -> Dataset:
    """Return black-and-white images: the union of one to three ellipses."""
    generator = np.random.default_rng(0)
    row, column = np.mgrid[:side, :side]
    drawn = []
    for _ in range(count):
        image = np.zeros((side, side), bool)
        for _ in range(generator.integers(1, 4)):
            (y, x), (a, b), angle = (
                generator.uniform(12, 52, 2),
                generator.uniform(4, 14, 2),
                generator.uniform(0, np.pi),
            )
            u = (row - y) * np.cos(angle) + (column - x) * np.sin(angle)
            v = (column - x) * np.cos(angle) - (row - y) * np.sin(angle)
            image |= (u / a) ** 2 + (v / b) ** 2 < 1
        drawn.append(image)
    return split("images-300", np.array(drawn), (side, side))


def measure(name: str, data: Dataset, way: str, seed: int) -> dict[str, Any]:
    """Train one model one way and return what came of it."""
    settings = for_data(resolve("gaussian-vae", {"seed": seed, "likelihood": "bernoulli"}, WAYS[way]), data)
    training = settings.training
    if way != "default":  # validated each epoch, however short: as it was
        epoch = max(1, len(data.splits["train"]) // training.batch_size)
        training = training.model_copy(update={"validate_every": epoch})
    size = settings.model_dump()["latent_dim"]
    with seeded(seed, "weights"):
        model = require_latent(settings.build_model(data), "this benchmark")
    row: dict[str, Any] = {"data": name, "way": way, "seed": seed, "latent_dim": size}
    started = time.perf_counter()
    try:
        fitted = fit(model, data, settings=training, seed=seed)
    except Diverged as diverged:
        return row | {"failure": str(diverged), "seconds": round(time.perf_counter() - started, 1)}
    row |= {"seconds": round(time.perf_counter() - started, 1), "steps": fitted.steps, "best_step": fitted.best_step}
    row |= {"validation": round(fitted.best_bound, 3), "rising": fitted.verdict.rising if fitted.verdict else None}
    found = importance_weighted(model, data.test.observations(), SAMPLES, seed)
    return row | {"test": round(found.mean, 3), "standard_error": round(found.standard_error, 3)}


def load(name: str, folder: Path | None) -> Dataset:
    """Return a data set by its name in the table."""
    made = {"table-3000x37": table, "images-300": images}
    if name in made:
        return made[name]()
    if folder is None:
        raise SystemExit(f"{name}: --data-dir has to say where {name}.npz is")
    return load_data(folder / f"{name}.npz")


def markdown(rows: list[dict[str, Any]]) -> str:
    """Return the table: a line for each data set, the test bound of each way and the seconds of the default."""
    lines = [
        "| data | " + " | ".join(f"{way}" for way in WAYS) + " | default: latent_dim, steps, best step, seconds |",
        "|---|" + "---|" * (len(WAYS) + 1),
    ]
    for name in dict.fromkeys(row["data"] for row in rows):
        own = {way: [row for row in rows if row["data"] == name and row["way"] == way] for way in WAYS}
        cells = [" | ".join(_cell(found) for found in own.values())]
        middle = [_median(own["default"], key) for key in ("latent_dim", "steps", "best_step", "seconds")]
        lines.append(f"| {name} | {cells[0]} | {', '.join(middle)} |")
    return "\n".join(lines)


def _cell(rows: list[dict[str, Any]]) -> str:
    values = [row["test"] for row in rows if "test" in row]
    if not values:
        return "diverged" if rows else ""
    spread = f" ({min(values):.2f} to {max(values):.2f})" if len(values) > 1 else ""
    error = statistics.mean(row["standard_error"] for row in rows if "test" in row)
    diverged = f", {len(rows) - len(values)} diverged" if len(values) < len(rows) else ""
    return f"{statistics.mean(values):.2f} ± {error:.2f}{spread}{diverged}"


def _median(rows: list[dict[str, Any]], key: str) -> str:
    values = [row[key] for row in rows if key in row]
    return f"{statistics.median(values):.0f}" if values else "-"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, help="where NAME.npz files are")
    parser.add_argument("--names", nargs="+", default=["table-3000x37", "images-300"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    path = options.out / "small_data.json"
    content: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"rows": []}
    content["machine"] = f"{platform.machine()}, {options.threads} threads"
    rows: list[dict[str, Any]] = content["rows"]
    for seed in options.seeds:
        for name in options.names:
            data = load(name, options.data_dir)
            for way in options.ways:
                if any((row["data"], row["way"], row["seed"]) == (name, way, seed) for row in rows):
                    continue
                rows.append(measure(name, data, way, seed))
                print(rows[-1], flush=True)
                options.out.mkdir(parents=True, exist_ok=True)
                path.write_text(json.dumps(content, indent=1) + "\n")
    print(markdown(rows))


if __name__ == "__main__":
    main()

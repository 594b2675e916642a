"""How well missing values are filled: vaelab beside the mean of the column and scikit-learn's IterativeImputer.

    python benchmarks/imputation.py [--data-dir DIR] [--names nltcs plants jester] [--seeds 0 1] [--out DIR]

A data set has 30 % of its values removed at random in every split. Each method learns from the training rows with their
gaps and fills those of 1000 test rows. The numbers are over the removed values: the Brier score, the mean of (p -
x)^2 with p the filled expectation, and the share of bits that are right when p is rounded. MNIST (bits drawn once) is
in the package; DIR holds others as NAME.npz with arrays train, validation and test of bits (Lowd & Davis, 2010,
https://doi.org/10.1109/ICDM.2010.128; Van Haaren & Davis, 2012, https://doi.org/10.1609/aaai.v26i1.8317).

vaelab trains a gaussian-vae with ``likelihood=bernoulli`` and its defaults (MNIST: 5 epochs) and fills with 500 codes.
IterativeImputer has its defaults, but regresses each column on the 30 columns that are most correlated with it, in 5
rounds, on at most 2000 training rows, because its time grows with the square of the number of columns.
OUT/imputation.json holds a row for each data set, method and seed; rows that are there are not made again.
OUT/imputation.png shows them.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from vaelab import Dataset, Split, fit, gaussian_vae, impute, load_data
from vaelab.settings import TrainingSettings

Rows = npt.NDArray[np.float64]
SHARE, TEST_ROWS, ITERATIVE_ROWS = 0.3, 1000, 2000


def bits_of(name: str, folder: Path) -> dict[str, Rows]:
    """Return the bits of each split of a data set."""
    data = load_data("mnist", binarisation="static") if name == "mnist" else load_data(folder / f"{name}.npz")
    splits = {key: split.batch(len(split)).double().numpy() for key, split in data.splits.items()}
    return splits | {"test": splits["test"][:TEST_ROWS]}


def with_gaps(rows: Rows, seed: int, split: str) -> Rows:
    """Return the rows with values removed at random."""
    generator = np.random.default_rng([seed, len(split), ord(split[0])])
    return np.where(generator.random(rows.shape) < SHARE, np.nan, rows)


def by_vaelab(gaps: dict[str, Rows], seed: int, name: str) -> tuple[Rows, float]:
    """Return the test rows filled by a gaussian-vae, and the median of the effective samples."""
    splits = {key: Split(part.astype(np.float32)) for key, part in gaps.items()}
    data = Dataset(name, splits, "binary", 1)
    model = gaussian_vae(data, likelihood="bernoulli", seed=seed)
    settings = TrainingSettings(epochs=5) if name == "mnist" else None
    fit(model, data, seed=seed, settings=settings)
    found = impute(model, torch.from_numpy(gaps["test"]).float(), samples=500, seed=seed)
    assert found.effective_samples is not None  # the model has codes
    return found.values.double().numpy(), float(found.effective_samples.median())


def by_mean(gaps: dict[str, Rows], seed: int, name: str) -> tuple[Rows, float]:
    """Return the test rows filled with the means of the columns."""
    return np.where(np.isnan(gaps["test"]), np.nanmean(gaps["train"], 0), gaps["test"]), 0.0


def by_iteration(gaps: dict[str, Rows], seed: int, name: str) -> tuple[Rows, float]:
    """Return the test rows filled by scikit-learn's IterativeImputer, clipped to [0, 1]."""
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer

    train = gaps["train"][:ITERATIVE_ROWS]
    imputer = IterativeImputer(
        max_iter=5, n_nearest_features=min(30, train.shape[1] - 1), random_state=seed, keep_empty_features=True
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that five rounds are few
        imputer.fit(train)
        return np.clip(imputer.transform(gaps["test"]), 0, 1), 0.0


METHODS: dict[str, Callable[[dict[str, Rows], int, str], tuple[Rows, float]]] = {
    "vaelab gaussian-vae": by_vaelab,
    "IterativeImputer": by_iteration,
    "column mean": by_mean,
}


def measure(name: str, method: str, seed: int, folder: Path) -> dict[str, Any]:
    """Return the numbers of one method on one data set."""
    complete = bits_of(name, folder)
    gaps = {key: with_gaps(part, seed, key) for key, part in complete.items()}
    removed = np.isnan(gaps["test"])
    started = time.perf_counter()
    filled, effective = METHODS[method](gaps, seed, name)
    p, x = filled[removed], complete["test"][removed]
    return {
        "data": name,
        "method": method,
        "seed": seed,
        "brier": float(np.mean((p - x) ** 2)),
        "right": float(np.mean((p > 0.5) == x)),
        "median_effective_samples": effective,
        "seconds": round(time.perf_counter() - started, 1),
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Return the means over the seeds as Markdown, with half the range."""
    lines = ["| data | method | Brier score | bits right | seeds |", "|---|---|---|---|---|"]
    for name in dict.fromkeys(row["data"] for row in rows):
        for method in METHODS:
            chosen = [row for row in rows if (row["data"], row["method"]) == (name, method)]
            if chosen:
                cells = [_spread([row[key] for row in chosen]) for key in ("brier", "right")]
                lines.append(f"| {name} | {method} | {' | '.join(cells)} | {len(chosen)} |")
    return "\n".join(lines)


def _spread(values: list[float]) -> str:
    half = (max(values) - min(values)) / 2
    return f"{statistics.mean(values):.4f} ± {half:.4f}"


def draw(rows: list[dict[str, Any]]) -> bytes:
    """Draw the Brier scores, a group of bars for each data set; the lines go from seed to seed."""
    from matplotlib.figure import Figure

    from vaelab.plots import LINE_COLOURS, png

    figure = Figure(figsize=(8, 3.4), layout="constrained")
    axes = figure.subplots()
    names = list(dict.fromkeys(row["data"] for row in rows))
    for index, method in enumerate(METHODS):
        scores = [[row["brier"] for row in rows if (row["data"], row["method"]) == (name, method)] for name in names]
        places = np.arange(len(names)) + 0.27 * (index - 1)
        means = [statistics.mean(values) for values in scores]
        axes.bar(places, means, width=0.25, color=LINE_COLOURS[(0, 1, 7)[index]], label=method)
        for place, mean, values in zip(places, means, scores, strict=True):
            axes.plot([place, place], [min(values), max(values)], color="#222222", linewidth=1.5)
            axes.annotate(
                f"{mean:.3f}", (place, mean), xytext=(0, 3), textcoords="offset points", ha="center", fontsize=8
            )
    axes.set_xticks(range(len(names)), names)
    axes.set_ylabel("Brier score of removed bits")
    axes.set_title("30 % of the values removed: lower is better", fontsize=11, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9)
    return png(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, default=Path())
    parser.add_argument("--names", nargs="*", default=["nltcs", "plants", "jester"], help="beside mnist")
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    file = arguments.out / "imputation.json"
    kept = json.loads(file.read_text())["rows"] if file.exists() else []
    for name in ["mnist", *arguments.names]:
        for method in METHODS:
            for seed in arguments.seeds:
                if any((row["data"], row["method"], row["seed"]) == (name, method, seed) for row in kept):
                    continue
                kept.append(measure(name, method, seed, arguments.data_dir))
                facts = {"command": "python benchmarks/imputation.py", "machine": platform.machine(), "rows": kept}
                file.write_text(json.dumps(facts, indent=1) + "\n")
                print(kept[-1], flush=True)
    print(table(kept))
    file.with_suffix(".png").write_bytes(draw(kept))


if __name__ == "__main__":
    main()

"""The experiment of 1996 again: ten belief networks 8-24-64, one a class, name a digit by their largest bound.

    python benchmarks/sbn_classification.py [--data digits|mnist] [--folds N] [--out benchmarks/results] [--gather]

Data: scikit-learn's 8x8 digits, 1 797 images, grey levels 0...16 set to one above 7.5, in five stratified folds: each
is the test part once, an eighth of the other four is the validation part. And MNIST, each digit's bounding box averaged
to 8x8 and set to one above 1/4: 600 training and 100 validation images a class from its training split, the first 400
of each class of its test split; a "fold" draws other training images.

Each network is trained on the images of its class until the bound on the validation images has not risen for five
validations, and keeps its best weights; k of the neighbours and C of the regression are chosen on the validation part
too. Within a fold nothing is chosen on the test part; but the protocol as a whole was kept after its test errors had
been seen beside those of another one (a prior on the weights, then a refit on both parts). What a fold came to is kept
in OUT/sbn_classification/NAME.json and not made again; OUT/sbn_classification.json sums up,
OUT/sbn_classification.png shows errors and completed halves.
Source: Saul, Jaakkola & Jordan (1996), https://arxiv.org/abs/cs/9603102.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
LAYERS, EXACT_BITS = [24, 8], 12
METHODS: dict[str, dict[str, Any]] = {
    "mean field, product": {"inference": "mean-field"},
    "mean field, Gaussian": {"inference": "mean-field", "field": "gaussian"},
    "wake-sleep": {"inference": "wake-sleep"},
    "amortised": {},
}
# Adam on whole classes for the fields, whose gradient has no noise; small steps on small batches for the others
FIELD: dict[str, Any] = {"steps": 300, "batch_size": 200, "learning_rate": 0.05, "validate_every": 5}
SAMPLED: dict[str, Any] = {"steps": 4000, "batch_size": 50, "learning_rate": 0.01, "validate_every": 100}
COMMON: dict[str, Any] = {"warmup": 0, "schedule": "constant", "patience": 5, "average": False}
PUBLISHED = {"mean field (1996)": 0.046, "wake-sleep (1996)": 0.048, "nearest neighbours (1996)": 0.067}
FOLDS = {"digits": 5, "mnist": 3}
HALF = np.arange(64) < 32  # the upper four rows are seen

Part = tuple[Array, Array]  # images (N, 64) of bits, classes (N,)


def digits_folds() -> Iterator[tuple[Part, Part, Part]]:
    """Yield training, validation and test part of each fold of scikit-learn's digits."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import StratifiedKFold

    loaded = load_digits()
    x, y = (loaded.data > 7.5).astype(np.uint8), loaded.target
    for others, test in StratifiedKFold(FOLDS["digits"], shuffle=True, random_state=0).split(x, y):
        train, validation = next(StratifiedKFold(8, shuffle=True, random_state=1).split(x[others], y[others]))
        rows = others[train], others[validation], test
        yield tuple((x[part], y[part]) for part in rows)  # type: ignore[misc]


def mnist_folds() -> Iterator[tuple[Part, Part, Part]]:
    """Yield the parts of MNIST reduced to 8x8; the test part is the same in each."""
    from vaelab.data import load_data

    data = load_data("mnist")

    def reduced(name: str) -> Part:
        split = data.splits[name]
        assert split.labels is not None
        return np.stack([small(image) for image in split.x[:].reshape(-1, 28, 28)]), split.labels

    def small(image: Array) -> Array:
        rows, columns = np.flatnonzero(image.any(1)), np.flatnonzero(image.any(0))
        box = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        wide = box.repeat(8, 0).repeat(8, 1).reshape(8, box.shape[0], 8, box.shape[1])  # eighths of a pixel
        return np.asarray(wide.mean((1, 3)) > 255 / 4, dtype=np.uint8).reshape(64)

    (x, y), (test_x, test_y) = reduced("train"), reduced("test")
    test = np.concatenate([np.flatnonzero(test_y == digit)[:400] for digit in range(10)])
    for fold in range(FOLDS["mnist"]):
        generator = np.random.default_rng(fold)
        rows = [generator.permutation(np.flatnonzero(y == digit))[:700] for digit in range(10)]
        train, held_out = np.concatenate([r[:600] for r in rows]), np.concatenate([r[600:] for r in rows])
        yield (x[train], y[train]), (x[held_out], y[held_out]), (test_x[test], test_y[test])


def networks(method: str, parts: tuple[Part, Part, Part], seed: int) -> list[Any]:
    """Return ten trained networks, one a class."""
    from vaelab.data import Dataset, Split
    from vaelab.seeds import seeded
    from vaelab.settings import resolve
    from vaelab.training import fit

    trained = []
    for digit in range(10):
        splits = {
            name: Split(x[y == digit]) for name, (x, y) in zip(("train", "validation", "test"), parts, strict=True)
        }
        data = Dataset(f"digit {digit}", splits, "binary", 1, (8, 8))
        length = FIELD if "field" in method else SAMPLED
        training = {**COMMON, **length, "log_every": length["validate_every"]}
        if method == "exact":
            trained.append(exact_network(data, seed, digit))
            continue
        settings = resolve("sbn", {"layers": LAYERS, **METHODS[method], "training": training})
        with seeded(seed, "weights", digit):
            model = settings.build_model(data)
        estimator, objective = settings.build_estimator(model), settings.build_objective()
        fitted = fit(model, data, estimator=estimator, objective=objective, settings=settings.training, seed=seed)
        if fitted.stop_reason == "interrupted":
            raise KeyboardInterrupt
        trained.append(model)
    return trained


def exact_network(data: Any, seed: int, digit: int) -> Any:
    """Return a network of one layer of 12 bits, trained by the exact gradient of log p(x), stopped as the others."""
    import copy

    import torch

    from vaelab.inference import Enumeration
    from vaelab.models import sbn
    from vaelab.seeds import seeded

    with seeded(seed, "weights", digit):
        model = sbn(data, layers=[EXACT_BITS])
    train, validation = (torch.from_numpy(data.splits[name].x).float() for name in ("train", "validation"))
    weights = {name: weight for name, weight in model.named_parameters() if not name.startswith("posterior")}
    optimiser, exact = torch.optim.Adam(weights.values(), lr=FIELD["learning_rate"]), Enumeration(model)
    best, kept, since = -math.inf, copy.deepcopy(model), 0
    for step in range(FIELD["steps"]):
        for name, gradient in exact.gradient(train).items():
            weights[name].grad = -gradient
        optimiser.step()
        if (step + 1) % FIELD["validate_every"] == 0:
            with torch.no_grad():
                bound = float(exact.log_likelihood(validation).mean())
            since += 1
            if bound > best:
                best, kept, since = bound, copy.deepcopy(model), 0
            if since == COMMON["patience"]:
                break
    return kept


def scores(method: str, model: Any, x: Array, seen: Array) -> Array:
    """Return what images are named by, (N,): the largest bound that the method gives, of the seen pixels alone.

    L of the field, 100 codes of a recognition network under the importance-weighted bound, or log p(x) itself.
    """
    import torch

    from vaelab.inference import Enumeration, MeanField
    from vaelab.objectives import IWAE
    from vaelab.seeds import seeded

    bits, mask = torch.from_numpy(x).float(), torch.from_numpy(seen)
    with torch.no_grad(), seeded(0, "scores"):
        if method == "exact":
            return np.asarray(Enumeration(model).log_likelihood(bits, mask.expand(bits.shape)))
        if "field" not in method:
            return np.asarray(model.bound(bits, 100, IWAE()))
        solver = model.posterior.solver()
        (J, h), *others = solver.layers
        solver = MeanField([(J[mask], h[mask]), *others], solver.top, model.posterior.field)  # unseen units drop out
        return np.asarray(solver.bound(bits[:, mask], solver.infer(bits[:, mask], 1e-3, 100)))


def run_fold(name: str, fold: int, method: str, parts: tuple[Part, Part, Part]) -> dict[str, Any]:
    """Train and test one method on one fold."""
    started, (x, y) = time.process_time(), parts[2]
    everything = np.ones(64, dtype=bool)
    result: dict[str, Any] = {"data": name, "fold": fold, "method": method, "test_images": len(y)}
    if method in ("k nearest neighbours", "logistic regression"):
        result |= baseline(method, parts)
    else:
        trained = networks(method, parts, fold)
        table = np.stack([scores(method, model, x, everything) for model in trained])  # (10, N)
        result["errors"] = int((table.argmax(0) != y).sum())
        result["bound"] = round(float(table[y, np.arange(len(y))].mean()), 3)
        if "field" in method or method == "exact":  # of the others, the recognition network wants every pixel
            halves = np.stack([scores(method, model, x, HALF) for model in trained])
            result["errors_half_seen"] = int((halves.argmax(0) != y).sum())
    return result | {"processor_seconds": round(time.process_time() - started, 1)}


def baseline(method: str, parts: tuple[Part, Part, Part]) -> dict[str, Any]:
    """Return the errors of a discriminative method, its one setting chosen on the validation part."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier

    (x, y), (held_x, held_y), (test_x, test_y) = parts
    candidates = {
        "k nearest neighbours": [KNeighborsClassifier(k) for k in (1, 3, 5, 7, 9)],
        "logistic regression": [LogisticRegression(C=C, max_iter=2000) for C in (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)],
    }[method]
    best = max((model.fit(x, y) for model in candidates), key=lambda model: model.score(held_x, held_y))
    return {"errors": int((best.predict(test_x) != test_y).sum()), "chosen": str(best)}


def completions(out: Path) -> None:
    """Complete the lower halves of test digits with the network that the upper half names, and keep the images."""
    import torch

    from vaelab.inference import complete

    path = out / "sbn_classification" / "completions.npz"
    if path.exists():
        return
    parts = next(digits_folds())
    trained, (x, y) = networks("mean field, product", parts, 0), parts[2]
    chosen = np.array([np.flatnonzero(y == digit)[0] for digit in range(10)])
    x = x[chosen]
    named = np.stack([scores("mean field, product", model, x, HALF) for model in trained]).argmax(0)
    known, means, draws = torch.from_numpy(HALF), [], []
    for image, digit in zip(torch.from_numpy(x).float(), named, strict=True):
        drawn, mean = complete(trained[digit], image.expand(200, -1), known, sweeps=50, seed=0)
        means.append(mean.mean(0))
        draws.append(drawn[0])
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, x=x, named=named, means=torch.stack(means).numpy(), draws=torch.stack(draws).numpy())


def summed(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a row for each data set and method: error over all folds, its standard error, the range over folds."""
    rows = []
    for key in sorted({(r["data"], r["method"]) for r in results}):
        found = [r for r in results if (r["data"], r["method"]) == key]
        row: dict[str, Any] = {"data": key[0], "method": key[1], "folds": len(found)}
        for name in ("errors", "errors_half_seen"):
            if name in found[0]:
                rates = [r[name] / r["test_images"] for r in found]
                images = sum(r["test_images"] for r in found) if key[0] == "digits" else found[0]["test_images"]
                rate = sum(rates) / len(rates)
                row[name.replace("errors", "error")] = {
                    "rate": round(rate, 4),
                    "standard_error": round(math.sqrt(rate * (1 - rate) / images), 4),
                    "folds": [round(r, 4) for r in rates],
                }
        if "bound" in found[0]:
            row["bound"] = round(sum(r["bound"] for r in found) / len(found), 2)
        row["processor_seconds_a_fold"] = round(sum(r["processor_seconds"] for r in found) / len(found), 1)
        rows.append(row)
    return rows


def draw(rows: list[dict[str, Any]], out: Path) -> bytes:
    """Draw errors with two standard errors beside the published ones, and the completed halves."""
    from matplotlib.figure import Figure

    from vaelab.plots import LINE_COLOURS, png, tile

    names = [name for name in {"digits": 0, "mnist": 0} if any(row["data"] == name for row in rows)]
    titles = {"digits": "scikit-learn's digits, 8×8", "mnist": "MNIST, reduced to 8×8"}
    figure = Figure(figsize=(15, 4.4), layout="constrained")
    axes = figure.subplots(1, len(names) + 1, width_ratios=[1.0] * len(names) + [1.7])
    for panel, name in zip(axes, names, strict=False):
        found = sorted((row for row in rows if row["data"] == name), key=lambda row: row["error"]["rate"])
        for position, row in enumerate(found):
            rate, error = 100 * row["error"]["rate"], 200 * row["error"]["standard_error"]
            panel.errorbar(rate, position, xerr=error, fmt="o", color=LINE_COLOURS[0], capsize=3)
            panel.annotate(
                f"{rate:.1f} %", (rate, position), (0, 7), textcoords="offset points", ha="center", fontsize=9
            )
        places = [float(index) for index in range(len(found))]
        places += [len(found) + 0.4 + index * 0.8 for index in range(len(PUBLISHED))]
        for rate, height in zip(PUBLISHED.values(), places[len(found) :], strict=True):
            panel.plot(100 * rate, height, "s", color=LINE_COLOURS[1], markerfacecolor="white")
            panel.annotate(f"{100 * rate:.1f} %", (100 * rate, height), (7, -3), textcoords="offset points", fontsize=9)
        panel.set_yticks(places, [*(row["method"] for row in found), *PUBLISHED], fontsize=9)
        panel.set_ylim(max(places) + 0.6, -0.8)
        panel.set_xlim(left=0)
        panel.set_xlabel("test error (%), ± 2 standard errors")
        panel.set_title(titles[name], fontsize=11)
        panel.grid(axis="x", alpha=0.25)
        panel.spines[["top", "right"]].set_visible(False)
    kept = np.load(out / "sbn_classification" / "completions.npz")
    seen = np.where(HALF, kept["x"], 0.35)
    sheet = np.concatenate([kept["x"], seen, kept["means"], kept["draws"]]).reshape(-1, 8, 8)
    axes[-1].imshow(tile(sheet, 10), cmap="gray_r", vmin=0, vmax=1)
    axes[-1].set_yticks(
        [4, 13, 22, 31], ["test image", "what is seen", "completed, mean", "completed, drawn"], fontsize=9
    )
    axes[-1].set_xticks([4 + 9 * index for index in range(10)], [str(digit) for digit in kept["named"]], fontsize=9)
    axes[-1].set_xlabel("class that the upper half names")
    axes[-1].set_title("the lower half completed, mean field", fontsize=11)
    axes[-1].tick_params(length=0)
    axes[-1].spines[:].set_visible(False)
    return png(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=FOLDS, help="one of the two; both if left out")
    parser.add_argument("--folds", type=int, help="the first so many; all if left out")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--gather", action="store_true", help="train nothing, sum up what there is")
    arguments = parser.parse_args()
    folder = arguments.out / "sbn_classification"
    folder.mkdir(parents=True, exist_ok=True)
    methods = ["k nearest neighbours", "logistic regression", "exact", *METHODS]
    for name, folds in (("digits", digits_folds), ("mnist", mnist_folds)):
        if arguments.gather or arguments.data not in (None, name):
            continue
        for fold, parts in enumerate(folds()):
            for method in methods if arguments.folds is None or fold < arguments.folds else []:
                path = folder / f"{name}-{fold}-{methods.index(method)}.json"
                if not path.exists():
                    result = run_fold(name, fold, method, parts)
                    path.write_text(json.dumps(result) + "\n")
                    print(result, flush=True)
    completions(arguments.out)
    rows = summed([json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))])
    summary = {
        "command": "python benchmarks/sbn_classification.py",
        "machine": f"{platform.machine()}, one thread",
        "published": PUBLISHED,
        "results": rows,
    }
    (arguments.out / "sbn_classification.json").write_text(json.dumps(summary, indent=1) + "\n")
    (arguments.out / "sbn_classification.png").write_bytes(draw(rows, arguments.out))
    for row in rows:
        half = f", half seen {row['error_half_seen']['rate']:.1%}" if "error_half_seen" in row else ""
        print(
            f"{row['data']:8}{row['method']:24}{row['error']['rate']:.1%} ± {row['error']['standard_error']:.1%}{half}"
        )


if __name__ == "__main__":
    main()

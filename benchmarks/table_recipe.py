"""What a deep model of a binary table needs: one thing changed at a time, judged on the validation split.

    python benchmarks/table_recipe.py --tables FOLDER [--workers 2] [--seconds 400] [--out FILE] [--names nltcs ...]

FOLDER holds tables as NAME.npz with arrays train, validation and test of bits, such as the binary data sets of density
estimation (Lowd & Davis, 2010, https://doi.org/10.1109/ICDM.2010.128; Van Haaren & Davis, 2012,
https://doi.org/10.1609/aaai.v26i1.8317). The test split is not read. Each way of ``WAYS`` changes ``BASE``, a
gaussian-vae, and is trained on each table by one process with one thread. A row of FILE has the bound by which the
training selected its weights (``elbo``), and the estimate of log p(x) with 300 codes (``iwae``), both of the validation
split.

Every finished row is written at once. Rows that FILE has are not made again, so a command that was stopped, or that
reached --seconds, goes on. Ways come in the order of ``WAYS``, of each the longest training first. A second file with
the suffix .md has the gains of the estimates: on ``base``, and of vaelab's defaults with a tree on those without.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is loaded, here and in the workers

import argparse
import json
import statistics
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from vaelab.data import Dataset, Split, load_data
from vaelab.likelihood import importance_weighted
from vaelab.models import gaussian_vae
from vaelab.objectives import ELBO, IWAE
from vaelab.settings import resolve
from vaelab.training import Diverged, fit, for_data

SAMPLES, ROWS = 300, 1000  # of the estimate of log p(x): codes a row, and at most so many rows of validation
# Rows x columns that a step has to go through decide how long a training is; these are the longest first.
NAMES = [
    "voting",
    "pumsb_star",
    "accidents",
    "bbc",
    "moviereview",
    "plants",
    "baudio",
    "bnetflix",
    "jester",
    "mushrooms",
    "nltcs",
    "nips",
    "dna",
]
# Tables with so many rows of the training split, drawn with seed 0: from how many rows on does a tree pay?
FEW_ROWS = ["plants/400", "accidents/500", "mushrooms/500", "nltcs/300", "dna/800", "dna/400"]


@dataclass(frozen=True)
class Way:
    """Model and training of one job. ``decay`` is AdamW's, of matrices and not of biases; 0 leaves Adam."""

    likelihood: str = "tree"
    latent_dim: int = 20
    encoder: tuple[int, ...] = (200,)
    decoder: tuple[int, ...] = (200,)
    dropout: float = 0.0  # of hidden units, of encoder and decoder
    input_dropout: float = 0.0  # of what the encoder reads
    decay: float = 0.0
    learning_rate: float = 2e-3
    batch_size: int = 100
    steps: int = 4000
    iwae: bool = False  # the IWAE objective, with the number of codes that vaelab chooses (8)
    seed: int = 0
    default: bool = False  # code size, widths and training that vaelab chooses; likelihood, dropout and seed are these


BASE = Way()
BERNOULLI = replace(BASE, likelihood="bernoulli")
WAYS: dict[str, Way] = {
    "base": BASE,
    "bernoulli": BERNOULLI,
    "decay 1": replace(BASE, decay=1.0),
    "dropout 0.2": replace(BASE, dropout=0.2),
    "dropout 0.2, decay 1": replace(BASE, dropout=0.2, decay=1.0),
    "batch 256": replace(BASE, batch_size=256),
    "learning rate 5e-3": replace(BASE, learning_rate=5e-3),
    "seed 1": replace(BASE, seed=1),
    "widths 400": replace(BASE, encoder=(400,), decoder=(400,)),
    "codes of 50": replace(BASE, latent_dim=50),
    "codes of 10": replace(BASE, latent_dim=10),
    "input dropout 0.2": replace(BASE, input_dropout=0.2),
    "iwae": replace(BASE, iwae=True),
    "linear decoder": replace(BASE, decoder=()),
    "default": replace(BERNOULLI, default=True),
    "default, tree": replace(BASE, default=True),
    "bernoulli, dropout 0.2": replace(BERNOULLI, dropout=0.2),
}


def _label(way: Way) -> str:
    parts = {
        "tree": way.likelihood == "tree",
        f"dropout {way.dropout}": way.dropout > 0,
        f"seed {way.seed}": way.seed > 0,
    }
    return ", ".join(["default", *(word for word, is_said in parts.items() if is_said)])


# On which tables does dropout pay, of the models that vaelab chooses? Each way with three seeds.
_DEFAULTS = [
    Way(likelihood, dropout=dropout, seed=seed, default=True)
    for seed in (0, 1, 2)
    for dropout in (0.0, 0.2, 0.4)
    for likelihood in ("bernoulli", "tree")
]
WAYS |= {_label(way): way for way in _DEFAULTS}
DEADLINE = 0.0  # of a worker, as time.time()


def network(way: Way, columns: int) -> Any:
    """Return what builds the encoder (of the columns) and the decoder of a way."""

    def build(inputs: torch.Size, outputs: torch.Size) -> nn.Module:
        encodes = inputs.numel() == columns
        layers: list[nn.Module] = [nn.Dropout(way.input_dropout)] if encodes and way.input_dropout else []
        width = inputs.numel()
        for size in way.encoder if encodes else way.decoder:
            layers += [nn.Linear(width, size), nn.ReLU()]
            layers += [nn.Dropout(way.dropout)] if way.dropout else []
            width = size
        return nn.Sequential(*layers, nn.Linear(width, outputs.numel()))

    return build


def adamw(way: Way) -> Any:
    """Return what makes the optimiser: matrices decay towards 0, so p(x|z) decays towards one that ignores z."""

    def make(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        matrices = [part for part in parameters if part.ndim > 1]
        others = [part for part in parameters if part.ndim < 2]
        groups = [{"params": matrices, "weight_decay": way.decay}, {"params": others, "weight_decay": 0.0}]
        return torch.optim.AdamW(groups, lr=way.learning_rate)

    return make


def out_of_time(_: object) -> None:
    if time.time() > DEADLINE:
        raise TimeoutError


def train(way: Way, data: Dataset) -> tuple[Any, Any]:
    """Train the model of a way, and return it and what the training says of itself."""
    if way.default:
        settings = for_data(resolve("gaussian-vae", {"seed": way.seed, "likelihood": way.likelihood}), data)
        chosen = dict(settings)
        build = network(replace(way, encoder=chosen["hidden_dims"], decoder=chosen["hidden_dims"]), data.dim)
        model = gaussian_vae(data, chosen["latent_dim"], network=build, likelihood=way.likelihood, seed=way.seed)
        return model, fit(model, data, settings=settings.training, seed=way.seed, callback=out_of_time)
    size = min(way.latent_dim, max(2, data.dim // 2))
    build = network(way, data.dim)
    model = gaussian_vae(data, size, network=build, likelihood=way.likelihood, seed=way.seed)
    every = max(20, min(100, len(data.splits["train"]) // way.batch_size))
    result = fit(
        model,
        data,
        objective=IWAE() if way.iwae else ELBO(),
        seed=way.seed,
        callback=out_of_time,
        steps=way.steps,
        batch_size=way.batch_size,
        warmup=50,
        validate_every=every,
        patience=max(8, 800 // every),
        **({"optimizer": adamw(way)} if way.decay else {"learning_rate": way.learning_rate}),
    )
    return model, result


def measure(name: str, label: str, folder: Path) -> dict[str, Any]:
    """Train one model on one table, and return the row of the results."""
    way = WAYS[label]
    table, _, rows = name.partition("/")
    whole = load_data(folder / f"{table}.npz")
    splits = {part: whole.splits[part] for part in ("train", "validation")}
    if rows:
        drawn = np.random.default_rng(0).permutation(len(splits["train"]))[: int(rows)]
        splits["train"] = Split(np.asarray(splits["train"].x)[np.sort(drawn)])
    data = Dataset(whole.name, splits, whole.kind, whole.scale)
    row: dict[str, Any] = {"data": name, "way": label}
    started = time.perf_counter()
    try:
        model, result = train(way, data)
    except (Diverged, TimeoutError) as stopped:
        return row | {"failure": f"{type(stopped).__name__}: {stopped}", "late": isinstance(stopped, TimeoutError)}
    row |= {"seconds": round(time.perf_counter() - started, 1), "steps": result.steps, "best_step": result.best_step}
    x = data.validation.observations().bits(slice(None))
    chosen = np.random.default_rng(0).permutation(len(x))[:ROWS]
    found = importance_weighted(model, x[torch.from_numpy(chosen)].float(), SAMPLES, seed=0)
    row |= {"elbo": round(result.best_bound, 3), "iwae": round(found.mean, 3)}
    return row | {"standard_error": round(found.standard_error, 3)}


def start_worker(deadline: float) -> None:
    global DEADLINE
    DEADLINE = deadline
    torch.set_num_threads(1)


def table(rows: list[dict[str, Any]], reference: str) -> str:
    """Return the estimate of a way, the gains of the others on it, table by table, and their means."""
    found = {(row["way"], row["data"]): row["iwae"] for row in rows if "iwae" in row}
    names = [name for name in [*NAMES, *FEW_ROWS] if (reference, name) in found]
    if not names:
        return ""
    lines = ["| way | " + " | ".join(names) + " | mean |", "|---|" + "---|" * (len(names) + 1)]
    lines.append(f"| {reference} | " + " | ".join(f"{found[reference, name]:.2f}" for name in names) + " | |")
    for label in (label for label in WAYS if WAYS[label].default == WAYS[reference].default and label != reference):
        gains = {name: found[label, name] - found[reference, name] for name in names if (label, name) in found}
        if gains:
            cells = " | ".join(f"{gains[name]:+.2f}" if name in gains else "" for name in names)
            lines.append(f"| {label} | {cells} | {statistics.mean(gains.values()):+.2f} |")
    return "\n".join(lines)


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    ways = {label: asdict(way) for label, way in WAYS.items()}
    text = ",\n  ".join(json.dumps(row) for row in rows)
    partial = path.with_name(path.name + ".part")
    partial.write_text(f'{{"ways": {json.dumps(ways)},\n "rows": [\n  {text}\n ]}}\n')
    partial.replace(path)
    tables = [table(rows, reference) for reference in ("base", "default")]
    path.with_suffix(".md").write_text("\n\n".join(part for part in tables if part) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", type=Path, required=True, help="the folder of NAME.npz")
    parser.add_argument("--names", nargs="+", default=NAMES)
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=400.0)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/table_recipe.json"))
    options = parser.parse_args()
    deadline = time.time() + options.seconds
    rows = json.loads(options.out.read_text())["rows"] if options.out.exists() else []
    done = {(row["data"], row["way"]) for row in rows}
    jobs = [(name, label) for label in options.ways for name in [*NAMES, *FEW_ROWS] if name in options.names]
    context = get_context("spawn")
    pool = ProcessPoolExecutor(options.workers, context, start_worker, (deadline,))
    futures = [pool.submit(measure, *job, options.tables) for job in jobs if job not in done]
    try:
        for future in as_completed(futures, timeout=max(1.0, options.seconds + 5)):
            if error := future.exception():
                print(f"{type(error).__name__}: {error}", flush=True)
                continue
            row = future.result()
            if not row.get("late"):
                rows.append(row)
                write(options.out, rows)
                print(f"{len(rows)}/{len(jobs)} {row}", flush=True)
            if time.time() > deadline:
                break
    except TimeoutError:
        pass
    pool.shutdown(wait=False, cancel_futures=True)
    for child in active_children():
        child.kill()
    print(options.out.with_suffix(".md").read_text(), flush=True)
    os._exit(0)  # without waiting for the workers that were killed


if __name__ == "__main__":
    main()

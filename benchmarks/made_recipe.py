"""What a masked autoregressive network needs on binary tables: one thing changed at a time, judged on validation rows.

    python benchmarks/made_recipe.py --tables FOLDER [--names dna ...] [--ways base ...] [--workers 2] [--seconds 600]

FOLDER holds tables as NAME.npz with arrays train, validation and test of bits, as in benchmarks/debd.py. The test split
is not read. Each way of ``WAYS`` changes the defaults of ``made``, and is trained on each table by one process with one
thread, for the length that ``vaelab train`` would choose. A row of --out (benchmarks/results/made_recipe.json) has the
mean of log p(x) over the validation rows, with the mean of the networks alone (``single``), and that over the training
rows. Rows that the file has are not made again, so a command that was stopped, or that reached --seconds, goes on.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is loaded, here and in the workers

import argparse
import json
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vaelab.data import Dataset, Split
from vaelab.models import Made, made
from vaelab.training import fit

WAYS: dict[str, dict[str, Any]] = {
    "base": {},
    "no dropout": {"dropout": 0.0, "input_dropout": 0.0},
    "dropout 0.2": {"dropout": 0.2, "input_dropout": 0.0},
    "dropout 0.5": {"dropout": 0.5, "input_dropout": 0.0},
    "input dropout 0.1": {"dropout": 0.2, "input_dropout": 0.1},
    "input dropout 0.2": {"dropout": 0.5, "input_dropout": 0.2},
    "input dropout alone": {"dropout": 0.0, "input_dropout": 0.3},
    "input dropout 0.4": {"dropout": 0.5, "input_dropout": 0.4},
    "one order": {"orderings": 1},
    "eight orders": {"orderings": 8},
    "500 units": {"hidden": 500},
}
# Short trainings first.
NAMES = [
    "nips",
    "dna",
    "mushrooms",
    "nltcs",
    "jester",
    "plants",
    "baudio",
    "bnetflix",
    "accidents",
    "pumsb_star",
    "bbc",
    "moviereview",
    "voting",
]


def trained(tables: Path, name: str, way: str, device: str) -> dict[str, Any]:
    """Return the row of one training."""
    torch.set_num_threads(1)
    file = np.load(tables / f"{name}.npz")
    data = Dataset(name, {part: Split(file[part]) for part in ("train", "validation")}, "binary", 1)
    start, model = time.perf_counter(), made(data, **WAYS[way], seed=0)
    assert isinstance(model, Made)
    result = fit(model, data, seed=0, device=device)
    rows = data.validation.observations()
    with torch.no_grad():
        single = [model.values_of(rows, network.log_prob).mean() for network in model.networks()]
    return {
        "table": name,
        "way": way,
        "validation": round(model.mean_log_prob(rows), 4),
        "single": round(float(torch.stack(single).mean()), 4),
        "train": round(model.mean_log_prob(data.train.observations()), 4),
        "steps": result.steps,
        "best_step": result.best_step,
        "seconds": round(time.perf_counter() - start, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=Path, required=True)
    parser.add_argument("--names", nargs="+", default=NAMES, choices=NAMES)
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=list(WAYS))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=600, help="no training starts after this time")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "made_recipe.json")
    given = parser.parse_args()
    rows = json.loads(given.out.read_text())["rows"] if given.out.exists() else []
    made_already = {(row["table"], row["way"]) for row in rows}
    todo = [(name, way) for way in given.ways for name in given.names if (name, way) not in made_already]
    end = time.monotonic() + given.seconds
    with ProcessPoolExecutor(given.workers, mp_context=get_context("spawn")) as pool:
        running: set[Any] = set()
        while todo or running:
            while todo and len(running) < given.workers and time.monotonic() < end:
                running.add(pool.submit(trained, given.tables, *todo.pop(0), given.device))
            if not running:
                break
            finished = next(as_completed(running))
            running.remove(finished)
            rows.append(finished.result())
            print(json.dumps(rows[-1]), flush=True)
            given.out.write_text(json.dumps({"torch": torch.__version__, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""Damage each file of a run in many random places, read it, and count what is noticed.

python benchmarks/bit_flips.py [--flips N] [--seed S]: in each of N damages of a file one bit is flipped, one byte is
replaced, or the file is cut. A reader must refuse it in one sentence, or return what was written: of a log that is cut,
the rows before the cut. Silent changes and errors of another kind are faults. The counts go to
benchmarks/results/bit_flips.json.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from vaelab.data import Dataset, Split
from vaelab.errors import InputError
from vaelab.evaluation import EvaluationRecord
from vaelab.models import require_latent
from vaelab.runs import Loaded, Run
from vaelab.settings import resolve
from vaelab.storage import Schema, seal, unseal, write_file
from vaelab.studies.tightness import measure_tightness
from vaelab.training import train

RESULTS = Path(__file__).parent / "results" / "bit_flips.json"
Damage = Literal["bit", "byte", "cut"]
Outcome = Literal["refused", "unchanged", "cut rows left out", "silent change", "another error"]
READERS: dict[str, Callable[[Path], Any]] = {
    "config.json": lambda path: Run(path).config,
    "metrics.jsonl": lambda path: Run(path).metrics(),
    "evaluation.json": lambda path: Run(path).all_evaluations(),
    "gradients.json": lambda path: Run(path).gradients(),
    "tightness.json": lambda path: Run(path).tightness(),
    "sweep.json": lambda path: unseal(path / "sweep.json", Schema),
    "model.safetensors": lambda path: _weights(Run(path).load()),
    "checkpoints/last.pt": lambda path: Run(path).load_checkpoint(),
}


def _weights(loaded: Loaded) -> list[Any]:
    return [loaded.model.state_dict(), loaded.weights, loaded.step]


def _patterns() -> Dataset:
    rng = np.random.default_rng(0)
    rows = ((rng.random((200, 1)) < 0.5) ^ (rng.random((200, 6)) < 0.1)).astype(np.uint8)
    splits = {"train": Split(rows[:100]), "validation": Split(rows[100:150]), "test": Split(rows[150:])}
    return Dataset("patterns", splits, "binary", 1)


def prepare(path: Path) -> Path:
    """Train a small run with a file of every kind, and return its directory."""
    data = _patterns()
    training = {"steps": 12, "batch_size": 20, "log_every": 3, "validate_every": 12}
    run, _ = train(resolve("sbn", {"layers": [3], "training": training}), path, data=data)
    loaded = run.load()
    facts: dict[str, Any] = {"split": "test", "binarisation": "none", "data": "patterns", "seed": 0, "observations": 50}
    numbers = {"elbo": -3.21234567891, "iwae-10": -3.1, "exact": -3.09}
    run.add_evaluations(
        [EvaluationRecord(name=name, value=value, **facts) for name, value in numbers.items()], loaded.weights
    )
    run.save_tightness(
        measure_tightness(require_latent(loaded.model, "tightness"), data, rows=10, steps=2, samples=2), loaded.weights
    )
    estimator = {"estimator": "arm", "samples": 4, "milliseconds": 1.5, "variance": 2.25, "biased": False}
    measured = {"draws": 20, "observations": 100, "samples": 4, "estimators": [estimator, estimator | {"samples": 8}]}
    run.save_gradients(measured, loaded.weights)
    sweep = {"model": "sbn", "bound": "elbo", "combinations": [{"name": "layers=3", "bound": -3.2, "failure": None}]}
    write_file(path / "sweep.json", seal(sweep))
    (path / "checkpoints" / "previous.pt").unlink(missing_ok=True)
    return path


def damage(content: bytes, kind: Damage, rng: np.random.Generator) -> bytes:
    """Return the content with a bit flipped, a byte replaced, or its end cut off."""
    place = int(rng.integers(len(content)))
    if kind == "cut":
        return content[:place]
    old = content[place]
    new = old ^ (1 << int(rng.integers(8))) if kind == "bit" else (old + int(rng.integers(1, 256))) % 256
    return content[:place] + bytes([new]) + content[place + 1 :]


def outcome(run: Path, name: str, whole: Any, kind: Damage) -> Outcome:
    """Read a damaged file, and say what came of it; ``whole`` is what was written."""
    try:
        read = READERS[name](run)
    except InputError as refusal:
        return "refused" if "\n" not in str(refusal) else "another error"
    except Exception:
        return "another error"
    if same(read, whole):
        return "unchanged"
    if name == "metrics.jsonl" and kind == "cut" and read == whole[: len(read)]:
        return "cut rows left out"
    return "silent change"


def same(one: Any, other: Any) -> bool:
    """Return whether two values are equal, tensors bit by bit."""
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    return type(one) is type(other) and bool(one == other)


def flip(run: Path, name: str, count: int, seed: int) -> dict[Damage, dict[Outcome, int]]:
    """Damage a file ``count`` times, each time anew, and count what came of it, for each kind of damage."""
    path, rng = run / name, np.random.default_rng([seed, *name.encode()])
    content, whole = path.read_bytes(), READERS[name](run)
    kinds: tuple[Damage, ...] = ("bit", "byte", "cut")
    counts: dict[Damage, dict[Outcome, int]] = {kind: {} for kind in kinds}
    try:
        for number in range(count):
            kind = kinds[number % 3]
            path.write_bytes(damage(content, kind, rng))
            found = outcome(run, name, whole, kind)
            counts[kind][found] = counts[kind].get(found, 0) + 1
    finally:
        path.write_bytes(content)
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flips", type=int, default=3000, help="damages of each file")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    table = {}
    with tempfile.TemporaryDirectory() as folder:
        run = prepare(Path(folder) / "run")
        for name in READERS:
            table[name] = flip(run, name, arguments.flips, arguments.seed)
            total: dict[str, int] = {}
            for counts in table[name].values():
                for found, number in counts.items():
                    total[found] = total.get(found, 0) + number
            print(f"{name:22}" + ", ".join(f"{number} {found}" for found, number in sorted(total.items())), flush=True)
    content = {"flips": arguments.flips, "seed": arguments.seed, "files": table}
    RESULTS.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()

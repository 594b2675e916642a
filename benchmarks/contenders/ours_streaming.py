"""vaelab's training from a file on the disk or from memory: what ``streaming`` times, and its memory along the way."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import torch

from contenders.turns import Turns
from vaelab.data import load_data
from vaelab.settings import resolve
from vaelab.training import Row, fit

__all__ = ["forget_pages", "memory"]


def memory() -> dict[str, float]:
    """Return the megabytes of this process in memory: its own (anonymous) pages, and all with those of files."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    keys = {"anonymous": "RssAnon", "resident": "VmRSS", "peak": "VmHWM"}
    return {name: round(int(lines[key].split()[0]) / 1024, 1) for name, key in keys.items()}


def forget_pages(path: Path) -> None:
    """Ask the system to drop what it caches of a file, so that it is read from the disk again."""
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def main() -> None:
    turns = Turns()
    told: dict[str, Any] = json.loads(sys.argv[1])
    torch.set_num_threads(told["threads"])
    path = Path(told["data"])
    started = time.perf_counter()
    data = load_data(told["data"])
    spec = data.spec
    loaded = time.perf_counter() - started
    steps, batch = told["steps"], told["batch"]
    training = {"steps": 10**9, "validate_every": 10**9, "log_every": steps // 5, "batch_size": batch}
    layer = {"latent_dim": 20, "hidden_dims": [400], "training": training | {"precision": "float32"}}
    settings = resolve("gaussian-vae", layer)
    curve: list[dict[str, float]] = []

    def forget() -> None:
        if path.exists():
            forget_pages(path)

    def watch(row: Row) -> None:
        curve.append({"rows": row["step"] * batch, **memory()})
        if row["step"] % steps == 0:
            turns.pause(forget, load_seconds=loaded, rows=len(data.split("train")), curve=curve)

    forget()
    turns.begin()
    model = settings.build_model(spec)
    fit(model, data, settings=settings.training, callback=watch)


if __name__ == "__main__":
    main()

"""Many independent measurements by a few processes: finished ones are kept, and a budget of seconds is respected.

This file uses numpy alone, so every environment that takes part can import it.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import queue
import re
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["Job", "Tables", "finished", "read_table", "run_jobs"]

Tables = dict[str, np.ndarray]  # train, validation and test, (N, X) of bits
Measure = Callable[["Job", Path], dict[str, Any]]
_POLL = 0.5  # seconds between two looks at the workers


@dataclass(frozen=True, order=True)
class Job:
    """One training: a table, a model by its name in the benchmark, and a seed."""

    table: str
    model: str
    seed: int

    def file(self, folder: Path) -> Path:
        """Return where its result is kept."""
        model = re.sub("[^a-z0-9]+", "-", self.model.lower())
        return folder / f"{self.table}--{model}--{self.seed}.json"


def read_table(folder: Path, name: str) -> Tables:
    """Return the splits of a table in NAME.npz."""
    with np.load(folder / f"{name}.npz") as arrays:
        return {split: arrays[split] for split in ("train", "validation", "test")}


def finished(folder: Path) -> list[dict[str, Any]]:
    """Return the results that are in a folder."""
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*--*--*.json"))]


def run_jobs(
    jobs: Iterable[Job], measure: Measure, tables: Path, out: Path, workers: int, seconds: float | None
) -> list[Job]:
    """Measure the jobs that have no result in ``out``, in their order, each on one thread; return what is left.

    ``measure(job, tables)`` returns the content of the result. A result is written as soon as it is known. After
    ``seconds`` the workers are stopped; what they were at is measured by the next call. A measurement that fails is
    written as one, with the last line of its error.
    """
    out.mkdir(parents=True, exist_ok=True)
    waiting = [job for job in jobs if not job.file(out).exists()]
    total, started = len(waiting), time.monotonic()
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")  # before a worker loads numpy
    context = multiprocessing.get_context("spawn")
    todo = context.Queue()
    for job in waiting:
        todo.put(job)
    processes = [
        context.Process(target=_work, args=(todo, measure, tables, out), daemon=True)
        for _ in range(min(workers, len(waiting)))
    ]
    for process in processes:
        process.start()
    while any(process.is_alive() for process in processes):
        if seconds is not None and time.monotonic() - started > seconds:
            break
        time.sleep(_POLL)
    for process in processes:
        if process.exitcode:  # by a signal, such as that of Linux where memory is short: what it was at is left
            print(f"a worker ended with exit code {process.exitcode}; its job was not measured", flush=True)
        process.kill()  # not SIGTERM, at which a training of vaelab ends early: its result would be kept
        process.join()
    todo.cancel_join_thread()
    left = [job for job in waiting if not job.file(out).exists()]
    print(f"{total - len(left)} of {total} measured in {time.monotonic() - started:.0f} s", flush=True)
    return left


def _work(todo: multiprocessing.Queue[Job], measure: Measure, tables: Path, out: Path) -> None:
    """Measure jobs until there are none."""
    import torch

    torch.set_num_threads(1)
    while True:
        try:
            job = todo.get(timeout=1)
        except queue.Empty:
            return
        result: dict[str, Any] = {"table": job.table, "model": job.model, "seed": job.seed}
        started = time.perf_counter()
        try:
            result |= measure(job, tables)
        except Exception as error:  # one model that fails on one table is a result too
            result["failure"] = f"{type(error).__name__}: {error}".splitlines()[0]
            traceback.print_exc()
        result["seconds_in_all"] = round(time.perf_counter() - started, 1)
        path = job.file(out)
        partial = path.with_suffix(f".{os.getpid()}.tmp")
        partial.write_text(json.dumps(result) + "\n")
        partial.replace(path)
        shown = {key: value for key, value in result.items() if key not in ("values", "settings")}
        print(shown, flush=True)

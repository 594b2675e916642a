"""Sweeps: one model trained with many combinations of settings, each an ordinary run directory."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vaelab.data import Dataset
from vaelab.errors import InputError, require_int
from vaelab.runs import Run
from vaelab.settings import Settings, words
from vaelab.storage import lock
from vaelab.studies.jobs import Job, Watch, run_side_by_side, share_cores
from vaelab.studies.sweep.results import (
    Metric,
    Result,
    metric_of,
    read_result,
    require_sweep,
    sweep_table,
    write_results,
)
from vaelab.studies.sweep.search import new_search
from vaelab.studies.sweep.space import Combination, Space, name_of, read_space, ready_space, words_of
from vaelab.training import check_settings, choose_device, for_data

__all__ = ["Result", "Sweep", "read_space", "ready_space", "run_sweep", "sweep_table"]

_PATIENCE = 30.0  # seconds that the trainings of a killed sweep may take to save and stop


@dataclass(frozen=True)
class Sweep:
    """The results of a sweep, best first, the metric of the comparison, and the content of ``sweep.json``."""

    results: list[Result]
    measure: Metric
    content: dict[str, Any]


def run_sweep(
    space: Space,
    out: Path,
    *,
    random: int | None = None,
    guided: int | None = None,
    seed: int = 0,
    jobs: int | None = None,
    resume: bool = False,
    watch: Watch | None = None,
    ended: Callable[[Result], None] | None = None,
) -> Sweep:
    """Train every combination of a space, or ``random`` or ``guided`` many of them, in ``out/NAME``, and compare them.

    All combinations are checked before any is trained. Each is then trained and evaluated on the validation split in
    its own processes, ``jobs`` at a time. With ``resume``, finished combinations are not repeated. A combination that
    fails is a result with its ``failure``; the others continue. Nothing is chosen on the test split.

    Args:
        space: from :func:`read_space`.
        out: directory of the runs, of ``sweep.json``, ``sweep.csv`` and ``sweep.png``.
        random: how many combinations to draw, instead of all.
        guided: how many combinations to let optuna propose, instead of all.
        seed: of the draws and of the proposals; the seed of the trainings is among their settings.
        jobs: how many trainings at the same time; by default two on a processor and one on an accelerator.
        resume: continue the sweep in ``out``.
        watch: called with the name of a combination and each row that it logs.
        ended: called with each result as soon as it is known.

    Raises:
        InputError: a combination that cannot be trained; a directory that is in use or not empty; a run in it with
        different settings.
    """
    if jobs is not None:
        require_int("jobs", jobs, 1)
    if out.exists() and (not out.is_dir() or any(out.iterdir())) and not resume:
        raise InputError(f"out: expected a new or empty directory; {str(out)!r} is not empty (--resume continues it)")
    require_sweep(out)
    search = new_search(space, out, random, guided, seed)
    first = space.resolve(search.known[0])
    data = first.load_data()
    workers, threads = share_cores(first.device, jobs)
    choose_device(first.device)
    measure = metric_of([_checked(out, space, values, data) for values in search.known])
    for values in search.known:
        _require_same(out, space, values, data)

    out.mkdir(parents=True, exist_ok=True)
    results: list[Result] = []
    tried: dict[str, Combination] = {}

    def proposed() -> Iterator[Job]:
        for values in search:
            name = name_of(values)
            tried[name] = values
            yield _job(space, values, out, data, measure)

    with _locked(out) as handle, closing(run_side_by_side(proposed(), workers, threads, watch, (handle,))) as finished:
        for job in finished:
            result = Result(job.name, tried[job.name], failure=job.failure or "it left no evaluation")
            if job.failure is None:
                result = read_result(job.name, tried[job.name], Run(job.path), measure) or result
            search.tell(result.values, result.bound)
            results.append(result)
            if ended is not None:
                ended(result)
        order = list(tried)  # the order of the proposals, not that in which the trainings ended
        results.sort(key=lambda result: order.index(result.name))
        results.sort(key=lambda result: -result.bound if result.bound is not None else math.inf)
        how = {"search": search.kind, "count": search.count, "seed": seed}
        content = write_results(out, results, space, measure, how)
    return Sweep(results, measure, content)


def _completed(out: Path, space: Space, values: Combination, data: Dataset) -> Settings:
    """Return the settings of a combination, completed for the data, and for its run where that exists."""
    path = out / name_of(values)
    started = Run(path).settings if (path / "config.json").exists() else None
    return for_data(space.resolve(values), data, started)


def _checked(out: Path, space: Space, values: Combination, data: Dataset) -> Settings:
    """Return the settings of a combination, or refuse it if it cannot be trained."""
    settings = _completed(out, space, values, data)
    try:
        check_settings(settings, data)
    except InputError as refusal:
        raise InputError(f"{words_of(values)}: {refusal}") from None
    return settings


def _require_same(out: Path, space: Space, values: Combination, data: Dataset) -> None:
    """Refuse to resume a run directory with a different training from this combination."""
    path = out / name_of(values)
    if not (path / "config.json").exists():
        return
    run = Run(path)
    trained, requested = _identity(run.settings), _identity(_completed(out, space, values, data))
    if trained != requested:
        differing = [
            " ".join(word for word in one if word not in other)
            for one, other in ((trained, requested), (requested, trained))
        ]
        raise InputError(f"resume: {str(path)!r} was trained with {differing[0]}; this command says {differing[1]}")
    sha256, columns = run.config["data"].get("sha256"), run.spec.columns_to_read()
    if sha256 != data.sha256() and sha256 != space.resolve(values).load_data(of_model=columns).sha256():
        raise InputError(f"resume: the data are not those that {str(path)!r} was trained on (SHA-256)")


def _identity(settings: Settings) -> list[str]:
    """Return the settings that identify a training, without the device and the precision of products."""
    identity = [f"{key}={getattr(settings, key)}" for key in ("model", "data", "seed")] + words(settings)
    return [word for word in identity if not word.startswith("training.precision=")]


def _job(space: Space, values: Combination, out: Path, data: Dataset, measure: Metric) -> Job:
    """Return the commands that remain for a combination."""
    name = name_of(values)
    path = out / name
    try:
        settings = _checked(out, space, values, data)
        _require_same(out, space, values, data)
    except InputError as refusal:  # only the ends of ranges were checked before
        return Job(name, path, [], failure=str(refusal))
    if (path / "config.json").exists() and read_result(name, values, Run(path), measure) is not None:
        return Job(name, path, [])
    flags = ["--data", settings.data, "--seed", str(settings.seed), "--device", settings.device]
    train = ["train", settings.model, *words(settings), *flags, "--out", str(path), "--resume"]
    return Job(name, path, [train, ["evaluate", str(path), "--split", "validation", "--no-report", *measure.options]])


@contextmanager
def _locked(out: Path) -> Iterator[int]:
    """Lock a directory for one sweep. Its trainings share the lock until the last has stopped, even after a kill."""
    handle = os.open(out, os.O_RDONLY)
    try:
        end = time.monotonic() + _PATIENCE
        while not lock(handle, out):
            if time.monotonic() > end:
                raise InputError(f"out: another sweep is running in {str(out)!r}")
            time.sleep(0.2)
        yield handle
    finally:
        os.close(handle)

"""Several queues of commands at the same time, each in its own process; they share only the run directory."""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import connection, get_context, parent_process
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from threadpoolctl import threadpool_limits

from vaelab.errors import InputError
from vaelab.runs import read_metrics
from vaelab.training import choose_device

__all__ = ["PROCESSES", "Job", "Watch", "hidden_main", "run_side_by_side", "share_cores"]

# Loading PyTorch takes seconds. One process loads it, without threads or an accelerator, and others are forked from it.
PROCESSES = get_context("forkserver")
PROCESSES.set_forkserver_preload(["vaelab.cli", "vaelab.studies"])

# Variables of a launcher, which are not passed to the processes started here.
_LAUNCHER = ("RANK", "LOCAL_RANK", "WORLD_SIZE")

Watch = Callable[[str, dict[str, Any]], None]


@dataclass
class Job:
    """Commands that write one run directory. They run one after the other, in one process, until one fails.

    ``failure`` is the last line that a failed command printed, ``refused`` whether it was bad input (exit code 2).
    """

    name: str
    path: Path
    commands: list[list[str]]
    failure: str | None = None
    refused: bool = False
    process: ForkServerProcess | None = None
    started: bool = False
    seen: int = 0

    def advance(self, threads: int, keep_open: Sequence[int] = ()) -> bool:
        """Start the commands, or see whether they have ended; return whether they are running."""
        if self.process is not None:
            code = self.process.exitcode
            if code is None:
                return True
            self.process.close()
            self.process = None
            if code != 0:
                self.failure, self.refused = self._last_words(code), code == 2
        if self.failure is not None or self.started or not self.commands:
            return False
        self.started = True
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.log.write_text("")
        environment = {name: value for name, value in os.environ.items() if name not in _LAUNCHER}
        shared = [connection.Connection(os.dup(handle)) for handle in keep_open]  # which a process can be given
        process = PROCESSES.Process(target=_run, args=(self.commands, str(self.log), threads, environment, shared))
        with hidden_main():
            process.start()
        self.process = process
        return True

    @property
    def log(self) -> Path:
        """The file with the messages of the commands."""
        return self.path.with_name(f"{self.path.name}.log")

    def _last_words(self, code: int) -> str:
        if code < 0:
            return f"stopped by {signal.Signals(-code).name}"
        lines = self.log.read_text(errors="replace").strip().splitlines() or [f"exit code {code}"]
        return lines[-1].removeprefix("error: ")

    def new_rows(self) -> list[dict[str, Any]]:
        """Return the rows that the training logged since the last call."""
        try:
            rows = read_metrics(self.path / "metrics.jsonl")
        except InputError:  # the command that reads the run reports the damage
            return []
        fresh, self.seen = rows[self.seen :], len(rows)
        return fresh


def share_cores(device: str, workers: int | None = None) -> tuple[int, int]:
    """Return how many processes run at once, and the threads of each.

    The default is two on a processor (networks of this size gain little from more threads) and one on an accelerator.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    if workers is None:
        workers = min(cores, 2) if choose_device(device) == "cpu" else 1
    return workers, max(1, cores // workers)


def run_side_by_side(
    jobs: Iterable[Job], workers: int, threads: int, watch: Watch | None = None, keep_open: Sequence[int] = ()
) -> Generator[Job, None, None]:
    """Run jobs, ``workers`` at a time, and yield each when it has ended, successfully or not.

    A job is taken from ``jobs`` when a worker is free, so that its choice may depend on those that have ended. Close
    the iterator (or exhaust it): running jobs are then asked to save and stop. The processes inherit the file
    descriptors ``keep_open``.
    """
    waiting = iter(jobs)
    running: list[Job] = []
    try:
        while True:
            while len(running) < workers and (job := next(waiting, None)) is not None:
                running.append(job)
            if not running:
                return
            for job in list(running):
                going = job.advance(threads, keep_open)
                if watch is not None and job.started:
                    for row in job.new_rows():
                        watch(job.name, row)
                if not going:
                    running.remove(job)
                    yield job
            if running:
                time.sleep(0.2)
    finally:
        _stop(running)


def _stop(jobs: Sequence[Job]) -> None:
    """Ask the running jobs to save and stop, and wait for them."""
    processes = [job.process for job in jobs if job.process is not None]
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(timeout=60)


@contextmanager
def hidden_main() -> Iterator[None]:
    """Hide the main module while a process starts: it would be run again in that process, which needs nothing of it."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _run(
    commands: Sequence[Sequence[str]],
    log: str,
    threads: int,
    environment: Mapping[str, str],
    shared: Sequence[connection.Connection],
) -> None:
    """Run commands in this process as ``python -m vaelab`` does, one after the other until one fails.

    Args:
        commands: the words of each.
        log: the file of their messages; what they print is not kept.
        threads: how many each may use.
        environment: the variables of the environment.
        shared: files that stay open as long as the process.
    """
    os.setsid()  # Ctrl-C reaches only the parent, which then sends each child one signal
    nowhere, errors = os.open(os.devnull, os.O_RDWR), os.open(log, os.O_WRONLY | os.O_APPEND)
    for number, file in enumerate((nowhere, nowhere, errors)):
        os.dup2(file, number)
    os.environ.clear()
    os.environ.update(environment, OMP_NUM_THREADS=str(threads))  # for libraries that are loaded later
    torch.set_num_threads(threads)
    threadpool_limits(threads)
    threading.Thread(target=_stop_after_parent, daemon=True).start()
    for words in commands:
        sys.argv = ["vaelab", *words]
        try:
            runpy.run_module("vaelab", run_name="__main__")
        except SystemExit as end:
            if end.code:
                raise


def _stop_after_parent() -> None:
    """Wait for the end of the parent, whatever ended it (even SIGKILL); then let this process save and stop."""
    parent = parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGTERM)

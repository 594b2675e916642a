"""Several queues of commands at the same time, each in its own process; they share only the run directory."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vaelab.errors import InputError
from vaelab.runs import read_metrics
from vaelab.training import choose_device

__all__ = ["Job", "Watch", "run_side_by_side", "share_cores"]

# Variables of a launcher, which are not passed to the processes started here.
_LAUNCHER = ("RANK", "LOCAL_RANK", "WORLD_SIZE")

Watch = Callable[[str, dict[str, Any]], None]

# A pipe from the parent is open as long as the parent lives. When it is closed, whatever ended the parent (even
# SIGKILL), the child sends itself SIGTERM: it saves and stops.
# All commands run in this one process, because loading PyTorch takes a second or more.
_CHILD = """
import json, os, signal, sys, threading
threading.Thread(target=lambda: (os.read(0, 1), os.kill(os.getpid(), signal.SIGTERM)), daemon=True).start()
from vaelab.cli import main
for words in json.loads(sys.argv[1]):
    sys.argv = ["vaelab", *words]
    try:
        main()
    except SystemExit as end:
        if end.code:
            raise
"""


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
    process: subprocess.Popen[bytes] | None = None
    started: bool = False
    seen: int = 0

    def advance(self, threads: int, keep_open: Sequence[int] = ()) -> bool:
        """Start the commands, or see whether they have ended; return whether they are running."""
        if self.process is not None:
            code = self.process.poll()
            if code is None:
                return True
            _close(self.process)
            self.process = None
            if code != 0:
                self.failure, self.refused = self._last_words(code), code == 2
        if self.failure is not None or self.started or not self.commands:
            return False
        self.started = True
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("w") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _CHILD, json.dumps(self.commands)],
                env={
                    **{name: value for name, value in os.environ.items() if name not in _LAUNCHER},
                    "OMP_NUM_THREADS": str(threads),
                },
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                pass_fds=keep_open,
                start_new_session=True,  # Ctrl-C reaches only the parent, which then sends each child one signal
            )
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
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
    for process in processes:
        process.wait(timeout=60)
        _close(process)


def _close(process: subprocess.Popen[bytes]) -> None:
    """Close the input of a process that has ended."""
    if process.stdin is not None:
        process.stdin.close()

"""Processes that take turns: each waits for a line, trains for a slice, and answers with the seconds it took.

A worker's training loop calls ``Turn.pause`` at the end of each slice, from whatever hook the loop offers, so that
what is timed is the loop as its users run it. Only one process works at a time; the others wait for their line, so
that contenders from several environments can be interleaved, and the drift of the machine falls on all of them.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

__all__ = ["Absent", "Turns", "Worker", "weights_file"]

BENCHMARKS = Path(__file__).parents[1]


def weights_file(folder: Path, step: int) -> Path:
    """Return where a worker leaves its weights after ``step``."""
    return folder / f"{step:07d}.pt"


class Turns:
    """The worker's side. Answers go to the process's first stdout; whatever else is printed goes to stderr."""

    def __init__(self) -> None:
        self._answers = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)
        self._started = 0.0

    def begin(self) -> None:
        """Say that everything is set up, and wait for the first turn; call it right before the loop."""
        self._answer({"ready": True})

    def pause(self, keep: Callable[[], None] | None = None, **more: Any) -> None:
        """End a slice: answer with the seconds since the turn began, and wait for the next; leave at the end.

        What ``keep`` does, such as writing the weights, is not timed.
        """
        seconds = time.perf_counter() - self._started
        if keep is not None:
            keep()
        self._answer({"seconds": seconds, **more})

    def absent(self, reason: str) -> None:
        """Say that this contender cannot take part, and leave."""
        self._answers.write(json.dumps({"absent": reason}) + "\n")
        self._answers.flush()
        sys.exit()

    def _answer(self, answer: Mapping[str, Any]) -> None:
        self._answers.write(json.dumps(answer) + "\n")
        self._answers.flush()
        if not sys.stdin.readline():
            os._exit(0)  # in the middle of somebody's training loop, which might catch an exception
        self._started = time.perf_counter()


class Absent(Exception):
    """A contender cannot take part, for the reason it gives."""


class Worker:
    """The driver's side: a process with a folder of its own that has set itself up and waits for its turn."""

    def __init__(self, command: Sequence[str], folder: Path, threads: int, tree: Path = BENCHMARKS.parent) -> None:
        self.folder = folder
        self._log = folder / "log.txt"
        environment = os.environ | {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
        environment["PYTHONPATH"] = str(tree / "src")  # of this checkout, whatever is installed, or of another one
        with self._log.open("w") as errors:
            self._process = subprocess.Popen(
                command,
                cwd=tree / "benchmarks",
                env=environment,
                text=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        try:
            self._read()
        except BaseException:
            self.close()
            raise

    def turn(self) -> dict[str, Any]:
        """Let the worker run a slice, and return its answer."""
        self._send("go")
        return self._read()

    def cpu_seconds(self) -> float:
        """Return the processor time that the threads of the worker have used, on Linux.

        Other programs on the machine change it much less than they change the time of the clock.
        """
        spent = Path(f"/proc/{self._process.pid}/task").glob("*/schedstat")
        return sum(int(file.read_text().split()[0]) for file in spent) / 1e9

    def close(self) -> None:
        """End the worker by closing its input."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()

    def _send(self, line: str) -> None:
        stdin: IO[str] | None = self._process.stdin
        assert stdin is not None
        stdin.write(line + "\n")
        stdin.flush()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            last = "\n".join(self._log.read_text().splitlines()[-8:])
            raise RuntimeError(f"a worker ended with code {self._process.returncode}:\n{last}")
        answer: dict[str, Any] = json.loads(line)
        if "absent" in answer:
            raise Absent(answer["absent"])
        return answer

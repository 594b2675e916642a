"""Processes of Python for the tests, forked from one that has loaded PyTorch instead of started anew.

Each is a process of its own, with its own id, files, signals, working directory and environment. What only a new
interpreter shows (what is imported, how long it takes, warnings of imports, settings that are read when it starts)
needs ``subprocess``; some tests of each command use it.
"""

from __future__ import annotations

import contextlib
import os
import resource
import runpy
import signal
import subprocess
import sys
import threading
import traceback
import warnings
from collections.abc import Mapping
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO

import torch

from vaelab.studies.jobs import PROCESSES as _SERVER

__all__ = ["Python", "run_python"]

_ROOT = Path(__file__).parents[1]
_SERVER.set_forkserver_preload(["tests.preloaded", "tests.processes"])


class Python:
    """``python WORDS`` in a forked process, with what the tests use of the interface of :class:`subprocess.Popen`.

    Args:
        words: the words after ``python``: ``-m``, a module and its arguments, or ``-c``, a script and its arguments.
        environment: its environment, by default that of this process.
        folder: its working directory, by default that of this process.
        merged: whether its messages are part of its output.
        strict: whether a warning is an error, as with ``-W error``.
        limits: limits of :mod:`resource` that it sets itself.
    """

    def __init__(
        self,
        *words: object,
        environment: Mapping[str, str] | None = None,
        folder: Path | str | None = None,
        merged: bool = False,
        strict: bool = False,
        limits: Mapping[int, int] | None = None,
    ) -> None:
        out, output = _SERVER.Pipe(duplex=False)
        err, errors = _SERVER.Pipe(duplex=False)
        self.args = [str(word) for word in words]
        self._process = _SERVER.Process(
            target=_run,
            args=(
                self.args,
                (output, output if merged else errors),
                dict(os.environ if environment is None else environment),
                str(folder or Path.cwd()),
                os.sched_getaffinity(0),
                strict,
                dict(limits or {}),
            ),
        )
        with contextlib.chdir(_ROOT):  # where the server finds what it loads
            forkserver.ensure_running()
        self._process.start()
        for end in (output, errors):
            end.close()
        self.stdout, self.stderr = _reader(out), _reader(err)

    def __enter__(self) -> Python:
        return self

    def __exit__(self, *failure: object) -> None:
        if failure[0] is not None:
            self.kill()
        self.wait()
        self.stdout.close()
        self.stderr.close()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self.returncode is None:
            assert timeout is not None
            raise subprocess.TimeoutExpired(self.args, timeout)
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for its end, and return what it printed and what it said."""
        found: dict[IO[str], str] = {}
        files = (self.stdout, self.stderr)
        readers = [threading.Thread(target=lambda file=file: found.update({file: file.read()})) for file in files]
        for reader in readers:
            reader.daemon = True
            reader.start()
        self.wait(timeout)
        for reader in readers:
            reader.join(timeout)
        for file in files:
            file.close()
        return found[self.stdout], found[self.stderr]

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def run_python(*words: object, code: int = 0, **options: object) -> subprocess.CompletedProcess[str]:
    """Run ``python WORDS`` until it ends with the exit code ``code``; the options are those of :class:`Python`."""
    with Python(*words, **options) as process:
        out, err = process.communicate(240)
    assert process.returncode == code, err
    return subprocess.CompletedProcess(process.args, code, out, err)


def _reader(end: Connection) -> IO[str]:
    """Return the reading end of a pipe as a text file."""
    file = os.fdopen(os.dup(end.fileno()), encoding="utf-8", errors="replace")
    end.close()
    return file


def _run(
    words: list[str],
    outputs: tuple[Connection, Connection],
    environment: Mapping[str, str],
    folder: str,
    cores: set[int],
    strict: bool,
    limits: Mapping[int, int],
) -> None:
    """Become the process: take its files, environment, folder, cores and limits, and run its script or module."""
    for number, output in enumerate(outputs, 1):
        os.dup2(output.fileno(), number)
    for output in set(outputs):
        output.close()
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", 1, encoding="utf-8", errors="backslashreplace", closefd=False)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    os.sched_setaffinity(0, cores)
    sys.path.insert(0, folder)
    torch.set_num_threads(int(environment.get("OMP_NUM_THREADS", 1)))
    if strict:
        warnings.simplefilter("error")
    for kind, limit in limits.items():
        resource.setrlimit(kind, (limit, limit))
    try:
        run_words(words)
    except KeyboardInterrupt:  # ends an interpreter by the signal
        traceback.print_exc()
        sys.stderr.flush()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)


def run_words(words: list[str]) -> None:
    """Run a script or a module of these words as the main one of this process."""
    kind, name, *_ = words
    sys.argv = words[1:]
    if kind == "-c":
        sys.argv[0] = "-c"
        exec(compile(name, "<string>", "exec"), {"__name__": "__main__"})
    else:
        assert kind == "-m"
        sys.modules.pop(name, None)  # which may be loaded, and runs anew
        runpy.run_module(name, run_name="__main__", alter_sys=True)

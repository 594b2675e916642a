"""Run a command line as ``main`` sees it: in this process, or several in a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.processes import run_python
from vaelab.cli import main

_COMMANDS = """
import sys
{before}
from vaelab.cli import main
for words in {commands!r}:
    sys.argv = ["vaelab", *words]
    try:
        main()
    except SystemExit as left:
        print("code", left.code, flush=True)
"""


def run_commands(
    *commands: Sequence[object],
    path: Path | None = None,
    folder: Path | None = None,
    preexec: Callable[[], None] | None = None,
    limits: Mapping[int, int] | None = None,
    before: str = "",
) -> tuple[str, str]:
    """Run commands one after the other in one process of their own: a new interpreter with ``path`` or ``preexec``.

    Args:
        commands: the words of each; all have to end with exit code 0.
        path: where the package is, if it is not the one that is tested.
        folder: their working directory.
        preexec: called in the process before the interpreter.
        limits: limits of :mod:`resource` for a process that has neither.
        before: Python that is run before the first.

    Returns:
        What they print, with a line ``code 0`` after each, and what they say.
    """
    script = _COMMANDS.format(commands=[[str(word) for word in words] for words in commands], before=before)
    if path is None and preexec is None:
        done = run_python("-c", script, folder=folder, limits=limits)
    else:
        done = subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            check=False,
            cwd=folder,
            env={**os.environ, "OMP_NUM_THREADS": "1"} | ({} if path is None else {"PYTHONPATH": str(path)}),
            preexec_fn=preexec,
            timeout=240,
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines().count("code 0") == len(commands), done.stdout + done.stderr
    return done.stdout, done.stderr


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


class CommandLine:
    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.capsys, self.monkeypatch = capsys, monkeypatch

    def __call__(self, *words: object) -> Result:
        self.monkeypatch.setattr(sys, "argv", ["vaelab", *map(str, words)])
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main()
        said = self.capsys.readouterr()
        code = stop.value.code
        assert isinstance(code, int)
        return Result(code, said.out, said.err)

    def refused(self, *words: object) -> str:
        """Run what must be refused, and return the one sentence."""
        result = self(*words)
        assert result.code == 2, result
        assert result.out == ""
        lines = result.err.strip().splitlines()
        assert len(lines) == 1, lines
        assert lines[0].startswith("error: ")
        return lines[0]

"""Run a command line in this process, as ``main`` sees it: exit code, standard output, standard error."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import pytest

from vaelab.cli import main


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

"""Progress without a terminal: a bounded number of lines, the last validation among them, or the time left."""

from __future__ import annotations

import pytest
from rich.console import Console

from vaelab.cli import progress as module
from vaelab.cli.progress import TrainingProgress, WorkProgress, _duration


def test_a_long_training_prints_about_fifty_lines(capsys):
    with TrainingProgress() as progress:
        for step in range(20, 20_001, 20):
            progress.row("run", {"step": step, "steps": 20_000, "val/bound": -step, "finished": step == 20_000})
    lines = capsys.readouterr().err.splitlines()
    assert 40 <= len(lines) <= 60
    assert "step 20,000 of 20,000" in lines[-1]


def test_a_short_training_prints_every_validation(capsys):
    with TrainingProgress() as progress:
        for step in (10, 20, 30):
            progress.row("run", {"step": step, "steps": 30, "val/bound": -1.0})
            progress.row("run", {"step": step, "steps": 30, "train/bound": -1.0})
    assert len(capsys.readouterr().err.splitlines()) == 3


def lines_of(capsys, monkeypatch, seconds, parts):
    """The lines of a task that takes so many seconds and reports so many parts, each as long as the others."""
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    with WorkProgress("evaluating run") as progress:
        for part in range(1, parts + 1):
            now[0] += seconds / parts
            progress(part, parts)
    return capsys.readouterr().err.splitlines()


def test_a_short_task_prints_no_line(capsys, monkeypatch):
    assert lines_of(capsys, monkeypatch, seconds=14, parts=100) == []


def test_a_task_of_ten_minutes_says_how_long_it_still_takes(capsys, monkeypatch):
    lines = lines_of(capsys, monkeypatch, seconds=600, parts=1000)
    assert 30 <= len(lines) <= 50
    assert lines[0] == "evaluating run  2% done, about 10 min left"
    assert any(line.endswith("% done, about 5 min left") for line in lines)
    assert lines[-1].endswith(" s left")


def test_a_task_of_hours_prints_about_fifty_lines(capsys, monkeypatch):
    lines = lines_of(capsys, monkeypatch, seconds=20_000, parts=100_000)
    assert 45 <= len(lines) <= 50
    assert "5 h 27 min left" in lines[0]


def test_on_a_terminal_the_bar_shows_the_time_left(monkeypatch, capsys):
    monkeypatch.setattr(module, "Console", lambda **_: Console(stderr=True, force_terminal=True, width=80))
    with WorkProgress("evaluating run") as progress:
        for part in (1, 2, 3):
            progress(part, 1000)
        progress.progress.refresh()
    assert " left" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "1 s"), (89, "89 s"), (100, "2 min"), (5300, "88 min"), (9000, "2 h 30 min")]
)
def test_durations_are_said_as_people_say_them(seconds, words):
    assert _duration(seconds) == words

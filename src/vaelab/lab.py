"""The study: every model of it trained and evaluated on MNIST, and one report."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vaelab.refusals import Refusal
from vaelab.report import Member, write_report
from vaelab.runs import Run
from vaelab.training import choose_device

__all__ = ["STUDY", "Entry", "LabFailed", "run_lab"]

Watch = Callable[[str, dict[str, Any]], None]


class LabFailed(RuntimeError):
    """A training or an evaluation of the study failed; the message is its own."""


@dataclass(frozen=True)
class Entry:
    """One model of the study: the words that follow ``vaelab train``, and those that shorten it."""

    name: str
    title: str
    model: str
    words: tuple[str, ...]
    quick: tuple[str, ...]
    gradients: bool = False  # whether the gradient estimators are measured on it as well
    tightness: bool = False  # whether the bounds of every inference are measured on it as well


# Longest first: two trainings run side by side, and the short ones fill the gaps.
STUDY = (
    Entry(
        "bernoulli-rebar",  # the default, which the study of the estimators chose
        "Bernoulli D = 200, REBAR",
        "bernoulli-vae",
        ("latent_dim=200", "estimator.name=rebar", "estimator.samples=2"),
        ("training.epochs=2",),
        gradients=True,
    ),
    Entry(
        "bernoulli-running-average",
        "Bernoulli D = 200, running average",
        "bernoulli-vae",
        (
            "latent_dim=200",
            "estimator.name=score-function",
            "estimator.baseline=running-average",
            "estimator.samples=4",
            "objective.kl=closed-form",
        ),
        ("training.epochs=2",),
    ),
    Entry(
        "sbn-200-200",
        "Belief network 200-200",
        "sbn",
        ("layers=[200,200]", "training.epochs=4"),
        ("training.epochs=1",),
    ),
    Entry("gaussian-20", "Gaussian D = 20", "gaussian-vae", ("latent_dim=20",), ("training.epochs=2",)),
    Entry(
        "sbn-12",
        "Belief network of 12 bits",
        "sbn",
        ("layers=[12]", "training.epochs=6"),
        ("training.epochs=1",),
        tightness=True,
    ),
    Entry("gaussian-2", "Gaussian D = 2", "gaussian-vae", ("latent_dim=2",), ("training.epochs=2",)),
    Entry(
        "autoencoder-2",
        "Auto-encoder D = 2",
        "autoencoder",
        ("latent_dim=2",),
        ("training.epochs=2", "components=[10,20]"),
    ),
)
_ORDER = (
    *("gaussian-2", "gaussian-20", "bernoulli-running-average", "bernoulli-rebar"),
    *("sbn-12", "sbn-200-200", "autoencoder-2"),
)


@dataclass
class _Job:
    """An entry on its way: a queue of commands, run one after the other in processes of their own."""

    entry: Entry
    path: Path
    commands: list[list[str]]
    process: subprocess.Popen[bytes] | None = None
    seen: int = 0
    environment: dict[str, str] = field(default_factory=dict)

    def advance(self) -> bool:
        """Start the next command when the one before is done; return whether anything is left."""
        if self.process is not None:
            code = self.process.poll()
            if code is None:
                return True
            if code != 0:
                said = self.said.read_text().strip() or f"exit code {code}"
                message = f"{self.entry.name}: {said.splitlines()[-1].removeprefix('error: ')}"
                raise Refusal(message) if code == 2 else LabFailed(message)
            self.process = None
        if not self.commands:
            return False
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.said.open("w") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "vaelab", *self.commands.pop(0)],
                env={**os.environ, **self.environment},
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,  # a Ctrl-C reaches the lab alone, which then asks its children once
            )
        return True

    @property
    def said(self) -> Path:
        """Where the processes of this entry write what they say."""
        return self.path.with_suffix(".log")

    def new_rows(self) -> list[dict[str, Any]]:
        """Return what the training logged since the last call: the run directory is the only channel."""
        metrics = self.path / "metrics.jsonl"
        lines = metrics.read_text().splitlines(keepends=True) if metrics.exists() else []
        whole = [line for line in lines if line.endswith("\n")]
        fresh, self.seen = whole[self.seen :], len(whole)
        return [json.loads(line) for line in fresh]


def run_lab(
    out: Path,
    *,
    quick: bool = False,
    seed: int = 0,
    data: str = "mnist",
    samples: int | None = None,
    device: str = "auto",
    resume: bool = False,
    overwrite: bool = False,
    watch: Watch | None = None,
) -> tuple[Path, list[Member]]:
    """Train and evaluate every model of :data:`STUDY` under ``out/runs`` and write ``out/report.html``.

    On a processor two trainings run side by side, each with half of the cores: networks of this size gain little
    from more threads. On an accelerator they run one after the other.

    Raises:
        Refusal: ``out`` is not empty (and neither ``resume`` nor ``overwrite``).
        LabFailed: a training or an evaluation failed.
    """
    if out.exists() and any(out.iterdir()) and not resume:
        if not overwrite:
            raise Refusal(f"out: {str(out)!r} is not empty (--resume continues it, --overwrite replaces it)")
        if not (out / "runs").is_dir():
            raise Refusal(f"out: {str(out)!r} is not empty and no lab of ours; it is left alone")
        for folder in ("runs", "figures"):
            shutil.rmtree(out / folder, ignore_errors=True)
        (out / "report.html").unlink(missing_ok=True)
    count = samples if samples is not None else (5 if quick else 200)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    workers = min(cores, 2) if choose_device(device) == "cpu" else 1
    threads = {"OMP_NUM_THREADS": str(max(1, cores // workers))}
    waiting = [_job(entry, out, quick, seed, data, device, count, threads) for entry in STUDY]
    _run(waiting, workers, watch)
    by_name = {entry.name: entry for entry in STUDY}
    members = [Member(by_name[name].title, Run(out / "runs" / name)) for name in _ORDER]
    title = "A study of variational auto-encoders on binarised MNIST" + (" (quick)" if quick else "")
    return write_report(out, title, members), members


def _job(
    entry: Entry, out: Path, quick: bool, seed: int, data: str, device: str, samples: int, environment: dict[str, str]
) -> _Job:
    path = out / "runs" / entry.name
    words = [*entry.words, *(entry.quick if quick else ())]
    flags = ["--data", data, "--out", str(path), "--seed", str(seed), "--device", device, "--resume"]
    train = ["train", entry.model, *words, *flags]
    evaluate = ["evaluate", str(path), "--samples", str(samples), "--no-report"]
    commands = [train, evaluate]
    if entry.gradients:
        commands.append(["gradients", str(path), "--draws", "3" if quick else "20"])
    if entry.tightness:
        size = ("--rows", "100", "--steps", "50", "--samples", "20") if quick else ("--rows", "1000", "--steps", "1000")
        commands.append(["tightness", str(path), *size])
    return _Job(entry, path, commands, environment=environment)


def _run(waiting: list[_Job], workers: int, watch: Watch | None) -> None:
    running: list[_Job] = []
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                running.append(waiting.pop(0))
            running = [job for job in running if job.advance()]
            for job in running:
                for row in job.new_rows():
                    if watch is not None:
                        watch(job.entry.name, row)
            time.sleep(0.2)
    finally:
        _stop(running)


def _stop(jobs: Sequence[_Job]) -> None:
    """Ask what still runs to save and stop, and wait for it."""
    processes = [job.process for job in jobs if job.process is not None and job.process.poll() is None]
    for process in processes:
        process.send_signal(signal.SIGTERM)
    for process in processes:
        process.wait(timeout=60)

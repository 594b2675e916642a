"""Kill every command at each point of its writing, run the next command, and look at what is left.

python benchmarks/kill_points.py [--every N]: a process is killed (SIGKILL) just before its n-th call to the system that
changes files, or in the middle of its n-th write, for every n. After each kill every file must be whole (the old or the
new one), and after the next command that writes there nothing half-written may be left. The counts go to
benchmarks/results/kill_points.json.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vaelab.cli import main as vaelab
from vaelab.data import load_data
from vaelab.runs import Run, encode_with_run
from vaelab.storage import unseal
from vaelab.storage.sealed import Schema
from vaelab.studies import lab, sweep  # imported here, so that a command does not wait for it in each process

RESULTS = Path(__file__).parent / "results" / "kill_points.json"
_IMPORTED = (lab, sweep, encode_with_run)
_EVENTS = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.truncate", "fcntl.flock")
TINY = ("hidden_dims=[8]", "training.steps=12", "training.batch_size=20", "training.validate_every=6")


@dataclass(frozen=True)
class Case:
    """A command to kill, the command after it, and whether it starts from nothing or from trained runs."""

    name: str
    words: tuple[str, ...]
    after: tuple[str, ...]
    fresh: bool = False


def _train(*flags: str) -> tuple[str, ...]:
    return ("train", "gaussian-vae", "latent_dim=2", *TINY, "--data", "data.npy", "--out", "run", *flags)


_EVALUATE = ("evaluate", "run", "--samples", "1", "--no-report")
_SAMPLE = ("sample", "run", "-n", "4", "--out", "out/next.npz", "--overwrite")
_COMPARE = ("compare", "run", "bits", "--samples", "1", "--out", "compared", "--overwrite")
_SWEEP = ("sweep", "gaussian-vae", "latent_dim=[1,2]", *TINY, "--data", "data.npy", "--out", "swept", "--resume")
CASES = (
    Case("train", _train(), _train("--resume"), fresh=True),
    Case("train --overwrite", _train("--overwrite", "--seed", "1"), _train("--overwrite")),
    Case("evaluate --no-report", (*_EVALUATE, "--seed", "1"), _EVALUATE),
    Case("evaluate", ("evaluate", "run", "--samples", "1"), _EVALUATE),
    Case("sample", ("sample", "run", "-n", "4"), _EVALUATE),
    Case("sample --out", ("sample", "run", "-n", "4", "--out", "out/s.npz", "--overwrite"), _SAMPLE),
    Case("reconstruct", ("reconstruct", "run", "-n", "4"), _EVALUATE),
    Case("reconstruct --out", ("reconstruct", "run", "--out", "out/r.npz", "--overwrite"), _SAMPLE),
    Case("encode --out", ("encode", "run", "--out", "out/c.npz", "--overwrite"), _SAMPLE),
    Case("gradients", ("gradients", "run", "--draws", "2", "--rows", "10"), _EVALUATE),
    Case(
        "tightness",
        ("tightness", "bits", "--rows", "10", "--steps", "2", "--samples", "2"),
        ("evaluate", "bits", *_EVALUATE[2:]),
    ),
    Case("compare --out", _COMPARE, _COMPARE),
    Case("sweep --resume", _SWEEP, _SWEEP),
)


class Killer:
    """Counts the calls that change files below a folder, and kills the process at the one that is chosen."""

    def __init__(self, root: Path, at: int | None) -> None:
        self.root, self.at, self.count = str(root), at, 0

    def point(self, half: Callable[[], object] = lambda: None) -> None:
        self.count += 1
        if self.count == self.at:
            half()
            os.kill(os.getpid(), signal.SIGKILL)

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            written = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if written and isinstance(path, str | os.PathLike) and os.path.abspath(path).startswith(self.root):
                self.point()
        elif event in _EVENTS:
            self.point()

    def install(self) -> None:
        point, fsync = self.point, os.fsync

        class Counted(io.BufferedWriter):
            def write(self, data: Any) -> int:
                def half() -> None:
                    super(Counted, self).write(bytes(data)[: len(data) // 2])
                    self.flush()

                point(half)
                return super().write(data)

        def synced(handle: int) -> None:
            point()
            fsync(handle)

        def opened(handle: int, mode: str = "r", *rest: Any, **more: Any) -> Any:
            return Counted(io.FileIO(handle, mode)) if mode == "wb" else open(handle, mode, *rest, **more)

        os.fsync, os.fdopen = synced, opened  # type: ignore[assignment]
        sys.addaudithook(self.audit)


def run(words: tuple[str, ...], root: Path, at: int | None = None, count: bool = False) -> tuple[int, int]:
    """Run a command in a process of its own, killed at a point; return its wait status and the points it has passed."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code = 70
        try:
            silent = os.open(os.devnull, os.O_RDWR)
            os.dup2(silent, 1)
            os.dup2(silent, 2)
            sys.stdout, sys.stderr = (io.TextIOWrapper(io.FileIO(handle, "w", closefd=False)) for handle in (1, 2))
            os.chdir(root)
            sys.argv = ["vaelab", *words]
            killer = Killer(root, at)
            if at is not None or count:
                killer.install()
            try:
                vaelab()
            except SystemExit as left:
                code = left.code if isinstance(left.code, int) else 1
            os.write(writing, str(killer.count).encode())
        finally:
            os._exit(code)
    os.close(writing)
    said = b""
    while part := os.read(reading, 100):
        said += part
    os.close(reading)
    _, status = os.waitpid(child, 0)
    return status, int(said or 0)


def prepare(root: Path) -> Path:
    """Make a folder with data and two small runs, and return it."""
    torch.set_num_threads(1)
    root.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    np.save(
        root / "data.npy",
        ((rng.random((200, 1)) < 0.5) ^ (rng.random((200, 36)) < 0.1)).astype(np.uint8).reshape(-1, 6, 6),
    )
    (root / "out").mkdir(exist_ok=True)
    bits = ("train", "sbn", "layers=[3]", *TINY[1:], "--data", "data.npy", "--out", "bits")
    for words in (_train(), bits, _EVALUATE):
        status, _ = run(words, root)
        assert status == 0, (words, status)
    return root


def faults(root: Path) -> list[str]:
    """Return what is not whole below a folder: runs that do not open, files that end before their end."""
    found = []
    for path in sorted(path for path in root.rglob("*") if path.is_file() and not _half_written(path)):
        try:
            _require_whole(path)
        except Exception as error:
            found.append(f"{path.relative_to(root)}: {error}")
    return found


def _half_written(path: Path) -> bool:
    return path.name.startswith(".vaelab-")


def _require_whole(path: Path) -> None:
    if path.suffix == ".png":
        assert path.read_bytes().endswith(b"IEND\xaeB`\x82"), "the picture is cut"
    elif path.suffix == ".html":
        assert path.read_text().rstrip().endswith("</html>"), "the page is cut"
    elif path.suffix == ".npz":
        with np.load(path) as arrays:
            assert [arrays[name] for name in arrays]
    elif path.suffix == ".npy":
        load_data(path)
    elif path.name == "sweep.json":
        unseal(path, Schema)
    elif path.name == "config.json":
        opened = Run(path.parent)
        opened.metrics(), opened.all_evaluations(), opened.gradients(), opened.tightness()
        if (path.parent / "model.safetensors").exists():
            opened.load_model()


def kill(case: Case, trained: Path, folder: Path, at: int) -> list[str]:
    """Kill a command at a point, run the next one, and return what was wrong; ``["ended"]`` if it ended before."""
    root = folder / "killed"
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(trained, root)
    if case.fresh:
        shutil.rmtree(root / "run")
    status, _ = run(case.words, root, at)
    if not os.WIFSIGNALED(status):
        return ["ended"]
    wrong = [f"after the kill: {fault}" for fault in faults(root)]
    status, _ = run(case.after, root)
    if status != 0:
        wrong.append(f"the next command ended with {status}")
    wrong += [f"after the next command: {fault}" for fault in faults(root)]
    return wrong + [f"left: {path.relative_to(root)}" for path in root.rglob("*") if _half_written(path)]


def points(case: Case, trained: Path, folder: Path) -> int:
    """Return the number of points of a command."""
    root = folder / "counted"
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(trained, root)
    if case.fresh:
        shutil.rmtree(root / "run")
    status, count = run(case.words, root, count=True)
    assert status == 0, (case.words, status)
    return count


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--every", type=int, default=1, help="only every N-th point")
    every = arguments.parse_args().every
    rows: list[dict[str, Any]] = []
    killed, failed = 0, 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        trained = prepare(folder / "trained")
        run(_SWEEP, trained)
        for case in CASES:
            started = time.perf_counter()
            count = points(case, trained, folder)
            tried = range(1, count + 1, every)
            wrong = {at: found for at in tried if (found := kill(case, trained, folder, at))}
            killed, failed = killed + len(tried), failed + len(wrong)
            seconds = round(time.perf_counter() - started, 1)
            rows.append(
                {"command": case.name, "points": count, "killed": len(tried), "wrong": wrong, "seconds": seconds}
            )
            print(
                f"{case.name:22}{count:5} points {len(tried):5} killed {len(wrong):4} wrong {seconds:7.1f} s",
                flush=True,
            )
            for at, found in list(wrong.items())[:5]:
                print(f"    point {at}: {'; '.join(found)}")
            total = {"every": every, "killed": killed, "wrong": failed}  # written at each command: it may be stopped
            RESULTS.write_text(json.dumps({**total, "commands": rows}, indent=2) + "\n")
    print(f"{killed} kills, {failed} wrong")


if __name__ == "__main__":
    main()

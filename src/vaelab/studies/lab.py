"""The study: train and evaluate all its models on MNIST, and write one report."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import torch

from vaelab.data import load_data
from vaelab.errors import Failure, InputError
from vaelab.explorer import Subject, write_explorer
from vaelab.report import ReportedRun, write_report
from vaelab.runs import Run, locked, remove_report, remove_run, require_own_page, require_removable
from vaelab.settings import parse_overrides, resolve
from vaelab.storage import is_ours
from vaelab.studies.jobs import PROCESSES, Job, Watch, hidden_main, run_side_by_side, share_cores
from vaelab.training import check_settings, choose_device, for_data

__all__ = ["STUDY", "Entry", "LabFailed", "run_lab", "write_lab"]


class LabFailed(Failure):
    """A training or an evaluation of the study failed; the message is that of the failed command."""


@dataclass(frozen=True)
class Entry:
    """One model of the study: its arguments for ``vaelab train``, and those of the quick study."""

    name: str
    title: str
    model: str
    words: tuple[str, ...]
    quick: tuple[str, ...]
    gradients: bool = False  # whether the gradient estimators are measured on it
    quadrature: bool = False  # whether log p(x) is integrated over its code of one or two numbers
    tightness: bool = False  # whether the bounds of all inference methods are measured on it
    together: bool = False  # whether it is on the page of the explorer with several models; the others have their own


# The longest come first: two run in parallel, and short ones fill the remaining time. Of the auto-encoder it is the
# search for the number of components of its mixture that takes long. The two longest trainings are compiled, which
# halves the time of their steps; without a compiler they run as they are.
STUDY = (
    Entry(
        "bernoulli-rebar",  # the default, which the study of the estimators chose
        "Bernoulli D = 200, REBAR",
        "bernoulli-vae",
        ("latent_dim=200", "estimator.name=rebar", "estimator.samples=2", "training.compile=true"),
        ("training.epochs=2", "training.compile=false"),
        gradients=True,
        together=True,
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
            "training.compile=true",
        ),
        ("training.epochs=2", "training.compile=false"),
    ),
    Entry(
        "autoencoder-2",
        "Auto-encoder D = 2",
        "autoencoder",
        ("latent_dim=2",),
        ("training.epochs=2", "components=20"),
        together=True,
    ),
    Entry(
        "gaussian-2",
        "Gaussian D = 2",
        "gaussian-vae",
        ("latent_dim=2",),
        ("training.epochs=2",),
        quadrature=True,
        together=True,
    ),
    Entry(
        "sbn-12",
        "Belief network of 12 bits",
        "sbn",
        ("layers=[12]", "training.epochs=6"),
        ("training.epochs=1",),
        tightness=True,
        together=True,
    ),
    Entry("gaussian-20", "Gaussian D = 20", "gaussian-vae", ("latent_dim=20",), ("training.epochs=2",)),
    Entry(
        "sbn-200-200",
        "Belief network 200-200",
        "sbn",
        ("layers=[200,200]", "training.epochs=4"),
        ("training.epochs=1",),
        together=True,
    ),
)
_ORDER = (
    *("gaussian-2", "gaussian-20", "bernoulli-running-average", "bernoulli-rebar"),
    *("sbn-12", "sbn-200-200", "autoencoder-2"),
)


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
) -> list[ReportedRun]:
    """Train and evaluate every model of :data:`STUDY` in ``out/runs``, and return them in the order of the report.

    On a processor two trainings run in parallel, each with half of the cores, because networks of this size gain
    little from more threads. On an accelerator they run one after the other.

    Raises:
        InputError: ``out`` is not empty (and neither ``resume`` nor ``overwrite``), or holds a page of others.
        LabFailed: a training or an evaluation failed.
    """
    choose_device(device)
    used = load_data(data)
    for entry in STUDY:  # check everything before anything is removed
        settings = resolve(entry.model, parse_overrides(_words(entry, quick)), {"data": data, "seed": seed})
        check_settings(for_data(settings, used), used)
    for folder in (out, *(out / "runs" / entry.name for entry in STUDY)):
        require_own_page(folder)
    if out.exists() and any(out.iterdir()) and not resume:
        if not overwrite:
            raise InputError(f"out: {str(out)!r} is not empty (--resume continues it, --overwrite replaces it)")
        _remove_lab(out, data)
    count = 5 if quick and samples is None else samples
    jobs = [_job(entry, out, quick, seed, data, device, count) for entry in STUDY]
    workers, threads = share_cores(device)
    with closing(run_side_by_side(jobs, workers, threads, watch)) as ended:
        for job in ended:
            if job.failure is not None:
                message = f"{job.name}: {job.failure}"
                raise InputError(message) if job.refused else LabFailed(message)
    by_name = {entry.name: entry for entry in STUDY}
    members = [ReportedRun(by_name[name].title, Run(out / "runs" / name)) for name in _ORDER]
    for member in members:
        if not member.evaluations():
            raise LabFailed(
                f"{member.run.path.name}: its numbers were not stored; {member.run.path}.log has the reason"
            )
    return members


def write_lab(out: Path, members: Sequence[ReportedRun], quick: bool = False) -> Path:
    """Write the explorers of the runs and the report of the study with links to them; return the report's path.

    A process writes the explorers while this one draws the report.
    """
    title = "A study of variational auto-encoders on binarised MNIST" + (" (quick)" if quick else "")
    pages = _pages(members)
    addresses = {
        member.title: f"{page.as_posix()}#run={index}"
        for page, shown in pages.items()
        for index, member in enumerate(shown)
    }
    runs = {page: [(member.title, member.run.path) for member in shown] for page, shown in pages.items()}
    with ProcessPoolExecutor(1, PROCESSES, _begin) as process:
        with hidden_main():
            written = process.submit(_write_explorers, out, runs, title)
        report = write_report(out, title, members, explorers=addresses)
        written.result()
    return report


def _pages(members: Sequence[ReportedRun]) -> dict[Path, list[ReportedRun]]:
    """Return the runs on each page of the explorer: several on ``explorer.html``, each of the others on its own.

    All weights on one page would take more than 6 megabytes.
    """
    together = {entry.name for entry in STUDY if entry.together}
    pages: dict[Path, list[ReportedRun]] = {}
    for member in members:
        name = member.run.path.name
        page = Path("explorer.html") if name in together else Path("runs", name, "explorer.html")
        pages.setdefault(page, []).append(member)
    return pages


def _begin() -> None:
    """Prepare the process that writes the explorers: it uses one thread, and Ctrl-C ends only the other process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)


def _write_explorers(out: Path, pages: Mapping[Path, Sequence[tuple[str, Path]]], title: str) -> None:
    """Write each page of the explorer of the runs with these titles and paths."""
    for page, runs in pages.items():
        subjects = [Subject.of_run(ReportedRun(name, Run(path))) for name, path in runs]
        write_explorer(out / page, subjects, title if page == Path("explorer.html") else None)


def _words(entry: Entry, quick: bool) -> list[str]:
    """Return the settings of a model of the study; those of the quick study replace others of the same name."""
    if not quick:
        return list(entry.words)
    shorter = {word.partition("=")[0] for word in entry.quick}
    return [*(word for word in entry.words if word.partition("=")[0] not in shorter), *entry.quick]


def _remove_lab(out: Path, data: str) -> None:
    """Remove the runs of the study, its figures and its page, and nothing else."""
    runs = [out / "runs" / entry.name for entry in STUDY]
    existing = [path for path in runs if path.exists() and not (path.is_dir() and not any(path.iterdir()))]
    if not existing and not is_ours(out / "report.html"):
        raise InputError(f"out: {str(out)!r} is not empty and not a study of vaelab; it is kept")
    require_removable(out, [data])
    with ExitStack() as held:
        for path in existing:  # refuses a directory that is not a run, and a run that is being trained
            held.enter_context(locked(path))
        for path in existing:
            remove_run(path)
            path.with_name(f"{path.name}.log").unlink(missing_ok=True)
    remove_report(out)


def _job(entry: Entry, out: Path, quick: bool, seed: int, data: str, device: str, samples: int | None) -> Job:
    path = out / "runs" / entry.name
    flags = ["--data", data, "--out", str(path), "--seed", str(seed), "--device", device, "--resume"]
    train = ["train", entry.model, *_words(entry, quick), *flags]
    evaluate = ["evaluate", str(path), *([] if samples is None else ["--samples", str(samples)]), "--no-report"]
    if entry.quadrature and not quick:
        evaluate += [word for bound in ("elbo", "iwae", "quadrature") for word in ("--bound", bound)]
    diagnose = ["diagnose", str(path), "--no-report", *(["--rows", "100"] if quick else [])]
    commands = [train, evaluate, diagnose]
    if entry.gradients:
        commands.append(["gradients", str(path), "--draws", "3" if quick else "20"])
    if entry.tightness:
        size = ("--rows", "100", "--steps", "50", "--samples", "20") if quick else ("--rows", "1000", "--steps", "1000")
        commands.append(["tightness", str(path), *size])
    return Job(entry.name, path, commands)

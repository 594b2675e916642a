"""The study: train and evaluate its models on one data set, and write one report."""

from __future__ import annotations

import logging
import signal
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import torch

from vaelab.data import Dataset
from vaelab.errors import Failure, InputError
from vaelab.explorer import Subject, write_explorer
from vaelab.likelihood import BOUNDS, BoundName
from vaelab.models import MODELS
from vaelab.report import LeftOut, ReportedRun, write_report
from vaelab.runs import (
    Run,
    is_run,
    locked,
    remove_emptied,
    remove_report,
    remove_run,
    require_own_page,
    require_removable,
)
from vaelab.settings import Settings, words
from vaelab.storage import is_ours
from vaelab.studies.jobs import PROCESSES, Job, Watch, hidden_main, run_side_by_side, share_cores
from vaelab.studies.lab.study import Entry, Study, packaged_study, read_study
from vaelab.training import check_settings, choose_device, for_data

__all__ = ["Entry", "LabFailed", "Study", "packaged_study", "read_study", "run_lab", "write_lab"]

_QUICK_SAMPLES = 5


class LabFailed(Failure):
    """A training or an evaluation of the study failed; the message is that of the failed command."""


def run_lab(
    study: Study,
    out: Path,
    *,
    quick: bool = False,
    resume: bool = False,
    overwrite: bool = False,
    watch: Watch | None = None,
) -> list[ReportedRun]:
    """Train and evaluate every model of a study in ``out/runs``, and return them in the order of the report.

    On a processor two trainings run in parallel, each with half of the cores, because networks of this size gain
    little from more threads. On an accelerator they run one after the other.

    Args:
        study: from :func:`read_study` or :func:`packaged_study`.
        out: directory of the runs, the report and its figures.
        quick: whether every part is shorter.
        resume: continue the study in ``out``.
        overwrite: replace the study in ``out``, also one of other models.
        watch: called with the name of a run and each row that it logs.

    Raises:
        InputError: ``out`` is not empty (and neither ``resume`` nor ``overwrite``), or holds a page of others; or a
            model that cannot be trained on the data, or does not have a bound that is to be computed.
        LabFailed: a training or an evaluation failed.
    """
    for name, reason in _left_out(study, quick).items():
        logging.getLogger("vaelab").warning("%s is left out: %s", name, reason)
        study = study.without([name])
    if not study.models:
        raise InputError("models: expected one that can be trained here; each is optional, and left out")
    settings = {name: study.settings_of(name, quick) for name in study.models}
    first = next(iter(settings.values()))
    choose_device(first.device)
    data = first.load_data()
    for name, each in settings.items():  # check everything before anything is removed
        if refusal := _refusal(each, data, () if quick else study.entries[name].bounds or ()):
            raise InputError(f"models.{name}: {refusal}")
    for folder in (out, *(out / "runs" / name for name in settings)):
        require_own_page(folder)
    if out.exists() and any(out.iterdir()) and not resume:
        if not overwrite:
            raise InputError(f"out: {str(out)!r} is not empty (--resume continues it, --overwrite replaces it)")
        _remove_lab(out, list(settings), first.data)
    order = [*study.longest, *(name for name in settings if name not in study.longest)]
    jobs = [Job(name, out / "runs" / name, _commands(study, name, out / "runs" / name, quick)) for name in order]
    workers, threads = share_cores(first.device)
    with closing(run_side_by_side(jobs, workers, threads, watch)) as ended:
        for job in ended:
            if job.failure is not None:
                message = f"{job.name}: {job.failure}"
                raise InputError(message) if job.refused else LabFailed(message)
    members = [ReportedRun(title, Run(out / "runs" / name)) for name, title in study.titles.items()]
    for member in members:
        if not member.evaluations():
            raise LabFailed(
                f"{member.run.path.name}: its numbers were not stored; {member.run.path}.log has the reason"
            )
    return members


def _left_out(study: Study, quick: bool) -> dict[str, str]:
    """Return the names of the optional models that cannot be trained here, and why."""
    optional = {name: study.settings_of(name, quick) for name, entry in study.entries.items() if entry.optional}
    return {name: reason for name, settings in optional.items() if (reason := _refusal(settings, settings.load_data()))}


def _refusal(settings: Settings, data: Dataset, bounds: Sequence[BoundName] = ()) -> str:
    """Return why a model cannot be trained on some data, or why it does not have the bounds, or an empty text."""
    try:
        model = check_settings(for_data(settings, data), data)
        for bound in bounds:
            BOUNDS[bound].require(model)
    except InputError as refusal:
        return str(refusal)
    return ""


def write_lab(study: Study, out: Path, members: Sequence[ReportedRun], quick: bool = False) -> Path:
    """Write the explorers of the runs and the report of the study with links to them; return the report's path.

    A process writes the explorers while this one draws the report. A page that cannot be written is left out, with a
    warning.
    """
    title = (study.title or f"A study of {members[0].data.name}") + (" (quick)" if quick else "")
    left_out = [LeftOut(study.titles[name], reason) for name, reason in _left_out(study, quick).items()]
    pages = _pages(study, members)
    addresses = {
        member.title: f"{page.as_posix()}#run={index}"
        for page, shown in pages.items()
        for index, member in enumerate(shown)
    }
    runs = {page: [(member.title, member.run.path) for member in shown] for page, shown in pages.items()}
    with ProcessPoolExecutor(1, PROCESSES, _begin) as process:
        with hidden_main():
            written = process.submit(_write_explorers, out, runs, title)
        report = write_report(out, title, members, explorers=addresses, left_out=left_out)
        refused = written.result()
    if refused:  # without links to what is not there
        for page, reason in refused.items():
            logging.getLogger("vaelab").warning("%s was not written: %s", out / page, reason)
            addresses = {
                name: place for name, place in addresses.items() if not place.startswith(f"{page.as_posix()}#")
            }
        report = write_report(out, title, members, explorers=addresses, left_out=left_out)
    return report


def _pages(study: Study, members: Sequence[ReportedRun]) -> dict[Path, list[ReportedRun]]:
    """Return the runs on each page of the explorer: several on ``explorer.html``, each of the others on its own.

    All weights on one page could take many megabytes. A density model has no codes to explore.
    """
    pages: dict[Path, list[ReportedRun]] = {}
    for member in members:
        if member.has_codes:
            name = member.run.path.name
            together = study.entries[name].together
            page = Path("explorer.html") if together else Path("runs", name, "explorer.html")
            pages.setdefault(page, []).append(member)
    return pages


def _begin() -> None:
    """Prepare the process that writes the explorers: it uses one thread, and Ctrl-C ends only the other process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)


def _write_explorers(out: Path, pages: Mapping[Path, Sequence[tuple[str, Path]]], title: str) -> dict[Path, str]:
    """Write each page of the explorer of the runs with these titles and paths; return the refused ones, and why."""
    refused = {}
    for page, runs in pages.items():
        subjects = [Subject.of_run(ReportedRun(name, Run(path))) for name, path in runs]
        try:
            write_explorer(out / page, subjects, title if page == Path("explorer.html") else None)
        except InputError as refusal:
            refused[page] = str(refusal)
    return refused


def _remove_lab(out: Path, names: Sequence[str], data: str) -> None:
    """Remove every run in ``out/runs``, also those of other names, the figures and the page, and nothing else."""
    runs = [out / "runs" / name for name in names]
    existing = [path for path in runs if path.exists() and not (path.is_dir() and not any(path.iterdir()))]
    if not existing and not is_ours(out / "report.html"):
        raise InputError(f"out: {str(out)!r} is not empty and not a study of vaelab; it is kept")
    require_removable(out, [data])
    others = [path for path in sorted((out / "runs").glob("*")) if path not in runs and is_run(path)]
    existing += others
    with ExitStack() as held:
        for path in existing:  # refuses a directory that is not a run, and a run that is being trained
            held.enter_context(locked(path))
        for path in existing:
            remove_run(path)
            path.with_name(f"{path.name}.log").unlink(missing_ok=True)
    for path in others:
        remove_emptied(path)
    remove_report(out)


def _commands(study: Study, name: str, path: Path, quick: bool) -> list[list[str]]:
    """Return the command lines that train, evaluate and measure a model of the study."""
    entry, settings = study.entries[name], study.settings_of(name, quick)
    flags = ["--data", settings.data, "--out", str(path), "--seed", str(settings.seed), "--device", settings.device]
    train = ["train", settings.model, *words(settings), *flags, "--resume"]
    evaluate = ["evaluate", str(path), *(["--samples", str(_QUICK_SAMPLES)] if quick else []), "--no-report"]
    evaluate += [] if quick else [word for bound in entry.bounds or () for word in ("--bound", bound)]
    commands = [train, evaluate]
    if MODELS[entry.model].has_codes:
        commands.append(["diagnose", str(path), "--no-report", *(["--rows", "100"] if quick else [])])
    if "gradients" in entry.measure:
        commands.append(["gradients", str(path), "--draws", "3" if quick else "20"])
    if "tightness" in entry.measure:
        size = ("--rows", "100", "--steps", "50", "--samples", "20") if quick else ("--rows", "1000", "--steps", "1000")
        commands.append(["tightness", str(path), *size])
    return commands

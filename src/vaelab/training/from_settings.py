"""``train``: a whole run from its settings, from the data to the mixture of an auto-encoder."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from vaelab.data import Batches, Dataset
from vaelab.errors import InputError
from vaelab.models import LatentVariableModel
from vaelab.networks import choose_precision, has_bfloat16
from vaelab.runs import DataSource, Run, locked, source_of
from vaelab.seeds import seeded
from vaelab.settings import Settings, TrainingSettings, words
from vaelab.training.checks import check_settings
from vaelab.training.fitting import fit
from vaelab.training.length import for_data
from vaelab.training.parallel import TIMEOUT, ProcessGroup, joined
from vaelab.training.result import FitResult, Row
from vaelab.training.resume import columns_of, reopen
from vaelab.training.surroundings import choose_device, own_torch

__all__ = ["train"]

_log = logging.getLogger("vaelab")


@own_torch()
def train(
    settings: Settings,
    out: str | Path,
    *,
    data: Dataset | None = None,
    source: DataSource | None = None,
    resume: bool = False,
    overwrite: bool = False,
    callback: Callable[[Row], None] | None = None,
    rank_timeout: float = TIMEOUT,
) -> tuple[Run, FitResult]:
    """Train from settings into a run directory; an auto-encoder also gets the mixture of its codes.

    Settings that depend on the data, such as the size of the code and the length of the training, are written to
    config.json with their chosen values.

    With ``resume`` an existing run continues from its last checkpoint and ends with the same weights as an undisturbed
    one; its table is read with the levels that are stored in the run. Processes that torchrun restarts after a failure
    resume without it. Several processes (see :func:`joined`) train one model: each takes its share of every batch, and
    rank 0 alone writes; they wait ``rank_timeout`` seconds for each other. ``source`` is where given ``data`` were read
    from; without it they were made in Python.

    Raises:
        InputError: settings that contradict each other or the run, a directory that is not empty, or one into which
            another process is training, or processes with other settings or data than rank 0.
        PeerLost: another process does not answer, or has left.
    """
    with joined(rank_timeout) as processes, ExitStack() as held:
        out, restarted = Path(out), int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0
        resume = any(processes.all_gather(resume or restarted))  # only the ranks of some hosts may be restarted
        columns = processes.on_rank_zero(lambda: columns_of(out, settings) if resume else None)
        given, data = data, data if data is not None else settings.load_data(of_model=columns)
        source = source or source_of(settings.data, given)
        settings = _described(settings, source.given, data, given is not None)
        device = choose_device(settings.device)
        rounds = all(processes.all_gather(has_bfloat16(torch.device(device))))  # on every rank
        observed = data.train.observations()
        ranks: list[_Rank] = []
        if processes.ranks.count > 1:
            identity = [f"model={settings.model}", f"seed={settings.seed}", f"device={torch.device(device).type}"]
            ranks = processes.all_gather(_Rank(identity + words(settings), data.sha256()))

        def open_run() -> dict[str, Any]:
            _require_alike(ranks)
            goes_on = resume and (out / "config.json").exists()
            started = Run(out).settings if goes_on else None
            chosen = for_data(_with_precision(settings, device, started, rounds), data, started)
            check_settings(chosen, data, processes.ranks.count)  # all checks come before anything is written
            if "training" not in settings.absent:
                Batches(observed, chosen.training.batch_size, chosen.seed, processes.ranks)
            data.validation.observations()
            held.enter_context(locked(out))
            if goes_on:
                return reopen(out, chosen, data, source).config
            return Run.create(out, chosen, data, overwrite, source).config

        run = Run(out, processes.on_rank_zero(open_run))
        settings = run.settings  # also for the other ranks: precision=auto is what rank 0 chose
        training = None if "training" in settings.absent else _possible(settings.training, rounds, processes)
        with seeded(settings.seed, "weights"):
            model = settings.build_model(data)
        latent = isinstance(model, LatentVariableModel)
        result = fit(
            model,
            data,
            estimator=settings.build_estimator(model) if latent else None,
            objective=settings.build_objective() if latent else None,
            settings=training,
            seed=settings.seed,
            device=device,
            run=run if processes.is_rank_zero else None,
            callback=callback if processes.is_rank_zero else None,
            processes=processes,
        )
        return run, result


def _described(settings: Settings, name: str, data: Dataset, in_python: bool) -> Settings:
    """Return the settings with those of the data set, or refuse settings that contradict a given data set."""
    if in_python and settings.binarisation not in (None, data.binarisation):
        raise InputError(
            f"binarisation: the settings say {settings.binarisation!r} and the data set {data.name!r} has "
            f"{data.binarisation!r}; leave it out of the settings, or give data.with_binarisation(...)"
        )
    condition = None if data.condition is None else data.condition.words
    if in_python and settings.condition not in (None, condition):
        raise InputError(
            f"condition: the settings say {settings.condition} and the data set {data.name!r} has {condition}; "
            "leave it out of the settings, or give data.with_condition(...)"
        )
    return settings.model_copy(update={"data": name, "binarisation": data.binarisation, "condition": condition})


@dataclass(frozen=True)
class _Rank:
    """The settings and the data of a rank at the start."""

    settings: list[str]
    data: str


def _require_alike(ranks: Sequence[_Rank]) -> None:
    """Refuse ranks whose settings or data differ from those of rank 0; the path of the data may differ."""
    for number, rank in enumerate(ranks):
        if ranks[0].settings != rank.settings:
            pairs = ((ranks[0].settings, rank.settings), (rank.settings, ranks[0].settings))
            first, other_value = (
                next((word for word in one if word not in other), "none such") for one, other in pairs
            )
            raise InputError(
                f"ranks: expected the same settings on all; got {first} on rank 0 and {other_value} on rank {number}"
            )
        if ranks[0].data != rank.data:
            raise InputError(
                f"ranks: expected the same data on all; rank {number} has other data than rank 0 (SHA-256)"
            )


def _with_precision(settings: Settings, device: str, started: Settings | None, rounds: bool) -> Settings:
    """Return the settings with ``precision=auto`` replaced by float32 or bfloat16; by that of a run that goes on."""
    precision = settings.training.precision
    if started is not None and precision in ("auto", started.training.precision):
        precision = started.training.precision
    else:
        precision = choose_precision(precision, torch.device(device), rounds)
    return settings.model_copy(update={"training": settings.training.model_copy(update={"precision": precision})})


def _possible(training: TrainingSettings, rounds: bool, processes: ProcessGroup) -> TrainingSettings:
    """Return settings in float32, with a warning, for a run in bfloat16 where the hardware does not multiply bfloat16.

    Such a run began on other hardware; earlier versions called runs on such processors bfloat16 too.
    """
    if training.precision != "bfloat16" or rounds:
        return training
    if processes.is_rank_zero:
        _log.warning("precision: the run is in bfloat16, which this hardware does not multiply: it goes on in float32")
    return training.model_copy(update={"precision": "float32"})

"""One row: trained into a run directory, evaluated on the test split."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from recipes import RECIPES, Recipe

import vaelab
from vaelab.data import Dataset, Split
from vaelab.runs import Run
from vaelab.settings import Settings, parse_overrides, resolve
from vaelab.training import FitResult, train

__all__ = ["data_of", "reproduce", "rows_to_train"]


def data_of(recipe: Recipe) -> Dataset:
    """Return MNIST, split and binarised as the recipe says."""
    data = vaelab.load_data("mnist").with_binarisation(recipe.binarisation)
    count = recipe.training_rows
    if count == len(data.train):
        return data
    x = np.concatenate([data.train.x, data.validation.x])
    y = np.concatenate([data.train.labels, data.validation.labels])
    splits = {"train": Split(x[:count], y[:count]), "validation": Split(x[count:], y[count:]), "test": data.test}
    return Dataset(f"mnist-{count}", splits, "grey", 255, data.image_shape, binarisation=recipe.binarisation)


def rows_to_train(row: str, out: Path, seed: int) -> list[str]:
    """Return the row, after the row whose weights it starts from unless that one is finished."""
    start = RECIPES[row].start
    folder = out / f"{start}-{seed}"
    if start is None or ((folder / "config.json").exists() and Run(folder).finished):
        return [row]
    return [start, row]


def reproduce(
    row: str, words: list[str], out: Path, device: str, seed: int, steps: int | None, minutes: float | None
) -> dict[str, Any]:
    """Train a row, or go on with it, and return the record of its result.

    Args:
        row: its name in ``RECIPES``.
        words: settings that replace those of the recipe, as ``key=value``.
        out: the folder of the run directories.
        device: as everywhere in vaelab.
        seed: of everything random.
        steps: another length than that of the recipe.
        minutes: after which the training stops; the same command goes on with it.
    """
    recipe = RECIPES[row]
    data = data_of(recipe)
    length = {} if steps is None else {"training": {"steps": steps, "validate_every": max(1, steps // 100)}}
    settings = resolve(recipe.model, recipe.settings, length, parse_overrides(words), {"seed": seed, "device": device})
    changes = [*words, *([] if steps is None else [f"steps={steps}"])]
    folder = out / "-".join([row, *(word.replace("=", "-") for word in changes), str(seed)])
    with _stopped_after(minutes):
        if recipe.start is None or any((folder / "checkpoints").glob("*.pt")):
            run, result = train(settings, folder, data=data, resume=True)
        else:
            run, result = _train_from(out / f"{recipe.start}-{seed}", settings, folder, data)
    record = {
        "row": row,
        "start": recipe.start,
        "changes": words,
        "seed": seed,
        "steps": result.steps,
        "steps_planned": run.settings.training.steps,
        "batch_size": run.settings.training.batch_size,
        "seconds": round(result.seconds),
        "best_step": result.best_step,
        "validation": round(result.best_bound, 3),
        "hardware": _hardware(run),
        "torch": torch.__version__,
        "vaelab": vaelab.__version__,
    }
    return record | _evaluated(run, data, recipe.samples)


def _train_from(start: Path, settings: Settings, folder: Path, data: Dataset) -> tuple[Run, FitResult]:
    """Train from the selected weights of the finished run of another row, into a run directory without a checkpoint."""
    model = Run(start).load_model()
    settings = settings.model_copy(update={"data": data.name, "binarisation": data.binarisation})
    run = Run.create(folder, settings, data, overwrite=True)
    result = vaelab.fit(
        model,
        data,
        estimator=settings.build_estimator(model),
        objective=settings.build_objective(),
        settings=settings.training,
        seed=settings.seed,
        device=settings.device,
        run=run,
    )
    return run, result


def _evaluated(run: Run, data: Dataset, samples: int) -> dict[str, Any]:
    """Return the ELBO and the importance-weighted bound of the selected weights on the test split."""
    loaded = run.load()
    model = loaded.model.to(run.settings.device if run.settings.device != "auto" else _accelerator())
    result = vaelab.evaluate(model, data, bounds=("elbo", "iwae"), samples=samples)
    run.add_evaluations(list(result), loaded.weights, result.values)
    found = {record.name: record for record in result}
    bounds = {name: [round(found[name].value, 3), round(found[name].standard_error or 0, 3)] for name in found}
    wanted = ("elbo", "kl", f"iwae-{samples}")
    np.save(run.path / "samples.npy", (255 * model.sample(100, "mean", seed=0)).round().byte().cpu().numpy())
    return {"test": {name: bounds[name] for name in wanted}, "active_units": found["active-units"].value}


def _accelerator() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def _hardware(run: Run) -> str:
    """Return the class of the hardware of a training."""
    device = run.settings.device
    if device.startswith("cuda") or (device == "auto" and torch.cuda.is_available()):
        return torch.cuda.get_device_name()
    return f"processor, {torch.get_num_threads()} thread{'s' * (torch.get_num_threads() > 1)}"


@contextmanager
def _stopped_after(minutes: float | None) -> Iterator[None]:
    """Ask the training inside the block to stop after some minutes, as SIGTERM does: it saves a checkpoint."""
    if minutes is None:
        yield
        return
    timer = threading.Timer(60 * minutes, signal.raise_signal, [signal.SIGTERM])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()

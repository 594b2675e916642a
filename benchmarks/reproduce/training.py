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
from vaelab.settings import parse_overrides, resolve
from vaelab.training import train

__all__ = ["data_of", "reproduce"]


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
        run, result = train(settings, folder, data=data, resume=True)
    record = {
        "row": row,
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

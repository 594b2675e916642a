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
from vaelab.errors import InputError
from vaelab.runs import Run
from vaelab.settings import Settings, parse_overrides, resolve
from vaelab.training import FitResult, for_data, train

__all__ = ["Unfinished", "data_of", "reproduce"]


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


class Unfinished(Exception):
    """The run whose weights a row starts from was stopped before its end."""


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

    Raises:
        InputError: settings that do not go with the model, the run or the row that this one starts from.
        Unfinished: the training of the row that this one starts from was stopped.
    """
    recipe = RECIPES[row]
    with _stopped_after(minutes):
        run, result = _trained(row, words, out, device, seed, steps)
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
    return record | _evaluated(run, data_of(recipe), recipe.samples)


def _trained(row: str, words: list[str], out: Path, device: str, seed: int, steps: int | None) -> tuple[Run, FitResult]:
    """Train a row in its run directory, or go on with it; before, if need be, the row that it starts from."""
    recipe = RECIPES[row]
    data = data_of(recipe)
    length = {} if steps is None else {"training": {"steps": steps, "validate_every": max(1, steps // 100)}}
    settings = resolve(recipe.model, recipe.settings, length, parse_overrides(words), {"seed": seed, "device": device})
    start = [] if recipe.start is None else [f"from-{recipe.start}"]
    changes = [*words, *([] if steps is None else [f"steps={steps}"])]
    folder = out / "-".join([row, *start, *(word.replace("=", "-") for word in changes), str(seed)])
    if recipe.start is None or any((folder / "checkpoints").glob("*.pt")):
        return train(settings, folder, data=data, resume=True)
    first, result = _trained(recipe.start, [], out, device, seed, None)
    if not first.finished:
        raise Unfinished(
            f"{recipe.start} was stopped at step {result.steps:,} of {first.settings.training.steps:,}; the same "
            f"command goes on with it, and then trains {row}"
        )
    return _train_from(first, settings, folder, data)


_OF_TRAINING = ("device", "objective", "estimator", "training")  # settings that may differ from those of the start


def _train_from(start: Run, settings: Settings, folder: Path, data: Dataset) -> tuple[Run, FitResult]:
    """Train from the selected weights of a finished run into a run directory that has no checkpoint yet."""
    settings = for_data(settings.model_copy(update={"data": data.name, "binarisation": data.binarisation}), data)
    before, now = start.settings.model_dump(mode="json"), settings.model_dump(mode="json")
    for name in (*before, *(name for name in now if name not in before)):
        if name not in _OF_TRAINING and before.get(name) != now.get(name):
            raise InputError(
                f"{name}: expected {before.get(name)!r}, as in {start.path}, from whose weights the row starts"
            )
    model = start.load_model()
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

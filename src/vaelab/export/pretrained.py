"""A run as a directory for a hub: the model, and a card with the numbers of the run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vaelab.models import Model
from vaelab.models.pretrained import PRETRAINED_FILES
from vaelab.objectives import METRICS
from vaelab.runs import Run
from vaelab.settings import Settings

__all__ = ["to_pretrained", "training_of"]


def training_of(run: Run) -> dict[str, str]:
    """Return how the model of a run was trained, in words, for its card: data, protocol, seed, steps, settings.

    Raises:
        InputError: the log of the run is damaged.
    """
    settings, data = run.settings, run.config["data"]
    rows = run.metrics()
    facts: dict[str, Any] = {
        "data": f"{data['name']} (SHA-256 {data['sha256']})",
        "rows": ", ".join(f"{count:,} {name}" for name, count in data["splits"].items()),
        "binarisation": run.binarisation,
        "seed": settings.seed,
        "objective": None if settings.objective is None else _words(settings.objective),
        "estimator": None if settings.estimator is None else _words(settings.estimator),
        "steps": f"{rows[-1]['step']:,} of {rows[-1]['steps']:,}" if rows else "none logged",
        **_training(settings),
        "weights": "those of the best validation " + _best(rows),
        **{f"version of {name}": version for name, version in run.config["versions"].items()},
    }
    return {name.replace("_", " "): str(value) for name, value in facts.items() if value is not None}


def _training(settings: Settings) -> dict[str, Any]:
    """Return the settings of the training; none of a model that counts."""
    if "training" in settings.absent:
        return {}
    return {name: value for name, value in settings.training.model_dump().items() if name not in ("steps", "epochs")}


def _words(options: dict[str, Any]) -> str:
    others = [f"{name}={value}" for name, value in options.items() if name != "name"]
    return " ".join([str(options["name"]), *others])


def _best(rows: list[dict[str, Any]]) -> str:
    """Return the best validation of a log, in words."""
    for label in METRICS:
        key = f"val/{label}"
        if found := [row for row in rows if key in row]:
            best = max(found, key=lambda row: row[key])
            return f"{label}, {best[key]:.3f} nats at step {best['step']:,}"
    return "bound"


def to_pretrained(model: Model, path: str | Path, run: Run | None, overwrite: bool = False) -> dict[str, str]:
    """Write a model with a card to a directory, and return what each file holds.

    Args:
        model: the model.
        path: a new or empty directory.
        run: the run of the model, whose numbers and settings the card shows.
        overwrite: replace a model that was saved there before.

    Raises:
        InputError: something else is in the directory.

    >>> import tempfile
    >>> from vaelab.models import gaussian_vae
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     sorted(to_pretrained(gaussian_vae(6, latent_dim=2), folder, None))
    ['README.md', 'model.json', 'model.safetensors']
    """
    numbers = [] if run is None else run.evaluations()
    model.save_pretrained(path, numbers, None if run is None else training_of(run), overwrite)
    holds = ("how the model is built", "the weights", f"the model card, with {len(numbers)} numbers of an evaluation")
    return dict(zip(PRETRAINED_FILES, holds, strict=True))

"""Training: the loop, and a whole run from its settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from vaelab.data import Dataset, load_data, observations
from vaelab.evaluation import encode_all
from vaelab.models import LatentVariableModel, MixturePrior
from vaelab.randomness import seeded
from vaelab.refusals import Refusal
from vaelab.runs import Run
from vaelab.settings import Settings, TrainingSettings
from vaelab.training.engine import choose_precision
from vaelab.training.loop import Fitted, fit
from vaelab.training.record import Diverged, Row
from vaelab.training.schedule import check_kl_warmup
from vaelab.training.tightness import measure_tightness

__all__ = ["Diverged", "Fitted", "Row", "TrainingSettings", "choose_device", "fit", "measure_tightness", "train"]


def choose_device(name: str) -> str:
    """Return the device that ``auto`` stands for, or refuse one that is not there."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise Refusal(f"device: expected auto, cpu or an available accelerator; got {name!r} ({reason})") from None
    return name


def train(
    settings: Settings,
    out: str | Path,
    *,
    data: Dataset | None = None,
    resume: bool = False,
    overwrite: bool = False,
    watch: Callable[[Row], None] | None = None,
) -> tuple[Run, Fitted]:
    """Train from settings into a run directory; an auto-encoder also gets the mixture of its codes.

    With ``resume`` an existing run goes on from its last checkpoint and ends as if it had never stopped.

    Raises:
        Refusal: settings that contradict each other or the run, or a directory that is not empty.
    """
    device = choose_device(settings.device)
    data = data if data is not None else load_data(settings.data)
    observed = observations(data, "train", settings.binarisation)
    objective = settings.build_objective()
    estimator = settings.build_estimator()
    estimator.check(settings.build_model(data.dim), objective)
    check_kl_warmup(settings.training, objective, estimator)
    precision = choose_precision(settings.training.precision, torch.device(device))
    settings = settings.model_copy(update={"training": settings.training.model_copy(update={"precision": precision})})
    if resume and (Path(out) / "config.json").exists():
        run = _reopen(out, settings, data)
    else:
        run = Run.create(out, settings, data, overwrite=overwrite)

    with seeded(settings.seed, "weights"):
        model = settings.build_model(data.dim, observed.mean())
    fitted = fit(
        model,
        data,
        estimator=settings.build_estimator(),
        objective=objective,
        settings=settings.training,
        binarisation=settings.binarisation,
        seed=settings.seed,
        device=device,
        run=run,
        watch=watch,
    )
    if fitted.ended != "interrupted":
        fit_density(model, data, settings, run)
    return run, fitted


def fit_density(model: LatentVariableModel, data: Dataset, settings: Settings, run: Run) -> dict[int, float]:
    """Fit the mixture to the codes of the training split and write it; no-op for other models."""
    if not isinstance(model.prior, MixturePrior):
        return {}
    device = next(model.parameters()).device
    with seeded(settings.seed, "density"):  # under dynamic binarisation the codes are of freshly drawn bits
        codes = encode_all(model, observations(data, "train", settings.binarisation, device))
    bic = model.prior.fit(codes, settings.seed)
    run.save_density(model.prior)
    return bic


def _reopen(out: str | Path, settings: Settings, data: Dataset) -> Run:
    run = Run(out)
    asked: dict[str, Any] = settings.model_dump(mode="json")
    had: dict[str, Any] = run.settings.model_dump(mode="json")
    differing = [key for key in had if had[key] != asked.get(key) and key != "device"]
    if differing:
        key = differing[0]
        raise Refusal(
            f"resume: {key} is {had[key]!r} in {str(out)!r} and {asked.get(key)!r} in this command; "
            "a run goes on with its own settings only"
        )
    if run.config["data"].get("sha256") != data.sha256():
        raise Refusal(f"resume: the data are not those that {str(out)!r} was started with (SHA-256)")
    return run

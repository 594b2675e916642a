"""vaelab as its users train with it: ``vaelab.training.fit``, paused between log lines."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from contenders.arguments import Told, told
from contenders.turns import Turns, weights_file
from vaelab.data import load_data
from vaelab.randomness import seeded
from vaelab.settings import Settings, TrainingSettings, resolve
from vaelab.training import Row, fit

__all__ = ["engine", "settings_of"]

MODELS = {"real": "gaussian-vae", "bits": "bernoulli-vae"}
RECIPES: dict[str, dict[str, Any]] = {
    "default": {},
    "study's running average": {  # as it stood in the study when this was written, whatever the defaults become
        "estimator": {"name": "score-function", "baseline": "running-average", "samples": 4},
        "training": {"epochs": 24, "batch_size": 100, "learning_rate": 4e-3, "schedule": "cosine", "warmup": 200},
    },
}


def engine(precision: str, compiled: bool) -> dict[str, Any] | None:
    """Return the training settings that choose the engine, or None where this vaelab has no such choice."""
    chosen = {"precision": precision, "compile": compiled}
    if set(chosen) <= set(TrainingSettings.model_fields):
        return chosen
    return {} if (precision, compiled) == ("float32", False) else None


def settings_of(told: Told, training: dict[str, Any]) -> Settings:
    """Return the settings of a case: fixed ones to be timed, or a recipe of the table."""
    case = told.case
    layer: dict[str, Any] = {"latent_dim": case.latent_dim, "hidden_dims": list(case.hidden_dims), "seed": told.seed}
    if told.recipe:
        return resolve(MODELS[case.code], layer, RECIPES[told.recipe], {"training": training})
    name = "pathwise" if case.code == "real" else "disarm"
    layer |= {"objective": {"name": case.objective}, "estimator": {"name": name, "samples": case.samples}}
    return resolve(MODELS[case.code], layer, {"training": {"batch_size": case.batch_size, **training}})


def main() -> None:
    turns = Turns()
    options = told()
    if options.precision == "default":
        chosen: dict[str, Any] | None = {}
    else:
        chosen = engine(options.precision, options.compile)
    if chosen is None:
        turns.absent("this version of vaelab has no training.precision and no training.compile")
    assert chosen is not None
    data = load_data("mnist")
    if options.epochs:
        chosen |= {"epochs": options.epochs}
    if not options.recipe:  # no validation but the last, which is never reached
        chosen |= {"steps": 10**9, "validate_every": 10**9, "log_every": options.steps}
    settings = settings_of(options, chosen)
    with seeded(options.seed, "weights"):
        model = settings.build_model(data.dim, data.mean())
    kept: list[tuple[Row, dict[str, Tensor]]] = []

    def timed(row: Row) -> None:
        turns.pause(step=row["step"])

    def recorded(row: Row) -> None:
        """Keep the weights of each validation: training itself is not stopped, its clock is its own."""
        if any(key.startswith("val/") for key in row):
            kept.append((row, {name: value.clone() for name, value in model.state_dict().items()}))

    turns.begin()
    fit(
        model,
        data,
        estimator=settings.build_estimator(),
        objective=settings.build_objective(),
        settings=settings.training,
        binarisation=settings.binarisation,
        seed=settings.seed,
        watch=recorded if options.recipe else timed,
    )
    for row, weights in kept:  # handed over now, an answer a turn
        torch.save(weights, weights_file(options.folder, row["step"]))
        turns.pause(
            step=row["step"],
            trained_seconds=row["seconds"],
            last=row is kept[-1][0],
            settings=settings.model_dump(mode="json"),
        )


if __name__ == "__main__":
    main()

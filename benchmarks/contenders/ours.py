"""vaelab as its users train with it: ``vaelab.training.fit``, paused between log lines."""

from __future__ import annotations

import sys
from typing import Any, NoReturn

import torch

from contenders.arguments import Told, told
from contenders.turns import Turns
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
    if not options.recipe:  # no validation but the last, which is never reached
        chosen |= {"steps": 10**9, "validate_every": 10**9, "log_every": options.steps}
    settings = settings_of(options, chosen)
    with seeded(options.seed, "weights"):
        model = settings.build_model(data.dim, data.mean())
    answers: list[dict[str, Any]] = []

    def timed(row: Row) -> None:
        turns.pause(step=row["step"])

    def recorded(row: Row) -> None:
        """Keep the weights of each validation: training itself is not stopped, its clock is its own."""
        if any(key.startswith("val/") for key in row):
            path = options.weights(row["step"])
            torch.save(model.state_dict(), path)
            answers.append({"step": row["step"], "trained_seconds": row["seconds"], "weights": str(path)})

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
    told_everything(turns, answers, settings)


def told_everything(turns: Turns, answers: list[dict[str, Any]], settings: Settings) -> NoReturn:
    """Hand over what was recorded, an answer a turn."""
    for answer in answers:
        turns.pause(**answer, last=answer is answers[-1], settings=settings.model_dump(mode="json"))
    sys.exit()


if __name__ == "__main__":
    main()

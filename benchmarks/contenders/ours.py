"""vaelab as its users train with it: ``vaelab.training.fit``, paused between log lines."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from contenders.arguments import Told, told
from contenders.turns import Turns, weights_file
from vaelab.data import load_data
from vaelab.runs import Run
from vaelab.seeds import seeded
from vaelab.settings import Settings, resolve
from vaelab.training import Row, fit

__all__ = ["settings_of"]

MODELS = {"real": "gaussian-vae", "bits": "bernoulli-vae"}
RECIPES: dict[str, dict[str, Any]] = {
    "default": {},
    "study's running average": {  # as it stood in the study when this was written, whatever the defaults become
        "estimator": {"name": "score-function", "baseline": "running-average", "samples": 4},
        "objective": {"name": "elbo", "kl": "closed-form"},
        "training": {
            "epochs": 24,
            "batch_size": 100,
            "learning_rate": 4e-3,
            "schedule": "cosine",
            "warmup": 200,
            "average": False,
            "precision": "float32",
        },
    },
}


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
    chosen: dict[str, Any] = {}
    if options.precision != "default":
        chosen = {"precision": options.precision, "compile": options.compile}
    data = load_data("mnist")
    if options.epochs:
        chosen |= {"epochs": options.epochs}
    if not options.recipe:  # no validation but the last, which is never reached
        chosen |= {"steps": 10**9, "validate_every": 10**9, "log_every": options.steps}
    settings = settings_of(options, chosen)
    with seeded(options.seed, "weights"):
        model = settings.build_model(data)
    kept: list[tuple[Row, dict[str, Tensor]]] = []
    run = Run.create(options.folder / "run", settings, data) if options.recipe else None

    def timed(row: Row) -> None:
        turns.pause(step=row["step"])

    def recorded(row: Row) -> None:
        """Keep the best weights at each validation: training itself is not stopped, its clock is its own."""
        if run is not None and any(key.startswith("val/") for key in row):
            kept.append((row, run.load_model().state_dict()))

    turns.begin()
    fit(
        model,
        data,
        estimator=settings.build_estimator(model),
        objective=settings.build_objective(),
        settings=settings.training,
        seed=settings.seed,
        run=run,
        callback=recorded if options.recipe else timed,
    )
    for row, weights in kept:  # handed over now, an answer a turn
        torch.save(weights, weights_file(options.folder, int(row["step"])))
        turns.pause(
            step=row["step"],
            trained_seconds=row["seconds"],
            last=row is kept[-1][0],
            settings=settings.model_dump(mode="json"),
        )


if __name__ == "__main__":
    main()

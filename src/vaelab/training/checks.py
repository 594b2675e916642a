"""Checks before a training starts: settings that contradict each other or the data are refused."""

from __future__ import annotations

import os
from dataclasses import replace

from vaelab.data import Dataset
from vaelab.errors import InputError
from vaelab.estimators import Estimator
from vaelab.models import Counted, Differentiable, LatentVariableModel, Model
from vaelab.objectives import Objective
from vaelab.seeds import seeded
from vaelab.settings import Settings, TrainingSettings
from vaelab.training.density import check_density

__all__ = ["check_binarisation", "check_counted", "check_fit", "check_settings", "training_rows"]


def check_settings(settings: Settings, data: Dataset, ranks: int = 1) -> Model:
    """Refuse settings that do not go together or with the data; return the untrained model that was built for it.

    Raises:
        InputError: see :func:`check_fit`; or more components of a mixture than rows to fit it to.
    """
    with seeded(0):  # on the device "meta" nothing would be drawn, but its first sum imports torch's compiler: 0.8 s
        model = settings.build_model(replace(data.spec, mean=None))
    if isinstance(model, Counted):
        check_counted(model, data, ranks)
    elif isinstance(model, Differentiable):
        check_fit(model, data, model.objective, None, settings.training)
    else:
        check_fit(model, data, settings.build_objective(), settings.build_estimator(model), settings.training)
    return model


def check_fit(
    model: Model, data: Dataset, objective: Objective, estimator: Estimator | None, training: TrainingSettings
) -> None:
    """Refuse what cannot be trained together.

    Raises:
        InputError: an objective or estimator that the model does not have, data of another binarisation than that for
            which the model was built, no rows to train or to validate on, a rise of beta that does not end, free bits
            with weighted rows, or codes of a step that are larger than the memory.
    """
    if isinstance(model, LatentVariableModel) and estimator is not None:
        estimator.check(model, objective)
    if isinstance(model, Differentiable) and training.log_gradient_variance:
        raise InputError(f"log_gradient_variance: expected false, as {model.name} has no encoder; got true")
    check_binarisation(model, data)
    model.accept(data.spec)
    rows = training_rows(data)
    check_density(model, rows, objective)
    _check_warm_up(training, objective, rows)
    _check_weights(data, objective)
    _check_memory(training.batch_size, 1 if estimator is None else estimator.samples, rows, data.dim)


def check_binarisation(model: Model, data: Dataset) -> None:
    """Refuse data of another binarisation than that for which a model was built."""
    trained = None if model.spec is None else model.spec.binarisation
    if trained not in (None, data.binarisation):
        raise InputError(
            f"binarisation: expected {trained}, for which the model was built; the data {data.name!r} have "
            f"{data.binarisation}; build the model for these data, or give data.with_binarisation({trained!r})"
        )


def check_counted(model: Counted, data: Dataset, ranks: int = 1) -> None:
    """Refuse data that a model cannot learn from.

    Raises:
        InputError: columns that the model is not for, data of another binarisation than that for which it was built, no
            rows to learn or to validate on, or several processes.
    """
    if ranks > 1:
        raise InputError(f"ranks: expected one process, as {model.name} learns in passes over all rows; got {ranks}")
    check_binarisation(model, data)
    model.accept(data.spec)
    training_rows(data)


def training_rows(data: Dataset) -> int:
    """Return the rows of the training split, or refuse data with nothing to train or to validate on."""
    for split in ("train", "validation"):
        if not len(data.splits.get(split, ())):
            raise InputError(f"data: expected rows in the split {split!r}; {data.name!r} has none there")
    return len(data.splits["train"])


def _check_warm_up(training: TrainingSettings, objective: Objective, rows: int) -> None:
    """Refuse a rise of beta that is longer than the training."""
    total = training.steps or (training.epochs or 1) * (rows // min(training.batch_size, rows))
    if objective.warm_up and objective.warm_up >= total:
        raise InputError(
            f"objective.warm_up: expected less than {total}, the steps of the training; got {objective.warm_up}, "
            "so beta would rise to the end, and no weights could be chosen by the bound"
        )


def _check_weights(data: Dataset, objective: Objective) -> None:
    """Refuse free bits where a row counts more than another, because their mean over a batch does not know it."""
    if objective.free_bits and data.train.weights is not None:
        raise InputError(
            f"objective.free_bits: expected 0 for rows with weights, as those of {data.name!r} have; got "
            f"{objective.free_bits:g}"
        )


def _check_memory(batch: int, samples: int, rows: int, columns: int) -> None:
    """Refuse a step whose decoded codes alone, and their gradient, are larger than the memory of this machine."""
    needed = 2 * 4 * samples * min(batch, rows) * columns
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if needed > memory:
        raise InputError(
            f"estimator.samples: {samples} codes of {min(batch, rows)} observations of {columns} numbers need "
            f"{needed / 1e9:,.0f} GB; this machine has {memory / 1e9:,.0f} GB (fewer samples, or a smaller batch_size)"
        )

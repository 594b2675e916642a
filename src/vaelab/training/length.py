"""Defaults that depend on the data: the length and learning rate of a training, and the size of the code."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from vaelab.data import Dataset
from vaelab.models import MODELS, Pace, auto_options
from vaelab.settings import Settings, TrainingSettings
from vaelab.training.checks import training_rows

__all__ = ["at_pace", "at_pace_of", "default_interval", "for_data"]

_COLUMNS = 784  # columns of MNIST, for which the table of models has the pace
_LEAST_INTERVAL = 20  # steps between validations if an epoch is shorter
_PATIENCE = 1000  # steps without a better validation bound after which a training of the default length stops
_LEAST_PATIENCE = 8  # and at least this many validations (epochs of a large data set)


def for_data(settings: Settings, data: Dataset, started: Settings | None = None) -> Settings:
    """Return the settings completed for the data: binarisation, size of the code, likelihood, pace of the training.

    Settings of the user are not changed. ``started`` are the settings of a run that goes on: an option of the model
    that is left to the data then has the value of the run, as an earlier vaelab may have chosen another.
    """
    row = MODELS[settings.model]
    chosen = {name: size(data.dim) for name, size in row.sizes.items() if getattr(settings, name) is None}
    chosen |= auto_options(settings.model, data, dict(settings))
    if started is not None and started.model == settings.model:
        chosen = {name: getattr(started, name) for name in chosen}
    if "training" in settings.absent:
        return settings.model_copy(update={**chosen, "binarisation": data.binarisation})
    training = at_pace_of(data, settings.training, row.pace, dict(settings))
    return settings.model_copy(update={**chosen, "binarisation": data.binarisation, "training": training})


def at_pace_of(data: Dataset, settings: TrainingSettings, pace: Pace, options: Mapping[str, Any]) -> TrainingSettings:
    """Return settings with the learning rate and the length that suit a data set: see :func:`at_pace`.

    A learning rate that the user does not give is at most the largest at which the training of a model with these
    options is stable on the data.
    """
    largest = math.inf
    if settings.learning_rate is None and pace.largest_rate is not None:
        largest = pace.largest_rate(data, options)
    return at_pace(settings, pace, training_rows(data), data.dim, largest)


def at_pace(
    settings: TrainingSettings, pace: Pace, rows: int, columns: int, largest: float = math.inf
) -> TrainingSettings:
    """Return settings with a learning rate, and with ``epochs`` or ``steps``; without either, with patience as well.

    The learning rate is that of the pace, reduced in proportion if there are more columns than in MNIST, because a step
    of Adam changes the sum over the columns in proportion to their number. The length is the epochs of the pace, but at
    least as many steps as its rows need. With fewer columns than MNIST a step is cheap, and this minimum grows in
    proportion, up to ``pace.most`` times. A training of this length also stops when the validation bound has not risen
    for a thousand steps (and eight validations).

    Args:
        settings: of the training.
        pace: of the model's row in the table of models.
        rows: of the training split.
        columns: of the data.
        largest: the largest learning rate, if it is chosen here.

    >>> settings = TrainingSettings(batch_size=256, learning_rate=None)
    >>> mnist = at_pace(settings, MODELS["gaussian-vae"].pace, rows=50_000, columns=784)
    >>> mnist.learning_rate, mnist.steps, mnist.validate_every, mnist.patience
    (0.005, 3900, 195, 8)
    """
    if settings.learning_rate is None:
        rate = min(largest, pace.learning_rate * min(1.0, _COLUMNS / columns))
        settings = settings.model_copy(update={"learning_rate": rate})
    if settings.epochs is not None or settings.steps is not None:
        return settings
    epoch = rows // min(settings.batch_size, rows)
    cheaper = min(max(1.0, _COLUMNS / columns), pace.most)
    steps = max(pace.epochs * epoch, math.ceil(cheaper * pace.rows_shown / settings.batch_size))
    every = settings.validate_every or default_interval(epoch, steps)
    patience = settings.patience or max(_LEAST_PATIENCE, math.ceil(_PATIENCE / every))
    return settings.model_copy(update={"steps": steps, "validate_every": every, "patience": patience})


def default_interval(epoch: int, steps: int) -> int:
    """Return the steps between two validations: an epoch, or up to 20 steps if an epoch is shorter."""
    return max(epoch, min(_LEAST_INTERVAL, steps // 20))

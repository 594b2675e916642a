"""Settings named by their last word: ``steps=500`` for ``training.steps=500``, if that is unambiguous."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from vaelab.errors import InputError
from vaelab.estimators import ESTIMATORS
from vaelab.objectives import OBJECTIVES
from vaelab.settings.layers import nested
from vaelab.settings.schema import Settings, TrainingSettings, options_of
from vaelab.settings.syntax import Layer, place_of

__all__ = ["full_names", "with_full_names"]


def full_names(word: str) -> list[str]:
    """Return the settings in tables that end in this word.

    >>> full_names("steps"), full_names("name")
    (['training.steps'], ['objective.name', 'estimator.name'])
    """
    tables = {
        "training": set(TrainingSettings.model_fields),
        "objective": {"name"}.union(*map(options_of, OBJECTIVES.values())),
        "estimator": {"name"}.union(*map(options_of, ESTIMATORS.values())),
    }
    return [f"{table}.{word}" for table, names in tables.items() if word in names]


def with_full_names(build: Callable[..., object], layer: Mapping[str, Any]) -> Layer:
    """Return a layer of settings with every name in full.

    A name that is a setting of the model of ``build`` or of every model means that one.

    Raises:
        InputError: an ambiguous word, or a setting with two values.

    >>> from vaelab.models import gaussian_vae
    >>> with_full_names(gaussian_vae, {"steps": 500, "latent_dim": 2})
    {'training': {'steps': 500}, 'latent_dim': 2}
    """
    known = {*Settings.model_fields, *options_of(build)}
    pairs = []
    for key, value in nested(layer.items()).items():
        names = full_names(key) if key not in known else []
        if len(names) > 1:
            raise InputError(f"{key}: expected the full name of a setting, {' or '.join(names)}; got {key}")
        pairs.append((names[0] if names else key, value))
    return Layer(nested(pairs), *place_of(layer))

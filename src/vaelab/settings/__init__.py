"""Settings of a run: checked, and completed with defaults."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from vaelab.errors import InputError, shown
from vaelab.estimators import ESTIMATORS, Sizes
from vaelab.models import MODELS, ModelRow
from vaelab.objectives import OBJECTIVES
from vaelab.settings.checks import require_name, validate
from vaelab.settings.earlier import present_names
from vaelab.settings.hints import KEYS, hint_for_key
from vaelab.settings.layers import merge
from vaelab.settings.reading import parse_overrides, read_config, read_content
from vaelab.settings.schema import (
    OBSERVATIONS,
    READING,
    Checked,
    Settings,
    TrainingSettings,
    build,
    options_class,
    options_of,
)
from vaelab.settings.short_names import with_full_names
from vaelab.settings.syntax import Hint, Layer, Place, SettingError, place_of, written

__all__ = [
    "OBSERVATIONS",
    "READING",
    "Checked",
    "Hint",
    "Layer",
    "Place",
    "SettingError",
    "Settings",
    "TrainingSettings",
    "hint_for_option",
    "merge",
    "options_of",
    "parse_overrides",
    "place_of",
    "present_names",
    "read_config",
    "read_content",
    "require_name",
    "resolve",
    "validate",
    "with_full_names",
    "words",
    "written",
]


def resolve(model: str, *layers: Mapping[str, Any]) -> Settings:
    """Return the settings of a run of ``model``: the defaults of its table row, overridden by each layer in turn.

    Raises:
        InputError: an unknown model, key or choice, a value of the wrong type or out of range. Where it says what to
            write, it does so in the syntax of the layer of the mistake.

    >>> resolve("gaussian-vae", {"latent_dim": 5}).estimator
    {'name': 'pathwise', 'samples': 1}
    """
    require_name("model", model, MODELS)
    row = MODELS[model]
    full = [with_full_names(row.build, _table(layer)) for layer in layers]
    try:
        return _resolved(model, row, full)
    except SettingError as refusal:
        raise refusal.given_in(_place_at(refusal.key, full)) from None


def _place_at(key: str, layers: Sequence[Layer]) -> Place:
    """Return the place of the last layer that has a key."""
    return next((layer.place for layer in reversed(layers) if _has(layer, key.split("."))), Place("python"))


def _has(layer: object, path: Sequence[str]) -> bool:
    """Return whether a table has a value at a path, or on the way to it."""
    name = path[0].partition("[")[0] if path else ""
    if not path or not isinstance(layer, Mapping):
        return True
    return name in layer and _has(layer[name], path[1:])


def _resolved(model: str, row: ModelRow, layers: Sequence[Layer]) -> Settings:
    """Return the defaults of a row, overridden by layers in which every name is in full."""
    values: dict[str, Any] = merge({"objective": {"name": "elbo"}} if row.has_codes else {}, row.defaults)
    _require_known(model, row, layers)
    presets = [_implied(row, option, layers) for option in row.presets]
    for layer in (*presets, *layers):
        if layer.get("model", model) != model:
            raise InputError(f"model: the settings are for {shown(layer['model'])}; the command says {model!r}")
        length = layer.get("training")
        if isinstance(length, Mapping) and {"epochs", "steps"} & set(length):  # one replaces the other
            values = merge(values, {"training": {"epochs": None, "steps": None}})
        values = merge(values, layer)
    for key, table in (("objective", OBJECTIVES), ("estimator", ESTIMATORS)) if row.has_codes else ():
        values[key] = _complete(key, table, values[key], _samples_of(values["objective"]))
        for option, layer in zip(row.presets, presets, strict=True):
            if key in layer and values[key]["name"] != layer[key]["name"]:
                wanted, got = layer[key]["name"], values[key]["name"]
                hint = Hint(f"{values.get(option)!r} goes with ", ((f"{key}.name", wanted),), f"; got {got!r}")
                raise SettingError(f"{key}.name", hint, start=option)
    kind = options_class(row.build, Settings, "Settings", row.absent)
    return cast(Settings, validate(kind, {**values, "model": model}))


def _require_known(model: str, row: ModelRow, layers: Sequence[Mapping[str, Any]]) -> None:
    """Refuse settings that models of this kind do not have."""
    for key in row.absent:
        for layer in layers:
            if given := layer.get(key):
                named = f"{key}.{next(iter(given))}" if key == "training" and isinstance(given, Mapping) else key
                raise InputError(f"{named}: no such setting; {model} {_WHY_ABSENT[key]}")


_WHY_ABSENT = {
    "objective": "maximises log p(x) itself, without a bound",
    "estimator": "takes the gradient of log p(x) itself, or counts, and estimates none",
    "training": "counts, in passes over all rows, and takes no steps",
}


def _table(layer: object) -> Mapping[str, Any]:
    if not isinstance(layer, Mapping):
        raise InputError(f"settings: expected a table of keys and values; got {shown(layer)}")
    return layer


def _implied(row: ModelRow, option: str, layers: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the settings that come with the final value of an option."""
    _, default = options_of(row.build)[option]
    chosen = next((layer[option] for layer in reversed(layers) if option in layer), default)
    return row.presets[option].get(chosen, {}) if isinstance(chosen, str) else {}


def _samples_of(objective: object) -> int:
    """Return how many codes an objective needs to differ from the ELBO, where the user does not say."""
    name = objective.get("name") if isinstance(objective, Mapping) else None
    return OBJECTIVES[name].samples if isinstance(name, str) and name in OBJECTIVES else 1


def _complete(key: str, table: Mapping[str, Callable[..., Any]], chosen: object, samples: int = 1) -> dict[str, Any]:
    """Check ``{"name": ..., option: ...}`` against a table, and fill in missing options.

    An estimator that would draw one code draws ``samples``.
    """
    if not isinstance(chosen, Mapping) or "name" not in chosen:
        if isinstance(chosen, str):
            require_name(f"{key}.name", chosen, table)
        example = ((f"{key}.name", chosen if isinstance(chosen, str) else next(iter(table))),)
        raise SettingError(key, Hint("expected a table with a name, such as ", example, f"; got {shown(chosen)}"))
    require_name(f"{key}.name", chosen["name"], table)
    options = {name: value for name, value in chosen.items() if name != "name"}
    if table is ESTIMATORS and options_of(table[chosen["name"]])["samples"][1] == 1:
        options = {"samples": samples} | options
    kind = options_class(table[chosen["name"]], Checked, key)
    complete = {"name": chosen["name"], **validate(kind, options, key).model_dump(mode="json")}
    sizes = (Sizes(1, 1),) if table is ESTIMATORS else ()
    build(key, table, complete, *sizes)  # the class itself refuses some values, such as leave-one-out with one code
    return complete


def words(settings: Settings, unset: bool = False) -> list[str]:
    """Return every setting but model, data, seed and device as ``key.sub=value`` words, with ``unset`` the others too.

    >>> [word for word in words(resolve("gaussian-vae", {"latent_dim": 2})) if word.startswith("objective.k")]
    ['objective.kl=closed-form']
    """
    values = settings.model_dump(mode="json", exclude=None if unset else {"model", "data", "seed", "device"})
    overrides = []
    for key, value in values.items():
        nested = value.items() if isinstance(value, dict) else [("", value)]
        for sub, leaf in nested:
            if leaf is not None or unset:
                overrides.append(f"{key}.{sub}".rstrip(".") + f"={leaf if isinstance(leaf, str) else json.dumps(leaf)}")
    return overrides


def hint_for_option(option: str) -> str:
    """Return what to write for a setting that was given as an option, or an empty string.

    >>> hint_for_option("--epochs"), hint_for_option("--lr")
    ('write a word such as training.epochs=20', 'write a word such as training.learning_rate=1e-3')
    """
    tail = option.lstrip("-").partition("=")[0].replace("-", "_")
    known = [hint.split()[-1] for hint in KEYS]
    known += [word for model in MODELS for word in words(resolve(model), unset=True)]
    for word in known:
        if word.partition("=")[0].removesuffix(".name").rpartition(".")[2] == tail:
            return f"write a word such as {word}"
    return str(hint_for_key(tail, lambda _: True) or "").replace("write ", "write a word such as ")

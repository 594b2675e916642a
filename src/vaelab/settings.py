"""Settings of a run: what a user may say, checked and filled in.

The options of a model, an estimator or an objective are the keyword arguments of what builds it; they
are read off its signature, so there is one place where an option, its type and its default stand.
"""

from __future__ import annotations

import inspect
import json
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal, Self, get_type_hints

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    create_model,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError
from torch import Tensor

from vaelab.data import Binarisation
from vaelab.estimators import ESTIMATORS, Estimator
from vaelab.models import MODELS, LatentVariableModel, ModelRow
from vaelab.objectives import OBJECTIVES, Objective
from vaelab.refusals import Refusal, did_you_mean, require_choice

__all__ = ["Settings", "TrainingSettings", "merge", "parse_overrides", "read_config", "resolve", "words"]

_NOT_OPTIONS = {"data_dim", "data_mean", "self"}


class _Checked(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _true_is_no_number(cls, value: Any, field: ValidationInfo) -> Any:
        """Refuse what pydantic would read as 1 and 0."""
        if cls.model_fields[str(field.field_name)].annotation is not bool and _holds_bool(value):
            raise PydanticCustomError("bool", "expected neither true nor false")
        return value


def _holds_bool(value: Any) -> bool:
    return any(map(_holds_bool, value)) if isinstance(value, list | tuple) else isinstance(value, bool)


class TrainingSettings(_Checked):
    """How long and how to step. Give ``epochs`` or ``steps``; the rest has sensible values."""

    epochs: int | None = Field(default=None, ge=1, description="passes over the training split")
    steps: int | None = Field(default=None, ge=1, description="optimiser steps, instead of epochs")
    batch_size: int = Field(default=100, ge=1)
    learning_rate: float = Field(default=1e-3, gt=0)
    schedule: Literal["constant", "cosine"] = Field(default="cosine", description="cosine decays to zero")
    warmup: int = Field(default=200, ge=0, description="steps over which the learning rate rises from zero")
    kl_warmup: int = Field(default=0, ge=0, description="steps over which beta rises from zero to its value")
    clip: float | None = Field(default=None, gt=0, description="largest gradient norm")
    log_every: int = Field(default=100, ge=1, description="steps between log lines")
    validate_every: int | None = Field(default=None, ge=1, description="steps between validations; an epoch if unset")
    patience: int | None = Field(default=None, ge=1, description="validations without a better bound before stopping")
    average: bool = Field(default=True, description="validate and keep an average of the recent weights")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto", description="of matrix products; auto takes bfloat16 where the hardware multiplies it"
    )
    compile: bool = Field(default=False, description="compile the step: a slow start, then faster steps")
    log_gradient_variance: bool = Field(default=False, description="log the variance of the encoder's gradient")

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if (self.epochs is None) == (self.steps is None):
            raise ValueError(f"expected epochs or steps, one of the two; got {self.epochs} and {self.steps}")
        return self


class Settings(_Checked):
    """Every setting of a run; a subclass for each model adds the model's own options."""

    model: str
    data: str = "mnist"
    binarisation: Binarisation = "dynamic"
    seed: int = Field(default=0, ge=0, lt=2**63)
    device: str = "auto"
    objective: dict[str, Any]
    estimator: dict[str, Any]
    training: TrainingSettings

    def build_model(self, data_dim: int, data_mean: Tensor | None = None) -> LatentVariableModel:
        """Build the model for observations of size ``data_dim``."""
        options = {name: getattr(self, name) for name in options_of(MODELS[self.model].build)}
        return MODELS[self.model].build(data_dim, **options, data_mean=data_mean)

    def build_objective(self) -> Objective:
        """Build the objective."""
        objective: Objective = _build(OBJECTIVES, self.objective)
        return objective

    def build_estimator(self) -> Estimator:
        """Build the estimator."""
        estimator: Estimator = _build(ESTIMATORS, self.estimator)
        return estimator


def options_of(build: Callable[..., object]) -> dict[str, tuple[Any, Any]]:
    """Return the options of a class or function: name -> (type, default), read off its signature."""
    function = build.__init__ if inspect.isclass(build) else build
    hints = get_type_hints(function)
    parameters = inspect.signature(build).parameters.values()
    return {p.name: (hints[p.name], p.default) for p in parameters if p.name not in _NOT_OPTIONS}


@cache
def _options_class(build: Callable[..., object], base: type[BaseModel], name: str) -> type[BaseModel]:
    fields: dict[str, Any] = options_of(build)
    return create_model(name, __base__=base, **fields)


def _build(table: Mapping[str, Callable[..., Any]], chosen: Mapping[str, Any]) -> Any:
    return table[chosen["name"]](**{name: value for name, value in chosen.items() if name != "name"})


def _complete(key: str, table: Mapping[str, Callable[..., Any]], chosen: object) -> dict[str, Any]:
    """Check ``{"name": ..., option: ...}`` against a table, and fill in the options left out."""
    if not isinstance(chosen, Mapping) or "name" not in chosen:
        raise Refusal(f"{key}: expected a table with a name, such as {key}.name={next(iter(table))}; got {chosen!r}")
    require_choice(f"{key}.name", chosen["name"], table)
    options = {name: value for name, value in chosen.items() if name != "name"}
    kind = _options_class(table[chosen["name"]], _Checked, key)
    complete = {"name": chosen["name"], **_validate(kind, options, key).model_dump(mode="json")}
    _build(table, complete)  # its own refusals (such as leave-one-out with one code) come now
    return complete


def _leaves(kind: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, spec in kind.model_fields.items():
        nested = spec.annotation
        if inspect.isclass(nested) and issubclass(nested, BaseModel):
            yield from _leaves(nested, f"{prefix}{name}.")
        else:
            yield prefix + name


def _validate(kind: type[BaseModel], values: Mapping[str, Any], where: str = "") -> BaseModel:
    """Validate, turning pydantic's report into one sentence about the first fault."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        fault = error.errors()[0]
        path = ".".join(str(part) for part in fault["loc"] if not str(part).startswith(("function", "list[")))
        key = ".".join(part for part in (where, path) if part) or "settings"
        if fault["type"] == "extra_forbidden":
            known = list(_leaves(kind))
            last = key.rsplit(".", 1)[-1]
            tails = {name.rsplit(".", 1)[-1]: name for name in known}
            hint = f" (did you mean {tails[last]!r}?)" if last in tails else did_you_mean(path, known)
            listed = f"known are {', '.join(known)}" if known else "there are none here"
            raise Refusal(f"{key}: no such setting{hint}; {listed}") from None
        message = fault["msg"].removeprefix("Value error, ")
        message = message[0].lower() + message[1:]
        if fault["type"] in ("is_instance_of", "sequence_str"):
            message = "expected a list"
        got = "" if fault["type"] == "value_error" else f"; got {fault['input']!r}"
        raise Refusal(f"{key}: {message}{got}") from None


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base`` with ``over`` laid on it, nested tables merged.

    A table that names another estimator or objective replaces the one below: its options are its own.

    >>> merge({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}})
    {'a': {'b': 3, 'c': 2}}
    """
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            renamed = "name" in value and value["name"] != below.get("name")
            merged[key] = dict(value) if renamed else merge(below, value)
        else:
            merged[key] = value
    return merged


def resolve(model: str, *layers: Mapping[str, Any]) -> Settings:
    """Return the settings of a run of ``model``: the table's defaults, then each layer over the one before.

    Raises:
        Refusal: an unknown model, key or choice, a value of the wrong type or out of range.

    >>> resolve("gaussian-vae", {"latent_dim": 5}).estimator
    {'name': 'pathwise', 'samples': 1}
    """
    require_choice("model", model, MODELS)
    row = MODELS[model]
    values: dict[str, Any] = merge({"objective": {"name": "elbo"}}, row.defaults)
    implied = [_implied(row, option, layers) for option in row.implied]
    for layer in (*implied, *layers):
        if layer.get("model", model) != model:
            raise Refusal(f"model: the settings are for {layer['model']!r}; the command says {model!r}")
        length = layer.get("training")
        if isinstance(length, Mapping) and {"epochs", "steps"} & set(length):  # either replaces the other
            values = merge(values, {"training": {"epochs": None, "steps": None}})
        values = merge(values, layer)
    for key, table in (("objective", OBJECTIVES), ("estimator", ESTIMATORS)):
        values[key] = _complete(key, table, values[key])
        for option, layer in zip(row.implied, implied, strict=True):
            if key in layer and values[key]["name"] != layer[key]["name"]:
                wanted, got = layer[key]["name"], values[key]["name"]
                raise Refusal(f"{option}: {values.get(option)!r} goes with {key}.name={wanted}; got {got!r}")
    kind = _options_class(row.build, Settings, "Settings")
    settings = _validate(kind, {**values, "model": model})
    assert isinstance(settings, Settings)
    return settings


def _implied(row: ModelRow, option: str, layers: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the settings that come with the value of an option that the layers end up with."""
    _, default = options_of(row.build)[option]
    chosen = next((layer[option] for layer in reversed(layers) if option in layer), default)
    return row.implied[option].get(chosen, {}) if isinstance(chosen, str) else {}


def read_config(path: Path) -> dict[str, Any]:
    """Read settings from a .yaml, .yml, .toml or .json file (a run's config.json: its ``settings``)."""
    if not path.is_file():
        raise Refusal(f"config: there is no file {str(path)!r}")
    try:
        text = path.read_text()
        content = tomllib.loads(text) if path.suffix == ".toml" else yaml.safe_load(text)
    except (tomllib.TOMLDecodeError, yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise Refusal(f"config: {path} is not readable as {path.suffix[1:] or 'YAML'} ({reason})") from error
    if isinstance(content, dict) and "format_version" in content:
        content = content.get("settings")
    if not isinstance(content, dict):
        raise Refusal(f"config: expected {path} to hold keys and values; got {type(content).__name__}")
    return content


def parse_overrides(words: list[str]) -> dict[str, Any]:
    """Turn ``key.sub=value`` words into nested settings; values are read as YAML.

    >>> parse_overrides(["latent_dim=2", "estimator.samples=4", "hidden_dims=[200, 200]"])
    {'latent_dim': 2, 'estimator': {'samples': 4}, 'hidden_dims': [200, 200]}
    """
    settings: dict[str, Any] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or not key:
            raise Refusal(f"settings: expected key=value; got {word!r}")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            raise Refusal(f"{key}: expected a value such as 20, relu or [200, 200]; got {text!r}") from None
        nested: Any = value
        for part in reversed(key.split(".")):
            nested = {part: nested}
        settings = merge(settings, nested)
    return settings


def words(settings: Settings) -> list[str]:
    """Return every setting but model, data, seed and device as ``key.sub=value`` words.

    >>> words(resolve("gaussian-vae", {"latent_dim": 2}))[:3]
    ['binarisation=dynamic', 'objective.name=elbo', 'objective.beta=1.0']
    """
    values = settings.model_dump(mode="json", exclude={"model", "data", "seed", "device"})
    found = []
    for key, value in values.items():
        nested = value.items() if isinstance(value, dict) else [("", value)]
        for sub, leaf in nested:
            if leaf is not None:
                found.append(f"{key}.{sub}".rstrip(".") + f"={leaf if isinstance(leaf, str) else json.dumps(leaf)}")
    return found

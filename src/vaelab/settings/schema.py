"""The settings: their names, types, limits and defaults.

The options of a model, an estimator or an objective are the keyword arguments of the function or class that builds
it. They are read from its signature, so an option, its type and its default are defined in one place.
"""

from __future__ import annotations

import inspect
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, reduce
from operator import or_
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import torch
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    ValidationInfo,
    create_model,
    field_validator,
    model_serializer,
)
from pydantic_core import PydanticCustomError
from torch import nn

from vaelab.data import Binarisation, Column, Dataset, DataSpec, Values, load_data
from vaelab.errors import LARGEST, InputError, shown
from vaelab.estimators import ESTIMATORS, Estimator, Sizes
from vaelab.models import MODELS, Model
from vaelab.objectives import OBJECTIVES, Objective
from vaelab.seeds import DATA_SEED, seeded
from vaelab.settings.syntax import Layer

if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass
else:
    ModelMetaclass = type(BaseModel)

__all__ = [
    "OBSERVATIONS",
    "READING",
    "Checked",
    "Settings",
    "TrainingSettings",
    "build",
    "options_class",
    "options_of",
]

# The settings that say how data are read and split, which are options of commands too.
READING = (
    "values",
    "scale",
    "label_column",
    "weight_column",
    "columns",
    "drop",
    "validation",
    "test",
    "split_column",
    "group_column",
    "stratify",
    "split_seed",
)
OBSERVATIONS = ("data", *READING, "binarisation", "condition")  # those that define the observations
_NOT_OPTIONS = {"data", "model", "seed", "self"}
_SMALL = 10**8  # so few weights fit into the memory of every machine


class _InSentences(ModelMetaclass):
    """Classes that refuse arguments in a sentence where pydantic would write several lines."""

    def __call__(cls, *arguments: Any, **values: Any) -> Any:
        if arguments:
            got = ", ".join(map(shown, arguments))
            raise InputError(f"{cls.__name__}: expected settings by name, {cls.__name__}(name=value); got {got}")
        try:
            return super().__call__(**values)
        except ValidationError as error:
            from vaelab.settings.checks import refusal  # imported here, as it needs the classes

            kind = cast(type[Checked], cls)
            given = Layer(values, "fit") if kind.table else values
            raise refusal(kind, error, given, kind.table) from None


class Checked(BaseModel, metaclass=_InSentences):
    """A table of settings with fixed keys and finite values."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    table: ClassVar[str] = ""  # the table of a run in which these settings stand
    absent: ClassVar[tuple[str, ...]] = ()  # fields of the base that this table does not have

    def __setattr__(self, name: str, value: Any) -> None:
        kind = type(self).__name__
        if name not in type(self).model_fields:
            raise InputError(f"{name}: {kind} has no such setting")
        raise InputError(f"{name}: settings are frozen; {kind}({name}=...) makes others")

    @field_validator("*", mode="before")
    @classmethod
    def _numbers_are_numbers(cls, value: Any, field: ValidationInfo) -> Any:
        """Refuse true and false, which pydantic would read as 1 and 0, and integers too large for a setting."""
        if cls.model_fields[str(field.field_name)].annotation is bool:
            return value
        parts = list(_parts(value))
        if any(isinstance(part, bool) for part in parts):
            raise PydanticCustomError("bool", "expected a number, not true or false")
        if not str(field.field_name).endswith("seed") and any(
            isinstance(part, int) and abs(part) > LARGEST for part in parts
        ):
            raise PydanticCustomError("large", f"expected at most {LARGEST:,}")
        return value


def _parts(value: Any, depth: int = 3) -> Iterator[Any]:
    """Yield the values in a list and in the lists within it."""
    if isinstance(value, list | tuple) and depth:
        for part in value:
            yield from _parts(part, depth - 1)
    else:
        yield value


C = TypeVar("C", bound=Checked)


class TrainingSettings(Checked):
    """Optimisation settings: length, learning rate, validation, precision and logging.

    Without ``epochs`` and ``steps`` the length depends on the data, and the training stops when the validation bound
    has stopped rising.
    """

    table = "training"
    epochs: int | None = Field(default=None, ge=1, description="passes over the training split")
    steps: int | None = Field(
        default=None,
        ge=1,
        description="optimiser steps, instead of epochs; without either, the length depends on the data",
    )
    batch_size: int = Field(default=100, ge=1)
    learning_rate: float | None = Field(default=1e-3, gt=0)
    schedule: Literal["constant", "cosine"] = Field(
        default="cosine", description="with cosine, the learning rate decays to zero"
    )
    warmup: int = Field(default=200, ge=0, description="steps over which the learning rate rises from zero")
    clip: float | None = Field(default=None, gt=0, description="largest gradient norm")
    log_every: int = Field(default=100, ge=1, description="steps between log lines")
    validate_every: int | None = Field(
        default=None,
        ge=1,
        description="steps between validations; if unset, an epoch, or 20 steps if an epoch is shorter",
    )
    patience: int | None = Field(
        default=None,
        ge=1,
        description="validations without a better bound before stopping; if unset, see the length of a training",
    )
    average: bool = Field(default=True, description="validate and keep an average of the recent weights")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto",
        description="of matrix products; auto is bfloat16 if the hardware multiplies it, which is refused elsewhere",
    )
    compile: bool = Field(default=False, description="compile the step: slow first step, then faster")
    log_gradient_variance: bool = Field(default=False, description="log the variance of the encoder's gradient")

    @field_validator("steps")
    @classmethod
    def _one_length(cls, steps: int | None, others: ValidationInfo) -> int | None:
        epochs = others.data.get("epochs")
        if epochs is not None and steps is not None:
            raise ValueError(f"expected epochs or steps, one of the two; got {epochs} and {steps}")
        return steps


class Settings(Checked):
    """Every setting of a run; a subclass for each model adds the model's own options."""

    model: str
    data: str = "mnist"
    values: Values | None = Field(
        default=None, description="what the values of a data file are, where it does not show"
    )
    scale: float | None = Field(default=None, gt=0, description="the value of white in a data file")
    label_column: str | None = Field(default=None, description="the column of the labels in a data file")
    columns: dict[str, Any] | None = Field(
        default=None,
        description="what columns are, by name (* for any characters): binary, categorical, unit, real, count or drop",
    )
    drop: bool = Field(default=False, description="leave out columns that are constant, duplicated or like an ID")
    weight_column: str | None = Field(default=None, description="the column of the rows' weights in a data file")
    validation: str | None = Field(default=None, description="a data file that is the validation split")
    test: str | None = Field(default=None, description="a data file that is the test split")
    split_column: str | None = Field(default=None, description="the column that says the split of each row")
    group_column: str | None = Field(default=None, description="the column of groups, each of which is in one split")
    stratify: bool = Field(default=False, description="give each class of the labels the same share in each split")
    split_seed: int = Field(default=DATA_SEED, ge=0, lt=2**63, description="seed of the split of a data file")
    binarisation: Binarisation | None = Field(
        default=None,
        description="how grey levels become bits; unset, dynamic; none keeps them as real numbers",
    )
    condition: str | list[str] | None = Field(
        default=None, description="what a conditional model is given: labels, or names of columns"
    )
    seed: int = Field(default=0, ge=0, lt=2**63)
    device: str = "auto"
    objective: dict[str, Any] | None = None
    estimator: dict[str, Any] | None = None
    training: TrainingSettings = TrainingSettings()

    @model_serializer(mode="wrap")
    def _without_absent(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out the settings that the model does not have."""
        written: dict[str, Any] = write(self)
        return {name: value for name, value in written.items() if name not in self.absent}

    @field_validator("label_column", "weight_column", "split_column", "group_column", mode="before")
    @classmethod
    def _a_name_may_be_a_number(cls, value: Any) -> Any:
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    def load_data(
        self,
        name: str | Path | None = None,
        split: bool = True,
        of_model: Sequence[Column] | Sequence[str] | None = None,
    ) -> Dataset:
        """Load the data, or other data with the same rules of reading; ``of_model`` are the columns to read."""
        return load_data(
            self.data if name is None else name,
            split=split,
            values=self.values,
            scale=self.scale,
            label_column=self.label_column,
            weight_column=self.weight_column,
            binarisation=self.binarisation,
            condition=self.condition,
            columns=self.columns if of_model is None else of_model,
            drop=self.drop and of_model is None,
            split_seed=self.split_seed,
            **(self._splitting if split else {}),
        )

    @property
    def held_out_files(self) -> list[str]:
        """The files of validation and test, if they are files of their own."""
        return [file for file in (self.validation, self.test) if file is not None]

    @property
    def _splitting(self) -> dict[str, Any]:
        """How the rows are split: arguments of :func:`~vaelab.data.load_data`."""
        names = ("validation", "test", "split_column", "group_column", "stratify")
        return {name: getattr(self, name) for name in names}

    def build_model(self, data: Dataset | DataSpec | int) -> Model:
        """Build the model for a data set, its spec or a number of columns; refuse one that memory cannot hold."""
        options = {name: getattr(self, name) for name in options_of(MODELS[self.model].build)}
        _require_memory(MODELS[self.model].build, DataSpec.of(data), options)
        return MODELS[self.model].build(data, **options)

    def build_objective(self) -> Objective:
        """Build the objective."""
        objective: Objective = build("objective", OBJECTIVES, self._table("objective", self.objective))
        return objective

    def build_estimator(self, model: Model | Sizes) -> Estimator:
        """Build the estimator for a model; its parameters start from the seed of the settings."""
        with seeded(self.seed, "estimator"):
            estimator: Estimator = build("estimator", ESTIMATORS, self._table("estimator", self.estimator), model)
        return estimator

    def _table(self, key: str, chosen: dict[str, Any] | None) -> dict[str, Any]:
        if chosen is None:
            raise InputError(f"{key}: {self.model} has none, as it is a density model")
        return chosen


def options_of(build: Callable[..., object]) -> dict[str, tuple[Any, Any]]:
    """Return the options of a class or function: name -> (type, default), from its signature."""
    function = build.__init__ if inspect.isclass(build) else build
    hints = get_type_hints(function)
    parameters = inspect.signature(build).parameters.values()
    return {p.name: (_in_words(hints[p.name]), p.default) for p in parameters if p.name not in _NOT_OPTIONS}


def _in_words(hint: Any) -> Any:
    """Return a type without functions and modules, which are possible in Python but not as a setting."""
    if get_origin(hint) not in (Union, UnionType):
        return hint
    types = [part for part in get_args(hint) if get_origin(part) is not Callable and part is not nn.Module]
    return reduce(or_, types)


def _require_memory(build: Callable[..., Model], spec: DataSpec, options: Mapping[str, Any]) -> None:
    """Refuse a model whose training needs more memory than the machine has."""
    widths = [part for value in options.values() for part in _parts(value) if isinstance(part, int)]
    if (spec.dim + sum(widths)) ** 2 < _SMALL:
        return
    try:
        with torch.device("meta"):  # shapes only, without memory
            model = build(replace(spec, mean=None), **options)
            count = float(sum(weight.numel() for weight in model.parameters()))
    except RuntimeError:  # torch cannot count them
        count = math.inf
    needed = 4 * 6 * count  # bytes of weights, gradients, Adam's two averages, averaged weights and best weights
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > memory:
        given = ", ".join(f"{name}={shown(value)}" for name, value in options.items() if _parts_are_sizes(value))
        size = f"{count:.2g} weights" if math.isfinite(count) else "more weights than torch can count"
        raise InputError(
            f"model: expected a network that can be trained in {memory / 1e9:,.0f} GB of memory; got {given}: {size}"
        )


def _parts_are_sizes(value: Any) -> bool:
    return any(isinstance(part, int) for part in _parts(value))


@cache
def options_class(build: Callable[..., object], base: type[C], name: str, absent: tuple[str, ...] = ()) -> type[C]:
    """Return ``base`` with the options of a class or function as further settings, and without those in ``absent``."""
    fields: dict[str, Any] = options_of(build)
    made: type[C] = create_model(name, __base__=base, **fields)
    made.absent = absent
    return made


def build(key: str, table: Mapping[str, Callable[..., Any]], chosen: Mapping[str, Any], *arguments: object) -> Any:
    """Build the entry of a table that ``chosen`` names (``{"name": ..., option: ...}``) with its options.

    Raises:
        InputError: an option that the entry refuses, with the name that the setting ``key`` gives it.
    """
    options = {name: value for name, value in chosen.items() if name != "name"}
    try:
        return table[chosen["name"]](*arguments, **options)
    except InputError as refusal:
        option, colon, rest = str(refusal).partition(": ")
        raise InputError(f"{key}.{option}{colon}{rest}" if option in options else str(refusal)) from None

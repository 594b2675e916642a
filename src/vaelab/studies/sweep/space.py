"""The space of a sweep: the settings that vary, and their values."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import numpy as np

from vaelab.errors import InputError, require_choice
from vaelab.estimators import ESTIMATORS
from vaelab.models import MODELS
from vaelab.objectives import OBJECTIVES
from vaelab.settings import (
    OBSERVATIONS,
    Layer,
    Place,
    Settings,
    TrainingSettings,
    options_of,
    require_name,
    resolve,
    with_full_names,
    written,
)

__all__ = ["Combination", "Range", "Space", "name_of", "read_space", "ready_space", "short_names", "words_of"]

Combination = dict[str, Any]  # dotted key -> value

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_RANGE = re.compile(rf"(log:)?({_NUMBER})\.\.({_NUMBER})")
# What moved the validation log p(x) of binary tables most in benchmarks/table_recipe.py; eight trainings.
_READY: dict[str, dict[str, dict[str, Any]]] = {
    "table": {
        "gaussian-vae": {
            "likelihood": ["bernoulli", "tree"],
            "hidden_dims": [[200], [400]],
            "objective": {"name": ["elbo", "iwae"]},
        }
    }
}


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``, uniform or log-uniform (``log``); integers if ``whole``, else three digits."""

    low: float
    high: float
    log: bool
    whole: bool

    @property
    def size(self) -> float:
        """The number of different values; infinity if it is not limited in practice."""
        return self.high - self.low + 1 if self.whole else math.inf

    def __str__(self) -> str:
        return f"{'log:' if self.log else ''}{self.low}..{self.high}"

    def draw(self, generator: np.random.Generator) -> float:
        """Draw a number."""
        if self.whole and not self.log:
            return int(generator.integers(int(self.low), int(self.high) + 1))
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        value = generator.uniform(low, high)
        return self.rounded(math.exp(value) if self.log else value)

    def rounded(self, value: float) -> float:
        """Return a number of the range that is short enough to read.

        >>> Range(1e-4, 1e-2, log=True, whole=False).rounded(0.00123456)
        0.00123
        """
        short = round(value) if self.whole else float(f"{value:.3g}")
        return min(max(short, self.low), self.high)


@dataclass(frozen=True)
class Space:
    """A model, layers of settings, and for each key that varies its alternatives or its range.

    ``notes`` names the lists that were read as a single value.
    """

    model: str
    layers: tuple[Layer, ...]
    varied: dict[str, tuple[Any, ...] | Range]
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> float:
        """The number of different combinations."""
        return math.prod(part.size if isinstance(part, Range) else len(part) for part in self.varied.values())

    def resolve(self, values: Combination) -> Settings:
        """Return the settings of a combination, or refuse it in a sentence that names it."""
        try:
            return resolve(self.model, *(Layer(_filled(layer, values), *layer.place) for layer in self.layers))
        except InputError as refusal:
            raise InputError(f"{words_of(values)}: {refusal}") from None


def read_space(model: str, *layers: Mapping[str, Any]) -> Space:
    """Return the settings that vary in layers of settings; a later layer overrides an earlier one.

    A list is a list of alternatives; for a setting that is a list itself, a list of lists. ``low..high`` is a range,
    ``log:low..high`` one on a log scale; for an integer setting, a range of integers.

    Raises:
        InputError: nothing varies, a setting varies that may not, an empty list, a duplicate value, an empty range.

    >>> space = read_space("gaussian-vae", {"latent_dim": [2, 10], "hidden_dims": [200, 200]})
    >>> space.varied, space.size
    ({'latent_dim': (2, 10)}, 2)
    """
    require_name("model", model, MODELS)
    varied: dict[str, tuple[Any, ...] | Range] = {}
    notes: dict[str, str] = {}
    named = tuple(with_full_names(MODELS[model].build, layer) for layer in layers)
    for layer in named:
        for key, value in _leaves(layer):
            varied.pop(key, None)
            notes.pop(key, None)
            depth = _depth_of_type(_type_of(model, key))
            if isinstance(value, list) and (_depth(value) > depth or not depth):
                varied[key] = _alternatives(key, value)
            elif isinstance(value, str) and (match := _RANGE.fullmatch(value)):
                varied[key] = _range(key, value, bool(match[1]), float(match[2]), float(match[3]), model)
            elif isinstance(value, list) and len(value) > 1:
                text = _compact(value)
                one, several = (written(((key, value),), layer.place) for value in (text, f"[{text},...]"))
                notes[key] = f"{one} is one value; alternatives are {several}"
    for key in OBSERVATIONS:
        if key in varied:
            raise InputError(f"{key}: bounds on different data are not comparable; run one sweep for each {key}")
    if not varied:
        hint = "".join(f" ({note})" for note in notes.values())
        place = next((layer.place for layer in reversed(named) if layer), Place("words"))
        example = written((("latent_dim", "[2,10]"),), place)
        raise InputError(f"sweep: expected a setting with alternatives, such as {example}; got none{hint}")
    return Space(model, named, varied, tuple(notes.values()))


def ready_space(name: str, model: str) -> dict[str, Any]:
    """Return a layer of settings whose alternatives are worth trying: ``table`` for a table of bits.

    Raises:
        InputError: an unknown name, or a model for which there is no such space.

    >>> read_space("gaussian-vae", ready_space("table", "gaussian-vae"), {"hidden_dims": [300]}).size
    4
    """
    require_choice("space", name, _READY)
    require_name("model", model, MODELS)
    if model not in _READY[name]:
        raise InputError(
            f"space: {name} is for {', '.join(_READY[name])}; for {model} give settings with alternatives, such as "
            "seed=[0,1]"
        )
    return _READY[name][model]


def _leaves(layer: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in layer.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _filled(layer: Mapping[str, Any], values: Combination, prefix: str = "") -> dict[str, Any]:
    return {
        key: _filled(value, values, f"{prefix}{key}.")
        if isinstance(value, Mapping)
        else values.get(prefix + key, value)
        for key, value in layer.items()
    }


def _type_of(model: str, key: str) -> Any:
    """Return the type of a setting; None for an unknown one, which is refused later."""
    table, _, option = key.rpartition(".")
    if table == "training":
        field = TrainingSettings.model_fields.get(option)
        return field.annotation if field is not None else None
    builds: dict[str, list[Callable[..., object]]] = {
        "": [MODELS[model].build],
        "estimator": list(ESTIMATORS.values()),
        "objective": list(OBJECTIVES.values()),
    }
    rows = builds.get(table, [])
    types = [options_of(row)[option][0] for row in rows if option in options_of(row)]
    if not types and not table and option in Settings.model_fields:
        return Settings.model_fields[option].annotation
    return types[0] if types else None


def _depth_of_type(kind: Any) -> int:
    """How deep the lists of a type are nested, at most: 0 for a number, 1 for a list of numbers."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Literal or not inner or origin is dict:
        return 0
    below = max(_depth_of_type(part) for part in inner)
    return below if origin in (Union, UnionType) else below + 1


def _depth(value: Any) -> int:
    return 1 + max(map(_depth, value), default=0) if isinstance(value, list) else 0


def _alternatives(key: str, values: Sequence[Any]) -> tuple[Any, ...]:
    if not values:
        raise InputError(f"{key}: expected alternatives; got an empty list")
    numbers = [float(value) if isinstance(value, str) and re.fullmatch(_NUMBER, value) else value for value in values]
    for index, value in enumerate(numbers):
        if isinstance(value, Mapping):
            raise InputError(f"{key}: expected alternatives that are values; got the table {value!r}")
        if _plain(value) in map(_plain, numbers[:index]):  # 1 and 1.0 would share a run directory
            raise InputError(f"{key}: {_compact(value)} is listed twice")
    return tuple(numbers)


def _range(key: str, text: str, log: bool, low: float, high: float, model: str) -> Range:
    kind = _type_of(model, key)
    parts = get_args(kind) or (kind,)
    whole = int in parts and float not in parts
    if not low < high:
        raise InputError(f"{key}: expected a range from low to high; got {text!r}")
    if log and low <= 0:
        raise InputError(f"{key}: expected a range above 0 on a log scale; got {text!r}")
    if whole and not (low.is_integer() and high.is_integer()):
        raise InputError(f"{key}: expected a range of integers; got {text!r}")
    return Range(int(low), int(high), log, whole) if whole else Range(low, high, log, whole)


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """Return the last part of each key (of ``estimator.name`` the first), or the whole key if that would be ambiguous.

    >>> short_names(["training.steps", "estimator.name", "objective.beta"])
    {'training.steps': 'steps', 'estimator.name': 'estimator', 'objective.beta': 'beta'}
    """
    tails = [key.removesuffix(".name").rpartition(".")[2] for key in keys]
    return {key: tail if tails.count(tail) == 1 else key for key, tail in zip(keys, tails, strict=True)}


def name_of(values: Combination) -> str:
    """Return the name of the run directory of a combination.

    >>> name_of({"training.learning_rate": 0.001, "hidden_dims": [200, 200]})
    'learning_rate=0.001,hidden_dims=200-200'
    """
    short = short_names(list(values))
    return ",".join(f"{short[key]}={_plain(value)}" for key, value in values.items())


def words_of(values: Mapping[str, Any]) -> str:
    """Return a combination as arguments of the command line."""
    return " ".join(f"{key}={_compact(value)}" for key, value in values.items())


def _compact(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_compact, value))}]"
    if isinstance(value, float):
        return f"{value:.12g}"
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _plain(value: Any, separator: str = "-") -> str:
    """Write a value with characters that are safe in the name of a file."""
    if isinstance(value, list):
        deeper = "_" if _depth(value) > 1 else separator
        return deeper.join(map(_plain, value)) or "none"
    return re.sub(r"[^\w.+-]", "-", _compact(value))

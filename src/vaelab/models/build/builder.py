"""The decorator of every function that builds a model."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from vaelab.data import Dataset, DataSpec
from vaelab.errors import InputError
from vaelab.models.build.defaults import auto_options
from vaelab.models.build.networks import check_hidden_layers, check_network
from vaelab.models.build.start import learn_from
from vaelab.models.latent import LatentVariableModel
from vaelab.models.model import Model, building
from vaelab.models.saved import BuiltWith
from vaelab.seeds import seeded

__all__ = ["builder", "building_again"]

P = ParamSpec("P")
M = TypeVar("M", bound=Model)
_again: ContextVar[bool] = ContextVar("again", default=False)


def builder(function: Callable[P, M]) -> Callable[P, M]:
    """Complete a function that builds a model.

    The function gets ``data`` as a :class:`~vaelab.data.DataSpec`, and what the data choose of its options
    (:func:`auto_options`), and draws its weights from ``seed``. Its parts may learn from the training rows of a data
    set. The model gets ``spec`` and, if it can be built again from plain values, ``built_with``. An option may be None
    only where None is its default, except inside :func:`building_again`.
    """
    signature = inspect.signature(function)
    name = function.__name__.replace("_", "-")

    @wraps(function)
    def build(*args: P.args, **kwargs: P.kwargs) -> M:
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{function.__name__}: {error}") from None  # as Python's own sentence names the function
        if not _again.get():
            _require_values(bound.arguments, signature)
        check_network(bound.arguments, signature)
        bound.apply_defaults()
        data = bound.arguments["data"]
        spec = bound.arguments["data"] = DataSpec.of(data)
        bound.arguments.update(auto_options(name, data, bound.arguments))
        options = {name: value for name, value in bound.arguments.items() if name not in ("data", "seed")}
        with building(name):
            with seeded(bound.arguments["seed"], "weights"):
                model = function(*bound.args, **bound.kwargs)
                if isinstance(data, Dataset):
                    learn_from(model, data)
            if isinstance(model, LatentVariableModel):
                check_hidden_layers(model, options)
            if spec.may_be_missing:
                model.allow_missing()
        model.spec, model.built_with = spec, _recipe(name, options)
        return model

    return build


@contextmanager
def building_again() -> Iterator[None]:
    """Accept None for every option inside the block, as earlier versions did: models that they saved have it."""
    token = _again.set(True)
    try:
        yield
    finally:
        _again.reset(token)


def _require_values(given: Mapping[str, Any], signature: inspect.Signature) -> None:
    """Refuse None for an option whose default is a value."""
    for name, value in given.items():
        default = signature.parameters[name].default
        if value is None and default is not None and default is not inspect.Parameter.empty:
            raise InputError(f"{name}: expected a value, such as {default!r}; got None")


def _recipe(name: str, options: Mapping[str, Any]) -> BuiltWith | None:
    """Return how a model was built; None if an option is a module or a function, which no file can hold."""
    try:
        return BuiltWith(name, {option: _plain(value) for option, value in options.items()})
    except TypeError:
        return None


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, Sequence):
        return [_plain(part) for part in value]
    number = value.item() if hasattr(value, "item") else value  # of NumPy
    if not isinstance(number, int | float):
        raise TypeError
    return number

"""A model in a directory of its own: its weights as safetensors, and how it was built as JSON; never a pickle."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from torch import Tensor, nn

from vaelab.data import Dataset, DataSpec
from vaelab.errors import InputError, shown
from vaelab.storage import Schema, require_free, seal, unseal, versions, write_file
from vaelab.storage.tensors import load_tensors, save_tensors

__all__ = [
    "MODEL_FILE",
    "WEIGHTS_FILE",
    "BuiltWith",
    "ModelFile",
    "Saveable",
    "give_weights",
    "name_of",
    "read_model",
    "read_value",
]

MODEL_FILE, WEIGHTS_FILE = "model.json", "model.safetensors"
_STATISTICS = ("mean", "deviation")  # of a spec, which are tensors
_SPEC = "DataSpec"  # the key of a DataSpec in JSON
_NOT_WEIGHTS, _PRIOR = "/", "/prior/"  # begin the names of tensors that are not in the model's state_dict


class ModelFile(Schema):
    """The file model.json.

    ``built_with`` is the name and the options of a built-in model; ``model_class`` (module:name) and ``arguments`` are
    those of a class. ``missing`` names the arguments that no file can hold, such as modules. ``ex_post_prior`` is that
    of :class:`Saveable`.
    """

    versions: dict[str, str]
    weights: str
    spec: dict[str, Any] | None
    built_with: dict[str, Any] | None
    model_class: str
    arguments: dict[str, Any]
    missing: list[str]
    ex_post_prior: str = ""


@dataclass(frozen=True)
class BuiltWith:
    """How a built-in model was built: its name in the table of models, and its options as plain values."""

    name: str
    options: dict[str, Any]


class Saveable(nn.Module):
    """A module that remembers the arguments of its constructor, so that it can be saved and built again.

    ``spec`` is the form of the data that the model is for, ``built_with`` how a built-in model was built, and
    ``ex_post_prior`` says how its prior was fitted after the training (ex post); empty where it was not.
    """

    spec: DataSpec | None = None
    built_with: BuiltWith | None = None
    ex_post_prior: str = ""
    _arguments: dict[str, Any]  # those that a file can hold, with data sets as their specs
    _missing: list[str]  # the names of the others

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Keep the arguments before the constructor runs, so that a subclass need not do it."""
        module = super().__new__(cls)
        arguments = _bound(cls, args, kwargs)
        plain = {name: value for name, value in arguments.items() if _is_plain(value)}
        object.__setattr__(module, "_arguments", plain)
        object.__setattr__(module, "_missing", [name for name in arguments if name not in plain])
        return module

    def save(self, path: str | Path, overwrite: bool = False) -> None:
        """Write the model to a directory, as ``model.safetensors`` and ``model.json``; :func:`vaelab.load` reads it.

        A built-in model is written with its name and its options, a model of another class with the arguments of its
        constructor: numbers, words, lists, and the form of the data. Nothing in the files is code.

        Args:
            path: a new or empty directory.
            overwrite: replace a model that was saved there before.

        Raises:
            InputError: something else is there, or a saved model and not ``overwrite``.
        """
        folder = Path(path)
        require_free(folder, (MODEL_FILE, WEIGHTS_FILE), overwrite, "a saved model")
        tensors = dict(self.state_dict())
        fitted: dict[str, Tensor] = getattr(getattr(self, "prior", None), "arrays", dict)()
        tensors |= {_PRIOR + name: value for name, value in fitted.items()}
        content = self._description(tensors)
        (folder / MODEL_FILE).unlink(missing_ok=True)  # written last: a directory without it is not a model
        apart = {name: value.clone() for name, value in tensors.items()}  # safetensors takes no shared memory
        content["weights"] = save_tensors(folder / WEIGHTS_FILE, apart)
        write_file(folder / MODEL_FILE, seal(content))

    def _description(self, tensors: dict[str, Tensor]) -> dict[str, Any]:
        """Return the content of model.json; the means and deviations of specs are added to ``tensors``."""
        built_with, spec = self.built_with, self.spec
        return {
            "versions": versions(),
            "spec": None if spec is None else _to_json(spec, "spec", tensors),
            "built_with": None if built_with is None else dataclasses.asdict(built_with),
            "model_class": name_of(type(self)),
            "arguments": _to_json(self._arguments, "arguments", tensors),
            "missing": self._missing,
            "ex_post_prior": self.ex_post_prior,
        }


def name_of(kind: type) -> str:
    """Return the name of a class with its module, as model.json has it."""
    return f"{kind.__module__}:{kind.__qualname__}"


def _bound(kind: type, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a constructor by name; empty where they do not fit it, which the constructor reports."""
    signature = inspect.signature(kind.__init__)  # type: ignore[misc]
    try:
        bound = signature.bind(None, *args, **kwargs).arguments
    except TypeError:
        return {}
    arguments: dict[str, Any] = {}
    for name in list(bound)[1:]:
        further = signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD
        arguments |= bound[name] if further else {name: bound[name]}
    return {name: _without_data(value) for name, value in arguments.items()}


def _without_data(value: Any) -> Any:
    """Return the spec of a data set, a number of NumPy as Python's, and anything else as it is."""
    if isinstance(value, Dataset):
        return value.spec
    return value.item() if isinstance(value, np.generic) else value


def _is_plain(value: Any) -> bool:
    """Return whether a file can hold a value."""
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _is_plain(part) for key, part in value.items())
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | str | int | float | DataSpec)


def _to_json(value: Any, key: str, tensors: dict[str, Tensor]) -> Any:
    """Return a plain value for a JSON file; mean and deviation of a spec are added to ``tensors``."""
    if isinstance(value, DataSpec):
        for name in _STATISTICS:
            if getattr(value, name) is not None:
                tensors[f"{_NOT_WEIGHTS}{key}/{name}"] = getattr(value, name)
        return {_SPEC: value.to_json()}
    if isinstance(value, Mapping):
        return {name: _to_json(part, f"{key}/{name}", tensors) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_to_json(part, f"{key}/{number}", tensors) for number, part in enumerate(value)]
    return value


def read_value(value: Any, key: str, tensors: Mapping[str, Tensor]) -> Any:
    """Return the value that was written under a key of model.json."""
    if isinstance(value, Mapping):
        if set(value) == {_SPEC}:
            mean, deviation = (tensors.get(f"{_NOT_WEIGHTS}{key}/{name}") for name in _STATISTICS)
            return dataclasses.replace(DataSpec.from_json(value[_SPEC]), mean=mean, deviation=deviation)
        return {name: read_value(part, f"{key}/{name}", tensors) for name, part in value.items()}
    if isinstance(value, list):
        return [read_value(part, f"{key}/{number}", tensors) for number, part in enumerate(value)]
    return value


def read_model(folder: Path) -> tuple[ModelFile, dict[str, Tensor]]:
    """Return the content of model.json and the tensors of a saved model, after checking both.

    Raises:
        InputError: a file that is missing or damaged, or weights of another model.
    """
    content = ModelFile.model_validate(unseal(folder / MODEL_FILE, ModelFile))
    tensors, weights = load_tensors(folder / WEIGHTS_FILE)
    if weights != content.weights:
        raise InputError(f"{folder / WEIGHTS_FILE}: expected the weights whose SHA-256 is in {MODEL_FILE}; got others")
    return content, tensors


def give_weights(model: nn.Module, tensors: Mapping[str, Tensor], where: Path) -> None:
    """Load the tensors of a file into a model, in their own precision, and the arrays of a fitted prior.

    Raises:
        InputError: weights of other names or shapes than those of the model.
    """
    weights = {name: value for name, value in tensors.items() if not name.startswith(_NOT_WEIGHTS)}
    kinds = {value.dtype for value in weights.values() if value.is_floating_point()}
    if len(kinds) == 1:
        model.to(kinds.pop())
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise InputError(f"{where}: the weights do not fit the model ({' '.join(str(error).split())})") from error
    if fitted := {name.removeprefix(_PRIOR): tensors[name] for name in tensors if name.startswith(_PRIOR)}:
        prior: Any = getattr(model, "prior", None)
        if not hasattr(prior, "load"):
            raise InputError(f"{where}: expected a model with a prior that is fitted to codes; got {shown(prior)}")
        prior.load(fitted)

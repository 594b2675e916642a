"""Estimators in a directory or a pickle: the model as the files of ``model.save``, everything else as plain values."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vaelab.data.naming import listed
from vaelab.errors import InputError
from vaelab.models import Model
from vaelab.runs import load
from vaelab.storage import Schema, seal, unseal
from vaelab.training.result import History

__all__ = ["EstimatorFile", "model_bytes", "model_of", "read_estimator", "sealed_estimator"]

ESTIMATOR_FILE = "estimator.json"


class EstimatorFile(Schema):
    """The file estimator.json: the class, the arguments of its constructor, and what was fitted beside the model."""

    estimator_class: str
    parameters: dict[str, Any]
    fitted: dict[str, Any]


def model_bytes(model: Model) -> dict[str, bytes]:
    """Return the files of a saved model, safetensors and JSON, by name."""
    with tempfile.TemporaryDirectory() as folder:
        model.save(folder)
        return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}


def model_of(files: Mapping[str, bytes]) -> Model:
    """Return the model whose files :func:`model_bytes` returned."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            (Path(folder) / Path(name).name).write_bytes(content)
        return load(folder)


def sealed_estimator(kind: str, parameters: Mapping[str, Any], fitted: Mapping[str, Any]) -> str:
    """Return the text of the file estimator.json, which stands beside a saved model.

    Raises:
        InputError: an argument of the constructor that no file can hold.
    """
    return seal(
        {
            "estimator_class": kind,
            "parameters": {name: _plain(name, value) for name, value in parameters.items()},
            "fitted": {name: _plain(name, value) for name, value in fitted.items()},
        }
    )


def read_estimator(folder: Path, kind: str, parameters: Sequence[str], fitted: Sequence[str]) -> EstimatorFile:
    """Return the content of estimator.json, of a class with these parameters and fitted attributes.

    Raises:
        InputError: there is none, it is damaged, or it is of another class.
    """
    path = folder / ESTIMATOR_FILE
    if not path.is_file():
        raise InputError(f"path: expected a directory that an estimator was saved to; {str(folder)!r} is none")
    content = EstimatorFile.model_validate(unseal(path, EstimatorFile))
    if content.estimator_class != kind:
        raise InputError(f"path: expected a {kind}; {str(folder)!r} holds a {content.estimator_class}")
    unknown = sorted({*content.parameters} - {*parameters} | {*content.fitted} - {*fitted})
    if unknown:
        raise InputError(
            f"{path}: expected an estimator of this vaelab; got {listed(unknown)}, which {kind} does not have"
        )
    lists = {name: tuple(value) for name, value in content.parameters.items() if isinstance(value, list)}
    values = dict(content.fitted)
    if "history_" in values:
        values["history_"] = History(values["history_"])
    if "feature_names_in_" in values:
        values["feature_names_in_"] = np.array(values["feature_names_in_"], dtype=object)
    return content.model_copy(update={"parameters": content.parameters | lists, "fitted": values})


def _plain(name: str, value: Any) -> Any:
    """Return a value as JSON can hold it."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, list | tuple):
        return [_plain(name, part) for part in value]
    if isinstance(value, dict):
        return {str(key): _plain(name, part) for key, part in value.items()}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise InputError(f"{name}: expected a number, a word or a list, which a file can hold; got {type(value).__name__}")

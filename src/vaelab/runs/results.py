"""The numbers of a run: evaluations, diagnoses, gradient estimators, tightness; with the SHA-256 of their weights."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from vaelab.errors import InputError
from vaelab.evaluation import Diagnosis, EvaluationRecord
from vaelab.evaluation.protocol import key_of, replaces
from vaelab.runs.directory import RESULTS_LOCK, clean, held
from vaelab.storage.files import write_file
from vaelab.storage.sealed import Schema, seal, unseal
from vaelab.storage.tensors import load_tensors, save_tensors

__all__ = ["Results"]

_WAIT = 30.0  # seconds that another process may take to add its numbers
_SAME_DIAGNOSIS = ("name", "split", "rows", "seed", "weights")


class EvaluationFile(Schema):
    """The file evaluation.json."""

    records: list[EvaluationRecord]


class MeasuredEstimator(Schema):
    """A gradient estimator in gradients.json."""

    estimator: str
    samples: int
    milliseconds: float
    variance: float
    biased: bool


class GradientsFile(Schema):
    """The file gradients.json."""

    draws: int
    observations: int
    samples: int
    estimators: list[MeasuredEstimator]
    weights: str | None = None


class MeasuredBound(Schema):
    """A bound of one inference in tightness.json."""

    method: str
    bound: str
    value: float
    standard_error: float
    gap: float
    gap_standard_error: float
    is_bound: bool
    seconds: float


class TightnessFile(Schema):
    """The file tightness.json."""

    observations: int
    samples: int
    steps: int
    bits: int
    exact: dict[str, float]
    rows: list[MeasuredBound]
    weights: str | None = None


class DiagnosticsFile(Schema):
    """The file diagnostics.json."""

    diagnoses: list[Diagnosis]


_MEASURES: dict[str, type[Schema]] = {"gradients": GradientsFile, "tightness": TightnessFile}


class Results:
    """The files of numbers in a run directory."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def evaluations(self) -> list[EvaluationRecord]:
        """Return every evaluation, of any weights."""
        path = self.path / "evaluation.json"
        if not path.exists():
            return []
        return EvaluationFile.model_validate(unseal(path, EvaluationFile)).records

    def add_evaluations(
        self, records: Iterable[EvaluationRecord], weights: str, values: Mapping[str, Tensor] | None = None
    ) -> None:
        """Add evaluations of weights; one of the same name, weights, split, protocol and seed is replaced.

        ``values`` has the values of the observations, (N,), for the names of some of them.

        Raises:
            InputError: the existing file is damaged, or another process has locked it for half a minute.
        """
        marked = [record.model_copy(update={"weights": weights}) for record in records]
        with self._held():
            remaining = [record for record in self.evaluations() if not any(_replaces(new, record) for new in marked)]
            content = {"records": [record.to_dict() for record in remaining + marked]}
            write_file(self.path / "evaluation.json", seal(content))
            known = self._tensors("values.safetensors")
            kept = {key: known[key] for key in map(_key, remaining) if key in known}
            added = {_key(record): values[record.name] for record in marked if values and record.name in values}
            if kept or added:
                save_tensors(self.path / "values.safetensors", kept | added)

    def values(self, record: EvaluationRecord) -> Tensor | None:
        """Return the values of the observations of a number, (N,), or None if they are not known."""
        return self._tensors("values.safetensors").get(_key(record))

    def _tensors(self, name: str) -> dict[str, Tensor]:
        """Return all tensors of a file; none if it is missing or damaged, as the numbers are in a JSON file."""
        try:
            return load_tensors(self.path / name)[0]
        except InputError:
            return {}

    def diagnoses(self, weights: str) -> list[Diagnosis]:
        """Return the diagnoses of weights, with their arrays; without arrays where their file is missing or damaged."""
        path = self.path / "diagnostics.json"
        if not path.exists():
            return []
        kept = DiagnosticsFile.model_validate(unseal(path, DiagnosticsFile)).diagnoses
        tensors = self._tensors("diagnostics.safetensors")
        return [_with_arrays(each, tensors) for each in kept if each.weights == weights]

    def add_diagnoses(self, diagnoses: Iterable[Diagnosis], weights: str) -> None:
        """Add diagnoses of weights; those of other weights, and one of the same name and split, are replaced.

        Raises:
            InputError: the existing file is damaged, or another process has locked it for half a minute.
        """
        marked = [each.model_copy(update={"weights": weights}) for each in diagnoses]
        new = {(each.name, each.split) for each in marked}
        with self._held():
            kept = [each for each in self.diagnoses(weights) if (each.name, each.split) not in new] + marked
            arrays = {_array_key(each, name): array for each in kept for name, array in each.arrays.items()}
            save_tensors(self.path / "diagnostics.safetensors", arrays)
            write_file(self.path / "diagnostics.json", seal({"diagnoses": [each.to_dict() for each in kept]}))

    def measured(self, what: str) -> dict[str, Any] | None:
        """Return the content of gradients.json or tightness.json, or None if it was not measured."""
        path = self.path / f"{what}.json"
        if not path.exists():
            return None
        content = unseal(path, _MEASURES[what])
        content.pop("format_version", None)
        return content

    def save_measured(self, what: str, result: dict[str, Any], weights: str) -> None:
        """Write gradients.json or tightness.json in place of an earlier one."""
        with self._held():
            write_file(self.path / f"{what}.json", seal({"weights": weights, **result}))

    def _held(self) -> Any:
        clean(self.path)
        refusal = f"{self.path}: another process has been adding numbers for {_WAIT:.0f} s; try again when it is done"
        return held(self.path / RESULTS_LOCK, _WAIT, refusal)


def _key(record: EvaluationRecord) -> str:
    """Return the name of a number in values.safetensors."""
    return key_of(dict(record))


def _replaces(new: EvaluationRecord, old: EvaluationRecord) -> bool:
    return replaces(dict(new), dict(old))


def _array_key(diagnosis: Diagnosis, name: str) -> str:
    """Return the name of an array of a diagnosis in diagnostics.safetensors."""
    return json.dumps([*(getattr(diagnosis, key) for key in _SAME_DIAGNOSIS), name])


def _with_arrays(diagnosis: Diagnosis, tensors: Mapping[str, Tensor]) -> Diagnosis:
    """Return a diagnosis with its arrays from diagnostics.safetensors."""
    named = {key: json.loads(key) for key in tensors}
    own = [getattr(diagnosis, key) for key in _SAME_DIAGNOSIS]
    return diagnosis.model_copy(
        update={"arrays": {parts[-1]: tensors[key] for key, parts in named.items() if parts[:-1] == own}}
    )

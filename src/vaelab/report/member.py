"""One run for a report: its title, its model, and the test data it is evaluated on."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from vaelab.data import Dataset, Observations
from vaelab.data.values import Array
from vaelab.errors import InputError
from vaelab.evaluation import Diagnosis, Evaluation, EvaluationRecord
from vaelab.evaluation.protocol import sha256_of_weights, shared_facts
from vaelab.models import LatentVariableModel, Model, require_latent
from vaelab.runs import Loaded, Run

__all__ = ["ReportedRun"]


@dataclass(frozen=True)
class ReportedRun:
    """A run with a title; its parts are loaded on first use."""

    title: str
    run: Run
    read: tuple[str, ...] = ()  # further paths where the data may be
    unkept: list[EvaluationRecord] = field(default_factory=list, compare=False)  # evaluations that could not be written
    unkept_values: dict[str, Tensor] = field(default_factory=dict, compare=False)  # and their values, by name

    @cached_property
    def loaded(self) -> Loaded:
        """The model with the selected weights, and their SHA-256."""
        return self.run.load()

    @property
    def model(self) -> Model:
        """The model with the selected weights."""
        return self.loaded.model

    @property
    def latent(self) -> LatentVariableModel:
        """The model with the selected weights, which has codes."""
        return require_latent(self.model, "this part of a report")

    @property
    def has_codes(self) -> bool:
        """Whether the model has codes; a density model has none."""
        return isinstance(self.model, LatentVariableModel)

    @property
    def is_generative(self) -> bool:
        """Whether the model has a density of x; a deterministic auto-encoder has none."""
        return not self.has_codes or self.latent.code != "point"

    @cached_property
    def data(self) -> Dataset:
        """The data that the run was trained on."""
        return self.run.load_data(*self.read)

    def diagnoses(self, split: str = "test") -> list[Diagnosis]:
        """Return the diagnoses of this model's weights on a split, with the arrays of their figures."""
        return [each for each in self.run.diagnoses(split) if each.weights == self.loaded.weights]

    def evaluations(self) -> list[EvaluationRecord]:
        """Return the evaluations of this model's weights; those that could not be written come first."""
        stored = [record for record in self.run.all_evaluations() if record.weights == self.loaded.weights]
        return [*self.unkept, *stored]

    def keep(self, result: Evaluation) -> str:
        """Write an evaluation of this model into its run; return why it could not be written, or an empty string."""
        records = tuple(result)
        try:
            self.run.add_evaluations(records, self.loaded.weights, result.values)
        except (OSError, InputError) as error:
            self.unkept.extend(records)
            self.unkept_values.update(result.values)
            return str(error)
        return ""

    def values(self, record: EvaluationRecord) -> Tensor | None:
        """Return the values of the observations of a number, (N,), or None if they were not kept."""
        unkept = any(record is other for other in self.unkept)
        return self.unkept_values.get(record.name) if unkept else self.run.values(record)

    @cached_property
    def facts(self) -> dict[str, Any]:
        """The facts of the protocol that every number of the run has."""
        return shared_facts(
            self.model, self.run.config["data"]["sha256"], self.run.binarisation, self.run.spec.condition
        )

    def fields(self, record: EvaluationRecord) -> dict[str, Any]:
        """Return the fields of a number; what an earlier version did not record of the run is filled in."""
        recorded = {name: value for name, value in record if value is not None}
        return dict(record) | self.facts | recorded

    def row_weights(self, record: EvaluationRecord) -> Tensor | None:
        """Return the weights of the observations of a number, (N,); None where all count the same.

        Raises:
            InputError: the data are not found, or their rows have other weights.
        """
        recorded = record.row_weights
        if recorded == "none" or (recorded is None and not record.note.startswith("Weighted")):
            return None
        rows = self.test if record.rows_of_split is None else self.test.first(record.observations or 0)
        if recorded is not None and sha256_of_weights(rows.weights) != recorded:
            raise InputError(f"data: expected the weights of the rows of {record.name}; the data have others")
        return rows.weights

    @cached_property
    def test(self) -> Observations:
        """The test split as the model sees it, under the run's binarisation."""
        return self.data.test.observations()

    @property
    def noun(self) -> str:
        """What one observation is called in texts: ``image`` if the data have the shape of images."""
        return "observation" if self.run.spec.image_shape is None else "image"

    @property
    def seed(self) -> int:
        """The run's seed."""
        return self.run.settings.seed

    def images(self, rows: Tensor) -> Array:
        """Reshape rows (N, X) to images (N, H, W), without what a conditional model is given."""
        shape = self.run.spec.image_shape
        if shape is None:
            name = self.run.config["data"]["name"]
            raise InputError(f"images: the rows of {name} have no image shape; give --out FILE.npz for arrays")
        return rows[:, : self.run.spec.dim].reshape(-1, *shape).cpu().numpy()

    def samples(self, count: int, kind: Any) -> Tensor:
        """Draw observations; the codes are the same for every kind. A conditional model is given that of test rows."""
        rows = torch.arange(count) % len(self.test)
        given = self.model.split(self.test.bits(rows))[1] if self.model.given else None
        return self.model.sample(count, kind=kind, seed=self.seed, given=given)

    def evaluations_of(self, prefix: str, split: str = "test") -> list[EvaluationRecord]:
        """Return the evaluations of that name under the run's binarisation, of the whole split or of its first rows."""
        return [
            record
            for record in self.evaluations()
            if (record.split, record.binarisation) == (split, self.run.binarisation)
            and not record.interrupted
            and record.name in (prefix, f"{prefix}-{record.samples}", f"{prefix}-{record.temperatures}")
        ]

    def evaluation(self, prefix: str, split: str = "test") -> EvaluationRecord | None:
        """Return the evaluation of that name of the whole split; of ``iwae-K`` that with the largest K."""
        records = [record for record in self.evaluations_of(prefix, split) if record.rows_of_split is None]
        return max(records, key=lambda record: record.samples or 0, default=None)

    @property
    def labels(self) -> Array | None:
        """Class of every test observation, if the data have classes."""
        return self.data.splits["test"].labels

    @property
    def parameters(self) -> int:
        """Number of trained parameters."""
        return sum(weight.numel() for weight in self.model.parameters() if weight.requires_grad)

    @property
    def seconds(self) -> float:
        """Seconds of training."""
        return float(max((row["seconds"] for row in self.run.metrics()), default=0.0))

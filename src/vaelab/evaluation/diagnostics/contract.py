"""The contract of a diagnostic: from a model and rows to numbers, a finding in words, and advice.

Every diagnostic is a function ``diagnostic(sample) -> Diagnosis``, and a row of ``table.py``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from vaelab.data import Dataset, Observations
from vaelab.data.streaming.observations import Streamed
from vaelab.errors import InputError
from vaelab.evaluation.active_units import UnitStatistics, unit_statistics
from vaelab.evaluation.diagnostics.codes import Codes, posterior_codes, prior_codes
from vaelab.models import LatentVariableModel
from vaelab.objectives import Objective
from vaelab.seeds import seeded

__all__ = ["Diagnosis", "Sample"]


class Diagnosis(BaseModel):
    """What one diagnostic found. A run keeps it in diagnostics.json, and its arrays in diagnostics.safetensors.

    Attributes:
        name: what users type.
        title: the heading of its section in a report.
        numbers: plain values by name; the docstring of the diagnostic says what each of them means.
        arrays: small tensors by name, from which its figure is drawn.
        sentences: the finding, in words.
        advice: what to do; empty where nothing is wrong.
        split: of the data set.
        binarisation: of the data, under which it was diagnosed.
        data: name of the data set.
        seed: of the draws.
        rows: how many observations.
        rows_of_split: how many rows the split has, where only the first were used.
        weights: SHA-256 of the weights of the model; None where no file holds them.
    """

    model_config = ConfigDict(extra="allow", strict=True, frozen=True, arbitrary_types_allowed=True)

    name: str
    title: str
    numbers: dict[str, Any]
    arrays: dict[str, Tensor] = Field(default_factory=dict, exclude=True, repr=False)
    sentences: list[str]
    advice: str = ""
    split: str = ""
    binarisation: str = ""
    data: str = ""
    seed: int = 0
    rows: int = 0
    rows_of_split: int | None = None
    weights: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the diagnosis as JSON values, without its arrays."""
        return self.model_dump(mode="json")

    def lines(self) -> list[str]:
        """Return the sentences of the finding, and the advice as the last line if there is any."""
        return [*self.sentences, *([f"Advice: {self.advice}"] if self.advice else [])]


@dataclass(frozen=True)
class Sample:
    """The rows that a model is diagnosed on, and what several diagnostics need of them, computed once.

    Attributes:
        model: the model, in evaluation mode.
        data: the data set.
        split: ``train``, ``validation`` or ``test``.
        rows: at most so many rows of the split, its first ones.
        seed: of all draws.
        objective: what the model was trained with, for the advice; None if it is not known.
        history: the logged rows of the training; empty where they are not known.
    """

    model: LatentVariableModel
    data: Dataset
    split: str
    rows: int
    seed: int
    objective: Objective | None = None
    history: Sequence[Mapping[str, Any]] = ()

    def of(self, split: str) -> Observations:
        """Return at most ``rows`` rows of a split, its first ones, on the device of the model.

        Raises:
            InputError: an unknown split, or one on the disk.
        """
        observed = self.data.split(split).observations(self.model.any_weight.device)
        if isinstance(observed, Streamed):
            raise InputError(
                f"split: expected a split in memory; {split!r} of {self.data.name} is on the disk "
                f"({len(observed):,} rows)"
            )
        return observed.first(self.rows) if self.rows < len(observed) else observed

    @cached_property
    def observed(self) -> Observations:
        """The rows of the split."""
        return self.of(self.split)

    @property
    def protocol(self) -> dict[str, Any]:
        """The fields of a diagnosis that say what was diagnosed."""
        whole = len(self.data.split(self.split).observations())
        return {
            **{"split": self.split, "binarisation": self.data.binarisation, "data": self.data.name, "seed": self.seed},
            **{"rows": len(self.observed), "rows_of_split": whole if len(self.observed) < whole else None},
        }

    @cached_property
    def row_weights(self) -> Tensor:
        """The weights of these rows, which add up to 1, float64 (N,)."""
        weights = self.observed.weights
        weights = torch.ones(len(self.observed)) if weights is None else weights.cpu()
        return weights.double() / weights.double().sum()

    def batches(self, rows: int = 1000) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the rows in their order as the model reads them, (B, X + Y), with their weights, (B,)."""
        for start in range(0, len(self.observed), rows):
            chunk = slice(start, start + rows)
            yield self.observed.bits(chunk).to(self.model.any_weight), self.row_weights[chunk]

    def require_several(self, name: str) -> None:
        """Raise an :class:`~vaelab.errors.InputError` for a single row, with which no unit can be seen to change."""
        if len(self.observed) < 2:
            raise InputError(f"{name}: expected at least 2 rows, to see whether a unit changes with x; got 1")

    @cached_property
    def units(self) -> UnitStatistics:
        """What the units of the code do on these rows, unit by unit."""
        return unit_statistics(self.model, self.observed, self.seed)

    @cached_property
    def codes(self) -> Codes:
        """A code drawn from q(z|x) for each row, and the distribution of each unit."""
        parts = []
        for number, (x, _) in enumerate(self.batches()):
            with seeded(self.seed, "posterior-codes", number):
                parts.append(posterior_codes(self.model, x))
        return Codes.joined(parts)

    @cached_property
    def prior_codes(self) -> Codes:
        """As many codes drawn from p(z), and the distribution of each unit."""
        with seeded(self.seed, "prior-codes"):
            return prior_codes(self.model, len(self.observed))

"""The result of ``suggest``: a row for each model, their table, and the recommendation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from torch import Tensor

from vaelab.evaluation import EvaluationRecord
from vaelab.likelihood import BoundEstimate
from vaelab.report.written import markdown_table
from vaelab.studies.suggestion.candidates import Candidate
from vaelab.studies.sweep.space import words_of

if TYPE_CHECKING:
    from vaelab.models import Model

__all__ = ["Suggestion", "Tried", "compared"]

HEADER = ["model", "validation", "below best", "test", "seconds"]  # narrow enough for 80 columns


@dataclass(frozen=True)
class Tried:
    """A model that was tried, with its numbers in nats per row, or with the reason why it has none.

    Attributes:
        name: of the model in the table, and of its run directory.
        model: its row in the table of models.
        words: the settings to type after ``vaelab train MODEL``.
        deep: whether p(x) has a network with hidden layers.
        number: ``exact`` for log p(x) itself, the name of a lower bound on it, such as ``iwae-1000``, or of an estimate
            of it, such as ``ais-1000``.
        validation: mean over the validation split, by which models are compared.
        validation_error: standard error of that mean.
        test: mean over the test split; None where the data have none.
        test_error: standard error of that mean.
        below: how far the validation mean lies below that of the best model.
        below_error: standard error of that difference, from the differences of the rows; None where it is not known.
        seconds: of training.
        cut: how the training was cut short; empty if it ended by itself.
        note: how to read the number; empty where there is nothing to add.
        failure: why there is no number; None where there is one.
    """

    name: str
    model: str
    words: str = ""
    deep: bool = False
    number: str = ""
    validation: float | None = None
    validation_error: float | None = None
    test: float | None = None
    test_error: float | None = None
    below: float | None = None
    below_error: float | None = None
    seconds: float | None = None
    cut: str = ""
    note: str = ""
    failure: str | None = None

    @classmethod
    def of(cls, candidate: Candidate, failure: str | None = None) -> Tried:
        """Return the row of a candidate without numbers."""
        words = words_of(candidate.settings)
        return cls(candidate.name, candidate.model, words, candidate.deep, failure=failure)

    def with_number(self, split: str, record: EvaluationRecord) -> Tried:
        """Return the row with a number of the validation or the test split."""
        numbers = {split: record.value, f"{split}_error": record.standard_error, "number": record.name}
        note = self.note
        if record.temperatures is not None:
            note = "its log Z is estimated, which the standard errors do not contain; vaelab evaluate says how well"
        return Tried(**vars(self) | numbers | {"note": note})

    @property
    def exact(self) -> bool:
        """Whether the numbers are log p(x) itself, and no lower bounds on it or estimates of it."""
        return self.number == "exact"

    @property
    def sign(self) -> str:
        """The sign before a number that is a lower bound on log p(x), or whose log Z is estimated."""
        return "" if self.exact else "≈" if self.number.startswith("ais") else "≥"

    def cells(self) -> list[str]:
        """Return the row as it is printed."""
        if self.failure is not None:
            return [self.name, "-", "-", "-", "-"]
        below = "best" if self.below == 0 else _number(self.below, self.below_error)
        validation, test = _number(self.validation, self.validation_error), _number(self.test, self.test_error)
        signed = [self.sign + validation, below, "-" if self.test is None else self.sign + test]
        return [self.name, *signed, f"{self.seconds or 0.0:.1f}"]


def _number(value: float | None, error: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.2f}" if error is None else f"{value:.2f} ± {error:.2f}"


def compared(rows: Sequence[Tried], values: Mapping[str, Tensor], weights: Tensor | None = None) -> tuple[Tried, ...]:
    """Return the rows with their differences from the best, the best first and those without a number last.

    Args:
        rows: the models.
        values: the numbers of the validation rows, (N,), for each name.
        weights: of the validation rows, (N,).

    >>> import torch
    >>> values = {"a": torch.tensor([-2.0, -4.0]), "b": torch.tensor([-1.0, -3.0])}
    >>> best, other = compared([Tried("a", "m", validation=-3.0), Tried("b", "m", validation=-2.0)], values)
    >>> best.name, other.below, other.below_error
    ('b', 1.0, 0.0)
    """
    known = sorted((row for row in rows if row.validation is not None), key=lambda row: -(row.validation or 0.0))
    found = []
    for row in known:
        differences = values[known[0].name].double() - values[row.name].double()
        estimate = BoundEstimate(differences, weights=weights)
        error = estimate.standard_error
        unknown = row is known[0] or math.isnan(error)
        found.append(replace(row, below=estimate.mean, below_error=None if unknown else error))
    return (*found, *(row for row in rows if row.validation is None))


@dataclass(frozen=True)
class Suggestion:
    """The models that were tried, and the one that is recommended; printed, it is a table and sentences.

    Attributes:
        data: the name of the data.
        rows: the models, the best on the validation split first, those without a number last.
        recommended: the name of the recommended model; None if no model has a number.
        sentences: the recommendation in words.
        facts: rows of the splits, columns, seed, budget in seconds, and what the numbers depend on.
        model: the recommended model with its trained weights; None if there is none.
        signal: the number of the signal that interrupted the trial, if one did.
    """

    data: str
    rows: tuple[Tried, ...]
    recommended: str | None
    sentences: tuple[str, ...]
    facts: Mapping[str, Any]
    model: Model | None = field(default=None, repr=False, compare=False)
    signal: int | None = None

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Return the header and the rows of the table."""
        return list(HEADER), [row.cells() for row in self.rows]

    def notes(self) -> list[str]:
        """Return how to read the table, and what is to know about single models."""
        bounds = sorted({row.number for row in self.rows if row.sign == "≥" and row.number})
        return [
            "mean log p(x) of a row in nats, higher is better, ± standard errors; the models are compared on the "
            "validation split, row by row; nothing was chosen on the test split",
            *(f"≥ before a lower bound on log p(x), {name}; numbers without a sign are exact" for name in bounds),
            *(f"{row.name}: {text}" for row in self.rows for text in (row.failure, row.cut, row.note) if text),
        ]

    def to_markdown(self) -> str:
        """Return the table and the recommendation as Markdown."""
        notes = "".join(f"- {note}\n" for note in self.notes())
        return f"{markdown_table(*self.table())}\n{notes}\n{' '.join(self.sentences)}\n"

    def to_dict(self) -> dict[str, Any]:
        """Return everything in plain values."""
        rows = [asdict(row) for row in self.rows]
        advice = {"recommended": self.recommended, "sentences": list(self.sentences)}
        return {"data": self.data, **advice, "rows": rows, "signal": self.signal, "facts": dict(self.facts)}

    def __str__(self) -> str:
        header, rows = self.table()
        widths = [max(len(line[column]) for line in (header, *rows)) for column in range(len(header))]
        lines = [
            "  ".join(f"{cell:{width}}" for cell, width in zip(line, widths, strict=True)) for line in (header, *rows)
        ]
        return "\n".join([*(line.rstrip() for line in lines), *self.notes(), *self.sentences])

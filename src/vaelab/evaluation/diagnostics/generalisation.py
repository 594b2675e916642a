"""Generalisation: the bound on training rows against the bound on rows that were not trained on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from vaelab.errors import InputError
from vaelab.evaluation.diagnostics.contract import Diagnosis, Sample
from vaelab.evaluation.diagnostics.spread import spread
from vaelab.likelihood import BoundEstimate, elbo, objective_bound
from vaelab.objectives import Reconstruction

__all__ = ["generalisation"]

_TIMES = 5  # rows of each split, in rows that are diagnosed: the difference of two means needs many
_LARGE = 0.02  # share of the bound, above which a gap is large
_FALL = 1e-3  # share of the bound by which the validation bound has to fall after its best


def generalisation(sample: Sample) -> Diagnosis:
    """Compare the ELBO on training rows with that on as many validation rows.

    Formula: `gap = mean ELBO(train) - mean ELBO(validation)`, from one code for each row, in nats per observation. Its
    standard error is `sqrt(s_t^2 + s_v^2)`, from those of the two means, whose rows are independent. A model that knows
    its training rows has a gap above 0. Each split gives at most five times the rows that are diagnosed, spread evenly
    over it. For data without a validation split it is the split that is diagnosed. A deterministic auto-encoder is
    compared by its reconstruction, log p(x|z).

    Under dynamic binarisation the bits of training rows are drawn anew, as in the training. So the model does not see
    the same bits twice, which works as if there were more rows.

    The overfitting of a training is seen in its validations, if they are known: their best is compared with the last.
    The model that a run keeps is that of the best validation. Background: Goodfellow, Bengio & Courville (2016),
    https://www.deeplearningbook.org, sections 5.2 and 7.8.

    Numbers: ``train``, ``held_out`` and ``gap`` with ``gap_standard_error``; ``reconstruction_gap`` and ``kl_gap``,
    `gap = reconstruction_gap - kl_gap`; ``compared_rows`` of each split, ``held_out_split`` and ``measure``; of the
    training ``best_step``, ``last_step`` and ``fall``, the nats by which the validations fell from their best.
    """
    held_out = "validation" if "validation" in sample.data.splits or sample.split == "train" else sample.split
    if held_out not in sample.data.splits:
        raise InputError("generalisation: expected data with a validation split, or the test split to be diagnosed")
    wide = replace(sample, rows=_TIMES * sample.rows)
    both = [wide.of(name) for name in ("train", held_out)]
    count = min(map(len, both))
    is_point = sample.model.code == "point"
    estimates = []
    for rows in both:
        observed = spread(rows, count, sample.seed)
        if is_point:
            estimates.append(objective_bound(sample.model, observed, Reconstruction(), 1, sample.seed))
        else:
            estimates.append(elbo(sample.model, observed, 1, sample.seed))
    train, other = estimates
    found = _Found(
        sample, train, other, count, held_out, "reconstruction" if is_point else "ELBO", _course(sample.history)
    )
    return Diagnosis(
        name="generalisation",
        title="Generalisation",
        numbers=found.numbers(),
        arrays={
            "train": torch.tensor([found.train.mean, found.train.standard_error]),
            "held_out": torch.tensor([found.held_out.mean, found.held_out.standard_error]),
            "gap": torch.tensor([found.gap, found.error]),
        },
        sentences=found.sentences(),
        advice=found.advice(),
    )


@dataclass(frozen=True)
class _Course:
    """The validations of a training: the best, the last, and the nats between them."""

    best_step: int
    last_step: int
    fall: float
    overfits: bool


def _course(history: Sequence[Mapping[str, Any]]) -> _Course | None:
    """Return what the validations of a training say; None for fewer than two."""
    keys = ("val/bound", "val/reconstruction")
    points = [(row["step"], row[key]) for row in history for key in keys if key in row and math.isfinite(row[key])]
    if len(points) < 2:
        return None
    best_step, best = max(points, key=lambda point: point[1])
    last_step, last = points[-1]
    return _Course(best_step, last_step, best - last, best - last > _FALL * abs(best))


@dataclass(frozen=True)
class _Found:
    """The two estimates, and what to say of them."""

    sample: Sample
    train: BoundEstimate
    held_out: BoundEstimate
    count: int
    split: str
    measure: str
    course: _Course | None

    @property
    def gap(self) -> float:
        return self.train.mean - self.held_out.mean

    @property
    def error(self) -> float:
        return math.hypot(self.train.standard_error, self.held_out.standard_error)

    @property
    def is_apart(self) -> bool:
        """Whether the gap differs from 0 by more than two standard errors."""
        return abs(self.gap) > 2 * self.error

    @property
    def overfits(self) -> bool:
        return self.is_apart and self.gap > _LARGE * abs(self.held_out.mean)

    def numbers(self) -> dict[str, Any]:
        numbers: dict[str, Any] = {
            **{"train": self.train.mean, "held_out": self.held_out.mean, "gap": self.gap},
            "gap_standard_error": None if math.isnan(self.error) else self.error,
        }
        for name in self.train.parts:
            numbers[f"{name}_gap"] = self.train.parts[name].mean - self.held_out.parts[name].mean
        numbers |= {"compared_rows": self.count, "held_out_split": self.split, "measure": self.measure}
        if self.course is not None:
            numbers |= {"best_step": self.course.best_step, "last_step": self.course.last_step}
            numbers["fall"] = self.course.fall
        return numbers

    def sentences(self) -> list[str]:
        gap = f"{abs(self.gap):.2f}" + ("" if math.isnan(self.error) else f" ± {self.error:.2f}")
        means = f"{self.train.mean:.2f} on {self.count:,} training rows, {self.held_out.mean:.2f} on {self.count:,} "
        sentences = [f"{self.measure}: {means}{self.split} rows."]
        if not self.is_apart:
            sentences.append(f"The difference of {gap} nats cannot be told from 0.")
        elif self.gap > 0:
            sentences.append(f"The model fits the training rows better than rows that it has not seen, by {gap} nats.")
        else:
            sentences.append(
                f"The {self.split} rows are fitted better, by {gap} nats: they are easier than those of the training."
            )
        if self.overfits and self.train.parts:
            parts = (self.train.parts[name].mean - self.held_out.parts[name].mean for name in ("reconstruction", "kl"))
            sentences.append("Of it, the reconstruction is {:.2f} nats and the KL {:.2f}.".format(*parts))
        if self.sample.data.binarisation == "dynamic":
            sentences.append("The bits of a training row are drawn anew each time: noise that works like more rows.")
        if self.course is not None:
            sentences.append(self._words_of_course(self.course))
        return sentences

    def _words_of_course(self, course: _Course) -> str:
        if course.overfits:
            return (
                f"The validation {self._logged} was best at step {course.best_step:,} and fell by {course.fall:.2f} "
                f"nats until step {course.last_step:,}: the training overfitted. The best weights were kept."
            )
        if course.best_step == course.last_step:
            return f"The validation {self._logged} was best at the last step, {course.last_step:,}: no overfitting yet."
        return (
            f"The validation {self._logged} was best at step {course.best_step:,} of {course.last_step:,}, and hardly "
            "lower at the end: the training did not overfit."
        )

    @property
    def _logged(self) -> str:
        return "reconstruction" if self.measure == "reconstruction" else "bound"

    def advice(self) -> str:
        """Return what helps against overfitting, where the gap is apart from 0 and above 2 % of the bound."""
        if not self.overfits:
            return ""
        data = self.sample.data
        parts = [
            "More training rows help most; a smaller code or narrower hidden layers fit fewer details of the rows."
        ]
        if data.kind == "grey" and data.binarisation in ("static", "threshold"):
            parts.append(
                "binarisation=dynamic draws the bits of training rows anew at each step, which works like more rows."
            )
        if self.course is None or self.course.overfits:
            parts.append("training.patience=5 ends a training after five validations without a better one.")
        return " ".join(parts)

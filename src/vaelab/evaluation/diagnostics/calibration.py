"""Calibration: do values that are predicted with probability p occur with frequency p?"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vaelab.data import DataSpec
from vaelab.data.variables import Group
from vaelab.data.weights import weighted_median
from vaelab.errors import InputError
from vaelab.evaluation.diagnostics.contract import Diagnosis, Sample
from vaelab.evaluation.diagnostics.reliability import Ranks, Reliability, p_value
from vaelab.evaluation.diagnostics.spread import counted, spread
from vaelab.evaluation.impute import impute
from vaelab.models.model import statistic
from vaelab.seeds import seeded

__all__ = ["calibration"]

_HIDDEN = 0.1  # share of the values that are hidden
_CODES, _DRAWS = 100, 49  # of each row
_PART, _CELLS = 5, 160_000  # a row in 5 of those diagnosed, but at least so many values if there are
_FEW = 200  # predictions, below which it is said that they are few
_LEVEL = 0.02  # p-values up to it are told
_COUNT = 3  # effective samples, below which predictions are too sure whatever the model: they rest on few codes
_LARGE = 0.03  # calibration error of the uncertain values, above which there is advice


def calibration(sample: Sample) -> Diagnosis:
    """Check predicted probabilities against frequencies, on values that are hidden from the model.

    A tenth of the observed values of some rows is hidden. The predictive probability of a hidden value given the
    others of its row is `p(x_j = 1 | x_visible) = sum_k v_k p(x_j = 1 | z_k)`, by self-normalised importance sampling
    with 100 codes (:func:`~vaelab.evaluation.impute`). So calibration is of model and inference together: with fewer
    than three effective samples, predictions are too sure whatever the model, which is said. Bits are events of that
    probability; of a categorical variable the event is that its most probable level is right. :class:`Reliability`
    has the bins, the calibration error and its null distribution: 49 joint draws of the hidden values, which give
    false alarms with probability 0.02. Other numbers (real, unit interval, counts) are ranked among these draws:
    :class:`Ranks`.

    The reconstruction, p(x|z) with one code from q(z|x) for each row, is checked in the same way. There the encoder
    has seen the value that is predicted, so that it shows whether the decoder fits its codes, not how well anything is
    predicted. A deterministic auto-encoder has this alone.

    Numbers: ``hidden_values``; of events ``calibration_error`` and ``calibration_error_uncertain``, of those predicted
    with 1 % to 99 %, as probabilities; ``expected_error_uncertain``, the mean of the latter over the draws;
    ``p_value``; ``confidence`` and ``accuracy``, the mean probability of the likelier outcome of uncertain events and
    how often it was right; ``worst_columns``; ``effective_samples``, the median. Of other numbers ``rank_distance``
    and ``rank_p_value``. Of the reconstruction ``reconstruction_error``, ``reconstruction_error_uncertain`` and
    ``reconstruction_p_value``.
    """
    model, spec = sample.model, sample.data.spec
    count = max(len(sample.observed) // _PART, _CELLS // spec.dim)
    observed = spread(sample.observed, count, sample.seed)
    rows = observed.bits(slice(None)).to(model.any_weight)
    weights = torch.ones(len(rows)) if observed.weights is None else observed.weights.cpu()
    found = _Found(sample)
    if model.code != "point":
        try:
            values, hidden, effective = _hidden(sample, rows)
        except InputError as reason:
            found.sentences.append(f"Hidden values were not predicted: {reason}.")
        else:
            median = float(weighted_median(effective, weights))
            found.of_hidden(_Cells(spec, values, hidden, weights.double()), median)
    found.of_reconstruction(_reconstruction(sample, rows, weights.double()))
    return Diagnosis(
        name="calibration",
        title="Calibration",
        numbers=found.numbers,
        arrays=found.arrays,
        sentences=found.sentences,
        advice=found.advice,
    )


@dataclass(frozen=True)
class _Cells:
    """Some values of rows, with their predictions.

    Attributes:
        spec: what is known of the columns.
        values: predicted, true and drawn, (2 + R, N, X).
        chosen: which of them count, booleans (N, X).
        weights: of the rows, (N,).
    """

    spec: DataSpec
    values: Tensor
    chosen: Tensor
    weights: Tensor

    def reliability(self) -> Reliability | None:
        """Return the events among the values; None where there is none."""
        parts = list(self._events())
        if not sum(len(part[1]) for part in parts):
            return None
        values = torch.cat([part[0] for part in parts], 1).double().cpu()
        weights, columns = (torch.cat([part[place] for part in parts]) for place in (1, 2))
        return Reliability(values[0].clamp(0, 1), values[1:], weights, columns)

    def ranks(self) -> Ranks | None:
        """Return the values that are neither bits nor levels; None where there is none."""
        numbers = torch.zeros(self.spec.dim, dtype=torch.bool)
        for kind, start, stop in self.spec.groups:
            numbers[start:stop] = kind not in ("binary", "categorical")
        row, column = (self.chosen & numbers).nonzero(as_tuple=True)
        if not len(row):
            return None
        return Ranks(self.values[1:, row, column].double().cpu(), self.weights[row])

    def _events(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield the events of each group: predictions, truth and draws (2 + R, M), weights (M,) and columns (M,)."""
        for kind, start, stop in self.spec.groups:
            if kind == "binary":
                row, column = self.chosen[:, start:stop].nonzero(as_tuple=True)
                yield self.values[:, row, start + column], self.weights[row], start + column
            elif kind == "categorical":
                (row,) = self.chosen[:, start].nonzero(as_tuple=True)
                levels = self.values[:, row, start:stop]
                best = levels[0].argmax(-1)
                right = (levels[1:].argmax(-1) == best).to(levels)
                yield torch.cat([levels[:1].amax(-1), right]), self.weights[row], torch.full_like(row, start)


def _hidden(sample: Sample, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return predicted, true and drawn values (2 + R, N, X), which were hidden, and the effective samples (N,)."""
    model = copy.deepcopy(sample.model)  # which may be missing from now on
    x, y = model.split(rows)
    with seeded(sample.seed, "hidden"):
        hidden = _mask(x, sample.data.spec.groups)
    seen = torch.cat([x.masked_fill(hidden, torch.nan), y], -1)
    wanted = "expected a posterior that reads rows with hidden values, NaN"
    try:
        imputed = impute(model, seen, _CODES, n_draws=_DRAWS, seed=sample.seed)
    except InputError:
        raise
    except (ValueError, RuntimeError) as reason:  # of a posterior of the user's own
        raise InputError(f"{wanted}; it failed: {str(reason).splitlines()[0].rstrip(':')}") from reason
    predicted, draws = imputed.values[:, : x.shape[1]], imputed.draws
    if draws is None or bool(predicted[hidden.cpu()].isnan().any()):
        raise InputError(f"{wanted}; it returned NaN")
    values = torch.cat([predicted.unsqueeze(0), x.cpu().unsqueeze(0), draws[..., : x.shape[1]]])
    assert imputed.effective_samples is not None  # the model has codes
    return values, hidden.cpu(), imputed.effective_samples


def _mask(x: Tensor, groups: tuple[Group, ...]) -> Tensor:
    """Choose a tenth of the observed values, (N, X); the columns of a categorical variable are one value."""
    mask = torch.rand_like(x) < _HIDDEN
    for kind, start, stop in groups:
        if kind == "categorical":
            mask[:, start:stop] = mask[:, start : start + 1]
    return mask & ~x.isnan()


def _reconstruction(sample: Sample, rows: Tensor, weights: Tensor) -> _Cells:
    """Return the values of rows with their predictions by p(x|z), one code for each row."""
    model = sample.model
    x, y = model.split(rows)
    with seeded(sample.seed, "reconstruction"):
        conditional = model.conditional(model.posterior(rows).sample(), y)
        draws = conditional.sample((_DRAWS,))
    predicted = statistic("likelihood", conditional, "mean")
    values = torch.cat([predicted.unsqueeze(0), x.unsqueeze(0), draws]).cpu()
    return _Cells(sample.data.spec, values, ~x.isnan().cpu(), weights)


class _Found:
    """Numbers, arrays and sentences, as they are found."""

    def __init__(self, sample: Sample) -> None:
        self.sample = sample
        self.numbers: dict[str, Any] = {}
        self.arrays: dict[str, Tensor] = {}
        self.sentences: list[str] = []
        self.advice = ""

    def of_hidden(self, cells: _Cells, effective: float) -> None:
        self.numbers |= {"hidden_values": _count(cells), "effective_samples": effective}
        self.sentences.append(
            f"Hidden and predicted from the others of their row: {counted(_count(cells), 'value')} of "
            f"{counted(len(cells.weights), 'row')} (median {effective:.3g} effective samples of {_CODES})."
        )
        if effective < _COUNT:
            self.sentences.append(
                "Predictions that rest on so few codes are too sure whatever the model, also of rows that it drew."
            )
        events, ranks = cells.reliability(), cells.ranks()
        if events is not None:
            self._of_events(events)
        if ranks is not None:
            self._of_ranks(ranks)

    def _of_events(self, events: Reliability) -> None:
        errors, uncertain = events.errors()
        chance, (confidence, accuracy) = p_value(uncertain), events.confidence()
        worst = [_name(self.sample.data.spec, column) for column in events.worst_columns()]
        self.numbers |= {
            "calibration_error": float(errors[0]),
            "calibration_error_uncertain": float(uncertain[0]),
            "expected_error_uncertain": float(uncertain[1:].mean()),
            **{"p_value": chance, "confidence": confidence, "accuracy": accuracy, "worst_columns": worst},
        }
        self.arrays |= _curve(events, "")
        self.sentences.append(_of_error(uncertain, int(events.uncertain.sum()), chance, float(errors[0])))
        if chance <= _LEVEL:
            self.sentences.append(_of_confidence(confidence, accuracy))
        if worst:
            self.sentences.append(f"Further off than chance allows: {', '.join(worst[:5])}.")
        if chance <= _LEVEL and float(uncertain[0]) > _LARGE:
            self.advice = _advice(confidence, accuracy, self.numbers["effective_samples"] < _COUNT)

    def _of_ranks(self, ranks: Ranks) -> None:
        with seeded(self.sample.seed, "ties"):
            shares = ranks.shares(ranks.places())
        distances = ranks.distances(shares)
        distance, chance = float(distances[0]), p_value(distances)
        self.numbers |= {"rank_distance": distance, "rank_p_value": chance}
        self.arrays["ranks"] = shares[0].float()
        words = (
            "they do not spread evenly, so that the predicted distributions are off"
            if chance <= _LEVEL
            else "they spread as evenly as those of a calibrated model"
        )
        self.sentences.append(
            f"The ranks of {len(ranks.weights):,} hidden numbers among draws of the model: {words} (distance "
            f"{distance:.3f}, p = {chance:.2g}).{_few(len(ranks.weights))}"
        )

    def of_reconstruction(self, cells: _Cells) -> None:
        events = cells.reliability()
        if events is None:
            if not self.sentences:
                raise InputError(
                    "calibration: expected bits or categorical columns, as the model predicts nothing else"
                )
            return
        errors, uncertain = events.errors()
        self.numbers |= {
            "reconstruction_error": float(errors[0]),
            "reconstruction_error_uncertain": float(uncertain[0]),
            "reconstruction_p_value": p_value(uncertain),
        }
        self.arrays |= _curve(events, "reconstruction_")
        self.sentences.append(
            f"Reconstructions, of values that the encoder has seen, are off by {100 * uncertain[0]:.1f} percentage "
            f"points (a calibrated decoder by {100 * uncertain[1:].mean():.1f})."
        )


def _count(cells: _Cells) -> int:
    return int(cells.chosen[:, list(cells.spec.first_columns)].sum())


def _of_error(uncertain: Tensor, count: int, chance: float, error: float) -> str:
    if not count:
        return f"All predictions are below 1% or above 99%; they are off by {100 * error:.2g} percentage points."
    off, expected = 100 * float(uncertain[0]), 100 * float(uncertain[1:].mean())
    verdict = "more than chance allows" if chance <= _LEVEL else "which is within chance"
    return (
        f"The {count:,} predictions from 1% to 99% are off by {off:.1f} percentage points on average, {verdict}: a "
        f"calibrated model would be off by {expected:.1f} (p = {chance:.2g}).{_few(count)}"
    )


def _few(count: int) -> str:
    return " So few show only a large deviation." if count < _FEW else ""


def _of_confidence(confidence: float, accuracy: float) -> str:
    kind = "too sure" if confidence > accuracy else "too cautious"
    return (
        f"On the whole they are {kind}: the likelier outcome gets a probability of {100 * confidence:.1f}% and is "
        f"right in {100 * accuracy:.1f}%."
    )


def _advice(confidence: float, accuracy: float, few_codes: bool) -> str:
    too_sure = confidence > accuracy
    if too_sure and few_codes:
        return (
            "The few codes alone may be the cause, so this is no finding about the model: predict with more codes "
            "(samples of impute), or train a better encoder (see the inference gap)."
        )
    if accuracy < 0.5:
        return (
            "Do not use these probabilities as they are. The outcome that is called the likelier is right less than "
            "half the time: the model has not learned these columns (train for more steps), or was trained on other "
            "data."
        )
    if too_sure:
        return (
            "Do not use these probabilities as they are. Predictions that are too sure may be a sign of overfitting "
            "(see the generalisation): more training rows, a smaller code or narrower hidden layers help; so do more "
            "codes for each row (samples)."
        )
    return (
        "Do not use these probabilities as they are. Predictions that are too cautious leave something to learn: train "
        "for more steps, or give the model a larger code or wider hidden layers."
    )


def _curve(events: Reliability, prefix: str) -> dict[str, Tensor]:
    """Return the arrays of a reliability curve, with the range of the draws for each bin."""
    _, predicted, shares = events.curve()
    arrays = {"predicted": predicted, "happened": shares[0], "low": shares[1:].amin(0), "high": shares[1:].amax(0)}
    return {f"{prefix}{name}": each.float() for name, each in (arrays | {"histogram": events.histogram()}).items()}


def _name(spec: DataSpec, column: int) -> str:
    """Return the user's name of a column."""
    if spec.variables is not None:
        return next(
            variable.name
            for variable, first in zip(spec.variables, spec.first_columns, strict=True)
            if first <= column < first + variable.width
        )
    if spec.columns is not None:
        return spec.columns[column]
    if spec.image_shape is not None:
        row, place = divmod(column, spec.image_shape[1])
        return f"pixel ({row}, {place})"
    return f"column {column}"

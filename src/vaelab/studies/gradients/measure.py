"""The measurement of gradient estimators: a row for each that fits the model and the objective."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from vaelab.data import Observations
from vaelab.errors import require_int
from vaelab.estimators import Estimator, Exact
from vaelab.models import LatentVariableModel
from vaelab.objectives import Objective
from vaelab.studies.gradients import bias
from vaelab.studies.gradients.bench import Bench
from vaelab.studies.gradients.cost import step_milliseconds, warm_up
from vaelab.studies.gradients.reference import reference_gradient
from vaelab.studies.gradients.rows import build_estimators, choose_rows, gradient_rows

__all__ = ["GradientRow", "measure_gradients"]

Callback = Callable[[int, int], None]
REFERENCE_FACTOR = 5  # draws of the reference per draw of an estimator
SECOND_LOOK = 4  # draws of the second test per draw of the first
_MOST_TIMED = 20


@dataclass
class GradientRow:
    """The measurement of an estimator over independent estimates of the gradient for the same batch.

    ``bias_z``: the error of the mean estimate is projected on 2 x ``DIRECTIONS`` random unit vectors, fixed by the
    seed, half of them in the space of the encoder's parameters and half in that of the others. Against the exact
    gradient (at most 16 bits) a projection divided by its standard error follows Student's distribution with draws - 1
    degrees of freedom. Against a long run of an unbiased estimator (leave-one-out for bits, pathwise for real-valued
    codes) the variance of the run is added, and the degrees of freedom are Welch's. This holds as far as means over the
    draws are normally distributed. ``bias_z`` is the normal deviate of the smallest two-sided p-value.

    ``biased`` says whether the estimator is biased for this objective by construction; the tests prove the others
    unbiased by enumeration. With probability at most ``FALSE_ALARM`` any of those exceeds their common
    :func:`~vaelab.studies.gradients.bias.bias_limit`. Those that do are measured again: ``bias_z_again`` is computed
    from ``SECOND_LOOK`` times as many new draws, against a new reference if that is drawn, and has the limit
    ``bias_limit_again``. An unbiased estimator exceeds both in at most ``FALSE_ALARM`` squared of all reports.

    Attributes:
        estimator: the label of the row.
        samples: K.
        biased: whether it is biased by construction.
        bias_z: see above; None for the exact gradient.
        variance: variance of each parameter of the encoder, averaged over them (the definition of Dong, Mnih & Tucker,
            2020, https://arxiv.org/abs/2006.10680, who average along a training instead).
        variance_error: its standard error.
        signal_to_noise: `sqrt(sum_i m_i^2 / sum_i v_i)` with means m and variances v over the encoder's parameters, the
        noise in the means subtracted.
        milliseconds: median time of a training step without the optimiser: forward, backward and the estimator's loss.
        decoder_evaluations: codes that a step decodes for each observation.
        efficiency: 1 / (variance x seconds).
        draws: estimates that were drawn.
        warmup_steps: steps in which the estimator's parameters were trained.
        bias_z_again: ``bias_z`` of the second test.
    """

    estimator: str
    samples: int
    biased: bool
    bias_z: float | None
    variance: float
    variance_error: float | None
    signal_to_noise: float | None
    milliseconds: float
    decoder_evaluations: int
    efficiency: float | None
    draws: int
    warmup_steps: int
    bias_z_again: float | None = None


def measure_gradients(
    model: LatentVariableModel,
    objective: Objective,
    observed: Observations,
    *,
    draws: int = 200,
    rows: int = 100,
    samples: int = 4,
    estimators: Sequence[str] | None = None,
    without: Sequence[str] = (),
    warmup: int | None = None,
    learning_rate: float = 1e-3,
    seed: int = 0,
    callback: Callback | None = None,
) -> dict[str, Any]:
    """Measure gradient estimators on one batch of bits, drawn once, with the model's parameters frozen.

    Each draw is an independent estimate of the gradient of the objective, averaged over the batch, with its own seed.
    The parameters of an estimator are trained on other batches of the split, and then frozen. The result is that of
    ``vaelab gradients --json``; its ``estimators`` are the fields of :class:`GradientRow`, the most efficient first.

    Args:
        model: its parameters are not changed.
        objective: whose gradient is estimated.
        observed: the split that the batch comes from.
        draws: estimates from each estimator, at least 2.
        rows: observations in the batch.
        samples: K; an estimator that does not support it gets the next K that it supports (pairs: an even number).
        estimators: which to measure, by estimator or row; all if None.
        without: which to leave out.
        warmup: steps in which the estimators' parameters are trained; as many as ``draws`` if None.
        learning_rate: of the model; that of an estimator is a multiple of it.
        seed: of the batch, the directions and every draw.
        callback: called with the number of finished rows and of all rows.

    Raises:
        InputError: a model without sampled codes, fewer than 2 draws, an unknown estimator, or none that applies.
    """
    require_int("draws", draws, 2)
    require_int("samples", samples, 1)
    warmup = draws if warmup is None else require_int("warmup", warmup, 0)
    bench = Bench(model, objective, observed, rows, seed)
    labels = choose_rows(estimators, without)
    ready, refused = build_estimators(model, objective, samples, labels, seed)
    table, reference = _measure_all(bench, ready, samples, draws, warmup, learning_rate, callback)
    limits = _look_again(bench, ready, table, draws)
    table.sort(key=lambda row: -math.inf if row.efficiency is None else -row.efficiency)
    return {
        **_conditions(bench, draws, samples, warmup, reference),
        **limits,
        "estimators": [asdict(row) for row in table],
        "refused": refused,
        "left_out": [label for label in gradient_rows() if label not in labels],
    }


def _measure_all(
    bench: Bench,
    estimators: Mapping[str, Estimator],
    samples: int,
    draws: int,
    warmup: int,
    learning_rate: float,
    callback: Callback | None,
) -> tuple[list[GradientRow], bias.Reference]:
    """Warm up and measure the estimators; return their rows, and the reference of the first."""
    steps = [warm_up(bench, label, estimator, warmup, learning_rate) for label, estimator in estimators.items()]
    times = step_milliseconds(bench, list(estimators.values()), min(draws, _MOST_TIMED))
    references: dict[int, bias.Reference] = {}
    table = []
    for done, (label, estimator) in enumerate(estimators.items()):
        # under a mean over codes K does not change the expectation
        count = samples if bench.objective.combination == "mean" else estimator.samples
        if count not in references:
            references[count] = reference_gradient(bench, count, REFERENCE_FACTOR * draws)
        table.append(_measure(bench, label, estimator, references[count], draws, times[done], steps[done]))
        if callback is not None:
            callback(done + 1, len(estimators))
    return table, next(iter(references.values()))


def _conditions(bench: Bench, draws: int, samples: int, warmup: int, reference: bias.Reference) -> dict[str, Any]:
    """Return the conditions of the measurement."""
    return {
        "objective": bench.objective.name,
        "beta": bench.objective.beta,
        "observations": len(bench.x),
        "draws": draws,
        "samples": samples,
        "seed": bench.seed,
        "warmup": warmup,
        "encoder_parameters": bench.sizes[0],
        "other_parameters": bench.sizes[1],
        "reference": {"name": reference.name, "draws": reference.draws},
        "false_alarm": bias.FALSE_ALARM,
        "false_alarm_of_report": bias.FALSE_ALARM**2,
        "directions": 2 * bias.DIRECTIONS,
        "device": str(bench.x.device),
        "threads": torch.get_num_threads(),
    }


def _measure(
    bench: Bench,
    label: str,
    estimator: Estimator,
    reference: bias.Reference,
    draws: int,
    milliseconds: float,
    warmup_steps: int,
) -> GradientRow:
    """Draw estimates, and return their row."""
    estimator.eval()
    is_exact = isinstance(estimator, Exact)
    count = 1 if is_exact else draws
    projections, mean, spread = _moments(bench, estimator, count, label)
    variance = statistics.fmean(spread) if spread else 0.0
    signal = max(float(mean.square().mean()) - variance / count, 0.0)
    cost = variance * milliseconds / 1000
    return GradientRow(
        estimator=label,
        samples=estimator.samples,
        biased=bench.objective.combination in estimator.biased,
        bias_z=None if is_exact else bias.largest_z(projections, reference),
        variance=variance,
        variance_error=statistics.stdev(spread) / math.sqrt(len(spread)) if len(spread) > 1 else None,
        signal_to_noise=math.sqrt(signal / variance) if variance else None,
        milliseconds=milliseconds,
        decoder_evaluations=estimator.decoder_evaluations(bench.objective),
        efficiency=1 / cost if cost else None,
        draws=count,
        warmup_steps=warmup_steps,
    )


def _moments(bench: Bench, estimator: Estimator, count: int, label: str) -> tuple[Tensor, Tensor, list[float]]:
    """Return the projections (n, M), the mean of the encoder's gradient, and n - 1 estimates of its variance."""
    projections, spread = [], []
    mean = torch.zeros(bench.sizes[0], dtype=torch.float64, device=bench.x.device)
    for number, gradient in enumerate(bench.draws(estimator, count, label, "draw"), 1):
        projections.append(bench.project(gradient))
        difference = gradient[: bench.sizes[0]].double() - mean
        if number > 1:  # each term has the variance as its expectation, and terms of normals are independent
            spread.append(float(difference.square().mean()) * (number - 1) / number)
        mean += difference / number
    return torch.stack(projections), mean, spread


def _look_again(
    bench: Bench, estimators: Mapping[str, Estimator], table: Sequence[GradientRow], draws: int
) -> dict[str, Any]:
    """Measure rows again that exceed the limit although they are proven unbiased; return both limits."""
    judged = [row for row in table if not row.biased and row.bias_z is not None]
    limit = bias.bias_limit(max(1, len(judged)))
    over = [row for row in judged if row.bias_z is not None and row.bias_z > limit]
    count = SECOND_LOOK * draws
    for row in over:
        estimator = estimators[row.estimator]
        reference = reference_gradient(bench, estimator.samples, REFERENCE_FACTOR * count, "second reference")
        projections = bench.projections(estimator, count, row.estimator, "second look")
        row.bias_z_again = bias.largest_z(projections, reference)
    return {
        "bias_limit": limit,
        "bias_limit_again": bias.bias_limit(len(over)) if over else None,
        "draws_again": count if over else None,
    }

"""Gradient estimators measured on one fixed batch, the model frozen: bias, variance, cost.

The table of :func:`measure_gradients` has a row for each estimator that the model and the objective admit.
"""

from __future__ import annotations

import copy
import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from vaelab.data import Observations
from vaelab.errors import InputError, require_choice, require_int
from vaelab.estimators import ESTIMATORS, Estimate, Estimator, Exact, Pathwise, ScoreFunction
from vaelab.estimators.baselines import Baseline
from vaelab.models import LatentVariableModel
from vaelab.objectives import Objective
from vaelab.seeds import derive_seed, own_generators, seeded
from vaelab.studies.bias import DIRECTIONS, FALSE_ALARM, Reference, bias_limit, largest_z

__all__ = ["gradient_rows", "measure_gradients"]

Watch = Callable[[int, int], None]
REFERENCE_FACTOR = 5  # draws of the reference for each draw of an estimator
SECOND_LOOK = 4  # draws of the second look for each draw of the first
_MOST_TIMED = 20


def gradient_rows() -> dict[str, tuple[str, dict[str, Any]]]:
    """Return every row that can be measured: label -> (estimator, options); each baseline has its own.

    >>> [label for label in gradient_rows() if label.startswith("score")][:2]
    ['score-function, none', 'score-function, running-average']
    """
    rows: dict[str, tuple[str, dict[str, Any]]] = {}
    for name, kind in ESTIMATORS.items():
        rows |= {f"{name}, {label}": (name, dict(options)) for label, options in kind.variants.items()} or {
            name: (name, {})
        }
    return rows


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
    watch: Watch | None = None,
) -> dict[str, Any]:
    """Measure gradient estimators on one batch of bits, drawn once, with the model's parameters frozen.

    Each draw is an independent estimate g of the gradient of the objective, averaged over the batch, from a
    seed of its own. For each estimator, over its draws:

    ``variance``: the variance of each parameter of the encoder, averaged over them (the definition of Dong,
    Mnih & Tucker, 2020, https://arxiv.org/abs/2006.10680, who average along a training instead), with its
    standard error. ``signal_to_noise``: sqrt(sum of squared means / sum of variances) over the encoder, the
    noise in the means subtracted. ``milliseconds``: median time of a training step without the optimiser, forward
    and backward, its own learning included. ``efficiency``: 1 / (variance x seconds).

    ``bias_z``: the error of the mean estimate is projected on 2 x ``DIRECTIONS`` random unit vectors, fixed by
    the seed, half of them in the space of the encoder's parameters and half in that of the others. Against the
    exact gradient (at most 16 bits) a projection over its standard error follows Student's law with
    draws - 1 degrees of freedom; against a long run of an unbiased estimator (leave-one-out for bits, pathwise for
    real codes) the run's own variance is added, and the degrees of freedom are Welch's. The projections being
    means over draws, the laws hold but for their distance from a normal. The smallest two-sided p-value is
    given as the normal deviate that has it.

    ``biased`` says what is proven: whether the estimator is biased for this objective by construction; the tests
    enumerate every outcome of the others. With probability at most ``FALSE_ALARM`` any of those exceeds the
    :func:`bias_limit` of all of them. Those that do are looked at again: ``bias_z_again`` is of ``SECOND_LOOK`` times
    as many fresh draws, against a fresh reference where that is drawn, and has the limit ``bias_limit_again``. An
    unbiased estimator exceeds both in at most FALSE_ALARM^2 of all reports, ``false_alarm_of_report``.

    What an estimator learns (a baseline, a control variate) is warmed up on other batches of the split, with the
    optimiser that training gives it, and then frozen. The network baseline's normalisation, which scales the
    encoder's gradient as a whole, is switched off.

    Args:
        model: its parameters stay as they are.
        objective: whose gradient is estimated.
        observed: the split that the batch comes from.
        draws: estimates from each estimator, at least 2.
        rows: observations in the batch.
        samples: K; an estimator that cannot use it gets the next that it can (pairs: the next even number).
        estimators: which to measure, by estimator or row; all if None.
        without: which to leave out.
        warmup: steps for what is learned; as many as ``draws`` if None.
        learning_rate: of the model; an estimator's own is a multiple of it.
        seed: of the batch, the directions and every draw.
        watch: called with rows done and rows in all.

    Raises:
        InputError: a model without sampled codes, fewer than 2 draws, an unknown estimator, or none applicable.
    """
    require_int("draws", draws, 2)
    require_int("rows", rows, 1)
    require_int("samples", samples, 1)
    if model.code == "point":
        raise InputError("gradients: a deterministic auto-encoder draws no codes, so no gradient of it is sampled")
    if not any(weight.requires_grad for weight in model.posterior.parameters()):
        raise InputError(
            "gradients: q(z|x) of this model has no parameters (mean-field inference), so no gradient to estimate"
        )
    chosen = _chosen(estimators, without)
    ready, refused = _build(model, objective, samples, chosen, seed)
    if not ready:
        raise InputError(f"gradients: none of the estimators applies; {refused[0]['reason']}")
    warmup = draws if warmup is None else require_int("warmup", warmup, 0)
    bench = _Bench(model, objective, observed, min(rows, len(observed)), seed)
    references: dict[int, Reference] = {}
    table = []
    steps = [_warm_up(bench, label, estimator, warmup, learning_rate) for label, estimator in ready]
    times = _milliseconds(bench, [estimator for _, estimator in ready], min(draws, _MOST_TIMED))
    for done, (label, estimator) in enumerate(ready):
        count = samples if objective.combination == "mean" else estimator.samples  # K belongs to the other bounds
        if count not in references:
            references[count] = bench.reference(count, REFERENCE_FACTOR * draws)
        row = _measure(bench, label, estimator, references[count], draws, times[done])
        table.append(row | {"warmup_steps": steps[done]})
        if watch is not None:
            watch(done + 1, len(ready))
    again = _look_again(bench, dict(ready), table, draws)
    table.sort(key=lambda row: -math.inf if row["efficiency"] is None else -row["efficiency"])
    reference = next(iter(references.values()))
    return {
        "objective": objective.name,
        "beta": objective.beta,
        "observations": len(bench.x),
        "draws": draws,
        "samples": samples,
        "seed": seed,
        "warmup": warmup,
        "encoder_parameters": bench.sizes[0],
        "other_parameters": bench.sizes[1],
        "reference": {"name": reference.name, "draws": reference.draws},
        "false_alarm": FALSE_ALARM,
        "false_alarm_of_report": FALSE_ALARM**2,
        "directions": 2 * DIRECTIONS,
        **again,
        "device": str(bench.x.device),
        "threads": torch.get_num_threads(),
        "estimators": table,
        "refused": refused,
        "left_out": [label for label in gradient_rows() if label not in chosen],
    }


class _Bench:
    """The frozen model, the batch and the directions."""

    def __init__(
        self, model: LatentVariableModel, objective: Objective, observed: Observations, rows: int, seed: int
    ) -> None:
        self.model, self.objective, self.observed, self.seed = model.eval(), objective, observed, seed
        encoder = [weight for weight in model.posterior.parameters() if weight.requires_grad]
        own = {id(weight) for weight in encoder}
        others = [weight for weight in model.parameters() if weight.requires_grad and id(weight) not in own]
        self.weights: list[nn.Parameter] = [*encoder, *others]
        self.sizes = sum(weight.numel() for weight in encoder), sum(weight.numel() for weight in others)
        self.rows = rows
        self.x = self.batch("batch")  # (B, X)
        with seeded(seed, "directions"):
            drawn = [torch.randn(DIRECTIONS, size, dtype=self.x.dtype) for size in self.sizes]
        self.directions = [(part / part.norm(dim=1, keepdim=True)).to(self.x.device) for part in drawn]

    def batch(self, *path: object) -> Tensor:
        """Return a batch of the split that depends on the seed and on ``path``, (B, X)."""
        with seeded(self.seed, "gradients", *path):
            chosen = torch.randperm(len(self.observed))[: self.rows]
            bits = self.observed.bits(chosen.to(self.observed.device))
        return bits.to(self.model_weight)

    @property
    def model_weight(self) -> Tensor:
        """Any parameter: it has the model's type and device."""
        return next(self.model.parameters())

    def draws(self, estimator: Estimator, count: int, *path: object) -> Iterator[Tensor]:
        """Yield independent estimates of the gradient, encoder first, each flat (P,) in the model's type."""
        for draw in range(count):
            with seeded(self.seed, "gradients", *path, draw):
                estimate: Estimate = estimator.estimate(self.model, self.objective, self.x)
            found = torch.autograd.grad(estimate.surrogate.mean(), self.weights, allow_unused=True)
            pairs = zip(found, self.weights, strict=True)
            yield torch.cat([(torch.zeros_like(w) if g is None else g).flatten() for g, w in pairs])

    def project(self, gradient: Tensor) -> Tensor:
        """Return the projections of a flat gradient, float64 (M,)."""
        parts = gradient.split(self.sizes)
        return torch.cat([d @ part for d, part in zip(self.directions, parts, strict=True)]).double().cpu()

    def projections(self, estimator: Estimator, count: int, *path: object) -> Tensor:
        """Return the projections of independent estimates, float64 (n, M)."""
        return torch.stack([self.project(gradient) for gradient in self.draws(estimator, count, *path)])

    def reference(self, samples: int, draws: int, look: str = "reference") -> Reference:
        """Return the exact gradient where it can be enumerated, else the mean of a long unbiased run."""
        exact = Exact(self.model, samples)
        try:
            exact.check(self.model, self.objective)
        except InputError:
            estimator: Estimator = Pathwise(self.model, samples)
            if self.model.code == "bits":  # for the evidence bound two codes are as unbiased as one
                estimator = ScoreFunction(self.model, max(samples, 2), "leave-one-out")
        else:
            (gradient,) = self.draws(exact, 1, "exact")
            found = self.project(gradient)
            return Reference("exact", 1, found, torch.zeros_like(found))
        name = f"{estimator.name}, leave-one-out" if self.model.code == "bits" else estimator.name
        found = self.projections(estimator, draws, look, name, samples)  # (n, M)
        return Reference(f"{name} (K = {estimator.samples})", draws, found.mean(0), found.var(0) / draws)


def _measure(
    bench: _Bench,
    label: str,
    estimator: Estimator,
    reference: Reference,
    draws: int,
    milliseconds: float,
) -> dict[str, Any]:
    estimator.eval()
    count = 1 if isinstance(estimator, Exact) else draws
    projections, spread = [], []
    mean = torch.zeros(bench.sizes[0], dtype=torch.float64, device=bench.x.device)
    for number, gradient in enumerate(bench.draws(estimator, count, label, "draw"), 1):
        projections.append(bench.project(gradient))
        difference = gradient[: bench.sizes[0]].double() - mean
        if number > 1:  # each term has the variance as its expectation, and terms of normals are independent
            spread.append(float(difference.square().mean()) * (number - 1) / number)
        mean += difference / number
    variance = statistics.fmean(spread) if spread else 0.0
    error = statistics.stdev(spread) / math.sqrt(len(spread)) if len(spread) > 1 else None
    signal = max(float(mean.square().mean()) - variance / count, 0.0)
    cost = variance * milliseconds / 1000
    return {
        "estimator": label,
        "samples": estimator.samples,
        "biased": bench.objective.combination in estimator.biased,
        "bias_z": None if isinstance(estimator, Exact) else largest_z(torch.stack(projections), reference),
        "bias_z_again": None,
        "variance": variance,
        "variance_error": error,
        "signal_to_noise": math.sqrt(signal / variance) if variance else None,
        "milliseconds": milliseconds,
        "decoder_evaluations": estimator.decoder_evaluations(bench.objective),
        "efficiency": 1 / cost if cost else None,
        "draws": count,
    }


def _look_again(
    bench: _Bench, estimators: Mapping[str, Estimator], table: Sequence[dict[str, Any]], draws: int
) -> dict[str, Any]:
    """Measure rows that are over the limit though proven unbiased with fresh draws; return both limits."""
    judged = [row for row in table if not row["biased"] and row["bias_z"] is not None]
    limit = bias_limit(max(1, len(judged)))
    over = [row for row in judged if row["bias_z"] > limit]
    count = SECOND_LOOK * draws
    for row in over:
        label, estimator = row["estimator"], estimators[row["estimator"]]
        reference = bench.reference(estimator.samples, REFERENCE_FACTOR * count, "second reference")
        row["bias_z_again"] = largest_z(bench.projections(estimator, count, label, "second look"), reference)
    return {
        "bias_limit": limit,
        "bias_limit_again": bias_limit(len(over)) if over else None,
        "draws_again": count if over else None,
    }


def _warm_up(bench: _Bench, label: str, estimator: Estimator, steps: int, learning_rate: float) -> int:
    """Let an estimator learn what it learns, the model frozen, and return the number of steps it took."""
    own = list(estimator.parameters())
    if not own and not list(estimator.buffers()):
        return 0
    rate = learning_rate * estimator.learning_rate_factor
    optimiser = torch.optim.Adam(own, lr=rate, betas=estimator.betas) if own else None
    estimator.train()
    for step in range(steps):
        x = bench.batch("warm-up", step)
        with seeded(bench.seed, "gradients", label, "warm-up", step):
            estimate = estimator.estimate(bench.model, bench.objective, x)
        if optimiser is not None and estimate.auxiliary is not None:
            for weight, gradient in zip(own, torch.autograd.grad(estimate.auxiliary, own), strict=True):
                weight.grad = gradient
            optimiser.step()
    for part in estimator.modules():
        if isinstance(part, Baseline):
            part.normalises = False  # the gradient itself, as long as the others'
    return steps


def _milliseconds(bench: _Bench, estimators: Sequence[Estimator], count: int) -> list[float]:
    """Return the median time of a training step of each: forward and backward, on copies that may learn.

    They take turns, so that whatever else the machine does falls on all of them.
    """
    learners = [copy.deepcopy(estimator).train() for estimator in estimators]
    times: list[list[float]] = [[] for _ in learners]
    with own_generators():
        for turn in range(count + 1):
            torch.manual_seed(derive_seed(bench.seed, "gradients", "time", turn))
            for learner, own in zip(learners, times, strict=True):
                _wait(bench.x.device)
                started = time.perf_counter()
                estimate = learner.estimate(bench.model, bench.objective, bench.x)
                loss = -estimate.surrogate.mean()
                if estimate.auxiliary is not None:
                    loss = loss + estimate.auxiliary
                torch.autograd.grad(loss, [*bench.weights, *learner.parameters()], allow_unused=True)
                _wait(bench.x.device)
                own.append(1000 * (time.perf_counter() - started))
    return [statistics.median(own[1:]) for own in times]  # the first turn warms up


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _chosen(estimators: Sequence[str] | None, without: Sequence[str]) -> list[str]:
    """Return the labels asked for; an estimator's name stands for all its rows."""
    rows = gradient_rows()
    names = [*rows, *(name for name in ESTIMATORS if name not in rows)]
    for asked in (*(estimators or ()), *without):
        require_choice("estimator", asked, names)

    def named(label: str, asked: Sequence[str]) -> bool:
        return label in asked or rows[label][0] in asked

    labels = [label for label in rows if (not estimators or named(label, estimators)) and not named(label, without)]
    if not labels:
        raise InputError("gradients: no estimator is left to measure")
    return labels


def _build(
    model: LatentVariableModel, objective: Objective, samples: int, labels: Sequence[str], seed: int
) -> tuple[list[tuple[str, Estimator]], list[dict[str, str]]]:
    """Return the estimators that apply, each with a K that it can use, and the others with the reason."""
    ready, refused = [], []
    for label in labels:
        name, options = gradient_rows()[label]
        for count in (samples, samples + 1, samples + 2):  # pairs need an even number, leave-one-out two
            try:
                with seeded(seed, "gradients", label, "prepare"):
                    estimator = ESTIMATORS[name](model, samples=count, **options)
                estimator.check(model, objective)
            except InputError as refusal:
                reason = str(refusal)
            else:
                ready.append((label, estimator))
                break
        else:
            refused.append({"estimator": label, "reason": reason})
    return ready, refused

"""The cost of an estimator: the warm-up of its parameters, and the time of a training step."""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Sequence

import torch

from vaelab.estimators import Estimator
from vaelab.estimators.baselines import Baseline
from vaelab.seeds import derive_seed, own_generators, seeded
from vaelab.studies.gradients.bench import Bench

__all__ = ["step_milliseconds", "warm_up"]


def warm_up(bench: Bench, label: str, estimator: Estimator, steps: int, learning_rate: float) -> int:
    """Train the parameters of an estimator on other batches with the model frozen; return the number of steps.

    The optimiser is that of a training. The normalisation of a baseline, which scales the encoder's whole gradient, is
    switched off afterwards, so that the gradients are comparable with those of other estimators.
    """
    parameters = list(estimator.parameters())
    if not estimator.state_dict():
        return 0
    rate = learning_rate * estimator.learning_rate_factor
    optimiser = torch.optim.Adam(parameters, lr=rate, betas=estimator.betas) if parameters else None
    estimator.train()
    for step in range(steps):
        x = bench.batch("warm-up", step)
        with seeded(bench.seed, "gradients", label, "warm-up", step):
            estimate = estimator.estimate(bench.model, bench.objective, x)
        if optimiser is not None and estimate.auxiliary is not None:
            gradients = torch.autograd.grad(estimate.auxiliary, parameters)
            for weight, gradient in zip(parameters, gradients, strict=True):
                weight.grad = gradient
            optimiser.step()
    for part in estimator.modules():
        if isinstance(part, Baseline):
            part.normalises = False
    return steps


def step_milliseconds(bench: Bench, estimators: Sequence[Estimator], count: int) -> list[float]:
    """Return the median time of a training step of each: forward and backward, on copies that may learn.

    They take turns, so that other work of the machine affects all of them alike.
    """
    learners = [copy.deepcopy(estimator).train() for estimator in estimators]
    times: list[list[float]] = [[] for _ in learners]
    with own_generators():
        for turn in range(count + 1):
            torch.manual_seed(derive_seed(bench.seed, "gradients", "time", turn))
            for learner, milliseconds in zip(learners, times, strict=True):
                milliseconds.append(_time_step(bench, learner))
    return [statistics.median(milliseconds[1:]) for milliseconds in times]  # the first turn is a warm-up


def _time_step(bench: Bench, estimator: Estimator) -> float:
    _wait(bench.x.device)
    started = time.perf_counter()
    loss = estimator.estimate(bench.model, bench.objective, bench.x).loss()
    torch.autograd.grad(loss, [*bench.weights, *estimator.parameters()], allow_unused=True)
    _wait(bench.x.device)
    return 1000 * (time.perf_counter() - started)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)

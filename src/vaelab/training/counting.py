"""Models that count: trained in passes over all rows, without steps, gradients or checkpoints."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import torch

from vaelab.data import Dataset
from vaelab.models import Counted
from vaelab.runs import Run
from vaelab.training.interrupts import StopAsked, StoppableRows, StopRequest, stop_requests
from vaelab.training.result import FitResult, History, Row

__all__ = ["count"]

_READ = ("train", "validation")
_FEW = 0.01  # of the number of rows: what weights sum to at least, without a warning
_log = logging.getLogger("vaelab")


def count(
    model: Counted,
    data: Dataset,
    seed: int,
    device: torch.device,
    run: Run | None = None,
    callback: Callable[[Row], None] | None = None,
) -> FitResult:
    """Let a model learn from the rows of a data set, and leave it with the state of its best pass.

    Grey levels that become new bits at each step of other trainings are drawn once here, as with ``static``. A signal
    ends a pass where it reads the next rows. The best weights are written when the training ends, also where it is
    stopped; one that was stopped starts again.

    Raises:
        KeyboardInterrupt: a signal before the first pass is done, so that there is nothing to keep.
    """
    _warn_of_small_weights(data)
    home, history = model.any_weight.device, History()
    scores: list[float] = []
    model.spec = replace(data.spec, may_be_missing=model.may_be_missing)
    model.to(device).eval()
    if run is not None:
        run.forget_after(0)
    try:
        with stop_requests() as request:
            result = _passes(model, data, seed, device, run, callback, request, history, scores)
    finally:
        model.to(home)
        if run is not None and history:
            run.save_weights(model.state_dict(), _best(scores) + 1)
    if run is not None and result.stop_reason == "finished":
        run.log({**history[-1], "finished": True})
    return result


def _warn_of_small_weights(data: Dataset) -> None:
    """Say in the log that weights are so small that the rows which smoothing adds count more than those of the data."""
    rows, weights = len(data.train), data.train.observations().weights
    total = rows if weights is None else float(weights.double().sum())
    if total < _FEW * rows:
        _log.warning(
            "the weights of the %s training rows sum to %.3g, and a row of weight 2 counts as two, so smoothing counts "
            "more than the data; multiply the weights so that they sum to the number of rows",
            f"{rows:,}",
            total,
        )


def _best(scores: list[float]) -> int:
    """Return the place of the best score, of several equal ones the first."""
    return max(range(len(scores)), key=scores.__getitem__)


def _passes(
    model: Counted,
    data: Dataset,
    seed: int,
    device: torch.device,
    run: Run | None,
    callback: Callable[[Row], None] | None,
    request: StopRequest,
    history: History,
    scores: list[float],
) -> FitResult:
    """Make all passes, unless a signal asks to stop; their rows are logged, the last one by the caller.

    Raises:
        KeyboardInterrupt: a signal before the first pass is done, so that there is nothing to keep.
    """
    fixed = data.with_binarisation("static") if data.binarisation == "dynamic" else data
    train, validation = (StoppableRows(fixed.split(name).observations(device), request) for name in _READ)
    begun = time.perf_counter()
    with torch.no_grad(), suppress(StopAsked):
        for step, done in enumerate(model.learn(train, validation, seed), 1):
            if run is not None and history:
                run.log(history[-1])
            values = {"train/log-likelihood": done.train, "val/log-likelihood": done.validation}
            seconds = round(time.perf_counter() - begun, 3)
            history.append({"step": step, "steps": max(step, done.of), **values, "seconds": seconds})
            scores.append(done.validation if done.score is None else done.score)
            if callback is not None:
                callback(history[-1])
            if request.signal is not None:
                break
    if not history:
        raise KeyboardInterrupt
    interrupted, best = request.signal is not None, _best(scores)
    return FitResult(
        steps=len(history),
        best_bound=history[best]["val/log-likelihood"],
        best_step=best + 1,
        seconds=time.perf_counter() - begun,
        stop_reason="interrupted" if interrupted else "finished",
        history=history,
        signal=request.signal,
    )

"""The training loop: batch, estimate, backward, step; log, validate, checkpoint."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from torch import Tensor

from vaelab.networks import matmul_precision
from vaelab.objectives import Objective
from vaelab.seeds import seed_step
from vaelab.training.interrupts import StopRequest
from vaelab.training.optimizers import clip_gradients, scale_learning_rates
from vaelab.training.result import StopReason
from vaelab.training.schedule import CheckpointClock, learning_rate_factor
from vaelab.training.setup import Setup, Step
from vaelab.training.state import TrainState

__all__ = ["run_loop"]


def run_loop(setup: Setup, state: TrainState, request: StopRequest) -> StopReason:
    """Train until the last step, until there was no better validation for too long, or until a signal asks to stop."""
    settings, clock = setup.settings, CheckpointClock()
    reason = stop_reason(setup, state, interrupted=False)  # a resumed run may have ended already
    with choose_step(setup, state) as step, matmul_precision(setup.products):
        state.log.start()
        while reason is None:
            seed_step(setup.seed, state.step, setup.device)
            x = setup.batches(state.step)  # (B, X), or the rows of this rank
            weights = setup.batches.weights(state.step)  # (B,), or None
            objective = setup.objective.at(state.step)
            scale_learning_rates(state.optimizer, learning_rate_factor(settings, state.step, setup.steps))
            with setup.group.step():
                means, stop_asked = step(objective, x, weights, request.signal is not None)
            state.add_step(means, setup.objective.warm_up)

            validates = state.step % setup.validate_every == 0 or state.step == setup.steps
            logs = state.step % settings.log_every == 0 or validates
            row = setup.log_row(state) if logs else {}
            if validates:
                with matmul_precision("highest"):
                    row |= setup.validate(state)
            # A signal saves and does not validate: one more validation could select other weights or use up patience,
            # so that the resumed run would not be the run that was never stopped. An accelerator is asked what other
            # ranks want at rows of the log only, because the answer waits for it.
            readable = logs or setup.device.type == "cpu"
            interrupted = request.signal is not None if stop_asked is None else readable and bool(stop_asked)
            reason = stop_reason(setup, state, interrupted)
            if logs:
                with matmul_precision("highest"):  # a callback may evaluate
                    setup.report(row, finished=reason in ("finished", "patience"))
            if clock.due(validates, ends=reason is not None):
                setup.save(state, clock)
            if validates:
                state.log.start()  # validating and saving is no training time
    return reason


def stop_reason(setup: Setup, state: TrainState, interrupted: bool) -> StopReason | None:
    """Return why the training ends after this step, or None if it goes on."""
    if state.step >= setup.steps:
        return "finished"
    if state.best.out_of_patience:
        return "patience"
    return "interrupted" if interrupted else None


def choose_step(setup: Setup, state: TrainState) -> AbstractContextManager[Step]:
    """Return the step to take, compiled if that is asked for; what compiles it is imported only then."""

    def plain_step(objective: Objective, x: Tensor, weights: Tensor | None, stop: bool) -> tuple[Tensor, Tensor | None]:
        for parameter in state.parameters:
            parameter.grad = None
        estimate = state.estimate(objective, x)
        estimate.loss(weights).backward()
        return apply_gradients(estimate.means(weights), stop)

    def apply_gradients(means: Tensor, stop: bool) -> tuple[Tensor, Tensor | None]:
        means, stop_asked = setup.group.average(means, state.parameters, stop)
        if state.variance is not None:
            state.variance.update()
        clip_gradients(state.model_parameters, setup.settings.clip)
        state.optimizer.step()
        return means, stop_asked

    if not setup.settings.compile:
        return nullcontext(plain_step)
    from vaelab.training.step import compiled_step

    return compiled_step(setup, state, plain_step, apply_gradients)

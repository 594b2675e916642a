"""The one training loop: batch, estimate, backward, step; everything else happens between log lines."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from vaelab.data import Batches, Dataset
from vaelab.errors import InputError
from vaelab.estimators import Estimator
from vaelab.likelihood import objective_bound
from vaelab.models import MODELS, LatentVariableModel
from vaelab.objectives import Objective
from vaelab.runs import Run
from vaelab.seeds import seed_step
from vaelab.settings import TrainingSettings, resolve
from vaelab.training.adam import Adam, Group, clipped
from vaelab.training.average import Average
from vaelab.training.checks import check_fit, training_rows
from vaelab.training.engine import Engine
from vaelab.training.interrupts import stop_requests
from vaelab.training.length import at_pace, default_interval
from vaelab.training.parallel import ProcessGroup
from vaelab.training.record import Best, Log, Saving
from vaelab.training.result import FitResult, History, Row, StopReason
from vaelab.training.schedule import kl_weight, learning_rate
from vaelab.training.surroundings import choose_device, own_torch, require_ordinary, require_trainable
from vaelab.training.variance import GradientVariance
from vaelab.training.verdict import judge

__all__ = ["fit"]


@own_torch()
def fit(
    model: LatentVariableModel,
    data: Dataset,
    *,
    estimator: Estimator | None = None,
    objective: Objective | None = None,
    settings: TrainingSettings | None = None,
    seed: int = 0,
    device: str = "cpu",
    run: Run | None = None,
    callback: Callable[[Row], None] | None = None,
    processes: ProcessGroup | None = None,
    **training: Any,
) -> FitResult:
    """Train a model on the ``train`` split and leave it with the weights of the best validation bound.

    Training starts from the weights that the model has, so a second call goes on from where the first ended. Ctrl-C and
    SIGTERM stop it after the step; then it keeps the last weights, to go on from. What the session has set in torch
    (gradients off, another default type or device) neither matters here nor is changed, and trainings in several
    threads of a process wait for each other.

    Args:
        model: any latent-variable model; trained in place.
        data: the data set; its validation split selects the weights.
        estimator: gradient estimator; the default suits the model's code.
        objective: what is maximised; the ELBO, or the reconstruction for an auto-encoder.
        settings: how long and how to step, or give its fields by name (``epochs=10``).
        seed: of everything random here: the same model and seed give the same weights on the same machine. The weights
            that training starts from are the builder's: ``gaussian_vae(..., seed=0)``.
        device: where to train: ``cpu``, ``cuda``, or ``auto`` for an accelerator if there is one.
        run: a run directory to log to, checkpoint in and resume from.
        callback: called with each logged row.
        processes: those that train this model together, each called with the same arguments but ``run`` and
            ``callback``, which are rank 0's; this one alone if left out. See :func:`vaelab.training.joined`.
        **training: fields of :class:`TrainingSettings`, instead of ``settings``.

    Raises:
        InputError: settings, estimator and objective that do not go with the model or the data, a device that is not
            there, or weights that cannot be trained: not float32, or made under ``torch.inference_mode``.
        Diverged: the bound stopped being finite; says at which step, and what to try.
        PeerLost: another process does not answer, or has left.

    >>> from vaelab.data import load_data
    >>> from vaelab.models import gaussian_vae
    >>> result = fit(gaussian_vae(784, latent_dim=2, hidden_dims=[16]), load_data("mnist"), steps=20)
    >>> result.steps, result.stop_reason
    (20, 'finished')
    """
    if settings is not None and training:
        raise InputError(f"fit: expected settings or their fields by name, not both; got {', '.join(training)} as well")
    name = {"real": "gaussian-vae", "bits": "bernoulli-vae", "point": "autoencoder"}[model.code]
    if model.code == "bits" and len(model.layers) > 1:
        name = "sbn"
    defaults = resolve(name, {"seed": seed, **({"training": training} if training else {})})
    settings = settings or defaults.training
    device = choose_device(device)
    estimator = (estimator or defaults.build_estimator(model)).to(device).train()
    objective = objective or defaults.build_objective()
    settings = at_pace(settings, MODELS[name].pace, training_rows(data), data.dim)
    check_fit(model, data, objective, estimator, settings)
    # An evaluation asks for the binarisation of the training, also of a model that was built for a width.
    model.spec = replace(model.spec or data.spec, kind=data.kind, binarisation=data.binarisation)
    require_trainable(model)
    require_ordinary("estimator", estimator)
    model.to(device).train()
    processes = processes or ProcessGroup()
    ranks = processes.ranks

    where = torch.device(device)
    batches = Batches(data.train.observations(where), settings.batch_size, seed, ranks)
    held_out = data.validation.observations(where)
    total = settings.steps or (settings.epochs or 1) * batches.steps_per_epoch
    every = settings.validate_every or default_interval(batches.steps_per_epoch, total)
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimiser = Adam([Group(weights), *_own_group(estimator)])
    engine = Engine(settings, where)
    variance = GradientVariance(model) if settings.log_gradient_variance else None

    def advance(
        objective: Objective, x: Tensor, numbers: Sequence[float] | Tensor
    ) -> tuple[Tensor, Sequence[Tensor | None], Tensor | None]:
        """Make a step with a batch: estimate, gradients, and the weights move.

        The numbers are whether this rank asks to stop, and the optimiser's. Returned are the means to log, the
        gradients if their variance is logged, and whether any rank asks.
        """
        estimate = estimator.estimate(model, objective, x)
        own = torch.autograd.grad(estimate.loss(), optimiser.weights, allow_unused=True)
        means, gradients, asked = processes.average(estimate.means(), own, numbers[:1])
        optimiser.step(clipped(gradients, len(weights), settings.clip), numbers[1:])
        return means, gradients if variance is not None else (), asked

    advance = engine.compile(advance)
    log = Log(settings.log_every, where)
    average = Average(model, settings.kl_warmup) if settings.average else None
    kept = average.model if average is not None else model  # what is validated, and kept if it is the best
    best = Best(kept, run, settings)
    parts: dict[str, Any] = {"model": model, "estimator": estimator, "adam": optimiser, "best": best, "log": log}
    if average is not None:
        parts["average"] = average
    if variance is not None:
        parts["variance"] = variance
    step = _resume(parts, run, processes)

    history = History(run.metrics() if run is not None else [])

    def report(row: Row) -> None:
        history.append(row)
        if run is not None:
            run.log(row)
        if callback is not None:
            callback(row)

    early = best.out_of_patience  # at once, where a run that had stopped early is resumed
    interrupted = False
    with engine.running(), stop_requests() as request:
        log.start()
        saving = Saving()
        while step < total and not early and not interrupted:
            seed_step(seed, step, where)
            x = batches(step)  # (B, X), or this rank's share of it
            rate = learning_rate(settings, step, total)
            numbers = [float(request.signal is not None), *optimiser.next(rate)]
            with engine.products(), processes.step():
                means, gradients, asked = advance(_at(objective, settings, step), x, numbers)
            log.add(means)
            if variance is not None:
                variance.add(gradients)
            step += 1
            if average is not None:
                average.add(step)

            # An interruption saves, and that is all: a validation of its own could select other weights, or use up
            # patience, and the resumed run would not be the run that had never stopped.
            last = step == total
            validate = step % every == 0 or last
            logs = step % settings.log_every == 0 or validate
            # Reading the word of other ranks waits for the device, so an accelerator is asked between log lines only.
            stop = request.signal is not None if asked is None else (where.type == "cpu" or logs) and bool(asked)
            interrupted = stop and not last
            if logs:
                row = log.row(step, total, batches.batch_size, rate, objective) | (variance.row() if variance else {})
                if validate:
                    found = objective_bound(kept, held_out, objective, estimator.samples, seed, ranks=ranks)
                    bound = float(processes.all_reduce(found.values).double().mean())
                    row |= {f"val/{objective.metric}": bound}
                    best.offer(bound, step)
                    early = best.out_of_patience
                if last or early:
                    row["finished"] = True
                report(row)
            saves = saving.due(validate, last or early or interrupted)
            if saves:  # after a validation too: an average of the weights may not have taken in the last of them
                log.require_finite(step)
                best.require_finite_weights(model, step)
            if run is not None and saves:
                if not best.weights:
                    run.save_weights(kept.state_dict())  # nothing was selected yet
                with saving.timed():
                    run.save_checkpoint({name: part.state_dict() for name, part in parts.items()} | {"step": step})
            if validate:
                log.start()  # validating and saving is no training time
    reason: StopReason
    reason = "patience" if early and step < total else "interrupted" if interrupted else "finished"
    if reason != "interrupted":
        best.restore(model)
    model.eval()
    number = request.signal or (signal.SIGTERM if interrupted else None)  # another rank may have been told
    verdict = judge(best.curve, settings, total, early, objective.metric) if reason != "interrupted" else None
    return FitResult(step, best.bound, best.step, log.seconds, reason, history, number, verdict)


def _resume(parts: dict[str, Any], run: Run | None, processes: ProcessGroup) -> int:
    """Load the last checkpoint of the run on every rank, if there is one, and return the step to go on from."""
    state = processes.on_rank_zero(lambda: run.load_checkpoint() if run is not None else None)
    step = 0
    if state is None and processes.ranks.count > 1:  # equal seeds may round differently on unequal machines
        for name in ("model", "estimator"):
            parts[name].load_state_dict(processes.on_rank_zero(parts[name].state_dict))
    if state is not None:
        if missing := [name for name in parts if name not in state]:
            raise InputError(
                f"resume: expected a checkpoint that holds {' and '.join(missing)}; this one was written by an earlier "
                "vaelab, so start anew (--overwrite)"
            )
        step = state["step"]
        for name, part in parts.items():
            part.load_state_dict(state[name])
        parts["best"].write()
    if run is not None:
        run.forget_after(step)  # also where there is no checkpoint: those steps are made, and logged, again
    return step


def _own_group(estimator: Estimator) -> list[Group]:
    """Return what the estimator learns at its own rate, if it learns anything."""
    own = list(estimator.parameters())
    return [Group(own, estimator.learning_rate_factor, estimator.betas)] if own else []


def _at(objective: Objective, settings: TrainingSettings, step: int) -> Objective:
    """Return the objective with the beta of this step."""
    weight = kl_weight(settings, step)
    return objective.with_beta(objective.beta * weight) if weight < 1 else objective

"""The one training loop: batch, estimate, backward, step; everything else happens between log lines."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from vaelab.data import Batches, Binarisation, Dataset, observations
from vaelab.estimators import Estimate, Estimator
from vaelab.evaluation import objective_bound
from vaelab.models import LatentVariableModel
from vaelab.objectives import ELBO, Objective
from vaelab.randomness import seed_step, seeded
from vaelab.refusals import Refusal
from vaelab.runs import Run
from vaelab.settings import TrainingSettings, resolve
from vaelab.training.interrupts import stop_requests
from vaelab.training.schedule import kl_weight, learning_rate

__all__ = ["Diverged", "Fitted", "Row", "fit"]

Row = dict[str, Any]


class Diverged(RuntimeError):
    """The bound or the weights stopped being finite; the last good checkpoint is kept."""


@dataclass(frozen=True)
class Fitted:
    """What a training came to. ``best`` is the validation bound (nats) of the weights that were kept."""

    steps: int
    best: float
    best_step: int
    seconds: float
    ended: Literal["finished", "early", "interrupted"]
    signal: int | None = None


def fit(
    model: LatentVariableModel,
    data: Dataset,
    *,
    estimator: Estimator | None = None,
    objective: Objective | None = None,
    settings: TrainingSettings | None = None,
    binarisation: Binarisation = "dynamic",
    seed: int = 0,
    device: str = "cpu",
    run: Run | None = None,
    watch: Callable[[Row], None] | None = None,
    **training: Any,
) -> Fitted:
    """Train a model on the ``train`` split and leave it with the weights of the best validation bound.

    Args:
        model: any latent-variable model; trained in place.
        data: the data set; its validation split selects the weights.
        estimator: gradient estimator; the default suits the model's code.
        objective: what is maximised; the ELBO, or the reconstruction for an auto-encoder.
        settings: how long and how to step, or give its fields by name (``epochs=10``).
        binarisation: protocol by which grey levels become bits.
        seed: of everything random; the same seed gives the same weights on the same machine.
        device: where to train, such as ``cpu`` or ``cuda``.
        run: a run directory to log to, checkpoint in and resume from.
        watch: called with each logged row.
        **training: fields of :class:`TrainingSettings`, instead of ``settings``.

    Raises:
        Refusal: settings, estimator and objective that do not go with the model or the data.
        Diverged: the bound stopped being finite; says at which step, and what to try.

    >>> from vaelab.data import load_data
    >>> from vaelab.models import gaussian_vae
    >>> fitted = fit(gaussian_vae(784, latent_dim=2, hidden_dims=[16]), load_data("mnist"), steps=20)
    >>> fitted.steps, fitted.ended
    (20, 'finished')
    """
    if settings is not None and training:
        raise Refusal(f"fit: expected settings or their fields by name, not both; got {', '.join(training)} as well")
    name = {"real": "gaussian-vae", "bits": "bernoulli-vae", "point": "autoencoder"}[model.code]
    defaults = resolve(name, {"training": training} if training else {})
    settings = settings or defaults.training
    estimator = (estimator or defaults.build_estimator()).to(device).train()
    objective = objective or defaults.build_objective()
    estimator.check(model, objective)
    model.to(device).train()

    where = torch.device(device)
    batches = Batches(observations(data, "train", binarisation, where), settings.batch_size, seed)
    held_out = observations(data, "validation", binarisation, where)
    total = settings.steps or (settings.epochs or 1) * batches.steps_per_epoch
    every = settings.validate_every or batches.steps_per_epoch
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    with torch.no_grad(), seeded(seed, "estimator"):
        x = batches(0)
        estimator.prepare(x, model.posterior(x))
    optimiser = torch.optim.Adam(_groups(weights, estimator), lr=settings.learning_rate, fused=True)
    log = _Log(settings.log_every, where)
    best = _Best(model, run)
    start = 0
    if run is not None and (state := run.load_checkpoint()) is not None:
        model.load_state_dict(state["model"])
        estimator.load_state_dict(state["estimator"])
        optimiser.load_state_dict(state["optimiser"])
        best.load_state_dict(state["best"])
        start = state["step"]
        log.load_state_dict(state["log"])
    if run is not None:
        run.forget_after(start)  # also where there is no checkpoint: those steps are made, and logged, again

    def report(row: Row) -> None:
        if run is not None:
            run.log(row)
        if watch is not None:
            watch(row)

    def out_of_patience() -> bool:
        return settings.patience is not None and best.validations_since >= settings.patience

    early = out_of_patience()  # at once, where a run that had stopped early is resumed
    interrupted = False
    step = start
    with torch.random.fork_rng(), stop_requests() as request:
        log.start()
        while step < total and not early and not interrupted:
            seed_step(seed, step, where)
            rate = learning_rate(settings, step, total)
            for group in optimiser.param_groups:
                group["lr"] = rate * group["factor"]
            x = batches(step)  # (B, X)
            estimate = estimator(model, _at(objective, settings, step), x)
            optimiser.zero_grad(set_to_none=True)
            loss = -estimate.surrogate.mean()
            if estimate.auxiliary is not None:
                loss = loss + estimate.auxiliary
            loss.backward()
            if settings.clip is not None:
                nn.utils.clip_grad_norm_(weights, settings.clip)
            optimiser.step()
            log.add(estimate)
            step += 1

            # An interruption saves, and that is all: a validation of its own could select other weights, or use up
            # patience, and the resumed run would not be the run that had never stopped.
            last = step == total
            interrupted = request.signal is not None and not last
            validate = step % every == 0 or last
            if step % settings.log_every == 0 or validate:
                row = log.row(step, total, len(x), rate, objective)
                if validate:
                    bound = objective_bound(model, held_out, objective, estimator.samples, seed).mean
                    log.start()  # validation is no training time
                    row |= {f"val/{_label(objective)}": bound}
                    best.offer(bound, step)
                    early = out_of_patience()
                if last or early:
                    row["finished"] = True
                report(row)
            if interrupted and not validate:
                log.require_finite(step)
                best.require_finite_weights(step)
            if run is not None and (validate or interrupted):
                if not best.weights:
                    run.save_model(model)  # nothing was selected yet
                run.save_checkpoint(
                    {
                        "model": model.state_dict(),
                        "estimator": estimator.state_dict(),
                        "optimiser": optimiser.state_dict(),
                        "best": best.state_dict(),
                        "log": log.state_dict(),
                        "step": step,
                    }
                )
    ended: Literal["finished", "early", "interrupted"]
    ended = "early" if early and step < total else "interrupted" if interrupted else "finished"
    if ended != "interrupted":
        best.restore()
    model.eval()
    return Fitted(step, best.bound, best.step, log.seconds, ended, request.signal)


def _groups(weights: list[nn.Parameter], estimator: Estimator) -> list[Row]:
    """Return the optimiser's groups: the model's weights, and what the estimator learns at its own rate."""
    groups: list[Row] = [{"params": weights, "factor": 1.0}]
    if own := list(estimator.parameters()):
        groups.append({"params": own, "factor": estimator.learning_rate_factor, "betas": estimator.betas})
    return groups


def _at(objective: Objective, settings: TrainingSettings, step: int) -> Objective:
    """Return the objective with the beta of this step."""
    weight = kl_weight(settings, step)
    return replace(objective, beta=objective.beta * weight) if weight < 1 and isinstance(objective, ELBO) else objective


def _label(objective: Objective) -> str:
    return "reconstruction" if objective.name == "reconstruction" else "bound"


class _Log:
    """Collects the estimates of the steps on the device; one synchronisation a log line."""

    def __init__(self, size: int, device: torch.device) -> None:
        self.values = torch.zeros(size, 4, device=device)
        self.count = 0
        self.relaxed = False
        self.seconds = 0.0
        self.started = 0.0
        self.good = "none"

    def start(self) -> None:
        self.started = time.perf_counter()

    def add(self, estimate: Estimate) -> None:
        self.relaxed = estimate.relaxed is not None
        fourth = estimate.bound if estimate.relaxed is None else estimate.relaxed
        parts = (estimate.bound, estimate.reconstruction, estimate.kl, fourth)
        self.values[self.count] = torch.stack([part.mean() for part in parts])
        self.count += 1

    def require_finite(self, step: int) -> Tensor:
        """Return the values since the last row, or raise :class:`Diverged` with the step where it went wrong."""
        values = self.values[: self.count].cpu()
        finite = values.isfinite().all(1)
        if not finite.all():
            first = int((~finite).int().argmax())
            good = f"{values[first - 1, 0]:.2f}" if first else self.good
            raise Diverged(
                f"training: the bound is not finite at step {step - self.count + first + 1}; {_advice(good)}"
            )
        return values

    def row(self, step: int, total: int, batch: int, rate: float, objective: Objective) -> Row:
        """Return the means since the last row, or raise :class:`Diverged`."""
        values = self.require_finite(step)
        elapsed = time.perf_counter() - self.started
        self.seconds += elapsed
        bound, reconstruction, kl, relaxed = values.mean(0).tolist()
        self.good = f"{values[-1, 0]:.2f}"
        images = self.count * batch / elapsed if elapsed > 0 else 0.0
        self.count = 0
        self.start()
        row: Row = {"step": step, "steps": total, "train/reconstruction": reconstruction}
        if _label(objective) == "bound":
            row |= {"train/bound": bound, "train/kl": kl}
        if self.relaxed:
            row["train/relaxed-bound"] = relaxed
        return row | {"lr": rate, "images_per_second": round(images, 1), "seconds": round(self.seconds, 3)}

    def state_dict(self) -> dict[str, Any]:
        seconds = self.seconds + (time.perf_counter() - self.started if self.count else 0.0)
        return {"values": self.values[: self.count].clone(), "seconds": seconds, "good": self.good}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.count, self.seconds, self.good = len(state["values"]), state["seconds"], state["good"]
        self.values[: self.count] = state["values"].to(self.values.device)


def _advice(good: str) -> str:
    return (
        f"the last good value was {good}; try a lower training.learning_rate, training.clip=10 or more training.warmup"
    )


class _Best:
    """The weights of the best validation bound: in the run directory, or in memory without one."""

    def __init__(self, model: LatentVariableModel, run: Run | None) -> None:
        self.model, self.run = model, run
        self.bound, self.step, self.validations_since = float("-inf"), 0, 0
        self.weights: dict[str, Tensor] = {}

    def offer(self, bound: float, step: int) -> None:
        """Keep the present weights if their bound is better; refuse weights that are not finite."""
        if not math.isfinite(bound):
            good = f"{self.bound:.2f}" if self.weights else "none"
            raise Diverged(f"training: the validation bound is {bound} at step {step}; {_advice(good)}")
        self.validations_since += 1
        if bound > self.bound:
            self.bound, self.step, self.validations_since = bound, step, 0
            self.weights = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
            if self.run is not None:
                self.run.save_model(self.model)

    def require_finite_weights(self, step: int) -> None:
        """Raise :class:`Diverged` before weights that are not finite are written."""
        if not all(bool(value.isfinite().all()) for value in self.model.state_dict().values()):
            good = f"{self.bound:.2f}" if self.weights else "none"
            raise Diverged(f"training: the weights are not finite at step {step}; {_advice(good)}")

    def restore(self) -> None:
        if self.weights:
            self.model.load_state_dict(self.weights)

    def state_dict(self) -> dict[str, Any]:
        keys = ("bound", "step", "validations_since", "weights")
        return {key: getattr(self, key) for key in keys}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for key, value in state.items():
            setattr(self, key, value)

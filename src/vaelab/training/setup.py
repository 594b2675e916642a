"""The parts of a training that do not change: its data, objective and lengths, and the place of its results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from vaelab.data import Batches, Observations
from vaelab.likelihood import BoundEstimate, objective_bound
from vaelab.models import Differentiable
from vaelab.networks import Products, evaluation_mode
from vaelab.objectives import Objective
from vaelab.runs import Run
from vaelab.settings import TrainingSettings
from vaelab.training.parallel import ProcessGroup
from vaelab.training.result import History, Row
from vaelab.training.schedule import CheckpointClock
from vaelab.training.state import TrainState

__all__ = ["Setup", "Step"]

# From an objective, observations x (B, X), their weights (B,) if they have any and whether this rank asks to stop, to
# the means to log and, of several ranks, the share of them that ask to stop.
Step = Callable[[Objective, Tensor, Tensor | None, bool], tuple[Tensor, Tensor | None]]


@dataclass(frozen=True)
class Setup:
    """Everything of a training that does not change from step to step.

    Attributes:
        settings: complete, with the learning rate and the length.
        objective: what is maximised.
        batches: the batch of each step.
        held_out: the validation split.
        device: where the model is.
        seed: of everything random.
        steps: of the whole training.
        validate_every: steps between validations.
        products: the precision of the matrix products of a step, by torch's name for it.
        group: the processes that train the model together.
        history: the logged rows.
        run: the run directory, of rank 0.
        callback: called with each logged row.
    """

    settings: TrainingSettings
    objective: Objective
    batches: Batches
    held_out: Observations
    device: torch.device
    seed: int
    steps: int
    validate_every: int
    products: Products
    group: ProcessGroup
    history: History
    run: Run | None = None
    callback: Callable[[Row], None] | None = None

    def log_row(self, state: TrainState) -> Row:
        """Return the means over the steps since the last row of the log."""
        rate = state.optimizer.param_groups[0]["lr"]
        row = state.log.row(state.step, self.steps, self.batches.batch_size, rate, self.objective)
        return row | (state.variance.row() if state.variance is not None else {})

    def validate(self, state: TrainState) -> Row:
        """Compute the bound on the validation split, shared out among the ranks; keep the weights if it is the best."""
        model, ranks = state.validated_model, self.group.ranks
        with evaluation_mode(model):
            if isinstance(model, Differentiable):
                values = model.values_of(self.held_out, model.validation_score, ranks=ranks)
                estimate = BoundEstimate(values, weights=self.held_out.weights)
            else:
                samples = 1 if state.estimator is None else state.estimator.samples
                estimate = objective_bound(model, self.held_out, self.objective, samples, self.seed, ranks=ranks)
        bound = replace(estimate, values=self.group.all_reduce(estimate.values)).mean
        state.best.update(bound, state.step)
        return {f"val/{self.objective.metric}": bound}

    def report(self, row: Row, finished: bool) -> None:
        """Add a row to the history, the run directory and what the callback is given."""
        row = row | ({"finished": True} if finished else {})
        self.history.append(row)
        if self.run is not None:
            self.run.log(row)
        if self.callback is not None:
            self.callback(row)

    def save(self, state: TrainState, clock: CheckpointClock) -> None:
        """Write a checkpoint, after the check that everything in it is finite."""
        state.log.require_finite(state.step)
        state.best.require_finite_weights(state.model, state.step)
        if self.run is None:
            return
        if not state.best.weights:  # no weights were selected yet
            self.run.save_weights(state.validated_model.state_dict(), state.step)
        with clock.timed():
            self.run.save_checkpoint(state.state_dict())

"""The state of a training: everything that a resumed training needs, each part with a state_dict."""

from __future__ import annotations

from typing import Any, Protocol, cast

from torch import Tensor
from torch.optim import Optimizer

from vaelab.errors import InputError
from vaelab.estimators import Estimator
from vaelab.models import Differentiable, LatentVariableModel
from vaelab.objectives import Estimate, Objective
from vaelab.runs import Run
from vaelab.training.adam import Adam
from vaelab.training.average import WeightAverage
from vaelab.training.best import Best
from vaelab.training.log import Log
from vaelab.training.optimizers import require_same_options, trainable
from vaelab.training.parallel import ProcessGroup
from vaelab.training.variance import GradientVariance

__all__ = ["TrainState", "Trained"]

Trained = LatentVariableModel | Differentiable


class _Stateful(Protocol):
    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any], /) -> Any: ...


class TrainState:
    """The parts of a training that change, and ``step``, the number of steps that were made.

    Args:
        model: the model in training.
        estimator: the gradient estimator, with what it learns; None for a density model, which has its own gradient.
        optimizer: the optimiser of both.
        best: the weights of the best validation.
        log: the means since the last row of the log.
        average: the average of the weights, if there is one.
        variance: the variance of the gradients, if it is logged.
    """

    def __init__(
        self,
        model: Trained,
        estimator: Estimator | None,
        optimizer: Optimizer | Adam,
        best: Best,
        log: Log,
        average: WeightAverage[Trained] | None = None,
        variance: GradientVariance | None = None,
    ) -> None:
        self.step = 0
        self.model, self.estimator, self.optimizer = model, estimator, optimizer
        self.best, self.log, self.average, self.variance = best, log, average, variance
        self.model_parameters = trainable(model)
        self.parameters = [*self.model_parameters, *(() if estimator is None else trainable(estimator))]

    @property
    def validated_model(self) -> Trained:
        """The model that is validated and kept: the average of the weights, or the model itself without one."""
        return self.best.model

    def estimate(self, objective: Objective, x: Tensor) -> Estimate:
        """Return the estimate of a step, for observations x (B, X): that of the estimator, or of the model itself."""
        if self.estimator is None:
            return cast(Differentiable, self.model).estimate(x)
        return self.estimator.estimate(cast(LatentVariableModel, self.model), objective, x)

    def add_step(self, means: Tensor, average_from: int) -> None:
        """Count a step, log its means, average its weights; the average begins anew after the step ``average_from``."""
        self.log.add(means)
        self.step += 1
        if self.average is not None:
            self.average.update(self.step, average_from)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of every part by name, and the step."""
        kind = {"step": self.step, "optimizer_class": type(self.optimizer).__name__}
        return kind | {name: part.state_dict() for name, part in self._parts().items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state.

        Raises:
            InputError: a state without some of the parts, or of another optimiser or one with other options.
        """
        parts = self._parts()
        if missing := [name for name in parts if name not in state]:
            raise InputError(
                f"resume: expected a checkpoint that holds {' and '.join(missing)}; this one was written by an earlier "
                "vaelab, so start anew (--overwrite)"
            )
        own = type(self.optimizer).__name__
        if state["optimizer_class"] != own:
            raise InputError(
                f"resume: expected the optimiser that the run was started with, {state['optimizer_class']}; got {own}"
            )
        if isinstance(self.optimizer, Optimizer):
            require_same_options(self.optimizer, state["optimizer"]["param_groups"])
        for name, part in parts.items():
            part.load_state_dict(state[name])
        self.step = state["step"]

    def resume(self, run: Run | None, group: ProcessGroup) -> None:
        """Continue from the last checkpoint of a run on every rank, if there is one.

        Only rank 0 has the run. Without a checkpoint all ranks take the weights of rank 0: equal seeds may round
        differently on different machines.
        """
        checkpoint = group.on_rank_zero(lambda: run.load_checkpoint() if run is not None else None)
        if checkpoint is not None:
            self.load_state_dict(checkpoint)
            self.best.write()
        elif group.ranks.count > 1:
            for part in (self.model, *(() if self.estimator is None else (self.estimator,))):
                part.load_state_dict(group.on_rank_zero(part.state_dict))
        if run is not None:
            run.forget_after(self.step)  # also without a checkpoint: those steps are made, and logged, again

    def _parts(self) -> dict[str, _Stateful]:
        parts: dict[str, _Stateful | None] = {
            "model": self.model,
            "estimator": self.estimator,
            "optimizer": self.optimizer,
            "best": self.best,
            "log": self.log,
            "average": self.average,
            "variance": self.variance,
        }
        return {name: part for name, part in parts.items() if part is not None}

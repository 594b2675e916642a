"""The weights of the best validation, and the patience that ends a training without a better one."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from vaelab.models import Differentiable, LatentVariableModel, Model
from vaelab.runs import Run
from vaelab.settings import TrainingSettings
from vaelab.training.log import Diverged, advice

__all__ = ["Best"]


class Best:
    """The weights of the best validation bound: in memory, and in the run directory if there is one.

    Args:
        model: the model that is validated.
        run: the run directory.
        settings: ``warmup`` and ``patience`` of them.
        rise: steps over which the objective's beta rises.
    """

    def __init__(
        self,
        model: LatentVariableModel | Differentiable,
        run: Run | None,
        settings: TrainingSettings,
        rise: int = 0,
    ) -> None:
        self.model, self.run, self.settings, self.rise = model, run, settings, rise
        self.bound, self.step, self.validations_since = float("-inf"), 0, 0
        self.weights: dict[str, Tensor] = {}
        self.validations: list[tuple[int, float]] = []  # (step, bound) of each

    def update(self, bound: float, step: int) -> None:
        """Keep the present weights if their bound is better.

        While beta rises no weights are kept, because the training maximises another objective than this bound. While
        the learning rate rises no patience is used up.

        Raises:
            Diverged: the bound is not finite.
        """
        if not math.isfinite(bound):
            raise Diverged(f"training: the validation bound is {bound} at step {step}; {advice(self._last_good)}")
        self.validations.append((step, bound))
        if step < self.rise:
            return
        self.validations_since += step > self.settings.warmup
        if bound > self.bound:
            self.bound, self.step, self.validations_since = bound, step, 0
            self.weights = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
            self.write()

    @property
    def out_of_patience(self) -> bool:
        """Whether too many validations have passed without a better one."""
        return self.settings.patience is not None and self.validations_since >= self.settings.patience

    def write(self) -> None:
        """Write the best weights; also after loading a checkpoint, which may be older than those in the directory."""
        if self.run is not None and self.weights:
            self.run.save_weights(self.weights, self.step)

    def require_finite_weights(self, model: Model, step: int) -> None:
        """Raise :class:`Diverged` before weights that are not finite are written."""
        if not all(bool(value.isfinite().all()) for value in model.state_dict().values()):
            raise Diverged(f"training: the weights are not finite at step {step}; {advice(self._last_good)}")

    def restore(self, model: Model) -> None:
        """Give the model the best weights."""
        if self.weights:
            model.load_state_dict(self.weights)

    @property
    def _last_good(self) -> str:
        return f"{self.bound:.2f}" if self.weights else "none"

    def state_dict(self) -> dict[str, Any]:
        keys = ("bound", "step", "validations_since", "weights", "validations")
        return {key: getattr(self, key) for key in keys}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for key, value in state.items():
            setattr(self, key, value)

"""The optimiser of a training: Adam, or one of the user's."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from torch import Tensor, nn
from torch.optim import Optimizer

from vaelab.errors import InputError
from vaelab.estimators import Estimator
from vaelab.models import Model
from vaelab.training.adam import Adam

__all__ = [
    "MakeOptimizer",
    "clip_gradients",
    "make_adam",
    "make_optimizer",
    "require_same_options",
    "scale_learning_rates",
    "trainable",
]

T = TypeVar("T", Optimizer, Adam)
MakeOptimizer = Callable[[list[nn.Parameter]], Optimizer]
_OPTIONS = ("initial_lr", "betas", "momentum", "weight_decay", "eps")  # that no step changes
_EXAMPLE = "such as optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.1)"


def trainable(module: nn.Module) -> list[nn.Parameter]:
    """Return the parameters that take gradients."""
    return [weight for weight in module.parameters() if weight.requires_grad]


def make_adam(model: Model, estimator: Estimator | None, learning_rate: float | None) -> Adam:
    """Return Adam for the parameters of a model, and for those of its estimator as a group of their own.

    Raises:
        InputError: no learning rate.
    """
    if learning_rate is None:
        raise InputError("learning_rate: expected a number; fit and train choose one for their data")
    groups = [{"params": trainable(model), "lr": learning_rate}]
    if estimator is not None and (own := trainable(estimator)):
        groups += [{"params": own, "lr": learning_rate * estimator.learning_rate_factor, "betas": estimator.betas}]
    return _with_initial_rates(Adam(groups))


def make_optimizer(make: MakeOptimizer, model: Model, estimator: Estimator | None) -> Optimizer:
    """Make the user's optimiser of a model's parameters, and add those of the estimator as a group of their own.

    The learning rate of that group is the optimiser's times ``estimator.learning_rate_factor``; if the optimiser has
    ``betas``, they are the estimator's.

    Raises:
        InputError: something else than a function of parameters, or an optimiser that cannot be used here.
    """
    if isinstance(make, Optimizer) or not callable(make):
        raise InputError(
            f"optimizer: expected a function from parameters to an optimiser, {_EXAMPLE}; got {type(make).__name__}"
        )
    parameters = trainable(model)
    optimizer = make(list(parameters))
    if not isinstance(optimizer, Optimizer):
        raise InputError(
            f"optimizer: expected a function that returns a torch optimiser, {_EXAMPLE}; got {type(optimizer).__name__}"
        )
    allowed = {id(parameter) for parameter in parameters}
    if any(id(parameter) not in allowed for group in optimizer.param_groups for parameter in group["params"]):
        raise InputError(f"optimizer: expected an optimiser of the parameters that it is given, {_EXAMPLE}")
    closure = inspect.signature(optimizer.step).parameters.get("closure")
    if closure is not None and closure.default is inspect.Parameter.empty:
        raise InputError(
            f"optimizer: {type(optimizer).__name__} evaluates the loss several times a step, which a step with random "
            "codes does not allow; choose one whose step() needs no closure, such as torch.optim.Adam"
        )
    if estimator is not None and (own := trainable(estimator)):
        group = {"params": own, "lr": optimizer.param_groups[0]["lr"] * estimator.learning_rate_factor}
        optimizer.add_param_group(group | ({"betas": estimator.betas} if "betas" in optimizer.defaults else {}))
    return _with_initial_rates(optimizer)


def _with_initial_rates(optimizer: T) -> T:
    for group in optimizer.param_groups:
        group["initial_lr"] = group["lr"]
    return optimizer


def require_same_options(optimizer: Optimizer, saved: Sequence[Mapping[str, Any]]) -> None:
    """Raise an InputError for an optimiser that was made with other options than those of saved groups."""
    for group, before in zip(optimizer.param_groups, saved, strict=False):
        for name in _OPTIONS:
            if name in group and name in before and group[name] != before[name]:
                raise InputError(
                    f"resume: expected the optimiser that the run was started with, {name.removeprefix('initial_')} = "
                    f"{before[name]}; got {group[name]}"
                )


def scale_learning_rates(optimizer: Optimizer | Adam, factor: float) -> None:
    """Set the learning rate of each group to ``factor`` times its initial one."""
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] * factor


def clip_gradients(parameters: Sequence[Tensor], largest: float | None) -> None:
    """Shorten the gradients, all by one factor, until their joint norm is at most ``largest``.

    Source: Pascanu, Mikolov & Bengio (2013), https://arxiv.org/abs/1211.5063.
    """
    if largest is not None:
        nn.utils.clip_grad_norm_(parameters, largest)

"""``fit``: train a model on a data set, with the defaults that suit both."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple, cast

import torch

from vaelab.data import Batches, Dataset, require_dataset
from vaelab.errors import InputError, shown
from vaelab.estimators import Estimator
from vaelab.models import MODELS, Counted, DensityModel, Differentiable, LatentVariableModel, Model, Pace, require_model
from vaelab.models.table import row_of
from vaelab.networks import Products, choose_precision, has_bfloat16, products_of_steps
from vaelab.objectives import OBJECTIVES, Objective
from vaelab.runs import Run
from vaelab.settings import Layer, TrainingSettings, resolve
from vaelab.settings.checks import validate
from vaelab.training.average import WeightAverage
from vaelab.training.best import Best
from vaelab.training.checks import check_counted, check_fit
from vaelab.training.counting import count
from vaelab.training.density import fit_density
from vaelab.training.floor import below_independent_columns
from vaelab.training.interrupts import stop_requests
from vaelab.training.length import at_pace_of, default_interval
from vaelab.training.log import Log
from vaelab.training.loop import run_loop
from vaelab.training.optimizers import MakeOptimizer, make_adam, make_optimizer
from vaelab.training.parallel import ProcessGroup
from vaelab.training.result import FitResult, History, Row, StopReason, objective_label
from vaelab.training.setup import Setup
from vaelab.training.state import Trained, TrainState
from vaelab.training.surroundings import choose_device, own_torch, require_ordinary, require_trainable
from vaelab.training.variance import GradientVariance
from vaelab.training.verdict import judge

__all__ = ["fit"]


@own_torch()
def fit(
    model: Model,
    data: Dataset,
    *,
    estimator: Estimator | None = None,
    objective: Objective | None = None,
    settings: TrainingSettings | None = None,
    seed: int = 0,
    device: str = "auto",
    optimizer: MakeOptimizer | None = None,
    run: Run | None = None,
    callback: Callable[[Row], None] | None = None,
    processes: ProcessGroup | None = None,
    **training: Any,
) -> FitResult:
    """Train a model on the ``train`` split and leave it with the weights of the best validation bound.

    An auto-encoder then gets the mixture of its codes. A density model has no estimator and no objective, as it
    maximises log p(x) itself; one that counts rows, such as ``independent``, has no settings of the training either.

    Training starts from the weights that the model has, so a second call continues from the weights of the first.
    Ctrl-C and SIGTERM stop it after the step; then the model keeps its last weights, to continue from. Settings of the
    session in torch (gradients off, another default type or device) neither matter here nor are changed. Trainings in
    several threads of a process wait for each other.

    Args:
        model: any latent-variable or density model; trained in place.
        data: the data set; its validation split selects the weights.
        estimator: the gradient estimator; the default suits the codes of the model.
        objective: what is maximised; by default the ELBO, or the reconstruction for an auto-encoder.
        settings: length and step size, or give its fields by name (``epochs=10``).
        seed: of everything random here: the same model and seed give the same weights on the same machine. The weights
            at the start depend on the seed of the builder: ``gaussian_vae(..., seed=0)``. Those of a network that the
            estimator learns, such as that of ``Rebar``, are drawn when it is built, from torch's global generator:
            call ``torch.manual_seed`` before.
        device: where to train: ``cpu``, ``cuda``, or ``auto`` for an accelerator if there is one. Afterwards model and
            estimator are again where they were.
        optimizer: a function from the model's parameters to a torch optimiser, by default Adam. The schedule
            multiplies the learning rates of its groups; ``learning_rate`` is not given then. What the estimator learns
            becomes one more group, with its own factor of the learning rate.
        run: a run directory to log to, save checkpoints in and resume from.
        callback: called with each logged row.
        processes: the processes that train this model together, each of which calls ``fit`` with the same arguments
            except ``run`` and ``callback``, which rank 0 alone gives; without it this process trains alone. See
            :func:`vaelab.training.joined`.
        **training: fields of :class:`TrainingSettings`, instead of ``settings``.

    Raises:
        InputError: settings, estimator, objective or optimiser that do not go with the model, the data or each other, a
            device that is not there, bfloat16 where the hardware does not multiply it, or weights that cannot be
            trained: not float32, or made under ``torch.inference_mode``.
        Diverged: the bound stopped being finite; names the step, and what to try.
        PeerLost: another process does not answer, or has left.

    >>> from vaelab.data import load_data
    >>> from vaelab.models import gaussian_vae
    >>> result = fit(gaussian_vae(784, latent_dim=2, hidden_dims=[16]), load_data("mnist"), steps=20)
    >>> result.steps, result.stop_reason
    (20, 'finished')
    """
    if settings is not None and training:
        raise InputError(f"fit: expected settings or their fields by name, not both; got {', '.join(training)} as well")
    require_dataset(data)
    require_model(model)
    _require_kind("estimator", estimator, Estimator, "an estimator made for the model, such as Rebar(model)")
    _require_kind("objective", objective, Objective, "an objective, such as ELBO(warm_up=1000)")
    _require_kind("settings", settings, TrainingSettings, "TrainingSettings, such as TrainingSettings(epochs=10)")
    where = torch.device(choose_device(device))
    group = processes or ProcessGroup()
    if isinstance(model, Counted):
        _refuse(model, estimator=estimator, objective=objective, optimizer=optimizer, settings=settings, **training)
        check_counted(model, data, group.ranks.count)
        return _compared(count(model, data, seed, where, run, callback), model, data)
    if not isinstance(model, LatentVariableModel | Differentiable):
        raise InputError(f"model: expected one that is Counted or Differentiable; {model.name} is neither")
    chosen = _chosen(model, estimator, objective, settings, seed, training)
    settings, estimator, objective = chosen.settings, chosen.estimator, chosen.objective
    _require_one_learning_rate(settings, optimizer)
    settings = at_pace_of(data, settings, chosen.pace, model.known_options)
    on_all_ranks = all(group.all_gather(has_bfloat16(where)))  # before a refusal, so that all ranks refuse
    precision = choose_precision(settings.precision, where, on_all_ranks)
    products = products_of_steps(precision, where)
    check_fit(model, data, objective, estimator, settings)
    require_trainable(model)
    if estimator is not None:
        require_ordinary("estimator", estimator)
    # An evaluation asks for the binarisation of the training, also of a model that was built for a width.
    facts = {name: getattr(data.spec, name) for name in ("kind", "binarisation", "columns", "variables", "deviation")}
    model.spec = replace(model.spec or data.spec, **facts, may_be_missing=model.may_be_missing)
    model.ex_post_prior = ""  # this training changes the model that the prior was fitted to
    with _in_training(where, model, estimator):
        state = _new_state(model, estimator, optimizer, settings, objective, run)
        state.resume(run, group)
        setup = _new_setup(data, settings, objective, where, products, seed, group, run, callback)
        with stop_requests() as request:
            reason = run_loop(setup, state, request)
        result = _end(setup, state, reason, request.signal)
        if reason != "interrupted" and group.is_rank_zero:
            fit_density(model, data, seed, run)
            result = _compared(result, model, data)
    return result


@contextmanager
def _in_training(where: torch.device, model: Trained, estimator: Estimator | None) -> Iterator[None]:
    """Have model and estimator on a device inside the block, in training mode; after it, where the model was."""
    home = model.any_weight.device
    present = [model] if estimator is None else [model, estimator]
    for module in present:
        module.to(where).train()
    try:
        yield
    finally:
        for module in present:
            module.to(home)


class _Chosen(NamedTuple):
    """How a model is trained."""

    settings: TrainingSettings
    pace: Pace
    estimator: Estimator | None
    objective: Objective


def _chosen(
    model: Trained,
    estimator: Estimator | None,
    objective: Objective | None,
    settings: TrainingSettings | None,
    seed: int,
    training: dict[str, Any],
) -> _Chosen:
    """Return how a model is trained: what is given, and the defaults that suit the model."""
    if isinstance(model, Differentiable):
        _refuse(model, estimator=estimator, objective=objective)
        row = row_of(model)
        values = Layer({**row.defaults["training"], **training}, "fit")
        return _Chosen(
            settings or cast(TrainingSettings, validate(TrainingSettings, values, "training")),
            row.pace,
            None,
            model.objective,
        )
    name = _name_in_table(model)
    layer = Layer({"training": training} if training else {}, "fit")
    if objective is not None and type(objective) is OBJECTIVES.get(objective.name):
        layer["objective"] = objective.name  # the number of codes depends on it
    defaults = resolve(name, {"seed": seed}, layer)
    return _Chosen(
        settings or defaults.training,
        MODELS[name].pace,
        estimator or defaults.build_estimator(model),
        objective or defaults.build_objective(),
    )


def _refuse(model: DensityModel, **given: object) -> None:
    """Refuse what the training of a density model does not have."""
    for name, value in given.items():
        if value is not None:
            why = "counts, in passes over all rows" if isinstance(model, Counted) else "maximises log p(x) itself"
            raise InputError(f"{name}: expected none, as {model.name} {why}; got {shown(value)}")


def _new_setup(
    data: Dataset,
    settings: TrainingSettings,
    objective: Objective,
    device: torch.device,
    products: Products,
    seed: int,
    group: ProcessGroup,
    run: Run | None,
    callback: Callable[[Row], None] | None,
) -> Setup:
    """Return what does not change in the training."""
    batches = Batches(data.train.observations(device), settings.batch_size, seed, group.ranks)
    steps = settings.steps or (settings.epochs or 1) * batches.steps_per_epoch
    return Setup(
        settings=settings,
        objective=objective,
        batches=batches,
        held_out=data.validation.observations(device),
        device=device,
        seed=seed,
        steps=steps,
        validate_every=settings.validate_every or default_interval(batches.steps_per_epoch, steps),
        products=products,
        group=group,
        history=History(run.metrics() if run is not None else []),
        run=run,
        callback=callback,
    )


def _name_in_table(model: LatentVariableModel) -> str:
    """Return the row of the table of models whose defaults suit a model."""
    if model.code == "bits" and len(model.layers) > 1:
        return "sbn"
    return {"real": "gaussian-vae", "bits": "bernoulli-vae", "point": "autoencoder"}[model.code]


def _require_kind(name: str, value: object, kind: type, expected: str) -> None:
    if value is not None and not isinstance(value, kind):
        got = value.__name__ if isinstance(value, type) else repr(value)
        raise InputError(f"{name}: expected {expected}; got {got}")


def _require_one_learning_rate(settings: TrainingSettings, optimizer: MakeOptimizer | None) -> None:
    given = "learning_rate" in settings.model_fields_set and settings.learning_rate is not None
    if optimizer is not None and given:
        raise InputError(
            "fit: expected learning_rate or optimizer, not both; give the learning rate to the optimiser, such as "
            f"optimizer=lambda parameters: torch.optim.SGD(parameters, lr={settings.learning_rate:g})"
        )


def _new_state(
    model: Trained,
    estimator: Estimator | None,
    optimizer: MakeOptimizer | None,
    settings: TrainingSettings,
    objective: Objective,
    run: Run | None,
) -> TrainState:
    """Return the state before the first step."""
    average = WeightAverage(model) if settings.average else None
    validated = model if average is None else average.module
    return TrainState(
        model,
        estimator,
        make_adam(model, estimator, settings.learning_rate)
        if optimizer is None
        else make_optimizer(optimizer, model, estimator),
        Best(validated, run, settings, objective.warm_up),
        Log(model.any_weight.device),
        average,
        GradientVariance(model) if settings.log_gradient_variance and isinstance(model, LatentVariableModel) else None,
    )


def _compared(result: FitResult, model: Model, data: Dataset) -> FitResult:
    """Return the result of a density model with a warning where independent columns are better."""
    is_likelihood = objective_label(result.history) == "log-likelihood"
    if result.stop_reason == "interrupted" or not isinstance(model, DensityModel) or not is_likelihood:
        return result
    return replace(result, warning=below_independent_columns(model, data, result.best_bound))


def _end(setup: Setup, state: TrainState, reason: StopReason, number: int | None) -> FitResult:
    """Give the model the weights to keep, and sum up the training."""
    interrupted = reason == "interrupted"
    for parameter in state.parameters:
        parameter.grad = None
    if not interrupted:
        state.best.restore(state.model)
    state.model.eval()
    best, what, early = state.best, setup.objective.metric, reason == "patience"
    return FitResult(
        steps=state.step,
        best_bound=best.bound,
        best_step=best.step,
        seconds=state.log.seconds,
        stop_reason=reason,
        history=setup.history,
        signal=number or (signal.SIGTERM if interrupted else None),  # another rank may have been told to stop
        verdict=None
        if interrupted
        else judge(best.validations, setup.settings, setup.steps, early, what, setup.objective.warm_up),
    )

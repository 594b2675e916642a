"""A model diagnosed on a split: what its code does, in plain words, with advice where something is wrong."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from vaelab.data import Dataset, require_dataset
from vaelab.errors import InputError, require_choice, require_int, require_list, require_seed, shown
from vaelab.evaluation.diagnostics.contract import Diagnosis, Sample
from vaelab.evaluation.diagnostics.result import Diagnostics
from vaelab.evaluation.diagnostics.table import DIAGNOSTICS, Diagnostic, DiagnosticName
from vaelab.likelihood import Callback
from vaelab.models import LatentVariableModel, Model, require_latent
from vaelab.networks import evaluation_mode
from vaelab.objectives import Objective

__all__ = ["ROWS", "diagnose"]

_log = logging.getLogger("vaelab")
ROWS = 1000  # default number of rows: all diagnostics together then take seconds
_LOGGED = "a list of logged rows, such as result.history of fit"


def diagnose(
    model: Model,
    data: Dataset,
    split: str = "test",
    rows: int = ROWS,
    seed: int = 0,
    only: Sequence[DiagnosticName] | None = None,
    *,
    objective: Objective | None = None,
    history: Sequence[Mapping[str, Any]] = (),
    callback: Callback | None = None,
) -> Diagnostics:
    """Diagnose a model on a split: findings in plain words, each with its numbers, and advice where something is wrong.

    The diagnostics are the rows of :data:`DIAGNOSTICS`; those that a model has no use for are left out, and one whose
    ingredients the model lacks is left out with a warning, unless ``only`` asks for it. The model is in evaluation mode
    meanwhile, and its weights stay as they are.

    Args:
        model: a built-in model or one of your own.
        data: a data set.
        split: ``train``, ``validation`` or ``test``.
        rows: at most so many rows of the split, its first ones.
        seed: of all draws.
        only: names of diagnostics; by default all that apply.
        objective: what the model was trained with, such as ``ELBO()``: the advice depends on it.
        history: the logged rows of the training, such as ``result.history`` of ``fit``: they show overfitting.
        callback: called with the finished and all diagnostics.

    Raises:
        InputError: an unknown split or diagnostic, one that does not apply to the model, a split on the disk, or data
            that the model is not for.

    >>> from vaelab.data import load_data
    >>> from vaelab.models import gaussian_vae
    >>> found = diagnose(gaussian_vae(784, 2, seed=0), load_data("mnist"), rows=100, only=("units",))
    >>> found["units"].numbers["units"], found["units"].rows
    (2, 100)
    """
    require_dataset(data)
    model = require_latent(model, "diagnose")
    model.accept(data.spec)
    chosen = _chosen(model, only)
    if objective is not None and not isinstance(objective, Objective):
        raise InputError(f"objective: expected an objective such as ELBO(), or None; got {shown(objective)}")
    for row in require_list("history", history, _LOGGED):
        if not isinstance(row, Mapping) or "step" not in row:
            raise InputError(f"history: expected {_LOGGED}, each with its step; got {shown(row)}")
    sample = Sample(model, data, split, require_int("rows", rows, 1), require_seed(seed), objective, history)
    protocol = sample.protocol
    found: list[Diagnosis] = []
    with evaluation_mode(model), torch.no_grad():
        for number, row in enumerate(chosen):
            try:
                found.append(row.function(sample).model_copy(update=protocol))
            except InputError as reason:
                if only:
                    raise
                _log.warning("%s left out: %s", row.name, reason)
            if callback is not None:
                callback(number + 1, len(chosen))
    return Diagnostics(tuple(found))


def _chosen(model: LatentVariableModel, names: Sequence[DiagnosticName] | None) -> list[Diagnostic]:
    """Return the requested diagnostics in the order of the table, or refuse those that do not apply to the model."""
    if names is not None:
        example = names if isinstance(names, str) else "units"
        require_list("only", names, f"a list of names, such as only=({example!r},)")
    applying = [row for row in DIAGNOSTICS.values() if row.applies(model)]
    for name in names or ():
        require_choice("only", name, DIAGNOSTICS)
        if DIAGNOSTICS[name] not in applying:
            applied = ", ".join(row.name for row in applying)
            raise InputError(f"only: expected one of {applied}, which apply to this model; got {name!r}")
    return [row for row in applying if not names or row.name in names]

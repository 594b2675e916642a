"""A model evaluated on a split: bounds with standard errors, and the active units."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, get_args

import torch
from torch import Tensor

from vaelab.data import Dataset, DataSpec, Observations, require_dataset
from vaelab.data.streaming.observations import Streamed
from vaelab.errors import InputError, require_choice, require_int, require_list, require_seed
from vaelab.evaluation.active_units import active_units
from vaelab.evaluation.advice import best_estimate
from vaelab.evaluation.encode import encode_means
from vaelab.evaluation.protocol import protocol_of
from vaelab.evaluation.result import Evaluation, EvaluationRecord
from vaelab.likelihood import (
    BOUNDS,
    Bound,
    BoundEstimate,
    BoundName,
    Callback,
    Effort,
    Interrupted,
    Start,
    objective_bound,
)
from vaelab.likelihood.table import of_density
from vaelab.models import DensityModel, LatentVariableModel, Model, require_model
from vaelab.networks import Precision, choose_precision, evaluation_mode, matmul_precision, products_in
from vaelab.objectives import Reconstruction
from vaelab.seeds import own_generators

__all__ = ["SAMPLES", "evaluate"]

_log = logging.getLogger("vaelab")
_Number = tuple[dict[str, Any], Tensor | None]
_ROWS = 2000
SAMPLES = 100  # default K of the importance-weighted estimate: see docs/evaluation.md for its time
NO_LIKELIHOOD = (
    "A deterministic auto-encoder has no likelihood of x: these numbers are no bounds and compare with none."
)
COUNTED = (
    "The count depends on the noise of the gradient as well as on the model: much noise leaves many units that carry "
    "little."
)
BESIDE_NATS = " Read it beside the nats of each."


def evaluate(
    model: Model,
    data: Dataset,
    split: str = "test",
    bounds: Sequence[BoundName] | None = None,
    samples: int = SAMPLES,
    seed: int = 0,
    callback: Callback | None = None,
    *,
    other_binarisation: bool = False,
    rows: int | None = None,
    chains: int = Effort.chains,
    temperatures: int = Effort.temperatures,
    start: Start = Effort.start,
    precision: Precision = "float32",
) -> Evaluation:
    """Evaluate a model on a split: a table of numbers, each with its name, standard error and protocol.

    ``elbo`` (with its reconstruction and KL, from at most 10 codes) and ``iwae-K`` for K = ``samples``, on request
    ``prior-K``, ``ais-T`` (annealed from ``start``, q(z|x) or the prior, with T temperatures and a number of chains),
    ``exact`` and ``quadrature``; then the active units. With ``rows`` only the first rows of the split are evaluated,
    and every number says so. A KL that has no closed form is marked ``sampled``. A deterministic auto-encoder gets its
    reconstruction error and the log-density of its codes instead, and a density model, which has no codes, ``exact``
    alone. All values are in nats per observation; of rows with
    weights they are weighted means, as their notes say. Active units are left out, with a warning, if the mean of
    q(z|x) is not known. ``callback`` is called with the finished and the total work of all parts together. The data
    should have the binarisation that the model was trained under; data with another one are evaluated with
    ``other_binarisation=True``, and every number then names both. Where values are missing, every number is of the
    observed ones, and ``values["observed"]`` has their number in each observation. The model is in evaluation mode
    meanwhile. An interrupt (Ctrl-C) ends a long estimate: what is done by then is returned, and is marked. With
    ``precision="bfloat16"`` the factors of matrix products are rounded to bfloat16, which is faster and less exact (see
    docs/evaluation.md); every number then says so.

    Raises:
        InputError: an unknown split or bound, a bound that the model does not have, a split on the disk, data of
            another binarisation than that of the training, or bfloat16 where the hardware does not multiply it.

    >>> from vaelab.data import load_data
    >>> from vaelab.models import gaussian_vae
    >>> result = evaluate(gaussian_vae(784, 2, seed=0), load_data("mnist"), bounds=("elbo",), samples=1)
    >>> [record.name for record in result]
    ['elbo', 'reconstruction', 'kl', 'active-units']
    >>> result["elbo"].value < 0, result.values["elbo"].shape
    (True, torch.Size([10000]))
    """
    require_dataset(data)
    require_model(model).accept(data.spec)
    trained = _trained_binarisation(model, data, other_binarisation)
    chosen = _chosen(model, bounds)
    precision = _precision(precision, model.any_weight)
    counts = {"samples": samples, "chains": chains, "temperatures": temperatures}
    require_choice("start", start, get_args(Start))
    effort = Effort(**{name: require_int(name, count, 1) for name, count in counts.items()}, start=start)
    observed = data.split(split).observations(model.any_weight.device)
    if isinstance(observed, Streamed):
        raise InputError(
            f"split: expected a split in memory; {split!r} of {data.name} is on the disk ({len(observed):,} rows)"
        )
    of_split = {}
    if rows is not None and require_int("rows", rows, 1) < len(observed):
        of_split["rows_of_split"], observed = len(observed), observed.first(rows)
    protocol = protocol_of(model, data, split, observed, require_seed(seed), precision) | of_split
    # one precision for all threads
    with own_generators(), evaluation_mode(model), matmul_precision(products_in(precision)):
        protocol["best_estimate"] = best_estimate(model)
        if isinstance(model, LatentVariableModel) and model.code == "point":
            numbers = list(_of_autoencoder(model, observed, seed))
        else:
            numbers = list(_of_bounds(model, observed, chosen, effort, seed, callback))
        if isinstance(model, LatentVariableModel) and not any(content.get("interrupted") for content, _ in numbers):
            numbers += _units(model, observed, seed)
    values = {content["name"]: values for content, values in numbers if values is not None}
    if data.has_missing:
        values["observed"] = _observed_cells(observed, data.spec)
        protocol["observed_cells"] = float(values["observed"].double().mean())
        protocol["row_cells"] = len(data.spec.first_columns)
    records = tuple(EvaluationRecord(**content, **protocol) for content, _ in numbers)
    return Evaluation(records, values).trained_under(trained)


def _observed_cells(observed: Observations, spec: DataSpec) -> Tensor:
    """Return how many values of each observation are not missing, (N,); a categorical variable is one value."""
    columns = torch.tensor(spec.first_columns)
    parts = (observed.bits(slice(start, start + _ROWS)).cpu() for start in range(0, len(observed), _ROWS))
    return torch.cat([(~x[:, columns].isnan()).sum(1) for x in parts])


def _trained_binarisation(model: Model, data: Dataset, other: bool) -> str:
    """Return the binarisation that the model was trained under; refuse data of another one, unless ``other``."""
    trained = (model.spec.binarisation if model.spec is not None else None) or data.binarisation
    if trained != data.binarisation and not other:
        way = "give " if "none" in (trained, data.binarisation) else f"give data.with_binarisation({trained!r}), or "
        raise InputError(
            f"binarisation: expected {trained}, under which the model was trained; the data {data.name!r} have "
            f"{data.binarisation}; {way}other_binarisation=True to evaluate under another"
        )
    return trained


def _precision(asked: Precision, weight: Tensor) -> Precision:
    """Return the precision, or refuse one that there is not, or that the model or the hardware does not have."""
    require_choice("precision", asked, get_args(Precision))
    if asked == "bfloat16" and weight.dtype != torch.float32:
        raise InputError(f"precision: expected a model in float32 for bfloat16; got one in {weight.dtype}")
    return choose_precision(asked, weight.device)


def _chosen(model: Model, names: Sequence[BoundName] | None) -> list[Bound]:
    """Return the requested bounds in the order of the table, or refuse those that the model does not have.

    By default they are those of the table; a density model has one.
    """
    if names is None and isinstance(model, DensityModel):
        return [BOUNDS[of_density(model)]]
    if names is not None:
        example = names if isinstance(names, str) else "iwae"
        require_list("bounds", names, f"a list of names, such as bounds=({example!r},)")
    for name in names or ():
        require_choice("bound", name, BOUNDS)
        BOUNDS[name].require(model)  # before any is computed
    return [bound for bound in BOUNDS.values() if (bound.name in names if names else bound.default)]


def _units(model: LatentVariableModel, observed: Observations, seed: int) -> Iterator[_Number]:
    """Yield the active units, or log why they are left out."""
    try:
        units = active_units(model, observed, seed)
    except InputError as reason:  # the bounds are still reported
        _log.warning("active units left out: %s", reason)
        return
    note = COUNTED + (BESIDE_NATS if "nats_per_active_unit" in units else "")
    yield {"name": "active-units", "value": units.pop("active_units"), **units, "note": note}, None


def _of_autoencoder(model: LatentVariableModel, observed: Observations, seed: int) -> Iterator[_Number]:
    """Yield the reconstruction error and the log-density of the codes."""
    log_likelihood = objective_bound(model, observed, Reconstruction(), 1, seed)
    yield _record(
        "reconstruction-error", None, replace(log_likelihood, values=-log_likelihood.values, note=NO_LIKELIHOOD)
    )
    codes = encode_means(model, observed).to(model.any_weight.device)
    with torch.no_grad():
        densities = model.prior().log_prob(codes).cpu()
    yield _record("code-log-density", None, BoundEstimate(densities, weights=observed.weights))


def _of_bounds(
    model: Model,
    observed: Observations,
    bounds: Sequence[Bound],
    effort: Effort,
    seed: int,
    callback: Callback | None,
) -> Iterator[_Number]:
    """Yield the numbers of each bound; after one that the user interrupted, no more."""
    callbacks = _shares([bound.effort_of(model, effort) for bound in bounds], callback)
    for bound, share in zip(bounds, callbacks, strict=True):
        count = None if bound.samples is None else bound.samples(effort)
        begun = time.perf_counter()
        try:
            estimate = bound.estimate(model, observed, count or 1, seed, share, **bound.options(effort))
        except Interrupted as stopped:
            estimate = stopped.estimate
        content, values = _record(bound.label(effort), count, estimate)
        yield content | {"seconds": round(time.perf_counter() - begun, 2)}, values
        for name, part in estimate.parts.items():
            yield _record(name, count, part)
        if estimate.interrupted:
            return


def _record(name: str, samples: int | None, estimate: BoundEstimate) -> _Number:
    """Return a record without its protocol, and the values of the observations."""
    error = None if math.isnan(estimate.standard_error) else estimate.standard_error
    content = {
        "name": name,
        "samples": samples,
        "value": estimate.mean,
        "standard_error": error,
        "observations": len(estimate.values),
        "note": " ".join(part for part in (estimate.note, _of_weights(estimate)) if part),
        "interrupted": estimate.interrupted,
        **estimate.details,
    }
    return content, estimate.values


def _of_weights(estimate: BoundEstimate) -> str:
    """Return how the weights of the rows count in a mean and its standard error; nothing for rows without weights."""
    if estimate.weights is None:
        return ""
    total = float(estimate.weights.double().sum())
    if estimate.weights_count_rows:
        return f"Weighted: a row of weight w is w rows, {total:,.0f} in all."
    return "Weighted by the weights of the rows; the standard error is that of a weighted sample."


def _shares(works: Sequence[float], callback: Callback | None) -> list[Callback | None]:
    """Return a callback for each part of the work that reports the progress of the whole to ``callback``."""
    if callback is None:
        return [None] * len(works)

    def share(before: float, work: float) -> Callback:
        return lambda done, total: callback(round(before * total + work * done), round(sum(works) * total))

    return [share(sum(works[:index]), work) for index, work in enumerate(works)]

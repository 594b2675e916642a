"""Evaluation: bounds and likelihood estimates with standard errors, diagnostics of the code."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping
from typing import Any, Literal, get_args

from torch import Tensor

from vaelab.data import Dataset, Observations
from vaelab.data.streaming.observations import Streamed
from vaelab.errors import InputError, require_choice, require_int
from vaelab.evaluation.bounds import (
    BoundEstimate,
    Watch,
    elbo,
    exact,
    importance_weighted,
    objective_bound,
    prior_average,
)
from vaelab.evaluation.diagnostics import active_units, encode_all
from vaelab.evaluation.quadrature import quadrature, require_small_code
from vaelab.evaluation.result import Evaluation, EvaluationRecord
from vaelab.inference import MAX_BITS
from vaelab.models import LatentVariableModel
from vaelab.objectives import Reconstruction

__all__ = [
    "BoundEstimate",
    "BoundName",
    "Evaluation",
    "EvaluationRecord",
    "Watch",
    "active_units",
    "elbo",
    "encode_all",
    "evaluate",
    "exact",
    "importance_weighted",
    "objective_bound",
    "prior_average",
    "quadrature",
]

_log = logging.getLogger("vaelab")
_Number = tuple[dict[str, Any], Tensor | None]
BoundName = Literal["elbo", "iwae", "prior", "exact", "quadrature"]
SAMPLES = 100  # K of the importance-weighted estimate, if nobody says another: see docs/evaluation.md for its time
_GRID = 150  # work of a numerical integration, in codes of each observation's own: what it took on MNIST
_MOST = 10  # codes of the ELBO, whose average over observations needs few
NO_LIKELIHOOD = (
    "A deterministic auto-encoder has no likelihood of x: these numbers are no bounds and compare with none."
)
SAMPLED_KL = "an average of log q(z|x) - log p(z) over the codes drawn, for want of a closed form: it can be negative"
PRIOR = "plain Monte-Carlo over the prior: its variance is huge, do not quote it"
QUADRATURE = "log p(x) itself, integrated on a grid; halving its step the last time changed it by {:.1g} nat"
COUNTED = (
    "The count depends on the noise of the gradient as well as on the model: much noise leaves many units that carry "
    "little. Read it beside the nats of each."
)


def evaluate(
    model: LatentVariableModel,
    data: Dataset,
    split: str = "test",
    bounds: tuple[BoundName, ...] | None = None,
    samples: int = SAMPLES,
    seed: int = 0,
    watch: Watch | None = None,
) -> Evaluation:
    """Evaluate a model on a split: a table of numbers, each with its name, standard error and protocol.

    ``elbo`` (its reconstruction and KL parts beside it, from at most 10 codes) and ``iwae-K`` for K =
    ``samples``, ``prior-K``, ``exact`` and ``quadrature`` as asked for; then the active units. A KL that has no closed
    form is marked ``sampled``. A deterministic auto-encoder gets its reconstruction error and the log-density of its
    codes instead. All in nats per observation. Active units are left out, with a warning, where the mean of q(z|x) is
    not known. ``watch`` is called with the work done and the work in all, of every
    part together.

    Raises:
        InputError: an unknown split or bound, a bound that the model does not have, or a split on the disk.

    >>> from vaelab.data import load_data
    >>> from vaelab.models import gaussian_vae
    >>> result = evaluate(gaussian_vae(784, 2, seed=0), load_data("mnist"), bounds=("elbo",), samples=1)
    >>> [record.name for record in result]
    ['elbo', 'reconstruction', 'kl', 'active-units']
    >>> result["elbo"].value < 0, result.values["elbo"].shape
    (True, torch.Size([10000]))
    """
    for bound in bounds or ():
        require_choice("bound", bound, get_args(BoundName))
        model.require_likelihood()
    if "quadrature" in (bounds or ()):
        require_small_code(model)  # before the others are computed
    require_int("samples", samples, 1)
    observed = data.split(split).observations(model.any_weight.device)
    if isinstance(observed, Streamed):
        raise InputError(
            f"split: expected a split in memory; {split!r} of {data.name} is on the disk ({len(observed):,} rows)"
        )
    protocol: dict[str, Any] = {
        "split": split,
        "binarisation": data.binarisation,
        "data": data.name,
        "seed": seed,
    }
    if model.code == "point":
        found = list(_of_autoencoder(model, observed, seed))
    else:
        found = list(_of_bounds(model, observed, bounds or ("elbo", "iwae"), samples, seed, watch))
    try:
        units = active_units(model, observed, seed)
    except InputError as reason:  # no reason to lose the bounds
        _log.warning("active units left out: %s", reason)
    else:
        found.append(({"name": "active-units", "value": units.pop("active_units"), **units, "note": COUNTED}, None))
    records = tuple(EvaluationRecord(**content, **protocol) for content, _ in found)
    return Evaluation(records, {content["name"]: values for content, values in found if values is not None})


def _of_autoencoder(model: LatentVariableModel, observed: Observations, seed: int) -> Iterator[_Number]:
    """Yield the reconstruction error and the log-density of the codes."""
    measured = objective_bound(model, observed, Reconstruction(), 1, seed)
    yield _record("reconstruction-error", None, BoundEstimate(-measured.values, {}), note=NO_LIKELIHOOD)
    codes = encode_all(model, observed).to(model.any_weight.device)
    yield _record("code-log-density", None, BoundEstimate(model.prior().log_prob(codes).cpu(), {}))


def _of_bounds(
    model: LatentVariableModel,
    observed: Observations,
    bounds: tuple[BoundName, ...],
    samples: int,
    seed: int,
    watch: Watch | None,
) -> Iterator[_Number]:
    """Yield the bounds that are asked for; the work of each is the number of codes it scores for an observation."""
    few = min(samples, _MOST)
    works = {"elbo": few, "iwae": samples, "prior": samples, "exact": _enumeration(model), "quadrature": _GRID}
    shares = _shares({name: works[name] for name in works if name in bounds}, watch)
    if "elbo" in bounds:
        measured = elbo(model, observed, few, seed, shares["elbo"])
        yield _record("elbo", few, measured)
        yield _record("reconstruction", few, BoundEstimate(measured.parts["reconstruction"], {}))
        more = {"sampled": True, "note": SAMPLED_KL} if measured.sampled else {}
        yield _record("kl", few, BoundEstimate(measured.parts["kl"], {}), **more)
    if "iwae" in bounds:
        measured = importance_weighted(model, observed, samples, seed, shares["iwae"])
        effective = float(measured.parts["effective_samples"].median())
        yield _record(f"iwae-{samples}", samples, measured, median_effective_samples=effective)
    if "prior" in bounds:
        measured = prior_average(model, observed, samples, seed, shares["prior"])
        yield _record(f"prior-{samples}", samples, measured, note=PRIOR)
    if "exact" in bounds:
        yield _record("exact", None, exact(model, observed, watch=shares["exact"]))
    if "quadrature" in bounds:
        measured = quadrature(model, observed, shares["quadrature"])
        change = float(measured.parts["change"].mean())
        yield _record("quadrature", None, measured, change=change, note=QUADRATURE.format(change))


def _record(name: str, count: int | None, estimated: BoundEstimate, **more: Any) -> _Number:
    """Return a record without its protocol, and the values of the observations."""
    error = None if math.isnan(estimated.standard_error) else estimated.standard_error
    numbers = {"value": estimated.mean, "standard_error": error, "observations": len(estimated.values)}
    return {"name": name, "samples": count, **numbers, **more}, estimated.values


def _enumeration(model: LatentVariableModel) -> int:
    """Return the work of an exact sum: a code that all observations share takes a twentieth of one of their own."""
    bits = min(int(model.prior().event_shape[0]), MAX_BITS)
    return max(1, (1 << bits) // 20)


def _shares(works: Mapping[str, int], watch: Watch | None) -> dict[str, Watch | None]:
    """Return a watch for each part that tells ``watch`` of the whole: what is done and what all parts will be."""
    if watch is None:
        return dict.fromkeys(works)
    whole, before = sum(works.values()), 0
    shares: dict[str, Watch | None] = {}
    for name, work in works.items():

        def share(done: int, total: int, before: int = before, work: int = work) -> None:
            watch(before * total + work * done, whole * total)

        shares[name] = share
        before += work
    return shares

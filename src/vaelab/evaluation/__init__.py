"""Evaluation: bounds and likelihood estimates with standard errors, diagnostics of the code."""

from __future__ import annotations

import math
from typing import Any, Literal, get_args

from vaelab.data import Binarisation, Dataset, observations
from vaelab.data.binarise import protocol_of
from vaelab.data.streamed import Streamed
from vaelab.evaluation.bounds import (
    Estimated,
    Watch,
    elbo,
    exact,
    importance_weighted,
    objective_bound,
    prior_average,
)
from vaelab.evaluation.diagnostics import active_units, encode_all
from vaelab.evaluation.quadrature import quadrature
from vaelab.models import LatentVariableModel
from vaelab.objectives import Reconstruction
from vaelab.refusals import Refusal, require_choice

__all__ = [
    "BoundName",
    "Estimated",
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

BoundName = Literal["elbo", "iwae", "prior", "exact"]
NO_LIKELIHOOD = (
    "A deterministic auto-encoder has no likelihood of x: these numbers are no bounds and compare with none."
)


def evaluate(
    model: LatentVariableModel,
    data: Dataset,
    split: str = "test",
    bounds: tuple[BoundName, ...] | None = None,
    samples: int = 100,
    binarisation: Binarisation = "dynamic",
    seed: int = 0,
    watch: Watch | None = None,
) -> list[dict[str, Any]]:
    """Evaluate a model on a split: one record a number, each with name, value, standard error and protocol.

    ``elbo`` (its reconstruction and KL parts beside it, from at most 10 codes) and ``iwae-K`` for K =
    ``samples``, ``prior-K`` and ``exact`` as asked for; then the active units. A deterministic auto-encoder
    gets its reconstruction error and the log-density of its codes instead. All in nats per observation.

    Raises:
        Refusal: an unknown split, bound or protocol, a bound that the model does not have, or a split on the disk.

    >>> from vaelab.data import load_data
    >>> from vaelab.models import gaussian_vae
    >>> records = evaluate(gaussian_vae(784, 2), load_data("mnist"), bounds=("elbo",))
    >>> [record["name"] for record in records]
    ['elbo', 'reconstruction', 'kl', 'active-units']
    """
    for bound in bounds or ():
        require_choice("bound", bound, get_args(BoundName))
        model.require_likelihood()
    bounds = bounds or ("elbo", "iwae")
    device = next(model.parameters()).device
    observed = observations(data, split, binarisation, device)
    if isinstance(observed, Streamed):
        raise Refusal(
            f"split: expected a split in memory; {split!r} of {data.name} is on the disk ({len(observed):,} rows)"
        )
    protocol = {"split": split, "binarisation": protocol_of(data, binarisation), "data": data.name, "seed": seed}
    records: list[dict[str, Any]] = []

    def record(name: str, count: int | None, estimated: Estimated, **more: Any) -> None:
        error = None if math.isnan(estimated.standard_error) else estimated.standard_error
        numbers = {"value": estimated.mean, "standard_error": error, "observations": len(estimated.values)}
        records.append({"name": name, "samples": count, **numbers, **more, **protocol})

    if model.code == "point":
        measured = objective_bound(model, observed, Reconstruction(), 1, seed)
        record("reconstruction-error", None, Estimated(-measured.values, {}), note=NO_LIKELIHOOD)
        log_density = model.prior().log_prob(encode_all(model, observed).to(device))
        record("code-log-density", None, Estimated(log_density.cpu(), {}))
    elif "elbo" in bounds:
        # K codes serve the importance-weighted estimate; the ELBO's average over images needs far fewer.
        measured = elbo(model, observed, min(samples, 10), seed, watch)
        record("elbo", min(samples, 10), measured)
        for part in ("reconstruction", "kl"):
            record(part, min(samples, 10), Estimated(measured.parts[part], {}))
    if "iwae" in bounds and model.code != "point":
        measured = importance_weighted(model, observed, samples, seed, watch)
        effective = float(measured.parts["effective_samples"].median())
        record(f"iwae-{samples}", samples, measured, median_effective_samples=effective)
    if "prior" in bounds:
        warning = "plain Monte-Carlo over the prior: its variance is huge, do not quote it"
        record(f"prior-{samples}", samples, prior_average(model, observed, samples, seed, watch), note=warning)
    if "exact" in bounds:
        record("exact", None, exact(model, observed))
    units = active_units(model, observed)
    records.append({"name": "active-units", "value": units.pop("active_units"), **units, **protocol})
    return records

"""How loose is each inference? The bounds of every method on one frozen belief network, beside the exact log p(x)."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from vaelab.data import Dataset, Observations
from vaelab.errors import require_int
from vaelab.estimators import Estimator, ReweightedWakeSleep, ScoreFunction, WakeSleep
from vaelab.inference import MeanFieldPosterior, generative_parts
from vaelab.likelihood import BoundEstimate, elbo, exact, importance_weighted
from vaelab.models import LatentVariableModel, sbn
from vaelab.objectives import ELBO, IWAE, Objective
from vaelab.seeds import seeded
from vaelab.settings import TrainingSettings
from vaelab.training.fitting import fit
from vaelab.training.surroundings import own_torch

__all__ = ["measure_tightness"]

Watch = Callable[[int, int], None]
ENCODERS: dict[str, tuple[Callable[[LatentVariableModel], Estimator], Objective]] = {
    "wake-sleep": (lambda model: WakeSleep(model, 4), ELBO()),
    "reweighted wake-sleep": (lambda model: ReweightedWakeSleep(model, 10), IWAE()),
    "amortised": (lambda model: ScoreFunction(model, 4, "leave-one-out"), ELBO()),
}
_TOLERANCE, _SWEEPS = 1e-4, 200
_LEARNING_RATE = 2e-2  # of the recognition networks, which are small and alone are trained


@own_torch()
def measure_tightness(
    model: LatentVariableModel,
    data: Dataset,
    *,
    rows: int = 1000,
    steps: int = 2000,
    samples: int = 100,
    encoder_dims: Sequence[int] = (),
    seed: int = 0,
    watch: Watch | None = None,
) -> dict[str, Any]:
    """Measure the bounds of every inference on the same weights, on the first ``rows`` test observations.

    The prior and the likelihood are those of ``model`` and stay as they are. Mean-field inference needs nothing more;
    the recognition networks of wake-sleep, reweighted wake-sleep and amortised inference are trained anew, each by its
    own estimator for as many ``steps``. Each row has the bound's mean, its standard error over observations, and the
    same of its gap to log p(x), observation by observation. ``bound`` is ``L`` (of the field), ``elbo`` or
    ``iwae-K``. The Gaussian field's L is close to a lower bound, and none.

    Args:
        model: bits of linear layers, at most 20 in all.
        data: the test split is measured on; the encoders are trained on the training split.
        rows: test observations.
        steps: training of each recognition network.
        samples: K of the importance-weighted bound, and codes of each evidence lower bound.
        encoder_dims: widths of the recognition networks' hidden layers.
        seed: of everything drawn.
        watch: called with methods done and methods in all.

    Raises:
        InputError: codes that cannot be enumerated, or layers that are not linear.
    """
    require_int("rows", rows, 2)
    require_int("steps", steps, 1)
    require_int("samples", samples, 1)
    frozen = copy.deepcopy(model).eval()
    for weight in frozen.parameters():
        weight.requires_grad_(False)
    observed = data.test.observations().first(rows)
    truth = exact(frozen, observed)  # refuses what it cannot enumerate
    table: list[dict[str, Any]] = []
    length = TrainingSettings(steps=steps, validate_every=steps, learning_rate=_LEARNING_RATE, warmup=0)
    total = 2 + len(ENCODERS)
    for done, found in enumerate(_fields(frozen, observed, samples, seed)):
        table += _rows(found, truth)
        _tell(watch, done + 1, total)
    for done, (name, (build, objective)) in enumerate(ENCODERS.items()):
        started = time.perf_counter()
        encoder = _encoder(frozen, encoder_dims, seed)
        fit(encoder, data, estimator=build(encoder), objective=objective, settings=length, seed=seed)
        seconds = time.perf_counter() - started
        bounds = {
            "elbo": elbo(encoder, observed, samples, seed),
            f"iwae-{samples}": importance_weighted(encoder, observed, samples, seed),
        }
        table += _rows((name, bounds, seconds), truth)
        _tell(watch, 3 + done, total)
    return {
        "observations": len(observed),
        "samples": samples,
        "steps": steps,
        "encoder_dims": list(encoder_dims),
        "seed": seed,
        "bits": int(frozen.prior().event_shape[0]),
        "exact": {"value": truth.mean, "standard_error": truth.standard_error},
        "rows": table,
    }


Found = tuple[str, dict[str, BoundEstimate], float]


def _fields(frozen: LatentVariableModel, observed: Observations, samples: int, seed: int) -> Iterator[Found]:
    """Yield each mean field's L, and the evidence lower bound of the factorised q that it ends with."""
    for field, name in (("product", "mean field, product"), ("gaussian", "mean field, Gaussian")):
        started = time.perf_counter()
        posterior = MeanFieldPosterior(*generative_parts(frozen), field, _TOLERANCE, _SWEEPS)  # type: ignore[arg-type]
        model = LatentVariableModel(frozen.prior, frozen.likelihood, posterior)
        values: list[Tensor] = []
        with torch.no_grad():
            for start in range(0, len(observed), 500):
                x = observed.bits(slice(start, start + 500)).to(next(frozen.parameters()))
                values.append(posterior.solver().bound(x, posterior.state_of(posterior(x))))
        seconds = time.perf_counter() - started
        yield name, {"L": BoundEstimate(torch.cat(values)), "elbo": elbo(model, observed, samples, seed)}, seconds


def _encoder(frozen: LatentVariableModel, encoder_dims: Sequence[int], seed: int) -> LatentVariableModel:
    """Return the frozen network with a new recognition network."""
    sizes = frozen.layers or (int(frozen.prior().event_shape[0]),)
    columns = frozen.likelihood(frozen.prior().mean.unsqueeze(0)).event_shape[0]
    with seeded(seed, "encoder"):
        posterior = sbn(columns, sizes, encoder_dims=encoder_dims).posterior
    return LatentVariableModel(frozen.prior, frozen.likelihood, posterior.to(next(frozen.parameters())))


def _rows(found: Found, truth: BoundEstimate) -> list[dict[str, Any]]:
    name, bounds, seconds = found
    rows = []
    for bound, measured in bounds.items():
        gap = BoundEstimate(truth.values.double().cpu() - measured.values.double().cpu())
        rows.append(
            {
                "method": name,
                "bound": bound,
                "value": measured.mean,
                "standard_error": measured.standard_error,
                "gap": gap.mean,
                "gap_standard_error": gap.standard_error,
                "is_bound": (name, bound) != ("mean field, Gaussian", "L"),
                "seconds": round(seconds, 2),
            }
        )
    return rows


def _tell(watch: Watch | None, done: int, total: int) -> None:
    if watch is not None:
        watch(done, total)

"""How far the bounds of each inference method lie below log p(x), on one frozen belief network."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch

from vaelab.data import Dataset, Observations
from vaelab.errors import require_int
from vaelab.estimators import Estimator, ReweightedWakeSleep, ScoreFunction, WakeSleep
from vaelab.inference import MeanFieldPosterior, generative_parts
from vaelab.inference.fields import FieldName
from vaelab.likelihood import BoundEstimate, as_split, elbo, exact, importance_weighted
from vaelab.models import LatentVariableModel, sbn
from vaelab.objectives import ELBO, IWAE, Objective
from vaelab.seeds import seeded
from vaelab.settings import TrainingSettings
from vaelab.training.fitting import fit
from vaelab.training.surroundings import own_torch

__all__ = ["TightnessRow", "measure_tightness"]

Callback = Callable[[int, int], None]
# method -> the field, and whether its L is a lower bound
FIELDS: dict[str, tuple[FieldName, bool]] = {
    "mean field, product": ("product", True),
    "mean field, Gaussian": ("gaussian", False),
}
ENCODERS: dict[str, tuple[Callable[[LatentVariableModel], Estimator], Objective]] = {
    "wake-sleep": (lambda model: WakeSleep(model, 4), ELBO()),
    "reweighted wake-sleep": (lambda model: ReweightedWakeSleep(model, 10), IWAE()),
    "amortised": (lambda model: ScoreFunction(model, 4, "leave-one-out"), ELBO()),
}
_TOLERANCE, _SWEEPS, _ROWS = 1e-4, 200, 500
_LEARNING_RATE = 2e-2  # of the recognition networks, which are small; nothing else is trained


@dataclass(frozen=True)
class TightnessRow:
    """A bound of one inference method, in nats.

    Attributes:
        method: the inference method.
        bound: ``L`` (of a mean field), ``elbo`` or ``iwae-K``.
        value: mean over the observations.
        standard_error: of that mean.
        gap: mean of log p(x) minus the bound.
        gap_standard_error: of that mean, from the gaps of the observations.
        is_bound: whether it is a lower bound on log p(x). The L of the Gaussian field is close to one.
        seconds: time of the inference, including the training of its network.
    """

    method: str
    bound: str
    value: float
    standard_error: float
    gap: float
    gap_standard_error: float
    is_bound: bool
    seconds: float


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
    callback: Callback | None = None,
) -> dict[str, Any]:
    """Measure the bounds of every inference method on the same weights, on the first ``rows`` test observations.

    The prior and the likelihood are those of ``model`` and are not changed. Mean-field inference needs no training;
    the recognition networks of wake-sleep, reweighted wake-sleep and amortised inference are trained anew for as many
    ``steps``. The result is that of ``vaelab tightness --json``; its ``rows`` are the fields of :class:`TightnessRow`.

    Args:
        model: bits of linear layers, at most 20 in all.
        data: the test split is measured on; the encoders are trained on the training split.
        rows: test observations.
        steps: training of each recognition network.
        samples: K of the importance-weighted bound, and codes of each evidence lower bound.
        encoder_dims: widths of the recognition networks' hidden layers.
        seed: of everything drawn.
        callback: called with the number of finished methods and of all methods.

    Raises:
        InputError: codes that cannot be enumerated, or layers that are not linear.
    """
    require_int("rows", rows, 2)
    require_int("steps", steps, 1)
    require_int("samples", samples, 1)
    frozen = copy.deepcopy(model).eval().requires_grad_(False)
    observed = as_split(model, data.test).first(rows)
    truth = exact(frozen, observed)  # refuses what it cannot enumerate
    bench = _Bench(frozen, data, observed, truth, samples, seed)
    table: list[TightnessRow] = []
    methods = [*bench.fields(), *bench.encoders(steps, encoder_dims)]
    for done, measure in enumerate(methods, 1):
        table += measure()
        if callback is not None:
            callback(done, len(methods))
    return {
        "observations": len(observed),
        "samples": samples,
        "steps": steps,
        "encoder_dims": list(encoder_dims),
        "seed": seed,
        "bits": frozen.latent_dim,
        "exact": {"value": truth.mean, "standard_error": truth.standard_error},
        "rows": [asdict(row) for row in table],
    }


@dataclass(frozen=True)
class _Bench:
    """The frozen network, the data and the exact log p(x)."""

    frozen: LatentVariableModel
    data: Dataset
    observed: Observations
    truth: BoundEstimate
    samples: int
    seed: int

    def fields(self) -> Iterator[Callable[[], list[TightnessRow]]]:
        """Yield a measurement for each mean field."""
        for method, (field, is_bound) in FIELDS.items():
            yield partial(self._field, method, field, is_bound)

    def encoders(self, steps: int, encoder_dims: Sequence[int]) -> Iterator[Callable[[], list[TightnessRow]]]:
        """Yield a measurement for each recognition network."""
        for method in ENCODERS:
            yield partial(self._encoder, method, steps, encoder_dims)

    def _field(self, method: str, field: FieldName, is_bound: bool) -> list[TightnessRow]:
        """Measure a mean field's L, and the evidence lower bound of the factorised q that it ends with."""
        started = time.perf_counter()
        posterior = MeanFieldPosterior(*generative_parts(self.frozen), field, _TOLERANCE, _SWEEPS)
        model = LatentVariableModel(self.frozen.prior, self.frozen.likelihood, posterior)
        values = []
        with torch.no_grad():
            for start in range(0, len(self.observed), _ROWS):
                x = self.observed.bits(slice(start, start + _ROWS)).to(self.frozen.any_weight)
                values.append(posterior.solver().bound(x, posterior.state_of(posterior(x))))
        seconds = time.perf_counter() - started
        bound = elbo(model, self.observed, self.samples, self.seed)
        return [
            self._row(method, "L", BoundEstimate(torch.cat(values)), seconds, is_bound),
            self._row(method, "elbo", bound, seconds),
        ]

    def _encoder(self, method: str, steps: int, encoder_dims: Sequence[int]) -> list[TightnessRow]:
        """Train a new recognition network for the frozen network, and measure its bounds."""
        build, objective = ENCODERS[method]
        started = time.perf_counter()
        with seeded(self.seed, "encoder"):
            sizes = self.frozen.layers or (self.frozen.latent_dim,)
            posterior = sbn(self.frozen.data_dim, sizes, encoder_dims=encoder_dims).posterior.to(self.frozen.any_weight)
            model = LatentVariableModel(self.frozen.prior, self.frozen.likelihood, posterior)
            estimator = build(model)
        length = TrainingSettings(steps=steps, validate_every=steps, learning_rate=_LEARNING_RATE, warmup=0)
        fit(model, self.data, estimator=estimator, objective=objective, settings=length, seed=self.seed)
        seconds = time.perf_counter() - started
        weighted = importance_weighted(model, self.observed, self.samples, self.seed)
        return [
            self._row(method, "elbo", elbo(model, self.observed, self.samples, self.seed), seconds),
            self._row(method, f"iwae-{self.samples}", weighted, seconds),
        ]

    def _row(
        self, method: str, bound: str, estimate: BoundEstimate, seconds: float, is_bound: bool = True
    ) -> TightnessRow:
        gap = BoundEstimate(self.truth.values.double().cpu() - estimate.values.double().cpu())
        numbers = estimate.mean, estimate.standard_error, gap.mean, gap.standard_error
        return TightnessRow(method, bound, *numbers, is_bound, round(seconds, 2))

"""Values of rows that depend on the row alone: the same noise is drawn for every row."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from vaelab.data.observations import Resident
from vaelab.distributed import same_noise
from vaelab.errors import require_choice, require_int
from vaelab.likelihood.contract import Effort
from vaelab.likelihood.objective import Draw, Score, joined, posterior_score
from vaelab.likelihood.prior import prior_score
from vaelab.likelihood.table import BOUNDS, BoundName
from vaelab.models import LatentVariableModel, Model
from vaelab.networks import evaluation_mode
from vaelab.objectives import ELBO, IWAE, Objective, Terms
from vaelab.seeds import seeded

__all__ = ["score_rows"]

_CODES = 20  # drawn at once, whatever the number of rows: how noise is drawn depends on it
_ELEMENTS = 4_000_000  # decoded at once

# The bounds that draw codes: the objective that combines their log-weights, and where the codes come from.
_DRAWN: dict[str, tuple[Objective, Callable[[LatentVariableModel], Score]]] = {
    "elbo": (ELBO(), lambda model: posterior_score(model, ELBO())),
    "iwae": (IWAE(), lambda model: posterior_score(model, IWAE())),
    "prior": (IWAE(), prior_score),
}


def score_rows(model: Model, x: Tensor, bound: BoundName = "iwae", samples: int = 100, seed: int = 0) -> Tensor:
    """Return a bound on log p(x) of each row, in nats, float64 (N,): the value of a row depends on the row alone.

    The K codes of every row come from the same noise, so the order of the rows and the rows beside a row do not
    matter. The expectation of a value is that of :data:`BOUNDS`; the errors of the rows are not independent.

    Args:
        model: the model; in float64 the values do not depend on how rows are put together in a product of matrices.
        x: rows (N, X) in the type of the model, on its device.
        bound: the name of a row of :data:`BOUNDS`.
        samples: K.
        seed: of the codes.

    Raises:
        InputError: a bound that there is not, or that the model does not have.

    >>> from vaelab.models import gaussian_vae
    >>> model, x = gaussian_vae(6, latent_dim=2).double(), torch.ones(3, 6).double()
    >>> torch.equal(score_rows(model, x)[1:], score_rows(model, x[1:]))
    True
    """
    # The chains of annealing share their step sizes, and rows of the model have no values of the rows that are given.
    require_choice("bound", bound, [name for name in BOUNDS if name not in ("ais", "ais-gap")])
    require_int("samples", samples, 1)
    row = BOUNDS[bound]
    row.require(model)
    if bound not in _DRAWN or not isinstance(model, LatentVariableModel):
        return row.estimate(model, Resident(x, 1, redraw=False)).values
    objective, score_of = _DRAWN[bound]
    count = samples if row.samples is None else row.samples(Effort(samples))
    with evaluation_mode(model):
        return torch.cat(list(_bounds(x, objective, score_of(model), count, seed)))


def _bounds(x: Tensor, objective: Objective, score: Score, samples: int, seed: int) -> Iterator[Tensor]:
    """Yield the bounds of consecutive rows, as many at once as fit."""
    rows = max(1, _ELEMENTS // (min(samples, _CODES) * x.shape[1]))
    for part in x.split(rows):
        with torch.no_grad():
            draw = score(part)
        yield objective.bound(joined(_drawn(draw, samples, seed), samples))


def _drawn(draw: Draw, samples: int, seed: int) -> Iterator[Terms]:
    """Yield the terms of consecutive codes, a few at once."""
    for number, done in enumerate(range(0, samples, _CODES)):
        with torch.no_grad(), seeded(seed, "rows", number), same_noise():
            terms = draw(min(_CODES, samples - done))
        yield terms

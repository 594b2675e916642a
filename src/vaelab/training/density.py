"""The density of an auto-encoder's codes, which is fitted after the training."""

from __future__ import annotations

import torch
from torch import Tensor

from vaelab.data import Dataset
from vaelab.errors import InputError
from vaelab.evaluation import encode_means
from vaelab.models import LatentVariableModel, Model
from vaelab.priors import MixturePrior
from vaelab.runs import Run
from vaelab.seeds import seeded

__all__ = ["as_often", "check_density", "fit_density"]


def check_density(model: Model, rows: int) -> None:
    """Raise an InputError for more components of a mixture than rows to fit it to."""
    if (
        isinstance(model, LatentVariableModel)
        and isinstance(model.prior, MixturePrior)
        and max(model.prior.candidates) > rows
    ):
        raise InputError(
            f"components: expected at most {rows}, the rows of the training split; got {max(model.prior.candidates)}"
        )


def as_often(codes: Tensor, weights: Tensor) -> Tensor:
    """Return codes as often as their weights say, because the fit of a mixture takes no weights.

    Weights that are whole numbers, up to ten times the codes in all, are exact. Otherwise there are as many codes as
    before, each as often as in proportion to its weight, rounded up or down (systematic resampling: Carpenter,
    Clifford & Fearnhead, 1999, https://doi.org/10.1049/ip-rsn:19990255).

    >>> as_often(torch.tensor([5.0, 6.0, 7.0]), torch.tensor([2.0, 0.0, 1.0]))
    tensor([5., 5., 7.])
    """
    cumulative = weights.double().cumsum(0)
    total = float(cumulative[-1])
    whole = bool((weights == weights.trunc()).all()) and total <= 10 * len(codes)
    count = round(total) if whole else len(codes)
    places = (torch.arange(count, dtype=torch.float64) + 0.5) * (total / count)
    return codes[torch.searchsorted(cumulative, places)]


def fit_density(model: Model, data: Dataset, seed: int, run: Run | None = None) -> None:
    """Fit a mixture prior to the codes of the training split, and write it to a run; do nothing for other priors."""
    if not isinstance(model, LatentVariableModel) or not isinstance(model.prior, MixturePrior):
        return
    device = next(model.parameters()).device
    with seeded(seed, "density"):  # with dynamic binarisation the codes are those of newly drawn bits
        observed = data.train.observations(device).sample()
        codes = encode_means(model, observed)
    model.prior.fit(codes if observed.weights is None else as_often(codes, observed.weights.cpu()), seed)
    if run is not None:
        run.save_density(model.prior)

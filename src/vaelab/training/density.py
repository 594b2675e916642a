"""The density of an auto-encoder's codes, which is fitted after the training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaelab.data import Dataset
from vaelab.distributions import Code
from vaelab.errors import InputError
from vaelab.evaluation import encode_means
from vaelab.models import LatentVariableModel, Model
from vaelab.objectives import MeanObjective, Metric, Objective, Reconstruction, ScoredModel, Terms
from vaelab.priors import MixturePrior, StandardisedFlowPrior
from vaelab.runs import Run
from vaelab.seeds import seeded

__all__ = ["CodeDensity", "as_often", "check_density", "fit_density"]


@dataclass(frozen=True)
class CodeDensity(MeanObjective):
    """log p(z) of the codes of an auto-encoder: what a prior that is trained in steps after the encoder maximises."""

    name: ClassVar[str] = "code-log-density"
    codes: ClassVar[frozenset[Code]] = frozenset({"point"})
    metric: ClassVar[Metric] = "log-likelihood"

    def terms(self, model: ScoredModel, x: Tensor, q: Distribution, z: Tensor) -> Terms:
        """Return the terms, for which nothing is decoded."""
        log_p = model.prior_of(q).log_prob(z)  # (K, B)
        return Terms(log_p, torch.zeros_like(log_p), beta=0.0)


def check_density(model: Model, rows: int, objective: Objective) -> None:
    """Raise an InputError for a prior that cannot be fitted when the training of an auto-encoder ends.

    That is a flow, or a mixture of more components than rows.
    """
    prior = model.prior if isinstance(model, LatentVariableModel) else None
    if isinstance(prior, MixturePrior) and max(prior.candidates) > rows:
        raise InputError(
            f"components: expected at most {rows}, the rows of the training split; got {max(prior.candidates)}"
        )
    if isinstance(prior, StandardisedFlowPrior) and isinstance(objective, Reconstruction):
        raise InputError(
            "prior: expected mixture, which an auto-encoder gets when its training ends; got flow, which "
            "vaelab.fit_prior (on the command line fit-prior) fits to the codes of a trained auto-encoder"
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

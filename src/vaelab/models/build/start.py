"""What the parts of a new model learn from the training rows before the training."""

from __future__ import annotations

from vaelab.data import Dataset
from vaelab.likelihoods import ColumnLikelihood, columns_of
from vaelab.models.density import DensityModel
from vaelab.models.latent import LatentVariableModel
from vaelab.models.model import Model
from vaelab.priors import ChainPrior, VampPrior

__all__ = ["learn_from", "start_prior"]


def learn_from(model: Model, data: Dataset) -> None:
    """Let the parts of a new model learn from the training rows what they can before the training."""
    part = columns_of(model.likelihood) if isinstance(model, LatentVariableModel) else model
    if isinstance(part, ColumnLikelihood | DensityModel):
        part.learn_from(data)
    if isinstance(model, LatentVariableModel):
        start_prior(model, data)


def start_prior(model: LatentVariableModel, data: Dataset) -> None:
    """Start the pseudo-inputs of a new VampPrior at training rows, if they are values of x; other priors stay."""
    reads_x = isinstance(model.prior, ChainPrior) and len(model.layers) == 1  # the posterior of the top layer
    prior = model.prior.top if reads_x else model.prior
    if isinstance(prior, VampPrior):
        prior.learn_from(data)

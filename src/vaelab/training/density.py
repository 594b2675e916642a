"""The density of an auto-encoder's codes, which is fitted after the training."""

from __future__ import annotations

from vaelab.data import Dataset
from vaelab.errors import InputError
from vaelab.evaluation import encode_means
from vaelab.models import LatentVariableModel
from vaelab.priors import MixturePrior
from vaelab.runs import Run
from vaelab.seeds import seeded

__all__ = ["check_density", "fit_density"]


def check_density(model: LatentVariableModel, rows: int) -> None:
    """Raise an InputError for more components of a mixture than rows to fit it to."""
    if isinstance(model.prior, MixturePrior) and max(model.prior.candidates) > rows:
        raise InputError(
            f"components: expected at most {rows}, the rows of the training split; got {max(model.prior.candidates)}"
        )


def fit_density(model: LatentVariableModel, data: Dataset, seed: int, run: Run | None = None) -> None:
    """Fit a mixture prior to the codes of the training split, and write it to a run; do nothing for other priors."""
    if not isinstance(model.prior, MixturePrior):
        return
    device = next(model.parameters()).device
    with seeded(seed, "density"):  # with dynamic binarisation the codes are those of newly drawn bits
        codes = encode_means(model, data.train.observations(device).sample())
    model.prior.fit(codes, seed)
    if run is not None:
        run.save_density(model.prior)

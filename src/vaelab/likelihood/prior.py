"""Plain Monte Carlo: the average likelihood of codes drawn from the prior."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from vaelab.likelihood.contract import BoundEstimate, Callback, Observed
from vaelab.likelihood.importance import log_mean_weight
from vaelab.likelihood.objective import Draw, Score
from vaelab.models import LatentVariableModel, require_latent
from vaelab.objectives import Terms

__all__ = ["prior_average", "prior_score"]


def prior_average(
    model: LatentVariableModel,
    observed: Observed,
    samples: int = 1,
    seed: int = 0,
    callback: Callback | None = None,
) -> BoundEstimate:
    """Plain Monte-Carlo estimate of log p(x): `log 1/K sum_k p(x|z_k)` with `z_k ~ p(z)`.

    It is importance sampling with the prior as proposal. Its variance is huge unless the code is tiny: few codes drawn
    from the prior explain a given x, so at any affordable K it lies far below log p(x). It shows why q(z|x) is needed;
    quote :func:`importance_weighted` instead.

    Raises:
        InputError: the model has no likelihood of x, or ``samples`` is less than 1.

    >>> from vaelab.models import gaussian_vae
    >>> prior_average(gaussian_vae(6, latent_dim=2), torch.ones(3, 6), samples=5).values.shape
    torch.Size([3])
    """
    require_latent(model, "prior").require_likelihood()
    estimate = log_mean_weight(model, observed, samples, seed, callback, prior_score(model))
    return replace(estimate, details={})


def prior_score(model: LatentVariableModel) -> Score:
    """Return the function that draws codes from p(z) and scores them."""

    def score(x: Tensor) -> Draw:
        def draw(samples: int) -> Terms:
            z = model.prior().sample((samples, len(x)))  # (K, B, D)
            log_likelihood = model.log_likelihood(x, z)
            return Terms(log_likelihood, torch.zeros_like(log_likelihood))

        return draw

    return score

"""The evidence lower bound and its two terms."""

from __future__ import annotations

import torch

from vaelab.likelihood.contract import BoundEstimate, Callback, Observed, as_split
from vaelab.likelihood.objective import posterior_score, score_split
from vaelab.models import LatentVariableModel, require_latent
from vaelab.objectives import ELBO

__all__ = ["elbo"]

SAMPLED_KL = "an average of log q(z|x) - log p(z) over the codes drawn, because it has no closed form: can be negative"


def elbo(
    model: LatentVariableModel,
    observed: Observed,
    samples: int = 1,
    seed: int = 0,
    callback: Callback | None = None,
) -> BoundEstimate:
    """Evidence lower bound of every observation: `mean_k log p(x|z_k) - KL[q(z|x) || p(z)]`, in nats.

    Its ``parts`` are ``reconstruction`` and ``kl``, with bound = reconstruction - kl. A KL without a closed form is
    averaged over the same codes. Source: Kingma & Welling (2013), https://arxiv.org/abs/1312.6114.

    Raises:
        InputError: the model has no likelihood of x, or ``samples`` is less than 1.

    >>> from vaelab.models import gaussian_vae
    >>> sorted(elbo(gaussian_vae(6, latent_dim=2), torch.ones(3, 6)).parts)
    ['kl', 'reconstruction']
    """
    require_latent(model, "elbo").require_likelihood()
    split = as_split(model, observed)
    objective, chunks, is_sampled = ELBO(), [], False
    for _, terms in score_split(model, split, samples, seed, posterior_score(model, objective), callback):
        is_sampled = terms.kl.ndim > 1
        chunks.append(torch.stack([objective.bound(terms), terms.log_likelihood.mean(0), terms.mean_kl]))
    bound, reconstruction, kl = torch.cat(chunks, 1)
    details, note = ({"sampled": True}, SAMPLED_KL) if is_sampled else ({}, "")
    parts = {
        "reconstruction": BoundEstimate(reconstruction, weights=split.weights),
        "kl": BoundEstimate(kl, details=details, note=note, weights=split.weights),
    }
    return BoundEstimate(bound, parts, weights=split.weights)

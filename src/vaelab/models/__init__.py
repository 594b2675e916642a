"""Models: each is a prior, a likelihood and a posterior; ``MODELS`` is their table."""

from __future__ import annotations

from vaelab.models.autoencoder import autoencoder
from vaelab.models.latent import LatentVariableModel, SampleKind, require_model
from vaelab.models.logistic_pca import logistic_pca
from vaelab.models.saved import BuiltWith
from vaelab.models.sbn import sbn
from vaelab.models.table import MODELS, ModelRow, Pace
from vaelab.models.vae import bernoulli_vae, deep_gaussian_vae, gaussian_vae

__all__ = [
    "MODELS",
    "BuiltWith",
    "LatentVariableModel",
    "ModelRow",
    "Pace",
    "SampleKind",
    "autoencoder",
    "bernoulli_vae",
    "deep_gaussian_vae",
    "gaussian_vae",
    "logistic_pca",
    "require_model",
    "sbn",
]

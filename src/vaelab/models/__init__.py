"""Models: a prior, a likelihood and a posterior, or a density of x itself; ``MODELS`` is their table."""

from __future__ import annotations

from vaelab.models.autoencoder import autoencoder
from vaelab.models.bernoulli_mixture import BernoulliMixture, bernoulli_mixture
from vaelab.models.build import auto_options
from vaelab.models.chow_liu import ChowLiuTree, chow_liu
from vaelab.models.density import Counted, DensityModel, Differentiable, Pass
from vaelab.models.hidden_chow_liu import HiddenChowLiuTree, hidden_chow_liu
from vaelab.models.independent import Independent, independent
from vaelab.models.latent import LatentVariableModel, require_latent
from vaelab.models.logistic_pca import logistic_pca
from vaelab.models.made import Made, made
from vaelab.models.model import Model, SampleKind, require_model
from vaelab.models.rbm import RestrictedBoltzmannMachine, rbm
from vaelab.models.saved import BuiltWith
from vaelab.models.sbn import sbn
from vaelab.models.table import MODELS, ModelRow, Pace
from vaelab.models.tree_mixture import TreeMixture, tree_mixture
from vaelab.models.vae import bernoulli_vae, deep_gaussian_vae, gaussian_vae

__all__ = [
    "MODELS",
    "BernoulliMixture",
    "BuiltWith",
    "ChowLiuTree",
    "Counted",
    "DensityModel",
    "Differentiable",
    "HiddenChowLiuTree",
    "Independent",
    "LatentVariableModel",
    "Made",
    "Model",
    "ModelRow",
    "Pace",
    "Pass",
    "RestrictedBoltzmannMachine",
    "SampleKind",
    "TreeMixture",
    "auto_options",
    "autoencoder",
    "bernoulli_mixture",
    "bernoulli_vae",
    "chow_liu",
    "deep_gaussian_vae",
    "gaussian_vae",
    "hidden_chow_liu",
    "independent",
    "logistic_pca",
    "made",
    "rbm",
    "require_latent",
    "require_model",
    "sbn",
    "tree_mixture",
]

"""scikit-learn estimators: models with ``fit``, ``score_samples`` and ``sample``; with codes also ``transform``."""

from __future__ import annotations

from vaelab.sklearn.autoencoder import MixtureAutoencoder
from vaelab.sklearn.density import ChowLiuTree, Independent
from vaelab.sklearn.estimators import BernoulliVAE, GaussianVAE, SigmoidBeliefNetwork
from vaelab.sklearn.hidden_chow_liu import HiddenChowLiuTree
from vaelab.sklearn.logistic_pca import LogisticPCA
from vaelab.sklearn.made import MADE
from vaelab.sklearn.mixtures import BernoulliMixture, TreeMixture
from vaelab.sklearn.rbm import RBM

__all__ = [
    "MADE",
    "RBM",
    "BernoulliMixture",
    "BernoulliVAE",
    "ChowLiuTree",
    "GaussianVAE",
    "HiddenChowLiuTree",
    "Independent",
    "LogisticPCA",
    "MixtureAutoencoder",
    "SigmoidBeliefNetwork",
    "TreeMixture",
]

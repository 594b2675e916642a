"""scikit-learn estimators: latent-variable models with ``fit``, ``transform``, ``score_samples`` and ``sample``."""

from __future__ import annotations

from vaelab.sklearn.estimators import BernoulliVAE, GaussianVAE, MixtureAutoencoder, SigmoidBeliefNetwork
from vaelab.sklearn.logistic_pca import LogisticPCA

__all__ = ["BernoulliVAE", "GaussianVAE", "LogisticPCA", "MixtureAutoencoder", "SigmoidBeliefNetwork"]

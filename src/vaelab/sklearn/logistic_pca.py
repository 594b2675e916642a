"""Logistic principal component analysis as a scikit-learn estimator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from vaelab.models import require_latent
from vaelab.sklearn.coded import Estimator

__all__ = ["LogisticPCA"]


class LogisticPCA(Estimator):
    """Logistic principal component analysis of bits: :func:`vaelab.logistic_pca` as a scikit-learn estimator.

    Source: Tipping (1998), "Probabilistic visualisation of high-dimensional binary data",
    https://papers.nips.cc/paper/1998/hash/b132ecc1609bfcf302615847c1caa69a-Abstract.html.

    Args:
        latent_dim: number of components D; None is half the number of features, from 2 to 20.
        encoder_dims: widths of the hidden layers of the encoder.
        activation: non-linearity of those layers.
        encode_mask: whether the encoder also reads which values are observed.
        columns: of the rows, as in :class:`~vaelab.sklearn.GaussianVAE`.
        objective, estimator, samples, epochs, steps, batch_size, learning_rate: likewise.
        validation_fraction, bound, bound_samples, device, random_state, verbose: likewise.

    Attributes:
        components_: the weights of each feature, (D, features): the change of its logit when a number of the code
            grows by 1.

    The other attributes are those of :class:`~vaelab.sklearn.GaussianVAE`.

    >>> X = (np.random.default_rng(0).random((200, 6)) < 0.3).astype(int)
    >>> pca = LogisticPCA(latent_dim=2, steps=20, random_state=0).fit(X)
    >>> pca.transform(X).shape, pca.components_.shape
    ((200, 2), (2, 6))
    """

    _model = "logistic-pca"
    likelihood = "bernoulli"  # of the values of X

    def __init__(
        self,
        latent_dim: int | None = None,
        encoder_dims: Sequence[int] = (400,),
        activation: str = "relu",
        encode_mask: bool = False,
        columns: Mapping[str, Any] | None = None,
        objective: str | Mapping[str, Any] | None = None,
        estimator: str | None = None,
        samples: int | None = None,
        epochs: int | None = None,
        steps: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        validation_fraction: float = 0.1,
        bound: str = "iwae",
        bound_samples: int = 100,
        device: str = "auto",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.latent_dim = latent_dim
        self.encoder_dims = encoder_dims
        self.activation = activation
        self.encode_mask = encode_mask
        self.columns = columns
        self.objective = objective
        self.estimator = estimator
        self.samples = samples
        self.epochs = epochs
        self.steps = steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.validation_fraction = validation_fraction
        self.bound = bound
        self.bound_samples = bound_samples
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    @property
    def components_(self) -> npt.NDArray[np.float32]:
        """The weights of each feature, (D, features)."""
        check_is_fitted(self)
        weight: Tensor = require_latent(self.model_, "components_").likelihood.get_parameter("network.layers.0.weight")
        components: npt.NDArray[np.float32] = weight.detach().cpu().numpy().T
        return components

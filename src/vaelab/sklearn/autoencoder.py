"""The deterministic auto-encoder as a scikit-learn estimator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vaelab.errors import InputError, require_choice
from vaelab.evaluation import ImputeKind
from vaelab.models import LatentVariableModel
from vaelab.priors import CANDIDATES
from vaelab.sklearn.base import Rows
from vaelab.sklearn.coded import Estimator

__all__ = ["MixtureAutoencoder"]

_ROWS_EACH = 5  # rows of a component, at least


class MixtureAutoencoder(Estimator):
    """Deterministic auto-encoder with a Gaussian mixture of its codes: :func:`vaelab.autoencoder` for scikit-learn.

    It has no likelihood of X, so its scores are no bounds. Source: Ghosh et al. (2020),
    https://arxiv.org/abs/1903.12436.

    Args:
        latent_dim: size of the code D.
        hidden_dims: widths of the encoder's hidden layers; the decoder has them in reverse.
        activation: non-linearity of the hidden layers.
        encode_mask: whether the encoder also reads which values are observed.
        components: of the mixture: a number, or several of which the lowest BIC chooses. None is 10, 20, 30 and 40, as
            far as five rows are left to each component.
        covariance: of the components, ``full`` or ``diag``.
        likelihood, columns: of the rows, as in :class:`GaussianVAE`; the log-likelihood at the code is maximised.
        epochs, steps, batch_size, learning_rate, validation_fraction, device, random_state, verbose: as in
            :class:`GaussianVAE`, which has the same attributes.
        bound: of :meth:`score_samples`: ``reconstruction`` is log p(x|z) at the code z of a row, ``code-log-density``
            the log-density of that code under the mixture.
        network, normalisation, dropout: as in :class:`GaussianVAE`.

    >>> X = (np.random.default_rng(0).random((200, 6)) < 0.3).astype(int)
    >>> auto = MixtureAutoencoder(hidden_dims=(8,), components=3, steps=20, random_state=0).fit(X)
    >>> X_drawn, component = auto.sample(5)
    >>> X_drawn.shape, component.shape
    ((5, 6), (5,))
    """

    _model = "autoencoder"

    def __init__(
        self,
        latent_dim: int = 2,
        hidden_dims: Sequence[int] = (400,),
        activation: str = "relu",
        encode_mask: bool = False,
        components: int | Sequence[int] | None = None,
        covariance: str = "full",
        likelihood: str = "auto",
        columns: Mapping[str, Any] | None = None,
        epochs: int | None = None,
        steps: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        validation_fraction: float = 0.1,
        bound: str = "reconstruction",
        device: str = "auto",
        random_state: Any = None,
        verbose: int = 0,
        network: str = "mlp",
        normalisation: str = "none",
        dropout: float = 0.0,
    ) -> None:
        self.latent_dim = latent_dim
        self.hidden_dims = hidden_dims
        self.activation = activation
        self.encode_mask = encode_mask
        self.components = components
        self.covariance = covariance
        self.likelihood = likelihood
        self.columns = columns
        self.epochs = epochs
        self.steps = steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.validation_fraction = validation_fraction
        self.bound = bound
        self.device = device
        self.random_state = random_state
        self.verbose = verbose
        self.network = network
        self.normalisation = normalisation
        self.dropout = dropout

    def _completed(self, layer: dict[str, Any], rows: int) -> dict[str, Any]:
        if "components" in layer:
            return layer
        enough = [count for count in CANDIDATES if count * _ROWS_EACH <= rows]
        return {**layer, "components": enough or [max(1, rows // _ROWS_EACH)]}

    def impute(self, X: Any, *, kind: ImputeKind = "mean", samples: int = 1, n_draws: int = 0) -> Any:
        """Return X with its missing values filled in by the mean of p(x|z) at the code of what is observed.

        There is no posterior to draw from, so ``kind``, ``samples`` and ``n_draws`` have no other values.
        """
        if (kind, samples, n_draws) != ("mean", 1, 0):
            raise InputError(
                "impute: expected kind='mean', samples=1 and n_draws=0, as a deterministic auto-encoder draws nothing; "
                f"got {kind!r}, {samples} and {n_draws}"
            )

        def filled(model: LatentVariableModel, x: Tensor) -> Tensor:
            return torch.where(x.isnan(), model.reconstruct(x), x)

        return self._filled(X, self._map(X, filled))

    def _scores(self, X: Any, bound: str) -> Rows:
        require_choice("bound", bound, _SCORES)
        return self._map(X, _SCORES[bound]).astype(np.float64)

    def _draw(self, model: LatentVariableModel, count: int) -> tuple[Tensor, Tensor]:
        mixture = model.prior()
        component = mixture.mixture_distribution.sample((count,))
        codes = mixture.component_distribution.sample((count,))  # (n, C, D)
        return codes[torch.arange(count), component], component


def _reconstruction(model: LatentVariableModel, x: Tensor) -> Tensor:
    return model.log_likelihood(x, model.posterior(x).mean.unsqueeze(0)).squeeze(0)


def _code_density(model: LatentVariableModel, x: Tensor) -> Tensor:
    density: Tensor = model.prior().log_prob(model.posterior(x).mean)
    return density


_SCORES = {"reconstruction": _reconstruction, "code-log-density": _code_density}

"""Mixtures as scikit-learn estimators: exact scores, and the component of each row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from vaelab.models.mixture_model import MixtureModel
from vaelab.sklearn.base import Rows, array_of
from vaelab.sklearn.density import DensityEstimator
from vaelab.sklearn.tables import tensors_of

__all__ = ["BernoulliMixture", "TreeMixture"]


class _MixtureEstimator(DensityEstimator):
    """Base of the estimators of mixtures."""

    def predict_proba(self, X: Any) -> Rows:
        """Return the probability of each component given each row, (N, C); given the observed values where NaN is."""
        rows = self._checked(X)
        model = self._precise(rows)
        assert isinstance(model, MixtureModel)
        found: Rows = array_of(torch.cat([model.responsibilities(x) for x in tensors_of(rows, model.any_weight)]))
        return found

    def predict(self, X: Any) -> npt.NDArray[np.int64]:
        """Return the most probable component of each row, (N,): a clustering."""
        best: npt.NDArray[np.int64] = self.predict_proba(X).argmax(1)
        return best


class BernoulliMixture(_MixtureEstimator):
    """A mixture of independent columns: :func:`vaelab.bernoulli_mixture` as a scikit-learn estimator.

    Source: Lazarsfeld & Henry (1968), "Latent Structure Analysis".

    Args:
        components: C, or ``auto`` for the best of 1, 3, 10, 30, 100 and 300 on the held-out rows.
        restarts: starts from different random rows, of each number of components and smoothing.
        smoothing: rows of the whole table that are added to each component; or ``auto``, of 0.5, 5 and 20.
        selection: what chooses: the held-out rows (``validation``), or ``bic``, the Bayesian information criterion of
            the others.
        validation_fraction: the share of X that is held out.
        columns, device, random_state, verbose: as in :class:`~vaelab.sklearn.Independent`, which has the same
            attributes.

    >>> X = (np.random.default_rng(0).random((200, 6)) < 0.3).astype(int)
    >>> mixture = BernoulliMixture(components=2, random_state=0).fit(X)
    >>> mixture.score_samples(X).shape, mixture.predict_proba(X).shape, mixture.predict(X).shape
    ((200,), (200, 2), (200,))
    """

    _model = "bernoulli-mixture"

    def __init__(
        self,
        components: int | Literal["auto"] = "auto",
        restarts: int = 2,
        smoothing: float | Literal["auto"] = "auto",
        selection: Literal["validation", "bic"] = "validation",
        validation_fraction: float = 0.1,
        columns: Mapping[str, Any] | None = None,
        device: str = "auto",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.components = components
        self.restarts = restarts
        self.smoothing = smoothing
        self.selection = selection
        self.validation_fraction = validation_fraction
        self.columns = columns
        self.device = device
        self.random_state = random_state
        self.verbose = verbose


class TreeMixture(_MixtureEstimator):
    """A mixture of Chow-Liu trees of bits: :func:`vaelab.tree_mixture` as a scikit-learn estimator.

    Source: Meila & Jordan (2000), https://www.jmlr.org/papers/v1/meila00a.html.

    Args:
        components: C, or ``auto`` for the best of 1, 2, 4, 8, 16 and 32 on the held-out rows.
        restarts: starts from different random rows, of each number of components and smoothing.
        smoothing: rows of the whole table that are added to each component; or ``auto``, of 5 and 50.
        selection: what chooses: the held-out rows (``validation``), or ``bic``, the Bayesian information criterion of
            the others.
        validation_fraction: the share of X that is held out.
        columns, device, random_state, verbose: as in :class:`~vaelab.sklearn.Independent`, which has the same
            attributes.

    >>> X = (np.random.default_rng(0).random((200, 6)) < 0.3).astype(int)
    >>> TreeMixture(components=2, random_state=0).fit(X).score_samples(X).shape
    (200,)
    """

    _model = "tree-mixture"

    def __init__(
        self,
        components: int | Literal["auto"] = "auto",
        restarts: int = 1,
        smoothing: float | Literal["auto"] = "auto",
        selection: Literal["validation", "bic"] = "validation",
        validation_fraction: float = 0.1,
        columns: Mapping[str, Any] | None = None,
        device: str = "auto",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.components = components
        self.restarts = restarts
        self.smoothing = smoothing
        self.selection = selection
        self.validation_fraction = validation_fraction
        self.columns = columns
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

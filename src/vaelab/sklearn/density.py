"""Density models as scikit-learn estimators: exact scores, draws, missing values filled; no codes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from sklearn.utils.validation import check_is_fitted

from vaelab.errors import require_int
from vaelab.likelihood import as_split
from vaelab.models import DensityModel
from vaelab.sklearn.base import ModelEstimator, Rows, array_of
from vaelab.sklearn.tables import tensors_of

__all__ = ["ChowLiuTree", "DensityEstimator", "Independent"]


class DensityEstimator(ModelEstimator):
    """Base of the estimators of density models. A subclass has a constructor, as those of :class:`ModelEstimator`."""

    def score_samples(self, X: Any) -> Rows:
        """Return log p(x) of each row, in nats, (N,), and of the observed values where some are missing.

        It is exact, but for a constant that a large restricted Boltzmann machine estimates.
        """
        check_is_fitted(self)
        rows = self._checked(X)
        model = cast(DensityModel, self._precise(rows))
        parts = [model.values_of(as_split(model, x)) for x in tensors_of(rows, model.any_weight)]
        scores: Rows = array_of(torch.cat(parts))
        return scores

    def sample(self, n_samples: int = 1) -> Any:
        """Draw rows from the model: X (n, features), an array or a frame, as X was in the fit."""
        check_is_fitted(self)
        drawn = self._precise().sample(require_int("n_samples", n_samples, 1), seed=self._new_seed())
        return self._as_given(array_of(drawn))


class Independent(DensityEstimator):
    """Columns that have nothing to do with each other: :func:`vaelab.independent` as a scikit-learn estimator.

    Args:
        smoothing: rows of each value that are added to those of X.
        columns: of a frame, what some of its columns are, as in :func:`vaelab.load_data`; None goes by the values.
        device: where to count: ``cpu``, ``cuda``, or ``auto`` for an accelerator if there is one.
        random_state: of the draws.
        verbose: whether to print the log-likelihood.

    Attributes:
        model_: the :class:`~vaelab.DensityModel`.
        n_iter_: passes over the rows.
        history_: the logged rows of the training.
        n_features_in_, feature_names_in_: of X.

    >>> import numpy as np
    >>> X = (np.random.default_rng(0).random((200, 6)) < 0.3).astype(int)
    >>> floor = Independent().fit(X)
    >>> floor.score_samples(X).shape, floor.sample(3).shape
    ((200,), (3, 6))
    """

    _model = "independent"

    def __init__(
        self,
        smoothing: float = 1.0,
        columns: Mapping[str, Any] | None = None,
        device: str = "auto",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.smoothing = smoothing
        self.columns = columns
        self.device = device
        self.random_state = random_state
        self.verbose = verbose


class ChowLiuTree(DensityEstimator):
    """Bits of which each depends on one other: :func:`vaelab.chow_liu` as a scikit-learn estimator.

    Source: Chow & Liu (1968), https://doi.org/10.1109/TIT.1968.1054142.

    Args:
        smoothing: rows of independent columns that are added to the counts of each pair of columns.
        columns, device, random_state, verbose: as in :class:`Independent`, which has the same attributes.

    >>> import numpy as np
    >>> X = (np.random.default_rng(0).random((200, 6)) < 0.3).astype(int)
    >>> tree = ChowLiuTree().fit(X)
    >>> tree.score_samples(X).shape, tree.model_.parents.shape
    ((200,), torch.Size([6]))
    """

    _model = "chow-liu"

    def __init__(
        self,
        smoothing: float = 10.0,
        columns: Mapping[str, Any] | None = None,
        device: str = "auto",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.smoothing = smoothing
        self.columns = columns
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

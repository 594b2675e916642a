"""Restricted Boltzmann machines as a scikit-learn estimator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vaelab.sklearn.density import DensityEstimator

__all__ = ["RBM"]


class RBM(DensityEstimator):
    """Bits that depend on each other through hidden bits: :func:`vaelab.rbm` as a scikit-learn estimator.

    ``score_samples`` is log p(x), other than the pseudo-likelihood of scikit-learn's ``BernoulliRBM``. It is exact with
    at most 20 hidden units or columns; otherwise log Z is estimated: ``model_.log_partition()`` returns it with its
    standard error. Sources: Tieleman (2008), https://doi.org/10.1145/1390156.1390290; Salakhutdinov & Murray (2008),
    https://doi.org/10.1145/1390156.1390266.

    Args:
        hidden: number of hidden units; None is twice as many as columns, from 20 to 200, and at most 10 where values
            are missing.
        moves: moves of each chain at a step of the training.
        columns, device, random_state, verbose: as in :class:`Independent`, which has the same attributes.
        epochs, steps, batch_size, learning_rate: of the training; None is the default of the model for X.
        validation_fraction: share of the rows that selects the weights.

    >>> import numpy as np
    >>> X = (np.random.default_rng(0).random((200, 6)) < 0.3).astype(int)
    >>> machine = RBM(hidden=4, steps=20).fit(X)
    >>> machine.score_samples(X).shape, machine.sample(3).shape
    ((200,), (3, 6))
    """

    _model = "rbm"

    def __init__(
        self,
        hidden: int | None = None,
        moves: int = 1,
        columns: Mapping[str, Any] | None = None,
        epochs: int | None = None,
        steps: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        validation_fraction: float = 0.1,
        device: str = "auto",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.hidden = hidden
        self.moves = moves
        self.columns = columns
        self.epochs = epochs
        self.steps = steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.validation_fraction = validation_fraction
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

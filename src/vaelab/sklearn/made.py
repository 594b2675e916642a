"""Masked autoregressive networks as a scikit-learn estimator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vaelab.sklearn.density import DensityEstimator

__all__ = ["MADE"]


class MADE(DensityEstimator):
    """Bits that are each given those before them, in several orders: :func:`vaelab.made` as a scikit-learn estimator.

    ``score_samples`` is log p(x), exact. Every value has to be observed: missing values are refused. Source: Germain et
    al. (2015), https://arxiv.org/abs/1502.03509.

    Args:
        hidden: hidden units of each network.
        orderings: number of networks, each with an order of the columns of its own.
        dropout: share of the hidden units that a step of the training leaves out; None depends on the number of rows.
        input_dropout: share of the inputs that a step replaces by the mean of the column; None likewise.
        columns, device, random_state, verbose: as in :class:`Independent`, which has the same attributes.
        epochs, steps, batch_size, learning_rate: of the training; None is the default of the model for X.
        validation_fraction: share of the rows that selects the weights.

    >>> import numpy as np
    >>> X = (np.random.default_rng(0).random((200, 6)) < 0.3).astype(int)
    >>> network = MADE(hidden=8, orderings=2, steps=20).fit(X)
    >>> network.score_samples(X).shape, network.sample(3).shape
    ((200,), (3, 6))
    """

    _model = "made"

    def __init__(
        self,
        hidden: int = 200,
        orderings: int = 4,
        dropout: float | None = None,
        input_dropout: float | None = None,
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
        self.orderings = orderings
        self.dropout = dropout
        self.input_dropout = input_dropout
        self.columns = columns
        self.epochs = epochs
        self.steps = steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.validation_fraction = validation_fraction
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

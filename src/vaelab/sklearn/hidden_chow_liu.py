"""The hidden Chow-Liu tree as a scikit-learn estimator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from vaelab.sklearn.density import DensityEstimator

__all__ = ["HiddenChowLiuTree"]


class HiddenChowLiuTree(DensityEstimator):
    """Bits whose hidden states form a tree: :func:`vaelab.hidden_chow_liu` as a scikit-learn estimator.

    Source: Liu & Van den Broeck (2021), https://arxiv.org/abs/2106.02264.

    Args:
        states: C of each column, or ``auto`` for the best of 4 and 16 on the held-out rows.
        restarts: starts from different random numbers, of each number of states and smoothing.
        smoothing: rows that are added to each state; or ``auto``, of 1 and 10.
        validation_fraction: the share of X that is held out, by which the model is chosen.
        columns, device, random_state, verbose: as in :class:`~vaelab.sklearn.Independent`, which has the same
            attributes.

    >>> import numpy as np
    >>> X = (np.random.default_rng(0).random((200, 6)) < 0.3).astype(int)
    >>> HiddenChowLiuTree(states=2, random_state=0).fit(X).score_samples(X).shape
    (200,)
    """

    _model = "hidden-chow-liu"

    def __init__(
        self,
        states: int | Literal["auto"] = "auto",
        restarts: int = 1,
        smoothing: float | Literal["auto"] = "auto",
        validation_fraction: float = 0.1,
        columns: Mapping[str, Any] | None = None,
        device: str = "auto",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.states = states
        self.restarts = restarts
        self.smoothing = smoothing
        self.validation_fraction = validation_fraction
        self.columns = columns
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

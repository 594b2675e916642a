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
        states: C of each column, or ``auto`` for the best of 2, 8, 16, 32 and 64 on the held-out rows.
        restarts: starts from different random rows, of each number of states.
        smoothing: rows that are added to each state.
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
        smoothing: float = 0.3,
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

"""scikit-learn's restricted Boltzmann machine. It has no log p(x): its weights are evaluated as those of vaelab's."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from vaelab import evaluate
from vaelab.data import Dataset
from vaelab.models import RestrictedBoltzmannMachine, rbm

__all__ = ["converted", "fitted"]

HIDDEN = 100
RATES = (0.01, 0.05, 0.1, 0.2, 0.4)
STEPS, BATCH = 4_000, 100  # of a training


def fitted(data: Dataset, seed: int) -> tuple[RestrictedBoltzmannMachine, dict[str, Any]]:
    """Return the machine that is best on the validation rows, of several learning rates, and what was tried.

    Each is trained by persistent contrastive divergence for about 4 000 steps of 100 rows, 10 to 100 epochs.
    """
    from sklearn.neural_network import BernoulliRBM

    rows = data.train.observations().bits(slice(None)).numpy()
    epochs = int(np.clip(np.ceil(STEPS * BATCH / len(rows)), 10, 100))
    tried = []
    for rate in RATES:
        peer = BernoulliRBM(HIDDEN, learning_rate=rate, batch_size=BATCH, n_iter=epochs, random_state=seed).fit(rows)
        machine = converted(data, peer.components_.T, peer.intercept_visible_, peer.intercept_hidden_)
        tried.append((evaluate(machine, data, "validation", seed=seed).records[0].value, rate, machine))
    best = max(tried, key=lambda each: each[0])
    settings = {"hidden": HIDDEN, "learning_rate": best[1], "epochs": epochs}
    return best[2], {"settings": settings, "tried": {str(rate): round(value, 3) for value, rate, _ in tried}}


def converted(data: Dataset, weights: Any, visible: Any, hidden: Any) -> RestrictedBoltzmannMachine:
    """Return vaelab's machine with `log f(x, h) = x visible + h hidden + x weights h`; weights (X, H)."""
    machine = rbm(data, hidden=len(hidden), seed=0)
    W, a, b = (torch.as_tensor(np.asarray(part), dtype=torch.float32) for part in (weights, visible, hidden))
    with torch.no_grad():  # vaelab's inputs are centred: at the mean of the data, and at 1/2
        machine.weights.copy_(W)
        machine.visible.copy_(a + W.sum(1) / 2)
        machine.hidden.copy_(b + machine.mean @ W)
    return machine

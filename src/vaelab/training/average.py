"""The average of the weights along a training, which is as good at any time as weights at a lower learning rate."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from vaelab.models import LatentVariableModel

__all__ = ["average_of", "update_average"]

_EVERY = (
    4  # steps between updates, after the first few: consecutive weights differ little, and the cost is then negligible
)
_ETA = 7


def average_of(model: LatentVariableModel) -> AveragedModel:
    """Return a copy of a model that will hold the average of its weights: torch's own, with a polynomial decay.

    Formula: with the n-th weights taken in, m <- m + (eta + 1) / (n + eta) (w - m), eta = 7, so that the average looks
    back over about an eighth of the past, and the first weights are taken whole. Source: Shamir & Zhang (2013),
    https://arxiv.org/abs/1212.1824.

    >>> import torch
    >>> from vaelab.models import gaussian_vae
    >>> model = gaussian_vae(6, latent_dim=2, hidden_dims=[8])
    >>> average = average_of(model)
    >>> update_average(average, model, step=1)
    >>> all(map(torch.equal, average.parameters(), model.parameters()))
    True
    """
    return AveragedModel(model, multi_avg_fn=_decay).requires_grad_(False)


def update_average(average: AveragedModel, model: LatentVariableModel, step: int, start: int = 0) -> None:
    """Take in the weights after a step; of most steps nothing is taken.

    The average begins anew after the step ``start``: weights from a rise of beta were trained for another objective.
    """
    if step == start:
        average.n_averaged.zero_()
    elif step > _EVERY and step % _EVERY:
        return
    average.update_parameters(model)


def _decay(means: Sequence[Tensor], weights: Sequence[Tensor], count: Tensor | int) -> None:
    """Move each mean towards the weights; ``count`` is the number of weights that it holds already."""
    share = (_ETA + 1) / (count + 1 + _ETA)
    for mean, weight in zip(means, weights, strict=True):
        mean.lerp_(weight, share)

"""Reweighted wake-sleep: one loss for the model, another for the encoder."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaelab.conditionals import Code
from vaelab.distributions import Mapped
from vaelab.estimators.contract import Estimate, Estimator
from vaelab.models.latent import LatentVariableModel
from vaelab.objectives import Objective

__all__ = ["ReweightedWakeSleep"]


class ReweightedWakeSleep(Estimator):
    """Wake phase for both networks: K weighted codes train the model, and are what the encoder learns to propose.

    Formula: with the normalised weights v_k = w_k / sum_j w_j held constant, decoder and prior follow
    sum_k v_k grad log p(x, z_k), the gradient of the importance-weighted bound, without bias; the encoder
    follows sum_k v_k grad log q(z_k|x), which lowers KL[p(z|x) || q(z|x)] instead of raising the bound, and
    is biased for it. The sleep phase of the encoder is left out. Sources: Bornschein & Bengio (2015),
    https://arxiv.org/abs/1406.2751; without sleep: Le, Kosiorek, Siddharth, Teh & Wood (2019),
    https://arxiv.org/abs/1805.10469.

    Args:
        samples: K, codes drawn for each observation.

    >>> from vaelab.models import bernoulli_vae
    >>> from vaelab.objectives import IWAE
    >>> ReweightedWakeSleep()(bernoulli_vae(6, latent_dim=3), IWAE(), torch.ones(5, 6)).surrogate.shape
    torch.Size([5])
    """

    name: ClassVar[str] = "reweighted-wake-sleep"
    codes: ClassVar[frozenset[Code]] = frozenset({"bits", "real"})
    objectives: ClassVar[frozenset[str]] = frozenset({"iwae"})
    biased: ClassVar[frozenset[str]] = frozenset({"iwae"})
    layered: ClassVar[bool] = True

    def __init__(self, samples: int = 10) -> None:
        super().__init__(samples)

    def draw(self, q: Distribution, objective: Objective) -> Tensor:
        """Draw z (K, B, D) without a gradient."""
        z: Tensor = q.sample((self.samples,))
        return z

    def score(
        self, model: LatentVariableModel, objective: Objective, x: Tensor, q: Distribution, drawn: Tensor
    ) -> Estimate:
        """The surrogate is the bound under a constant q, for the model, plus sum_k v_k log q(z_k|x)."""
        assert isinstance(q, Mapped)
        terms = objective.terms(model, x, q.through(torch.Tensor.detach), drawn)
        values = objective.values(terms)  # (K, B)
        weights = torch.softmax(values.detach(), 0)
        log_q: Tensor = q.log_prob(drawn)  # (K, B)
        return Estimate.of(objective, terms, objective(values) + (weights * log_q).sum(0))

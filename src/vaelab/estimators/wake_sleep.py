"""Wake-sleep and its reweighted successor: one loss for the model, another for the encoder."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaelab.conditionals import Code
from vaelab.distributions import map_parameters
from vaelab.estimators.contract import Estimate, Estimator, require_encoder
from vaelab.models.latent import LatentVariableModel
from vaelab.objectives import Objective

__all__ = ["ReweightedWakeSleep", "WakeSleep"]


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
        terms = objective.terms(model, x, map_parameters(q, torch.Tensor.detach), drawn)
        values = objective.values(terms)  # (K, B)
        weights = torch.softmax(values.detach(), 0)
        log_q: Tensor = q.log_prob(drawn)  # (K, B)
        return Estimate.of(objective, terms, objective(values) + (weights * log_q).sum(0))


class WakeSleep(Estimator):
    """Wake-sleep: awake the model learns to explain codes of the encoder, asleep the encoder learns from dreams.

    Formula: decoder and prior follow 1/K sum_k grad log p(x, z_k), z_k ~ q(z|x), the gradient of the evidence
    lower bound, without bias (with a closed-form KL, grad log p(x|z) and the KL's own). The encoder follows
    1/K sum_k grad log q(z'_k|x'_k) for dreams x', z' ~ p(x, z), which lowers KL[p(z|x) || q(z|x)] averaged over
    dreams instead of raising the bound, and is biased for it. Shapes: drawn (2, K, B, D + X): codes beside
    observations, those of the day before the dreams. Sources: Hinton, Dayan, Frey & Neal (1995),
    https://doi.org/10.1126/science.7761831; Dayan, Hinton, Neal & Zemel (1995), https://doi.org/10.1162/neco.1995.7.5.889.

    Args:
        samples: K, codes drawn for each observation, and as many dreams.

    >>> from vaelab.models import bernoulli_vae
    >>> from vaelab.objectives import ELBO
    >>> WakeSleep()(bernoulli_vae(6, latent_dim=3), ELBO(), torch.ones(5, 6)).surrogate.shape
    torch.Size([5])
    """

    name: ClassVar[str] = "wake-sleep"
    codes: ClassVar[frozenset[Code]] = frozenset({"bits", "real"})
    objectives: ClassVar[frozenset[str]] = frozenset({"elbo"})
    biased: ClassVar[frozenset[str]] = frozenset({"elbo"})
    layered: ClassVar[bool] = True

    def draw(self, q: Distribution, objective: Objective) -> Tensor:
        """Draw the codes of the day, z (K, B, D), without a gradient."""
        z: Tensor = q.sample((self.samples,))
        return z

    def extend(self, model: LatentVariableModel, x: Tensor, drawn: Tensor) -> Tensor:
        """Put observations beside the codes of the day, and dreams after them, (2, K, B, D + X)."""
        with torch.no_grad():
            code = model.prior().sample(drawn.shape[:2])  # (K, B, D)
            dreamt = model.likelihood(code).sample()  # (K, B, X)
            day = torch.cat([drawn, x.to(drawn.dtype).expand(*drawn.shape[:2], -1)], -1)
            return torch.stack([day, torch.cat([code, dreamt], -1)])

    def score(
        self, model: LatentVariableModel, objective: Objective, x: Tensor, q: Distribution, drawn: Tensor
    ) -> Estimate:
        """The surrogate is the bound under a constant q, for the model, plus 1/K sum_k log q(z'_k|x'_k)."""
        day, night = drawn
        terms = objective.terms(model, x, map_parameters(q, torch.Tensor.detach), day[..., : -x.shape[-1]])
        code, dreamt = night.flatten(0, 1).split([night.shape[-1] - x.shape[-1], x.shape[-1]], -1)
        recognised: Tensor = model.posterior(dreamt).log_prob(code)  # (K B,)
        asleep = recognised.view(night.shape[:2]).mean(0)  # (B,)
        return Estimate.of(objective, terms, objective(objective.values(terms)) + asleep)

    def decoder_evaluations(self, objective: Objective, latent_dim: int, layers: int = 1) -> int:
        """K codes by day, K by night."""
        return 2 * self.samples

    def check(self, model: LatentVariableModel, objective: Objective) -> None:
        """Refuse an encoder that learns nothing."""
        super().check(model, objective)
        require_encoder(self.name, model)

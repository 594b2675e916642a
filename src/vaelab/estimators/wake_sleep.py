"""Wake-sleep and reweighted wake-sleep: one loss for the model, another for the encoder."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from vaelab.distributions import Code, detached
from vaelab.estimators.contract import Cost, Estimate, Estimator, Expectation, Inference, Sizes
from vaelab.models.latent import LatentVariableModel
from vaelab.objectives import Combination

__all__ = ["ReweightedWakeSleep", "WakeSleep"]


class ReweightedWakeSleep(Estimator):
    """Wake phase for both networks: K weighted codes train the model, and the encoder learns to propose them.

    Formula: with the normalised weights `v_k = w_k / sum_j w_j` held constant, decoder and prior follow `sum_k v_k grad
    log p(x, z_k)`, the unbiased gradient of the importance-weighted bound. The encoder follows `sum_k v_k grad log
    q(z_k|x)`, which lowers `KL[p(z|x) || q(z|x)]` instead of raising the bound, and is biased for it. There is no sleep
    phase. Sources: Bornschein & Bengio (2015), https://arxiv.org/abs/1406.2751; without sleep: Le, Kosiorek, Siddharth,
    Teh & Wood (2019), https://arxiv.org/abs/1805.10469.

    Args:
        model: the model that it is for, or its sizes.
        samples: K, codes drawn for each observation.

    >>> from vaelab.models import bernoulli_vae
    >>> from vaelab.objectives import IWAE
    >>> model = bernoulli_vae(6, latent_dim=3)
    >>> ReweightedWakeSleep(model)(model, IWAE(), torch.ones(5, 6)).surrogate.shape
    torch.Size([5])
    """

    name: ClassVar[str] = "reweighted-wake-sleep"
    codes: ClassVar[frozenset[Code]] = frozenset({"bits", "real"})
    layered: ClassVar[bool] = True
    combinations: ClassVar[frozenset[Combination]] = frozenset({"log-mean-exp"})
    biased: ClassVar[frozenset[Combination]] = frozenset({"log-mean-exp"})
    bias: ClassVar[str] = (
        "the encoder lowers `KL[p(z|x) || q(z|x)]` instead of raising the bound; the gradient of the model is unbiased"
    )

    def __init__(self, model: LatentVariableModel | Sizes, samples: int = 10) -> None:
        super().__init__(model, samples)

    def score(self, expectation: Expectation, drawn: Tensor) -> Estimate:
        """The surrogate is the bound under a constant q, for the model, plus `sum_k v_k log q(z_k|x)`."""
        objective, q = expectation.objective, expectation.q
        terms = expectation.terms(drawn, detached(q))
        values = terms.log_weights  # (K, B)
        weights = torch.softmax(values.detach(), 0)
        log_q: Tensor = q.log_prob(drawn)  # (K, B)
        return Estimate.of(objective, terms, objective(values) + (weights * log_q).sum(0))


class WakeSleep(Estimator):
    """Wake-sleep: in the wake phase the model learns from the encoder's codes, in the sleep phase the encoder from
    dreams.

    Formula: decoder and prior follow `1/K sum_k grad log p(x, z_k)` with `z_k ~ q(z|x)`, the unbiased gradient of the
    evidence lower bound (with a closed-form KL, `grad log p(x|z)` and the gradient of the KL). The encoder follows `1/K
    sum_k grad log q(z'_k|x'_k)` for dreams `x', z' ~ p(x, z)`, which lowers `KL[p(z|x) || q(z|x)]` averaged over dreams
    instead of raising the bound, and is biased for it. A dream has the gaps of the observation that it stands beside,
    so the encoder learns `KL[p(z|x_observed) || q(z|x_observed)]` too. Shapes: drawn (2, K, B, D + X): codes beside
    observations, those of the wake phase before the dreams. Sources: Hinton, Dayan, Frey & Neal (1995),
    https://doi.org/10.1126/science.7761831; Dayan, Hinton, Neal & Zemel (1995),
    https://doi.org/10.1162/neco.1995.7.5.889.

    Args:
        model: the model that it is for, or its sizes.
        samples: K, codes drawn for each observation, and as many dreams.

    >>> from vaelab.models import bernoulli_vae
    >>> from vaelab.objectives import ELBO
    >>> model = bernoulli_vae(6, latent_dim=3)
    >>> WakeSleep(model)(model, ELBO(), torch.ones(5, 6)).surrogate.shape
    torch.Size([5])
    """

    name: ClassVar[str] = "wake-sleep"
    codes: ClassVar[frozenset[Code]] = frozenset({"bits", "real"})
    layered: ClassVar[bool] = True
    inference: ClassVar[Inference] = "network"
    combinations: ClassVar[frozenset[Combination]] = frozenset({"mean"})
    biased: ClassVar[frozenset[Combination]] = frozenset({"mean"})
    supports_free_bits: ClassVar[bool] = False  # the encoder follows no KL
    bias: ClassVar[str] = (
        "the encoder lowers `KL[p(z|x) || q(z|x)]` instead of raising the bound; the gradient of the model is unbiased"
    )
    cost: ClassVar[Cost] = Cost(2)  # K codes by day, K by night

    def draw(self, expectation: Expectation) -> Tensor:
        """Draw codes of the day beside their observations, and dreams after them, (2, K, B, D + X)."""
        model, x = expectation.model, expectation.x
        by_day = super().draw(expectation)  # (K, B, D)
        with torch.no_grad():
            code = model.prior().sample(by_day.shape[:2])  # (K, B, D)
            given = model.split(x)[1]
            dream = model.conditional(code, given).sample()  # (K, B, X)
            dream = torch.cat([dream, given.to(dream.dtype).expand(*dream.shape[:2], -1)], -1)  # (K, B, X + Y)
            day = torch.cat([by_day, x.to(by_day.dtype).expand(*by_day.shape[:2], -1)], -1)
            return torch.stack([day, torch.cat([code, dream], -1)])

    def score(self, expectation: Expectation, drawn: Tensor) -> Estimate:
        """The surrogate is the bound under a constant q, for the model, plus `1/K sum_k log q(z'_k|x'_k)`."""
        objective, data_dim = expectation.objective, expectation.x.shape[-1]
        day, night = drawn
        terms = expectation.terms(day[..., :-data_dim], detached(expectation.q))
        code, dream = night.flatten(0, 1).split([night.shape[-1] - data_dim, data_dim], -1)
        gaps = expectation.x.isnan().repeat(len(day), 1)  # (K B, X)
        log_q: Tensor = expectation.model.posterior(dream.masked_fill(gaps, torch.nan)).log_prob(code)  # (K B,)
        asleep = log_q.view(night.shape[:2]).mean(0)  # (B,)
        return Estimate.of(objective, terms, objective(terms.log_weights) + asleep)

"""The score-function estimator: differentiate the probability of the code, not the code."""

from __future__ import annotations

from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from vaelab.distributions import Code
from vaelab.estimators.baselines import BASELINES, Baseline, BaselineName, build_baseline
from vaelab.estimators.contract import ANY_COMBINATION, Estimate, Estimator, Expectation, Sizes, direct
from vaelab.models.latent import LatentVariableModel
from vaelab.objectives import Combination

__all__ = ["ScoreFunction"]


class ScoreFunction(Estimator):
    """Score function (REINFORCE) with K codes and a baseline.

    Formula: with the baseline `b`,

    `grad_phi E_q[f(z)] ~ 1/K sum_k (f(z_k) - b) grad_phi log q(z_k|x)`,

    plus the gradient of `f`. With the closed-form KL, `f` is log p(x|z) and the KL is differentiated directly. For the
    importance-weighted bound `L` of all `K` codes, or any other function of them, it is `sum_k (L - b_k) grad_phi log
    q(z_k|x)`; for groups of codes each has the bound of its own group.

    Sources: Williams (1992), https://doi.org/10.1007/BF00992696; K codes with leave-one-out: Kool, van Hoof & Welling
    (2019), https://openreview.net/forum?id=r1lgTGL5DE; VIMCO: Mnih & Rezende (2016), https://arxiv.org/abs/1602.06725;
    network (NVIL): Mnih & Gregor (2014), https://arxiv.org/abs/1402.0030. The learning rate of the network is ten times
    the model's, as in Tucker et al. (2017), https://arxiv.org/abs/1703.07370.

    A code of several layers has a signal for each layer. Under the evidence lower bound it contains the terms of `log
    w` that depend on layer `y_l` and on those drawn after it,

    `log p(y_l-1|y_l) + ... + log p(y_L) - log q(y_l|y_l-1) - ... - log q(y_L|y_L-1)`,

    minus the baseline of that layer (Mnih & Gregor, 2014, section 2.2). The network of every layer reads x. Under the
    importance-weighted bound the signal of every layer is that of the whole code, as in VIMCO.

    Args:
        model: the model that it is for, or its sizes.
        samples: K, codes drawn for each observation.
        baseline: ``none``, ``running-average``, ``leave-one-out`` (K of at least 2) or ``network``.

    >>> import torch
    >>> from vaelab.models import bernoulli_vae
    >>> from vaelab.objectives import ELBO
    >>> model = bernoulli_vae(6, latent_dim=3)
    >>> estimator = ScoreFunction(model, samples=4, baseline="running-average")
    >>> estimator(model, ELBO(), torch.ones(5, 6)).surrogate.shape
    torch.Size([5])
    """

    name: ClassVar[str] = "score-function"
    codes: ClassVar[frozenset[Code]] = frozenset({"bits", "real"})
    layered: ClassVar[bool] = True
    combinations: ClassVar[frozenset[Combination]] = ANY_COMBINATION
    learns: ClassVar[str] = "its baseline"
    learning_rate_factor: ClassVar[float] = 10.0
    variants: ClassVar[dict[str, dict[str, str]]] = {name: {"baseline": name} for name in BASELINES}

    def __init__(
        self, model: LatentVariableModel | Sizes, samples: int = 4, baseline: BaselineName = "leave-one-out"
    ) -> None:
        super().__init__(model, samples)
        self.baselines = nn.ModuleList(  # of each layer, in the order in which they are drawn
            build_baseline(baseline, self.sizes, samples) for _ in range(self.sizes.layers)
        )
        self.to(self.sizes.like)

    def score(self, expectation: Expectation, drawn: Tensor) -> Estimate:
        """The surrogate is the objective plus `sum_k s_k log q(z_k|x)`, with the signals `s_k` held constant."""
        objective = expectation.objective
        first, *_ = baselines = cast(list[Baseline], list(self.baselines))
        q = first.normalised(expectation.q)
        terms = expectation.terms(drawn, q)
        signals: tuple[Tensor, ...] = (terms.signal_terms,)
        log_q: tuple[Tensor, ...] = (q.log_prob(drawn),)
        if objective.combination == "mean" and len(terms.log_q) > 1:
            signals, log_q = terms.signal_terms_by_layer(), terms.log_q
        surrogate, losses = direct(objective, terms), []  # (B,)
        for baseline, values, log_density in zip(baselines, signals, log_q, strict=False):
            signal, loss = baseline(objective.encoder, values.detach(), expectation.filled)  # (K, B)
            surrogate = surrogate + (signal * log_density).sum(0)
            losses += [] if loss is None else [loss]
        return Estimate.of(objective, terms, surrogate, torch.stack(losses).sum() if losses else None)

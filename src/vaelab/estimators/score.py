"""The score-function estimator: differentiate the probability of the code, not the code."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from vaelab.chains import Chain
from vaelab.conditionals import Code
from vaelab.errors import InputError, require_choice
from vaelab.estimators.baselines import BASELINES, Baseline, BaselineName
from vaelab.estimators.contract import Estimate, Estimator
from vaelab.models.latent import LatentVariableModel
from vaelab.objectives import Objective

__all__ = ["ScoreFunction", "build_baseline"]


class ScoreFunction(Estimator):
    """Score function (REINFORCE) with K codes and a baseline.

    Formula: grad_phi E_q[f(z)] ~ 1/K sum_k (f(z_k) - baseline) grad_phi log q(z_k|x), plus the gradient of
    f itself. With the closed-form KL, f is log p(x|z) and the KL is differentiated directly; for the
    importance-weighted bound L of all K codes it is sum_k (L - baseline) grad_phi log q(z_k|x).
    Sources: Williams (1992), https://doi.org/10.1007/BF00992696; K codes with leave-one-out: Kool, van Hoof & Welling
    (2019), https://openreview.net/forum?id=r1lgTGL5DE; VIMCO: Mnih & Rezende (2016), https://arxiv.org/abs/1602.06725;
    network (NVIL): Mnih & Gregor (2014), https://arxiv.org/abs/1402.0030. The learning rate of the network
    is ten times the model's, as in Tucker et al. (2017), https://arxiv.org/abs/1703.07370.

    A code of several layers has a signal for each: under the evidence lower bound, the terms of log w that
    layer y_l and those drawn after it still change, log p(y_l-1|y_l) + ... + log p(y_L) - log q(y_l|y_l-1) -
    ... - log q(y_L|y_L-1), less a baseline of its own (Mnih & Gregor, 2014, section 2.2); every layer's network reads
    x. Under the importance-weighted bound every layer has the whole code's signal, as in VIMCO.

    Args:
        samples: K, codes drawn for each observation.
        baseline: ``none``, ``running-average``, ``leave-one-out`` (K of at least 2) or ``network``.

    >>> import torch
    >>> from vaelab.models import bernoulli_vae
    >>> from vaelab.objectives import ELBO
    >>> estimator = ScoreFunction(samples=4, baseline="running-average")
    >>> estimator(bernoulli_vae(6, latent_dim=3), ELBO(), torch.ones(5, 6)).surrogate.shape
    torch.Size([5])
    """

    name: ClassVar[str] = "score-function"
    codes: ClassVar[frozenset[Code]] = frozenset({"bits", "real"})
    layered: ClassVar[bool] = True
    learning_rate_factor: ClassVar[float] = 10.0

    def __init__(self, samples: int = 4, baseline: BaselineName = "leave-one-out") -> None:
        super().__init__(samples)
        self.baseline = build_baseline(baseline, samples)
        self.name_of_baseline: BaselineName = baseline
        self.further = nn.ModuleList()  # the baselines of the second layer and those after it

    def prepare(self, x: Tensor, q: Distribution) -> None:
        """Create the baselines of further layers, and the networks of those that have one."""
        if isinstance(q, Chain) and not self.further:
            self.further.extend(build_baseline(self.name_of_baseline, self.samples) for _ in q.steps)
            self.further.to(x).train(self.training)
        for baseline in (self.baseline, *self.further):
            baseline.prepare(x)

    def draw(self, q: Distribution, objective: Objective) -> Tensor:
        """Draw z (K, B, D) without a gradient."""
        z: Tensor = q.sample((self.samples,))
        return z

    def score(
        self, model: LatentVariableModel, objective: Objective, x: Tensor, q: Distribution, drawn: Tensor
    ) -> Estimate:
        """The surrogate is the objective plus sum_k signal_k log q(z_k|x), the signals held constant."""
        q = self.baseline.normalised(q)
        terms = objective.terms(model, x, q, drawn)
        surrogate = objective(objective.values(terms))  # (B,)
        losses = []
        integrands = objective.integrands(terms)  # one for each layer, or one for the whole code
        factors = terms.log_q if len(integrands) > 1 else (q.log_prob(drawn),)
        for baseline, integrand, log_q in zip((self.baseline, *self.further), integrands, factors, strict=False):
            signal, loss = baseline(objective, integrand.detach(), x)  # (K, B)
            surrogate = surrogate + (signal * log_q).sum(0)
            losses += [] if loss is None else [loss]
        return Estimate.of(objective, terms, surrogate, torch.stack(losses).sum() if losses else None)


def build_baseline(name: BaselineName, samples: int) -> Baseline:
    """Build a baseline by name, or refuse one that needs more codes."""
    require_choice("estimator.baseline", name, BASELINES)
    if name == "leave-one-out" and samples < 2:
        raise InputError(f"estimator.samples: expected at least 2 for the baseline leave-one-out; got {samples}")
    return BASELINES[name]()

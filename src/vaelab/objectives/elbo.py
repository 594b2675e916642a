"""The evidence lower bound."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, Self, get_args

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaelab.distributed import mean_over_ranks
from vaelab.distributions import Chain, detached, kl_by_unit
from vaelab.errors import InputError, require_choice, require_int, require_number
from vaelab.objectives.contract import Divergence, MeanObjective
from vaelab.objectives.terms import ScoredModel, Terms

__all__ = ["ELBO", "free_penalty"]


@dataclass(frozen=True)
class ELBO(MeanObjective):
    """Evidence lower bound: `mean_k log p(x|z_k) - beta KL[q(z|x) || p(z)]`.

    ``kl`` says how the KL enters the gradient. With ``closed-form`` it is that of the two distributions, whose gradient
    has no noise; a score-function signal then contains log p(x|z) alone. With ``sampled`` it is `log q(z_k|x) - log
    p(z_k)` of the codes, with q's parameters held constant in it (their score has mean zero), as in the authors' code
    of most estimators for bits. Both gradients have the same mean. Near its optimum q makes `log q - log p` the linear
    part of log p(x|z), so that a signal with both varies less; early in a training it may vary more. For real-valued
    codes the sampled form is the path derivative of Roeder et al. (2017), https://arxiv.org/abs/1703.09194. If
    ``torch.distributions`` has no formula for the KL, as for a mixture as prior, ``closed-form`` is the same as
    ``sampled``, but for a VampPrior: it is made of q, and the scores of the two cancel in part, so that there q is not
    held constant. In chains of layers the KL is always sampled, and q's parameters are not held constant either.

    While training, beta rises linearly from 0 to its value over the first ``warm_up`` steps, and with ``free_bits`` l
    the KL is replaced by

    `sum_j max(l, mean over the batch of KL[q(z_j|x) || p(z_j)])`,

    so that l nats of each unit cost nothing, and q has no reason to give them up. The mean over the batch is that of
    Kingma et al. (2016): a unit may tell much about a few observations and nothing about the others. The reported bound
    always has beta = 1 and no free bits.

    Sources: Jordan et al. (1999), https://doi.org/10.1023/A:1007665907178; Kingma & Welling (2013),
    https://arxiv.org/abs/1312.6114; beta: Higgins et al. (2017), https://openreview.net/forum?id=Sy2fzU9gl; warm-up:
    Bowman et al. (2016), https://arxiv.org/abs/1511.06349, and Sonderby et al. (2016), https://arxiv.org/abs/1602.02282;
    free bits: Kingma et al. (2016), https://arxiv.org/abs/1606.04934.

    Args:
        beta: weight of the KL while training; the reported bound always has 1.
        kl: the KL in the gradient: in closed form (``closed-form``) or from the codes (``sampled``).
        free_bits: nats of each unit that cost nothing while training; needs the KL of each unit in closed form.
        warm_up: steps over which beta rises from zero to its value; 0 for none.

    Raises:
        InputError: a negative ``beta``, ``free_bits`` or ``warm_up``, another word for ``kl``, or ``free_bits`` with
            the KL sampled.

    >>> ELBO()(torch.tensor([[-90.0], [-92.0]]))
    tensor([-91.])
    >>> [ELBO(beta=2.0, warm_up=4).at(step).beta for step in range(5)]
    [0.5, 1.0, 1.5, 2.0, 2.0]
    """

    name: ClassVar[str] = "elbo"
    beta: float = 1.0
    kl: Divergence = "closed-form"
    free_bits: float = 0.0
    warm_up: int = 0

    def __post_init__(self) -> None:
        require_number("beta", self.beta, 0.0)
        require_choice("kl", self.kl, get_args(Divergence))
        require_number("free_bits", self.free_bits, 0.0)
        require_int("warm_up", self.warm_up, 0)
        if self.free_bits and self.kl == "sampled":
            raise InputError(
                f"free_bits: expected 0 where kl is 'sampled'; got {self.free_bits:g}, which needs the kl 'closed-form'"
            )

    def at(self, step: int) -> Self:
        """Return the objective with the beta of a step: a linear rise over ``warm_up`` steps, then its value."""
        if step + 1 >= self.warm_up:
            return self
        return replace(self, beta=self.beta * ((step + 1) / self.warm_up))

    def terms(self, model: ScoredModel, x: Tensor, q: Distribution, z: Tensor) -> Terms:
        sampled = self.kl == "sampled"
        hold = partial(_held, strict=sampled) if sampled or not model.prior_has_posterior else None
        terms = Terms.score(model, x, q, z, not sampled, self.beta, hold)
        return replace(terms, penalty=free_penalty(q, model.prior_of(q), self.free_bits)) if self.free_bits else terms

    def with_closed_form_kl(self) -> Self:
        return replace(self, kl="closed-form")


def _held(q: Distribution, strict: bool) -> Distribution:
    """Return q with its parameters held constant; a q whose parameters are not known is refused, or stays as it is."""
    if isinstance(q, Chain):  # the codes of a later layer depend on some of these parameters
        return q
    try:
        return detached(q)
    except InputError:
        if strict:
            raise
        return q


def free_penalty(q: Distribution, p: Distribution, free: float) -> Tensor:
    """Return the KL with ``free`` nats of each unit free, (B,).

    Its mean over the batch is `sum_j max(free, mean_b KL_bj)`. A unit whose mean is below ``free`` gives the constant
    ``free`` to every observation, and any other unit its KL, so the gradient is that of the formula.

    Raises:
        InputError: a KL of each unit that has no closed form.

    >>> from vaelab.distributions import DiagonalNormal
    >>> q = DiagonalNormal(torch.tensor([[0.0, 2.0]]), torch.zeros(1, 2))
    >>> free_penalty(q, DiagonalNormal(torch.zeros(2), torch.zeros(2)), 0.5)  # 0.5 for the first unit, 2 for the second
    tensor([2.5000])
    """
    try:
        kl = kl_by_unit(q, p)  # (B, D)
    except NotImplementedError as error:
        raise InputError(
            f"objective.free_bits: expected 0 where the KL of each unit has no closed form; q(z|x) and p(z) are {error}"
        ) from error
    mean = mean_over_ranks(kl.detach().mean(0))  # (D,)
    return torch.where(mean > free, kl, free).sum(-1)

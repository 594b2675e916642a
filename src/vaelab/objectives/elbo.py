"""The evidence lower bound."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Self, get_args

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaelab.distributions import Chain, map_parameters
from vaelab.errors import require_choice, require_number
from vaelab.objectives.contract import Divergence, MeanObjective
from vaelab.objectives.terms import Model, Terms

__all__ = ["ELBO"]


@dataclass(frozen=True)
class ELBO(MeanObjective):
    """Evidence lower bound: `mean_k log p(x|z_k) - beta KL[q(z|x) || p(z)]`.

    ``kl`` says how the KL enters the gradient. With ``closed-form`` it is that of the two distributions, whose gradient
    has no noise; a score-function signal then contains log p(x|z) alone. With ``sampled`` it is `log q(z_k|x) - log
    p(z_k)` of the codes, with q's parameters held constant in it (their score has mean zero), as in the authors' code
    of most estimators for bits. Both gradients have the same mean. Near its optimum q makes `log q - log p` the linear
    part of log p(x|z), so that a signal with both varies less; early in a training it may vary more. For real-valued
    codes the sampled form is the path derivative of Roeder et al. (2017), https://arxiv.org/abs/1703.09194. If
    ``torch.distributions`` has no formula for the KL, as for chains of layers, it is sampled, and q's parameters are
    not held constant.

    Sources: Jordan et al. (1999), https://doi.org/10.1023/A:1007665907178; Kingma & Welling (2013),
    https://arxiv.org/abs/1312.6114; beta: Higgins et al. (2017), https://openreview.net/forum?id=Sy2fzU9gl. The
    reported bound always has beta = 1.

    Raises:
        InputError: a negative ``beta``, or another word for ``kl``.

    >>> ELBO()(torch.tensor([[-90.0], [-92.0]]))
    tensor([-91.])
    """

    name: ClassVar[str] = "elbo"
    supports_beta: ClassVar[bool] = True
    beta: float = 1.0
    kl: Divergence = "closed-form"

    def __post_init__(self) -> None:
        require_number("objective.beta", self.beta, 0.0)
        require_choice("objective.kl", self.kl, get_args(Divergence))

    def terms(self, model: Model, x: Tensor, q: Distribution, z: Tensor) -> Terms:
        # In a chain the codes of a later layer depend on some of these parameters, so they are not held constant there.
        if self.kl == "sampled" and not isinstance(q, Chain):
            q = map_parameters(q, torch.Tensor.detach)
        return super().terms(model, x, q, z)

    def with_closed_form_kl(self) -> Self:
        return replace(self, kl="closed-form")

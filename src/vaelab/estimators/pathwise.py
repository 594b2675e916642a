"""Pathwise estimators: differentiate through the draw of a Gaussian code."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaelab.conditionals import Code
from vaelab.distributions import map_parameters
from vaelab.errors import InputError
from vaelab.estimators.contract import Estimate, Estimator
from vaelab.models.latent import LatentVariableModel
from vaelab.objectives import Objective, Terms

__all__ = ["DoublyReparameterised", "Pathwise", "StickingTheLanding"]


class Pathwise(Estimator):
    """Reparameterised codes: z = mu + sigma * eps, so the gradient flows through z.

    Formula: grad E_q[f(z)] ~ 1/K sum_k grad f(mu + sigma eps_k), eps_k ~ N(0, I). With a deterministic
    auto-encoder the code is its own draw. Source: Kingma & Welling (2013), https://arxiv.org/abs/1312.6114;
    Rezende, Mohamed & Wierstra (2014), https://arxiv.org/abs/1401.4082.

    >>> import torch
    >>> from vaelab.models import gaussian_vae
    >>> from vaelab.objectives import ELBO
    >>> estimate = Pathwise(samples=3)(gaussian_vae(6, latent_dim=2), ELBO(), torch.ones(4, 6))
    >>> estimate.bound.shape
    torch.Size([4])
    """

    name: ClassVar[str] = "pathwise"
    codes: ClassVar[frozenset[Code]] = frozenset({"real", "point"})
    objectives: ClassVar[frozenset[str]] = frozenset({"elbo", "iwae", "reconstruction"})
    layered: ClassVar[bool] = True

    def draw(self, q: Distribution, objective: Objective) -> Tensor:
        """Draw z (K, B, D) as a differentiable function of q's parameters."""
        if not q.has_rsample:
            raise InputError(
                f"estimator: {self.name!r} needs a posterior whose draws are differentiable (rsample); "
                f"{type(q).__name__} has none"
            )
        z: Tensor = q.rsample((self.samples,))
        return z

    def score(
        self, model: LatentVariableModel, objective: Objective, x: Tensor, q: Distribution, drawn: Tensor
    ) -> Estimate:
        """The surrogate is the objective itself."""
        terms = objective.terms(model, x, q, drawn)
        return Estimate.of(objective, terms, objective(objective.values(terms)))


class StickingTheLanding(Pathwise):
    """Path derivative: the pathwise estimator without the score of q, whose mean is zero.

    Formula: grad_phi 1/K sum_k [log p(x, z_k) - log q_c(z_k|x)], z_k = mu + sigma eps_k, where q_c is q with
    its parameters held constant. Its variance vanishes as q approaches the posterior. For the
    importance-weighted bound the dropped term has a mean that is not zero, so the estimate is biased there
    (shown by Tucker et al., 2019, https://arxiv.org/abs/1810.04152). Source: Roeder, Wu & Duvenaud (2017),
    https://arxiv.org/abs/1703.09194.

    >>> import torch
    >>> from vaelab.models import gaussian_vae
    >>> from vaelab.objectives import ELBO
    >>> StickingTheLanding()(gaussian_vae(6, latent_dim=2), ELBO(), torch.ones(4, 6)).surrogate.shape
    torch.Size([4])
    """

    name: ClassVar[str] = "sticking-the-landing"
    codes: ClassVar[frozenset[Code]] = frozenset({"real"})
    layered: ClassVar[bool] = False
    objectives: ClassVar[frozenset[str]] = frozenset({"elbo", "iwae"})
    biased: ClassVar[frozenset[str]] = frozenset({"iwae"})

    def score(
        self, model: LatentVariableModel, objective: Objective, x: Tensor, q: Distribution, drawn: Tensor
    ) -> Estimate:
        """The surrogate is the objective of log-weights under a constant q."""
        terms = objective.terms(model, x, q, drawn)
        path = path_terms(terms, model, q, drawn)
        return Estimate.of(objective, terms, objective(objective.values(path)))


class DoublyReparameterised(Pathwise):
    """DReG: the importance-weighted bound's pathwise gradient with its score term reparameterised again.

    Formula: for the encoder, sum_k v_k^2 (d log w_k / d z_k) (d z_k / d phi) with the normalised weights
    v_k = w_k / sum_j w_j held constant; for decoder and prior, sum_k v_k grad log w_k as usual. Unbiased, and
    its signal-to-noise ratio grows with K. Source: Tucker, Lawson, Gu & Maddison (2019),
    https://arxiv.org/abs/1810.04152.

    >>> import torch
    >>> from vaelab.models import gaussian_vae
    >>> from vaelab.objectives import IWAE
    >>> estimator = DoublyReparameterised(samples=8)
    >>> estimator(gaussian_vae(6, latent_dim=2), IWAE(), torch.ones(4, 6)).surrogate.shape
    torch.Size([4])
    """

    name: ClassVar[str] = "doubly-reparameterised"
    codes: ClassVar[frozenset[Code]] = frozenset({"real"})
    layered: ClassVar[bool] = False
    objectives: ClassVar[frozenset[str]] = frozenset({"iwae"})

    def score(
        self, model: LatentVariableModel, objective: Objective, x: Tensor, q: Distribution, drawn: Tensor
    ) -> Estimate:
        """The surrogate is the bound under a constant q; what flows back into z_k is weighted by v_k again."""
        z = drawn.view_as(drawn)  # a new node: the hook below belongs to this estimate
        terms = objective.terms(model, x, q, z)
        values = objective.values(path_terms(terms, model, q, z))  # (K, B)
        weights = torch.softmax(values.detach(), 0).unsqueeze(-1)  # (K, B, 1)
        if z.requires_grad:
            z.register_hook(lambda gradient: gradient * weights)
        return Estimate.of(objective, terms, objective(values))


def path_terms(terms: Terms, model: LatentVariableModel, q: Distribution, z: Tensor) -> Terms:
    """Return the terms with log q_c(z|x) - log p(z), (K, B), in place of the KL: q's parameters constant."""
    log_q = map_parameters(q, torch.Tensor.detach).log_prob(z)
    return Terms(terms.reconstruction, log_q - model.prior_of(q).log_prob(z))

"""Pathwise estimators: differentiate through the draw of a real-valued code."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from vaelab.distributions import Code, detached
from vaelab.errors import InputError
from vaelab.estimators.contract import ANY_COMBINATION, Estimate, Estimator, Expectation, direct
from vaelab.objectives import Combination, Terms

__all__ = ["DoublyReparameterised", "Pathwise", "StickingTheLanding", "along"]


class _Reparameterised(Estimator):
    """Base of the estimators whose codes are a differentiable function of noise."""

    def draw(self, expectation: Expectation) -> Tensor:
        """Draw z (K, B, D) as a differentiable function of q's parameters."""
        if not expectation.q.has_rsample:
            raise InputError(
                f"estimator: {self.name!r} needs a posterior whose draws are differentiable (rsample); "
                f"{type(expectation.q).__name__} has none"
            )
        z: Tensor = expectation.q.rsample((self.samples,))
        return z


class Pathwise(_Reparameterised):
    """Reparameterised codes: `z = mu + sigma eps`, so the gradient passes through `z`.

    Formula: `grad E_q[f(z)] ~ 1/K sum_k grad f(mu + sigma eps_k)` with `eps_k ~ N(0, I)`. For a deterministic
    auto-encoder the draw is the code. Sources: Kingma & Welling (2013), https://arxiv.org/abs/1312.6114; Rezende,
    Mohamed & Wierstra (2014), https://arxiv.org/abs/1401.4082.

    Args:
        model: the model that it is for, or its sizes.
        samples: K, codes drawn for each observation.

    >>> import torch
    >>> from vaelab.models import gaussian_vae
    >>> from vaelab.objectives import ELBO
    >>> model = gaussian_vae(6, latent_dim=2)
    >>> Pathwise(model, samples=3)(model, ELBO(), torch.ones(4, 6)).bound.shape
    torch.Size([4])
    """

    name: ClassVar[str] = "pathwise"
    codes: ClassVar[frozenset[Code]] = frozenset({"real", "point"})
    layered: ClassVar[bool] = True
    combinations: ClassVar[frozenset[Combination]] = ANY_COMBINATION

    def score(self, expectation: Expectation, drawn: Tensor) -> Estimate:
        """The surrogate is the objective itself.

        If the encoder has a target of its own, the codes carry its derivative alone, and everything else follows the
        objective with the codes held constant.
        """
        objective, target = expectation.objective, expectation.objective.encoder
        if target is objective:
            terms = expectation.terms(drawn)
            return Estimate.of(objective, terms, objective(terms.log_weights))
        z = drawn.detach().requires_grad_()
        terms = expectation.terms(z)
        path = along(drawn, z, target(terms.log_weights))
        return Estimate.of(objective, terms, direct(objective, terms) + path)


class StickingTheLanding(_Reparameterised):
    """Path derivative: the pathwise estimator without the score of q, whose mean is zero.

    Formula: with `z_k = mu + sigma eps_k`, and `q_c` the distribution `q` with its parameters held constant,

    `grad_phi 1/K sum_k [log p(x, z_k) - log q_c(z_k|x)]`.

    Its variance vanishes as q approaches the posterior. For the importance-weighted bound the omitted term has a mean
    that is not zero, so the estimate is biased there (shown by Tucker et al., 2019, https://arxiv.org/abs/1810.04152).
    Source: Roeder, Wu & Duvenaud (2017), https://arxiv.org/abs/1703.09194.

    Args:
        model: the model that it is for, or its sizes.
        samples: K, codes drawn for each observation.

    >>> import torch
    >>> from vaelab.models import gaussian_vae
    >>> from vaelab.objectives import ELBO
    >>> model = gaussian_vae(6, latent_dim=2)
    >>> StickingTheLanding(model)(model, ELBO(), torch.ones(4, 6)).surrogate.shape
    torch.Size([4])
    """

    name: ClassVar[str] = "sticking-the-landing"
    codes: ClassVar[frozenset[Code]] = frozenset({"real"})
    biased: ClassVar[frozenset[Combination]] = frozenset({"log-mean-exp"})
    supports_free_bits: ClassVar[bool] = False
    bias: ClassVar[str] = "the score of `q`, which is left out, has a mean that is not zero"

    def score(self, expectation: Expectation, drawn: Tensor) -> Estimate:
        """The surrogate is the objective of log-weights under a constant q."""
        terms = expectation.terms(drawn)
        path = path_terms(expectation, terms, drawn)
        return Estimate.of(expectation.objective, terms, expectation.objective(path.log_weights))


class DoublyReparameterised(_Reparameterised):
    """DReG: the pathwise gradient of the importance-weighted bound, with its score term reparameterised again.

    Formula: with the normalised weights `v_k = w_k / sum_j w_j` held constant, the encoder follows

    `sum_k v_k^2 (d log w_k / d z_k) (d z_k / d phi)`,

    and decoder and prior follow `sum_k v_k grad log w_k` as usual. It is unbiased, and its signal-to-noise ratio grows
    with `K`. For any other function `L` of log-weights, with its first and second derivatives `L_k` and `L_kk` by the
    k-th, the same two steps give `sum_k (L_k - L_kk) (d log w_k / d z_k) (d z_k / d phi)`. Source: Tucker, Lawson, Gu &
    Maddison (2019), https://arxiv.org/abs/1810.04152.

    Args:
        model: the model that it is for, or its sizes.
        samples: K, codes drawn for each observation.

    >>> import torch
    >>> from vaelab.models import gaussian_vae
    >>> from vaelab.objectives import IWAE
    >>> model = gaussian_vae(6, latent_dim=2)
    >>> DoublyReparameterised(model, samples=8)(model, IWAE(), torch.ones(4, 6)).surrogate.shape
    torch.Size([4])
    """

    name: ClassVar[str] = "doubly-reparameterised"
    codes: ClassVar[frozenset[Code]] = frozenset({"real"})
    combinations: ClassVar[frozenset[Combination]] = frozenset({"log-mean-exp", "importance-weighted"})

    def score(self, expectation: Expectation, drawn: Tensor) -> Estimate:
        """The surrogate is the bound under a constant q; what flows back into z_k is multiplied by 1 - L_kk / L_k."""
        objective, target = expectation.objective, expectation.objective.encoder
        if target is not objective:
            return self._of_two_targets(expectation, drawn)
        z = drawn.view_as(drawn)  # a new node: the hook below belongs to this estimate
        terms = expectation.terms(z)
        values = path_terms(expectation, terms, z).log_weights  # (K, B)
        factor = objective.path_factor(values.detach()).unsqueeze(-1)  # (K, B, 1)
        if z.requires_grad:
            z.register_hook(lambda gradient: gradient * factor)
        return Estimate.of(objective, terms, objective(values))

    def _of_two_targets(self, expectation: Expectation, drawn: Tensor) -> Estimate:
        """The codes carry the derivative of the encoder's target, decoder and prior follow the objective."""
        objective, target = expectation.objective, expectation.objective.encoder
        z = drawn.detach().requires_grad_()
        terms = expectation.terms(z)
        values = path_terms(expectation, terms, z).log_weights  # (K, B)
        path = along(drawn, z, target(values), target.path_factor(values.detach()))
        return Estimate.of(objective, terms, objective(terms.log_weights_of_model) + path)


def along(drawn: Tensor, z: Tensor, value: Tensor, factor: Tensor | None = None) -> Tensor:
    """Return a surrogate, (B,), whose gradient reaches q's parameters through the codes ``drawn`` alone.

    It is that of ``value`` (B,) by z (K, B, D), codes of the same numbers without a graph of their own, multiplied by
    ``factor`` (K, B) if there is one.
    """
    (slope,) = torch.autograd.grad(value.sum(), z, retain_graph=True)  # (K, B, D)
    slope = slope if factor is None else slope * factor.unsqueeze(-1)
    return (slope * drawn).sum((0, -1))


def path_terms(expectation: Expectation, terms: Terms, z: Tensor) -> Terms:
    """Return the terms with log q_c(z|x) - log p(z), (K, B), in place of the KL: q's parameters constant."""
    log_q = detached(expectation.q).log_prob(z)
    log_p = expectation.model.prior_of(expectation.q).log_prob(z)
    return Terms(terms.log_likelihood, log_q - log_p, terms.beta)

"""The log-densities of K codes, from which every objective is computed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor
from torch.distributions import Distribution, kl_divergence

from vaelab.distributions import Code, log_factors

__all__ = ["ScoredModel", "Terms", "log_weights"]


class ScoredModel(Protocol):
    """What an objective needs of a model; :class:`vaelab.models.LatentVariableModel` has it."""

    @property
    def code(self) -> Code: ...

    @property
    def prior_has_posterior(self) -> bool: ...

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor: ...

    def prior_of(self, q: Distribution) -> Distribution: ...


@dataclass(frozen=True)
class Terms:
    """The log-densities of K codes z (K, B, D) for observations x (B, X), in nats.

    Attributes:
        log_likelihood: log p(x|z), (K, B).
        kl: `KL[q(z|x) || p(z)]` in closed form, (B,), or `log q(z|x) - log p(z)` of each code, (K, B).
        beta: weight of the KL in ``log_weights``.
        log_q: where ``kl`` is that of the codes: log-density under q of each layer of the code, (K, B) each.
        log_p: the same under the prior.
        penalty: what stands in the place of ``kl`` in ``log_weights``, (B,), where that is not the KL itself.
    """

    log_likelihood: Tensor
    kl: Tensor
    beta: float = 1.0
    log_q: tuple[Tensor, ...] = ()
    log_p: tuple[Tensor, ...] = ()
    penalty: Tensor | None = None

    @classmethod
    def score(
        cls,
        model: ScoredModel,
        x: Tensor,
        q: Distribution,
        z: Tensor,
        closed_form: bool = False,
        beta: float = 1.0,
        hold: Callable[[Distribution], Distribution] | None = None,
    ) -> Terms:
        """Score codes z (K, B, D) drawn from q for observations x (B, X), with one call of the decoder.

        With ``closed_form`` the KL is that of the two distributions, where torch knows a formula for it. It knows none
        for chains of layers, for example; then the KL is that of the codes, under the q that ``hold`` returns for q.
        """
        log_likelihood, p = model.log_likelihood(x, z), model.prior_of(q)
        if closed_form:
            try:
                return cls(log_likelihood, kl_divergence(q, p), beta)
            except NotImplementedError:
                pass
        log_q, log_p = log_factors(q if hold is None else hold(q), z), log_factors(p, z)
        kl = _sum(log_q) - _sum(log_p)  # (K, B)
        return cls(log_likelihood, kl, beta, log_q, log_p)

    @property
    def log_weights(self) -> Tensor:
        """`log p(x|z) - beta KL`, (K, B): the values that an objective combines. With beta = 1 they are log w.

        A ``penalty`` stands in the place of the KL.
        """
        return self.log_likelihood - self.beta * (self.kl if self.penalty is None else self.penalty)

    @property
    def log_weights_of_model(self) -> Tensor:
        """log w with q held constant, (K, B), where the KL is that of the codes: its gradient is that of p(x, z)."""
        return self.log_likelihood + _sum(self.log_p) - _sum(self.log_q).detach()

    @property
    def log_weights_of_encoder(self) -> Tensor:
        """log w with p(x, z) held constant, (K, B), where the KL is that of the codes: its gradient is that of q."""
        return (self.log_likelihood + _sum(self.log_p)).detach() - _sum(self.log_q)

    @property
    def mean_kl(self) -> Tensor:
        """The KL, averaged over the codes where it is that of the codes, (B,)."""
        return self.kl if self.kl.ndim == 1 else self.kl.mean(0)

    @property
    def signal_terms(self) -> Tensor:
        """The part of the log-weights that depends on the codes, (K, B): their learning signals are made of it.

        A KL in closed form does not depend on the codes. Its gradient is taken directly.
        """
        return self.log_weights if self.log_q else self.log_likelihood

    def signal_terms_by_layer(self) -> tuple[Tensor, ...]:
        """Return, for each layer of the code, the part of the log-weights that the layer still changes, (K, B) each.

        For an objective that is a mean over codes. The first layer changes the whole log-weight; layer l changes
        log p(y_l-1|y_l), log q(y_l|y_l-1) and all terms of the layers after it.
        """
        parts = [self.signal_terms]
        for layer in range(1, len(self.log_q)):
            remaining = [*self.log_p[layer - 1 :], *(-log_q for log_q in self.log_q[layer:])]
            parts.append(self.beta * sum(remaining[1:], remaining[0]))
        return tuple(parts)


def _sum(parts: tuple[Tensor, ...]) -> Tensor:
    return sum(parts[1:], parts[0])


def log_weights(model: ScoredModel, x: Tensor, q: Distribution, z: Tensor) -> Tensor:
    """Return `log w = log p(x|z) + log p(z) - log q(z|x)`, shape (K, B), for codes z (K, B, D) and x (B, X).

    >>> import torch
    >>> from vaelab.models import gaussian_vae
    >>> model, x = gaussian_vae(6, latent_dim=2), torch.ones(4, 6)
    >>> q = model.posterior(x)
    >>> log_weights(model, x, q, q.sample((3,))).shape
    torch.Size([3, 4])
    """
    return Terms.score(model, x, q, z).log_weights

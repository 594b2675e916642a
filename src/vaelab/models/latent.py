"""The latent-variable model: a prior, a likelihood and a posterior, and what follows from the three."""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, kl_divergence

from vaelab.conditionals import Code
from vaelab.randomness import seeded
from vaelab.refusals import Refusal, require_choice, require_int

__all__ = ["LatentVariableModel", "SampleKind"]

SampleKind = Literal["mean", "mode", "draw"]


class LatentVariableModel(nn.Module):
    """p(x, z) = p(z) p(x|z) with an approximate posterior q(z|x).

    The three parts are modules that return distributions; bring your own as long as they do:

        prior() -> p(z), event (D,)    likelihood(z) -> p(x|z), event (X,)    posterior(x) -> q(z|x), event (D,)

    ``posterior.code`` says what a code is: ``real`` numbers, ``bits`` or a ``point`` without noise.
    All log-densities are in nats per observation.

    >>> from vaelab.models import gaussian_vae
    >>> model = gaussian_vae(data_dim=6, latent_dim=2, hidden_dims=[8])
    >>> model.posterior(torch.zeros(3, 6)).mean.shape, model.sample(4, kind="draw").shape
    (torch.Size([3, 2]), torch.Size([4, 6]))
    """

    def __init__(self, prior: nn.Module, likelihood: nn.Module, posterior: nn.Module) -> None:
        super().__init__()
        kinds = getattr(prior, "code", None), getattr(posterior, "code", None)
        if None not in kinds and kinds not in (("real", "real"), ("bits", "bits"), ("point", "point")):
            raise Refusal(f"prior: expected codes of the posterior's kind {kinds[1]!r}; got a prior over {kinds[0]!r}")
        self.prior = prior
        self.likelihood = likelihood
        self.posterior = posterior

    @property
    def code(self) -> Code:
        """What a code is: ``real``, ``bits`` or ``point``."""
        code: Code = self.posterior.code  # type: ignore[assignment]
        return code

    @property
    def layers(self) -> tuple[int, ...]:
        """Sizes of the layers of the posterior's chain, nearest to x first; empty where a code is one vector."""
        return tuple(getattr(self.posterior, "layers", ()))

    def log_joint(self, x: Tensor, z: Tensor) -> Tensor:
        """Return log p(x, z) = log p(z) + log p(x|z), shape (K, B), for x (B, X) and z (K, B, D)."""
        log_prior: Tensor = self.prior().log_prob(z)  # (K, B)
        log_likelihood: Tensor = self.likelihood(z).log_prob(x)  # (K, B)
        return log_prior + log_likelihood

    def log_weight(self, x: Tensor, z: Tensor, q: Distribution) -> Tensor:
        """Return log w = log p(x, z) - log q(z|x), shape (K, B)."""
        return self.log_joint(x, z) - q.log_prob(z)

    def kl(self, q: Distribution) -> Tensor:
        """Return KL[q(z|x) || p(z)] in closed form, shape (B,), or raise a NotImplementedError."""
        return kl_divergence(q, self.prior())

    def divergence(self, q: Distribution, z: Tensor) -> Tensor:
        """Return KL[q || p] in closed form, (B,), or log q(z|x) - log p(z), (K, B), where there is none."""
        try:
            return self.kl(q)
        except NotImplementedError:
            log_ratio: Tensor = q.log_prob(z) - self.prior().log_prob(z)
            return log_ratio

    def bound(self, x: Tensor, samples: int = 1, objective: Literal["elbo", "iwae"] = "elbo") -> Tensor:
        """Return a lower bound on log p(x), shape (B,), from ``samples`` codes an observation.

        ``elbo``: mean_k log p(x|z_k) - KL[q || p], or mean_k log w_k where the KL has no closed form;
        ``iwae``: log 1/K sum_k w_k (Burda et al., 2016, https://arxiv.org/abs/1509.00519).

        Raises:
            Refusal: the model is a deterministic auto-encoder, which has no likelihood of x; or x is no
                table of numbers in [0, 1].
        """
        require_choice("objective", objective, ("elbo", "iwae"))
        require_int("samples", samples, 1)
        self.require_likelihood()
        _require_observations(x)
        with torch.no_grad():
            q = self.posterior(x)
            z = q.sample((samples,))  # (K, B, D)
            if objective == "elbo":
                values: Tensor = self.likelihood(z).log_prob(x) - self.divergence(q, z)  # (K, B)
                return values.mean(0)
            return torch.logsumexp(self.log_weight(x, z, q), 0) - math.log(samples)

    def encode(self, x: Tensor) -> Tensor:
        """Return the posterior mean of the code, shape (B, D), for observations x (B, X) in [0, 1]."""
        _require_observations(x)
        with torch.no_grad():
            mean: Tensor = self.posterior(x).mean
            return mean

    def decode(self, z: Tensor) -> Tensor:
        """Return the mean of p(x|z), shape (..., X), for codes (..., D)."""
        with torch.no_grad():
            mean: Tensor = self.likelihood(z).mean
            return mean

    def reconstruct(self, x: Tensor) -> Tensor:
        """Decode the most probable code of q(z|x): the mean of a Gaussian, the likelier value of each bit."""
        code = self.encode(x)
        return self.decode((code > 0.5).to(code.dtype) if self.code == "bits" else code)

    def sample(self, n: int, kind: SampleKind = "mean", seed: int | None = None) -> Tensor:
        """Return n observations x ~ p(x|z), z ~ p(z), shape (n, X).

        ``mean`` gives the means of p(x|z), ``mode`` the most probable bits, ``draw`` bits drawn from it.
        The same ``seed`` gives the same codes for every kind, and leaves the global generator alone.
        """
        require_int("n", n, 1)
        require_choice("kind", kind, get_args(SampleKind))
        with torch.no_grad(), seeded(seed, "sample"):
            conditional = self.likelihood(self.prior().sample((n,)))  # batch (n,), event (X,)
            chosen: Tensor = conditional.sample() if kind == "draw" else getattr(conditional, kind)
            return chosen

    def require_likelihood(self) -> None:
        """Raise a :class:`Refusal` if x has no likelihood under this model (deterministic auto-encoder)."""
        if self.code == "point":
            raise Refusal(
                "model: a deterministic auto-encoder has no likelihood of x, so no bound; "
                "its reconstruction error and the density of its codes are reported instead"
            )


def _require_observations(x: Tensor) -> None:
    """Refuse what is no table (B, X) of numbers in [0, 1]; how many columns, the networks know."""
    if not isinstance(x, Tensor) or x.ndim != 2:
        shape = f" of shape {tuple(x.shape)}" if hasattr(x, "shape") else ""
        raise Refusal(f"x: expected a tensor of observations, shape (B, X); got {type(x).__name__}{shape}")
    if len(x) and not bool(((x >= 0) & (x <= 1)).all()):
        what = "NaN" if bool(x.isnan().any()) else f"values in [{float(x.min()):g}, {float(x.max()):g}]"
        raise Refusal(f"x: expected bits or numbers in [0, 1]; got {what}")

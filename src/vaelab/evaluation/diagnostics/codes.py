"""Codes drawn from q(z|x) of each row and from p(z), with the distribution of each unit."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaelab.distributions import Bernoulli, Chain, DiagonalNormal, by_unit, kl_by_unit
from vaelab.models import LatentVariableModel

__all__ = ["Codes", "layers_of", "posterior_codes", "prior_codes"]


@dataclass(frozen=True)
class Codes:
    """Codes drawn from a distribution, and what is known of their units, float64 on the processor.

    A unit of a chain of layers has a distribution given the layer that was drawn before its own.

    Attributes:
        drawn: one code for each row, (n, D).
        mean: mean of each unit (of a bit the probability of a one), (n, D); None where it is not known.
        stddev: standard deviation of each unit that is normal, (n, D); None for others.
        kl: `KL[q(z_j|.) || p(z_j|.)]` of each unit at these codes, (n, D); None where it has no closed form.
    """

    drawn: Tensor
    mean: Tensor | None
    stddev: Tensor | None
    kl: Tensor | None = None

    @classmethod
    def joined(cls, parts: list[Codes]) -> Codes:
        """Return the codes of several batches as one."""
        return cls(
            torch.cat([part.drawn for part in parts]), *(_joined(parts, name) for name in ("mean", "stddev", "kl"))
        )


def _joined(parts: list[Codes], name: str) -> Tensor | None:
    """Return a table of several batches as one, or None if it is not known."""
    columns = [column for part in parts if (column := getattr(part, name)) is not None]
    return torch.cat(columns) if columns else None


def layers_of(model: LatentVariableModel) -> list[slice]:
    """Return the units of each layer of the code, nearest to x first; one slice for a code without layers."""
    sizes = model.layers or (model.latent_dim,)
    ends = torch.tensor(sizes).cumsum(0).tolist()
    return [slice(end - size, end) for size, end in zip(sizes, ends, strict=True)]


def posterior_codes(model: LatentVariableModel, x: Tensor) -> Codes:
    """Draw a code from q(z|x) for each row of x (B, X), from torch's generators."""
    q = model.posterior(x)
    z = q.sample()
    factors = _factors(q, z)
    kl = None if model.code == "point" else _unit_kl(factors, _factors(model.prior_of(q).expand(z.shape[:-1]), z))
    return Codes(z.double().cpu(), *_moments(factors), kl)


def prior_codes(model: LatentVariableModel, count: int) -> Codes:
    """Draw codes from p(z), from torch's generators."""
    p = model.prior()
    z = p.sample((count,))
    return Codes(z.double().cpu(), *_moments(_factors(p.expand((count,)), z)))


def _factors(distribution: Distribution, z: Tensor) -> list[Distribution]:
    """Return the distribution of each layer given the one drawn before it, y_1 first: that of each unit alone."""
    if not isinstance(distribution, Chain):
        return [by_unit(distribution)]
    factors = distribution.factors(z)
    return factors[::-1] if distribution.downwards else factors


def _moments(factors: list[Distribution]) -> tuple[Tensor | None, Tensor | None]:
    """Return the means and the standard deviations of independent units, (n, D) each; None where they are not known."""
    known = all(isinstance(factor, Bernoulli | DiagonalNormal) for factor in factors)
    if not known:
        return None, None
    mean = torch.cat([factor.mean for factor in factors], -1).double().cpu()
    if not all(isinstance(factor, DiagonalNormal) for factor in factors):
        return mean, None
    return mean, torch.cat([factor.stddev for factor in factors], -1).double().cpu()


def _unit_kl(factors: list[Distribution], priors: list[Distribution]) -> Tensor | None:
    """Return `KL[q(z_j|.) || p(z_j|.)]` of each unit, (n, D), or None if units are not independent or layers differ."""
    if [factor.event_shape for factor in factors] != [prior.event_shape for prior in priors]:
        return None
    try:
        return torch.cat([kl_by_unit(*pair) for pair in zip(factors, priors, strict=True)], -1).double().cpu()
    except NotImplementedError:
        return None

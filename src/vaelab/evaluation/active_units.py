"""Active units: which units of a code carry information about x, and how much."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaelab.distributions import Chain, by_unit, kl_by_unit
from vaelab.likelihood import Observed, as_split
from vaelab.models import LatentVariableModel
from vaelab.networks import evaluation_mode
from vaelab.seeds import seeded

__all__ = ["ACTIVE", "UnitStatistics", "active_units", "bit_entropy", "unit_statistics"]

ACTIVE = 0.01  # threshold: mutual information of a bit with x in nats, or variance of the mean of a real-valued unit
_DRAWS = 50  # codes of the layers below per observation
_ELEMENTS = 4_000_000  # size of a chunk of draws times units


def active_units(model: LatentVariableModel, observed: Observed, seed: int = 0, draws: int = _DRAWS) -> dict[str, Any]:
    """Count the active units of the code, and measure their information about x.

    Real-valued codes: units whose posterior mean varies over the data by more than 0.01 (Burda et al., 2016,
    https://arxiv.org/abs/1509.00519, section 5.2). Bits: units whose mutual information with x,

    `I(z_j; x) = H(E_x[q(z_j|x)]) - E_x[H(q(z_j|x))]`,

    is above 0.01 nat: the entropy of the average bit minus the average entropy of the bit. ``average_bit_entropy``
    (nats per unit, at most log 2) is the first term: it is near zero for a bit that is always the same. But a bit that
    ignores x and is 1 with probability 1/2 also has the entropy log 2, which is why the second term is subtracted.

    ``nats`` is the sum over active units, and ``nats_per_active_unit`` the mean, of the mutual information for bits and
    of `KL[q(z_j|x) || p(z_j)]`, averaged over x, for real-valued codes if it has a closed form; ``measure`` says which.
    Of a normal q(z|x) of correlated units the KL is that of each unit alone; the sum is below the KL of the code by
    what the correlations add. The count alone depends on the noise of the gradient: a training with much noise leaves
    many units that carry little.

    In a chain, q(z|x) of an upper layer is an average over the layers below it, computed with ``draws`` codes for
    each x from ``seed``. For bits, that estimate of the information is too large by about `Var[p] / (2 n p (1 -
    p))`, where p is the probability given x and n the number of draws. The noise in the variance of a real-valued
    unit's mean is subtracted.
    """
    found = unit_statistics(model, observed, seed, draws)
    if found.information is not None:
        summary = _summary("mutual information with x", found.active, found.information)
        return summary | {"average_bit_entropy": float(bit_entropy(found.mean).mean())}
    return _summary("KL[q || p]", found.active, found.kl)


@dataclass(frozen=True)
class UnitStatistics:
    """What each unit of a code does on some rows, unit by unit, float64 (D,) each.

    Attributes:
        mean: the average of the posterior means; of bits the probability of a one under the aggregate posterior.
        variance: the variance of the posterior mean over the rows.
        kl: `KL[q(z_j|x) || p(z_j)]` in nats, averaged over the rows; NaN where it has no closed form.
        information: mutual information of a bit with x, in nats; None for codes that are not bits.
        active: whether the unit is active.
    """

    mean: Tensor
    variance: Tensor
    kl: Tensor
    information: Tensor | None
    active: Tensor


def unit_statistics(
    model: LatentVariableModel, observed: Observed, seed: int = 0, draws: int = _DRAWS
) -> UnitStatistics:
    """Return what each unit of the code does; :func:`active_units` has the formulae and the arguments."""
    observed = as_split(model, observed)
    units = model.encode(observed.bits(slice(1))).shape[1]
    rows = max(1, min(2000, _ELEMENTS // (draws * units)))
    weights = torch.ones(len(observed)) if observed.weights is None else observed.weights.cpu()
    weights = weights.double() / weights.double().sum()
    first, second, entropy, kl = (torch.zeros(units, dtype=torch.float64) for _ in range(4))
    with torch.no_grad(), evaluation_mode(model):
        for number, start in enumerate(range(0, len(observed), rows)):
            chunk = slice(start, start + rows)
            x, w = observed.bits(chunk).to(model.any_weight), weights[chunk]
            with seeded(seed, "active-units", number):
                q = model.posterior(x)
                mean, noise = (part.double().cpu() for part in _unit_means(q, draws))  # (B, D) each
            first += w @ mean
            second += w @ (mean.square() - noise)
            entropy += w @ bit_entropy(mean.clamp(0, 1))
            kl += w @ _unit_divergences(q, model, len(mean)).double().cpu()
    variance = second - first.square()
    if model.code != "bits":
        return UnitStatistics(first, variance, kl, None, variance > ACTIVE)
    mean = first.clamp(0, 1)  # the weights add up to 1 with rounding
    information = bit_entropy(mean) - entropy
    return UnitStatistics(mean, variance, kl, information, information > ACTIVE)


def _summary(measure: str, active: Tensor, nats: Tensor) -> dict[str, Any]:
    """Return the number of active units and their nats; NaN means unknown."""
    summary: dict[str, Any] = {"active_units": int(active.sum()), "units": len(active)}
    if nats.isnan().any() or not active.any():
        return summary
    nats = nats[active]
    return summary | {"nats": float(nats.sum()), "nats_per_active_unit": float(nats.mean()), "measure": measure}


def _unit_means(q: Distribution, draws: int) -> tuple[Tensor, Tensor]:
    """Return the mean of each unit given x, and the variance of that estimate, (B, D) each; exact but for chains."""
    if not isinstance(q, Chain):
        return q.mean, torch.zeros_like(q.mean)
    means, noises, layers = [q.first.mean], [torch.zeros_like(q.first.mean)], [q.first.sample((draws,))]
    for conditional in _conditionals(q, layers):
        samples = conditional.mean  # (S, B, D_l)
        means.append(samples.mean(0))
        noises.append(samples.var(0) / draws if draws > 1 else torch.zeros_like(means[-1]))
    return q.join(means), q.join(noises)


def _conditionals(q: Chain, layers: list[Tensor]) -> Iterator[Distribution]:
    """Yield the distribution of each further layer given the draws of the layers below, and draw that layer."""
    while len(layers) < len(q.sizes):
        conditional = q.factor(len(layers), layers)
        yield conditional
        layers.append(conditional.sample())


def _unit_divergences(q: Distribution, model: LatentVariableModel, rows: int) -> Tensor:
    """Return `KL[q(z_j|x) || p(z_j)]` of each observation, (B, D), or NaN if it has no formula."""
    try:
        return kl_by_unit(by_unit(q), model.prior_of(q))
    except NotImplementedError:
        return torch.full((rows, *q.event_shape), torch.nan)


def bit_entropy(probability: Tensor) -> Tensor:
    """Return the entropy of bits, `-p log p - (1 - p) log(1 - p)`, in nats, of the shape of their probabilities."""
    entropy: Tensor = torch.special.entr(probability) + torch.special.entr(1 - probability)
    return entropy

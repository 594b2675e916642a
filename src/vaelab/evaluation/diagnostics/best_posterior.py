"""The best q(z|x) of a family for each row: its parameters optimised for the row, without a network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Distribution

from vaelab.distributed import uniform
from vaelab.distributions import Bernoulli, ParametricDistribution, Reparameterised, all_codes
from vaelab.inference import Enumeration
from vaelab.models import LatentVariableModel
from vaelab.objectives import ELBO
from vaelab.seeds import seeded

Q = TypeVar("Q", bound=ParametricDistribution)

__all__ = ["FEW_BITS", "BestPosterior", "best_posterior", "bound_of"]

FEW_BITS = 12  # so many bits are optimised with exact sums over all codes
_STEPS, _RATE, _CODES = 100, 0.05, 2  # of Adam, for real-valued codes
_DECAYS = 0.9, 0.99
_SWEEPS, _DAMPING = 12, 0.5  # over many bits
_ROUNDS, _ENOUGH = 30, 1e-4  # over few bits; nats that the last one gains
_COMPARED = 64  # codes with which two q of a row are compared
_ELEMENTS = 1_000_000  # numbers that are decoded at once


@dataclass(frozen=True)
class BestPosterior:
    """The best q(z|x) that was found for each row.

    Attributes:
        q: it, batch shape (B,).
        last_gain: nats by which the last quarter of the optimisation raised the bound, (B,).
    """

    q: ParametricDistribution
    last_gain: Tensor


def best_posterior(model: LatentVariableModel, x: Tensor, q: Distribution, seed: int) -> BestPosterior | None:
    """Maximise the ELBO of each row over the parameters of q(z|x), from the encoder's on; None for another family.

    Formula: `q* = argmax_q E_q[log p(x, z) - log q(z)]` over the distributions of the encoder's family: normal ones
    with a diagonal or a full covariance matrix, those of a flow with its weights as they are, or independent bits.

    Real codes: 100 steps of Adam with the path derivative of 2 codes (Roeder et al., 2017,
    https://arxiv.org/abs/1703.09194), on the mean in units of the code's standard deviation over all rows, and on
    the other parameters that the encoder returns for the row, such as log sigma. The rate falls to 0 over the second
    half.

    Bits: coordinate ascent, whose maximum for bit j given the others has the logit

    `l_j = E_q(z_-j)[log p(x, z_j = 1, z_-j) - log p(x, z_j = 0, z_-j)]`.

    The expectation is exact for at most 12 bits, which are updated one after another. Of more bits it is estimated from
    an antithetic pair of codes, of which every bit is flipped (Titsias & Lazaro-Gredilla, 2015,
    https://arxiv.org/abs/1503.01494). All bits move together by a share of the way that falls from a half, and the
    logits of the last half of 12 sweeps are averaged.

    Where the q that was found is worse than the encoder's, by an estimate of its own, the encoder's is kept: it is of
    the same family. What is found is a local maximum, so that its bound is at most that of the best q.

    Shapes: x (B, X + Y), q batch shape (B,).
    """
    found: ParametricDistribution
    earlier: ParametricDistribution
    if isinstance(q, Reparameterised):
        found, earlier = _best_real(model, x, q, seed)
    elif isinstance(q, Bernoulli) and q.event_shape[0] <= FEW_BITS:
        return _best_of_few_bits(model, x, q)
    elif isinstance(q, Bernoulli):
        found, earlier = _best_bits(model, x, q, seed)
    else:
        return None
    bounds = [bound_of(model, x, each, _COMPARED, seed, "choice") for each in (q, earlier, found)]
    kept = _where(bounds[2] > bounds[0], found, q)
    return BestPosterior(kept, torch.maximum(bounds[2], bounds[0]) - torch.maximum(bounds[1], bounds[0]))


def bound_of(
    model: LatentVariableModel, x: Tensor, q: Distribution, samples: int, seed: int, use: str = "bound"
) -> Tensor:
    """Return the ELBO of each row under q, (B,) in float64: exact for few bits, else from K codes of the same noise."""
    if isinstance(q, Bernoulli) and q.event_shape[0] <= FEW_BITS:
        return _exact_bound(*_all_codes(model, x), q.logits.double())
    objective, total = ELBO(), x.new_zeros(len(x)).double()
    size = max(1, _ELEMENTS // x.numel())
    with torch.no_grad(), seeded(seed, "q", use):
        for start in range(0, samples, size):
            count = min(size, samples - start)
            total += count * objective.terms(model, x, q, q.sample((count,))).log_weights.mean(0).double()
    return total / samples


def _best_real(
    model: LatentVariableModel, x: Tensor, q: Reparameterised, seed: int
) -> tuple[Reparameterised, Reparameterised]:
    """Return the q after all steps, and that after three quarters of them."""
    start, objective = q.detached(), ELBO(kl="sampled")
    deviation = (start.loc.var(0, unbiased=False) + start.variance.mean(0)).sqrt()  # (D,)
    parameters = _parameters(start)  # the mean first
    widths = [parameter.shape[-1] for parameter in parameters]
    scale = torch.cat([deviation, deviation.new_ones(sum(widths[1:]))])
    moved = start.loc.new_zeros(*start.batch_shape, sum(widths)).requires_grad_()
    first, second = torch.zeros_like(moved), torch.zeros_like(moved)  # moments of the gradient

    def present() -> Reparameterised:
        return _with_parameters(start, list((torch.cat(parameters, -1) + scale * moved).split(widths, -1)))

    earlier = start
    with torch.enable_grad(), seeded(seed, "q", "steps"):
        for step in range(1, _STEPS + 1):
            q = present()
            bound = objective.terms(model, x, q, q.rsample((_CODES,))).log_weights.mean(0).sum()
            (gradient,) = torch.autograd.grad(bound, [moved])
            first.lerp_(gradient, 1 - _DECAYS[0])
            second.lerp_(gradient.square(), 1 - _DECAYS[1])
            size = (second / (1 - _DECAYS[1] ** step)).sqrt() + 1e-8
            rate = _RATE * min(1.0, 2 - 2 * step / _STEPS)
            moved.data += rate * first / (1 - _DECAYS[0] ** step) / size
            if 4 * step == 3 * _STEPS:
                earlier = present().detached()
    return present().detached(), earlier


def _best_bits(model: LatentVariableModel, x: Tensor, q: Bernoulli, seed: int) -> tuple[Bernoulli, Bernoulli]:
    """Return the q after all sweeps, and that after three quarters of them."""
    logits, path = q.logits.detach(), []
    with torch.no_grad(), seeded(seed, "q", "sweeps"):
        for sweep in range(_SWEEPS):
            share = _DAMPING / (1 + _DAMPING * sweep)
            p = torch.sigmoid(logits)
            noise = uniform(p.shape, p)
            pair = [(noise < p).to(p), (noise > 1 - p).to(p)]
            flipped = torch.stack([_differences(model, x, z) for z in pair]).mean(0)
            logits = (1 - share) * logits + share * flipped
            path.append(logits)
    done = 3 * _SWEEPS // 4
    return _averaged(path), _averaged(path[:done])


def _averaged(path: list[Tensor]) -> Bernoulli:
    return Bernoulli(torch.stack(path[len(path) // 2 :]).mean(0))


def _differences(model: LatentVariableModel, x: Tensor, z: Tensor) -> Tensor:
    """Return `log p(x, z_j = 1, z_-j) - log p(x, z_j = 0, z_-j)` for every bit j of codes z (B, D), (B, D)."""
    joint = _joint_of(model, x)
    unflipped, parts = joint(z.unsqueeze(0)), []
    for places in torch.arange(z.shape[1], device=z.device).split(max(1, _ELEMENTS // x.numel())):
        flipped, row = z.repeat(len(places), 1, 1), torch.arange(len(places), device=z.device)  # (k, B, D)
        flipped[row, :, places] = 1 - flipped[row, :, places]
        parts.append((joint(flipped) - unflipped) * (1 - 2 * z[:, places].T))  # (k, B)
    return torch.cat(parts).T


def _joint_of(model: LatentVariableModel, x: Tensor) -> Callable[[Tensor], Tensor]:
    prior = model.prior()
    return lambda z: prior.log_prob(z) + model.log_likelihood(x, z)


def _best_of_few_bits(model: LatentVariableModel, x: Tensor, q: Bernoulli) -> BestPosterior:
    """Update one bit after another with exact sums over all codes; no update lowers the bound."""
    z, log_joint = _all_codes(model, x)
    logits = q.logits.detach().double()
    bounds = [_exact_bound(z, log_joint, logits)]
    while len(bounds) <= _ROUNDS and (len(bounds) < 2 or float((bounds[-1] - bounds[-2]).mean()) > _ENOUGH):
        logits = logits.clone()
        for j in range(z.shape[1]):
            on = z[:, j] == 1  # the codes without bit j, in the same order as those with it
            rest = logits.clone()
            rest[:, j] = 0
            others = (z[on] @ rest.T - F.softplus(logits).sum(-1) + F.softplus(logits[:, j])).exp()  # (2^(D - 1), B)
            logits[:, j] = (others * (log_joint[on] - log_joint[~on])).sum(0)
        bounds.append(_exact_bound(z, log_joint, logits))
    last = bounds[-1] - bounds[3 * (len(bounds) - 1) // 4]
    return BestPosterior(Bernoulli(logits.to(q.logits)), last)


def _all_codes(model: LatentVariableModel, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return all codes, (2^D, D), and log p(x, z) of each, (2^D, B), in float64."""
    with torch.no_grad():
        log_joint = torch.cat([part for _, part in Enumeration(model).chunks(x)]).double()
    return all_codes(model.latent_dim, log_joint), log_joint


def _exact_bound(z: Tensor, log_joint: Tensor, logits: Tensor) -> Tensor:
    """Return `sum_z q(z) [log p(x, z) - log q(z)]`, (B,)."""
    log_q = z @ logits.T - F.softplus(logits).sum(-1)  # (2^D, B)
    return (log_q.exp() * (log_joint - log_q)).sum(0)


def _where(chosen: Tensor, one: ParametricDistribution, other: ParametricDistribution) -> ParametricDistribution:
    """Return the distribution that is ``one`` in the rows that are chosen, (B,), and ``other`` elsewhere."""
    pairs = zip(_parameters(one), _parameters(other), strict=True)
    return _with_parameters(other, [torch.where(chosen.unsqueeze(-1), mine, theirs) for mine, theirs in pairs])


def _parameters(q: ParametricDistribution) -> list[Tensor]:
    """Return the parameters of the rows, in their order."""
    parameters: list[Tensor] = []
    q.map_parameters(lambda parameter: parameters.append(parameter) or parameter)  # type: ignore[func-returns-value]
    return parameters


def _with_parameters(q: Q, parameters: list[Tensor]) -> Q:
    """Return the distribution with other parameters of the rows."""
    left = iter(parameters)
    return q.map_parameters(lambda parameter: next(left))

"""The laws of what is drawn: every outcome with its probability, or quadrature nodes with their weights.

A law maps (model, x, K) to what is drawn, (..., S B, D), and the weight of each outcome, (S B,): the outcomes are laid
along the batch, so that an estimator scores them in one call.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from tests.laws.exact import every_code, grid_of, index_tuples, log_bernoulli, log_densities
from vaelab.estimators import Exact, Expectation
from vaelab.models import LatentVariableModel
from vaelab.objectives import ELBO

Law = Callable[[LatentVariableModel, Tensor, int], tuple[Tensor, Tensor]]


def _outcomes(joint: Tensor) -> tuple[Tensor, Tensor]:
    """Lay out all outcomes of M codes of D independent columns of bits.

    ``joint`` (2^M, B, D) is the law of the M bits of each column, the first code's bit the most significant.
    Returns codes (M, S B, D) and probabilities (S B,), S = 2^(M D).
    """
    count, batch, dim = joint.shape
    codes = int(math.log2(count))
    columns = torch.cartesian_prod(*[torch.arange(count)] * dim).view(-1, dim)  # (S, D)
    weight = torch.stack([joint[columns[:, d], :, d] for d in range(dim)]).prod(0)  # (S, B)
    bits = torch.stack([(columns >> (codes - 1 - m)) & 1 for m in range(codes)]).double()  # (M, S, D)
    return bits.repeat_interleave(batch, 1), weight.reshape(-1)


def _product(*joints: Tensor) -> Tensor:
    """The law of independent groups of bits side by side."""
    result = joints[0]
    for joint in joints[1:]:
        result = (result.unsqueeze(1) * joint.unsqueeze(0)).flatten(0, 1)
    return result


def _independent(p: Tensor) -> Tensor:
    return torch.stack([1 - p, p])


def _antithetic(p: Tensor) -> Tensor:
    """Pairs 1(u > 1 - p), 1(u < p) of one uniform u, by where u falls."""
    both, one, none = (2 * p - 1).clamp_min(0), torch.minimum(p, 1 - p), (1 - 2 * p).clamp_min(0)
    return torch.stack([none, one, one, both])


def _exchangeable(tail: Callable[[int, Tensor], Tensor], p: Tensor, samples: int) -> Tensor:
    """K exchangeable bits from tail(j, p) = P(j named bits are one), by inclusion and exclusion."""
    rows = []
    for bits in itertools.product([0, 1], repeat=samples):
        ones, zeros = sum(bits), samples - sum(bits)
        rows.append(sum((-1) ** j * math.comb(zeros, j) * tail(ones + j, p) for j in range(zeros + 1)))
    return torch.stack(rows)


def dirichlet_copula(p: Tensor, samples: int) -> Tensor:
    """Bits 1((1 - d_k)^(K-1) < p), d uniform on the simplex; reflected where p > 1/2.

    P(d_k > t for j named k) = max(0, 1 - j t)^(K-1).
    """
    minor = torch.minimum(p, 1 - p)
    threshold = 1 - minor ** (1 / (samples - 1))
    joint = _exchangeable(lambda j, _: (1 - j * threshold).clamp_min(0) ** (samples - 1), minor, samples)
    return torch.where(p > 0.5, joint.flip(0), joint)  # reflected: every bit complemented


def gaussian_copula(p: Tensor, samples: int) -> Tensor:
    """Bits 1(g_k < quantile(p)), three normals that sum to zero: g_k = r cos(phi + 2 pi k / 3), r Rayleigh."""
    assert samples == 3
    limit = torch.special.ndtri(p)
    nodes, weights = gauss_legendre(200)
    corners = torch.arange(13).double() * math.pi / 6  # where a cosine or an order of cosines changes
    angle = (corners[:-1, None] + (math.pi / 6) * nodes).flatten()  # (N,)
    weight = (weights.expand(12, -1) / 12).reshape(-1, 1, 1)
    cosines = torch.cos(angle + 2 * math.pi / 3 * torch.arange(samples).double().unsqueeze(-1))[..., None, None]
    bound = limit / cosines  # (K, N, B, D): the r of g_k = limit

    def tail(j: int, _: Tensor) -> Tensor:
        if j == 0:
            return torch.ones_like(p)
        low = torch.where(cosines > 0, torch.zeros_like(bound), bound)[:j].amax(0).clamp_min(0)
        high = torch.where(cosines > 0, bound, torch.full_like(bound, math.inf))[:j].amin(0).clamp_min(0)
        inside = (torch.exp(-low.square() / 2) - torch.exp(-high.square() / 2)).clamp_min(0)
        return (weight * inside).sum(0)

    return _exchangeable(tail, p, samples)


def codes(model: LatentVariableModel, x: Tensor, samples: int) -> tuple[Tensor, Tensor]:
    """K independent codes."""
    p = model.posterior(x).mean.detach()
    return _outcomes(_product(*[_independent(p)] * samples))


def pairs(model: LatentVariableModel, x: Tensor, samples: int) -> tuple[Tensor, Tensor]:
    """K/2 independent pairs; all first halves, then all second halves."""
    p = model.posterior(x).mean.detach()
    return _halves(*_outcomes(_product(*[_antithetic(p)] * (samples // 2))))


def partners(model: LatentVariableModel, x: Tensor, samples: int) -> tuple[Tensor, Tensor]:
    """K codes, each with an antithetic partner."""
    return pairs(model, x, 2 * samples)


def _halves(drawn: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    return torch.cat([drawn[0::2], drawn[1::2]]), weight


def chain_codes(model: LatentVariableModel, x: Tensor, samples: int) -> tuple[Tensor, Tensor]:
    """K independent codes of a chain."""
    z = every_code(model)  # (S, D)
    probability = log_densities(model, x, z.unsqueeze(1))[0].exp().detach()  # (S, B)
    tuples = index_tuples(len(z), samples)  # (K, T)
    return z[tuples].repeat_interleave(len(x), 1), probability[tuples].prod(0).flatten()


def chain_branches(model: LatentVariableModel, x: Tensor, samples: int) -> tuple[Tensor, Tensor]:
    """K/2 independent codes of a chain, each with a partner for each layer, which parts there and goes on by itself."""
    sizes, parts = model.layers, model.posterior.conditionals
    ends = [sum(sizes[layer:]) for layer in range(len(sizes))]  # bits of a partner from where it parts
    total = sum(sizes) + sum(ends)
    bits = torch.tensor(list(itertools.product([0.0, 1.0], repeat=total))).double()  # (O, total)
    main, *tails = bits.split([sum(sizes), *ends], -1)
    own = main.split(sizes, -1)
    codes, weight = [main], torch.ones(len(bits), len(x)).double()  # (O, B)
    with torch.no_grad():
        for layer, tail in enumerate(tails):
            parted, *after = tail.split(sizes[layer:], -1)
            p = parts[0](x).mean[None] if layer == 0 else parts[layer](own[layer - 1]).mean[:, None]
            pair = (2 * own[layer] + parted).long().unsqueeze(1).expand(-1, len(x), -1)  # (O, B, D_l)
            joint = _antithetic(p).expand(4, *pair.shape)
            weight = weight * joint.gather(0, pair.unsqueeze(0)).squeeze(0).prod(-1)
            for part, below, above in zip(parts[layer + 1 :], [parted, *after], after, strict=False):
                weight = weight * log_bernoulli(part(below).logits, above).exp().unsqueeze(-1)
            codes.append(torch.cat([main[:, : sum(sizes[:layer])], tail], -1))
    count = samples // 2
    tuples = index_tuples(len(weight), count)  # (M, T)
    drawn = torch.stack(codes)[:, tuples].flatten(0, 1).repeat_interleave(len(x), 1)  # ((1 + L) M, T B, D)
    return drawn, weight[tuples].prod(0).flatten()


def all_chain_branches(model: LatentVariableModel, x: Tensor, samples: int) -> tuple[Tensor, Tensor]:
    """K codes of a chain, each with its partners."""
    return chain_branches(model, x, 2 * samples)


def day_and_night(model: LatentVariableModel, x: Tensor, samples: int) -> tuple[Tensor, Tensor]:
    """K codes given the observation, and K dreams: codes and observations from the model."""
    z = every_code(model)  # (S, D)
    dreams = torch.tensor(list(itertools.product([0.0, 1.0], repeat=x.shape[-1]))).double()  # (2^X, X)
    with torch.no_grad():
        by_day, log_p = (part.exp() for part in log_densities(model, x, z.unsqueeze(1)))  # (S, B), (S, 1)
        seen = log_bernoulli(model.likelihood(z).logits, dreams.unsqueeze(1)).exp()  # (2^X, S)
        by_night = (seen * log_p.T).flatten()  # (N,)
    pairs = torch.cartesian_prod(torch.arange(len(z)), torch.arange(len(by_night)))  # (O, 2)
    weight = by_day[pairs[:, 0]] * by_night[pairs[:, 1], None]  # (O, B)
    night = torch.cat([z.repeat(len(dreams), 1), dreams.repeat_interleave(len(z), 0)], -1)[pairs[:, 1]]  # (O, D + X)
    tuples = index_tuples(len(pairs), samples)  # (K, T)
    night = night[tuples].unsqueeze(2).expand(-1, -1, len(x), -1).flatten(1, 2)  # (K, T B, D + X)
    observed = x.repeat(tuples.shape[1], 1).expand(samples, -1, -1)
    day = torch.cat([z[pairs[tuples, 0]].repeat_interleave(len(x), 1), observed], -1)
    return torch.stack([day, night]), weight[tuples].prod(0).flatten()


def copula(of: Callable[[Tensor, int], Tensor]) -> Law:
    """K codes coupled by a copula."""
    return lambda model, x, samples: _outcomes(of(model.posterior(x).mean.detach(), samples))


def codes_and_copula(of: Callable[[Tensor, int], Tensor]) -> Law:
    """K independent codes, then K coupled ones."""

    def law(model: LatentVariableModel, x: Tensor, samples: int) -> tuple[Tensor, Tensor]:
        p = model.posterior(x).mean.detach()
        return _outcomes(_product(*[_independent(p)] * samples, of(p, samples)))

    return law


def side_by_side(law: Law) -> Law:
    """K independent draws of a law of one."""

    def product(model: LatentVariableModel, x: Tensor, samples: int) -> tuple[Tensor, Tensor]:
        drawn, weight = law(model, x, 1)  # (1, S B, D)
        columns, weights = drawn[0].view(-1, len(x), drawn.shape[-1]), weight.view(-1, len(x))
        tuples = index_tuples(len(columns), samples)  # (K, S^K)
        return columns[tuples].flatten(1, 2), weights[tuples].prod(0).flatten()

    return product


def everything(model: LatentVariableModel, x: Tensor, samples: int) -> tuple[Tensor, Tensor]:
    """What is not random: all codes."""
    drawn = Exact(model).draw(Expectation(model, ELBO(), x, model.posterior(x)))
    return drawn, torch.ones(len(x)).double()


def on_nodes(nodes: int) -> Law:
    """What is not random: the codes of all nodes of a quadrature."""

    def law(model: LatentVariableModel, x: Tensor, samples: int) -> tuple[Tensor, Tensor]:
        exact = Exact(model, samples, nodes)
        return exact.draw(Expectation(model, ELBO(), x, model.posterior(x))), torch.ones(len(x)).double()

    return law


def with_flips(law: Law, among: Callable[[Tensor], Tensor], parts: int = 1) -> Law:
    """What a law draws, then the first of its ``parts`` again, each code with one of the marked bits flipped."""

    def flipped(model: LatentVariableModel, x: Tensor, samples: int) -> tuple[Tensor, Tensor]:
        drawn, weight = law(model, x, samples)  # (M, S B, D)
        count, dim = len(drawn) // parts, drawn.shape[-1]
        marked = among(model.posterior(x).mean.detach()).double()  # (B, D)
        total = marked.sum(-1, keepdim=True)
        first = torch.eye(dim).double()[0].expand_as(marked)
        chance = torch.where(
            total > 0, marked / total.clamp_min(1), first
        )  # nothing is flipped where nothing is marked
        tuples = index_tuples(dim, count)  # (C, T): the bit of each code
        drawn = drawn.view(len(drawn), -1, 1, len(x), dim)  # (M, S, 1, B, D)
        flips = torch.eye(dim).double()[tuples].unsqueeze(-2) * marked  # (C, T, B, D)
        others = (drawn[:count] - flips.unsqueeze(1)).abs()  # (C, S, T, B, D)
        every = torch.cat([drawn.expand(-1, -1, tuples.shape[1], -1, -1), others]).flatten(1, 3)
        chances = chance.T[tuples].prod(0)  # (T, B)
        return every, (weight.view(-1, 1, len(x)) * chances).flatten()

    return flipped


def all_bits(p: Tensor) -> Tensor:
    return torch.ones_like(p)


def rare_bits(p: Tensor) -> Tensor:
    """Bits of which one value has a probability below 1/(2 D)."""
    return (p < 0.5 / p.shape[-1]) | (p > 1 - 0.5 / p.shape[-1])


def one_after_the_other(law: Law) -> Law:
    """Several kinds of noise of one code, (N, 1, S B, D), as (N, S B, D)."""

    def flat(model: LatentVariableModel, x: Tensor, samples: int) -> tuple[Tensor, Tensor]:
        drawn, weight = law(model, x, samples)
        return drawn.flatten(0, 1), weight

    return flat


def grid(model: LatentVariableModel, x: Tensor, samples: int) -> tuple[Tensor, Tensor]:
    """K independent Gaussian codes on a grid of reals, weighted by their density."""
    z, width = grid_of(model, x)
    weight = (log_densities(model, x, z)[0].exp() * width).detach()  # (N, B)
    tuples = index_tuples(len(z), samples)  # (K, T)
    drawn = z[tuples]  # (K, T, B, D)
    return drawn.flatten(1, 2), weight[tuples].prod(0).flatten()


def hermite(model: LatentVariableModel, x: Tensor, samples: int) -> tuple[Tensor, Tensor]:
    """Gaussian codes mu + sigma eps as functions of mu and sigma, eps on Gauss-Hermite nodes."""
    nodes, weights = (
        torch.tensor(part) for part in np.polynomial.hermite_e.hermegauss(180 if len(model.layers) > 1 else 110)
    )
    weights = weights / math.sqrt(2 * math.pi)
    eps = torch.cartesian_prod(*[nodes] * samples).view(-1, samples).T.repeat_interleave(len(x), 1)  # (K, T B)
    weight = torch.cartesian_prod(*[weights] * samples).view(-1, samples).prod(1).repeat_interleave(len(x))
    if len(model.layers) > 1:  # one code: a node for each layer
        assert samples == 1
        noise = torch.cartesian_prod(nodes, nodes).repeat_interleave(len(x), 0)  # (T B, 2)
        weight = torch.cartesian_prod(weights, weights).prod(1).repeat_interleave(len(x))
        q = model.posterior.conditionals[0](x.repeat(len(nodes) ** 2, 1))
        low = q.loc + q.stddev * noise[:, :1]
        above = model.posterior.conditionals[1](low)
        return torch.cat([low, above.loc + above.stddev * noise[:, 1:]], -1).unsqueeze(0), weight
    q = model.posterior(x.repeat(len(nodes) ** samples, 1))
    return q.loc + q.stddev * eps.unsqueeze(-1), weight


def gauss_legendre(count: int) -> tuple[Tensor, Tensor]:
    nodes, weights = (torch.tensor(part) for part in np.polynomial.legendre.leggauss(count))
    return (nodes + 1) / 2, weights / 2


def tanh_sinh(count: int) -> tuple[Tensor, Tensor]:
    """Nodes on (0, 1) that bear singular ends, such as those of the logistic noise log u - log(1 - u)."""
    t = torch.linspace(-3.2, 3.2, count, dtype=torch.float64)
    inner = torch.sinh(t) * math.pi / 2
    weights = (t[1] - t[0]) * math.pi / 4 * torch.cosh(t) / torch.cosh(inner).square()
    return torch.sigmoid(2 * inner).clamp(max=1 - 2**-53), weights


def uniforms(flips: str, rule: Callable[[int], tuple[Tensor, Tensor]], count: int, free: bool = False) -> Law:
    """One code of uniform noise: each column integrated piecewise between the points where a bit flips.

    ``flips`` says where: at ``1-p``, or at ``both`` p and 1 - p. With ``free`` a second, smooth uniform follows.
    """

    def law(model: LatentVariableModel, x: Tensor, samples: int) -> tuple[Tensor, Tensor]:
        p = model.posterior(x).mean.detach()  # (B, D)
        inner = {"1-p": [1 - p], "both": [torch.minimum(p, 1 - p), torch.maximum(p, 1 - p)]}[flips]
        edges = torch.stack([torch.zeros_like(p), *inner, torch.ones_like(p)])
        nodes, weights = (part.view(-1, 1, 1) for part in rule(count))
        width = edges.diff(dim=0).unsqueeze(1)  # (pieces, 1, B, D)
        u = (edges[:-1].unsqueeze(1) + width * nodes).flatten(0, 1)  # (N, B, D)
        weight = (width * weights).flatten(0, 1)
        axes = [(u[..., d], weight[..., d]) for d in range(p.shape[-1])]
        if free:
            axes += [(nodes[..., 0].expand(-1, len(x)), weights[..., 0].expand(-1, len(x)))] * p.shape[-1]
        index = torch.cartesian_prod(*[torch.arange(len(axis[0])) for axis in axes]).view(-1, len(axes))  # (S, axes)
        drawn = torch.stack([axis[0][index[:, a]] for a, axis in enumerate(axes)], -1)  # (S, B, axes)
        total = torch.stack([axis[1][index[:, a]] for a, axis in enumerate(axes)]).prod(0)  # (S, B)
        drawn = drawn.flatten(0, 1)
        drawn = torch.stack(drawn.chunk(2, -1)) if free else drawn  # (2, S B, D) or (S B, D)
        return drawn.unsqueeze(-3), total.flatten()

    return law

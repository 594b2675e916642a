"""The laws of the gradient estimators: one table, every row proven against the enumerated gradient.

A row names an estimator, its options, an objective and the law of what it draws. The law lays out every
outcome with its probability (codes, pairs, K-tuples), or quadrature nodes with their weights (noise); the
outcomes become one long batch, which the estimator scores in one call. The weighted gradient of the
surrogate is its expectation, exactly, and is compared with the gradient of the enumerated bound, which is
computed here with ``torch.distributions.Bernoulli`` and ``Normal`` and shares no code with vaelab.

Run ``python -m tests.estimator_laws`` to print the table.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Normal

from vaelab.estimators import ESTIMATORS, Estimator, Expectation
from vaelab.models import LatentVariableModel, bernoulli_vae, deep_gaussian_vae, gaussian_vae, sbn
from vaelab.objectives import ELBO, IWAE, Objective

X, B = 5, 2  # observation size, batch size
PARTS = ("encoder", "decoder", "prior")
OBJECTIVES: dict[str, Objective] = {"elbo": ELBO(beta=0.7), "iwae": IWAE()}
SAMPLED = ELBO(beta=0.7, kl="sampled")  # every law of the evidence lower bound is a law of this one too

# A law maps (model, x, K) to what is drawn, (..., S B, D), and the weight of each outcome, (S B,).
Law = Callable[[LatentVariableModel, Tensor, int], tuple[Tensor, Tensor]]
Gradients = dict[str, Tensor]


# ---------------------------------------------------------------- models and exact gradients


def build_model(kind: str, bits: int) -> LatentVariableModel:
    """A float64 model with a tanh layer either side, every weight far from zero; the prior of bits is learned.

    The chains have two layers, of ``bits`` numbers and of one, or a third of one; those of bits are linear.
    """
    torch.manual_seed(7)
    if kind == "bits":
        model = bernoulli_vae(X, latent_dim=bits, hidden_dims=[6], activation="tanh", prior="learned")
    elif kind == "real":
        model = gaussian_vae(X, latent_dim=bits, hidden_dims=[6], activation="tanh")
    elif kind == "chain of bits":
        model = sbn(X, layers=[bits, 1])
    elif kind == "deep chain of bits":
        model = sbn(X, layers=[bits, 1, 1])
    else:
        model = deep_gaussian_vae(X, layers=[bits, 1], hidden_dims=[[4], [3]])
    model = model.double()
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.6)
    return model.eval()


def observations() -> Tensor:
    return torch.randint(0, 2, (B, X), generator=torch.Generator().manual_seed(1)).double()


def parts_of(model: LatentVariableModel) -> dict[str, list[Tensor]]:
    parts = {"encoder": model.posterior, "decoder": model.likelihood, "prior": model.prior}
    return {name: [w for w in part.parameters() if w.requires_grad] for name, part in parts.items()}


def gradients(model: LatentVariableModel, value: Tensor) -> Gradients:
    """d value / d the weights of each part, flattened."""
    parts = parts_of(model)
    weights = [weight for part in parts.values() for weight in part]
    found = iter(torch.autograd.grad(value, weights, allow_unused=True))
    return {
        name: torch.cat([torch.zeros(0).double()] + [_dense(next(found), weight).flatten() for weight in part])
        for name, part in parts.items()
    }


def _dense(gradient: Tensor | None, weight: Tensor) -> Tensor:
    return torch.zeros_like(weight) if gradient is None else gradient


def log_bernoulli(logits: Tensor, value: Tensor) -> Tensor:
    return Bernoulli(logits=logits, validate_args=False).log_prob(value).sum(-1)


def exact_bound(model: LatentVariableModel, x: Tensor, objective: Objective, samples: int) -> Tensor:
    """E_q[objective], (B,), summed over codes or K-tuples of codes; a grid of reals for Gaussian codes."""
    if model.code == "bits":
        codes, width = every_code(model).unsqueeze(1), torch.ones(()).double()  # (S, 1, D)
    else:
        codes, width = grid_of(model, x)  # (S, B, D), (S, B)
    log_q, log_p = log_densities(model, x, codes)  # (S, B), (S, 1) or (S, B)
    probability = log_q.exp() * width
    log_x = log_bernoulli(model.likelihood(codes).logits, x)  # (S, B)
    if objective.name == "elbo":
        return (probability * (log_x - objective.beta * (log_q - log_p))).sum(0)
    log_w = log_x + log_p - log_q
    tuples = torch.cartesian_prod(*[torch.arange(len(codes))] * samples).view(-1, samples).T  # (K, T)
    values = torch.logsumexp(log_w[tuples], 0) - math.log(samples)  # (T, B)
    return (probability[tuples].prod(0) * values).sum(0)


def every_code(model: LatentVariableModel) -> Tensor:
    """All codes of bits, (S, D)."""
    return torch.tensor(list(itertools.product([0.0, 1.0], repeat=model.prior().event_shape[0]))).double()


def log_densities(model: LatentVariableModel, x: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
    """log q(z|x) and log p(z) by torch's own distributions; of a chain, layer by layer."""
    if model.layers:
        first, *others = codes.split(model.layers, -1)
        layers, q, p = [first, *others], model.posterior.conditionals, model.prior
        up = log_density(q[0](x), first)
        down = log_density(p.top(), layers[-1])
        for part, step, low, high in zip(q[1:], reversed(p.conditionals), layers, others, strict=False):
            up = up + log_density(part(low), high)
            down = down + log_density(step(high), low)
        return up, down
    return log_density(model.posterior(x), codes), log_density(model.prior(), codes)


def log_density(q: Any, value: Tensor) -> Tensor:
    return log_bernoulli(q.logits, value) if hasattr(q, "logits") else Normal(q.loc, q.stddev).log_prob(value).sum(-1)


def grid_of(model: LatentVariableModel, x: Tensor) -> tuple[Tensor, Tensor]:
    """Fixed points (S, B, D) ten deviations either side, and their width (S, B): trapezoids, exact for a bell."""
    t = torch.linspace(-10, 10, 161, dtype=torch.float64).view(-1, 1, 1)
    if model.layers:  # the second layer's grid hangs on the point of the first
        first = model.posterior.conditionals[0](x)
        low = first.loc + first.stddev * t  # (S, B, 1)
        second = model.posterior.conditionals[1](low)
        high = second.loc + second.stddev * t.unsqueeze(1)  # (S', S, B, 1)
        points = torch.cat([low.expand_as(high), high], -1).flatten(0, 1).detach()
        width = (first.stddev * second.stddev * (t[1] - t[0]).square()).squeeze(-1)  # (S, B)
        return points, width.repeat(len(t), 1).detach()
    q = model.posterior(x)
    width = (q.stddev * (t[1] - t[0])).squeeze(-1)  # (1, B)
    return (q.loc + q.stddev * t).detach(), width.expand(len(t), -1).detach()


# ---------------------------------------------------------------- laws of what is drawn


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


def _dirichlet_copula(p: Tensor, samples: int) -> Tensor:
    """Bits 1((1 - d_k)^(K-1) < p), d uniform on the simplex; reflected where p > 1/2.

    P(d_k > t for j named k) = max(0, 1 - j t)^(K-1).
    """
    minor = torch.minimum(p, 1 - p)
    threshold = 1 - minor ** (1 / (samples - 1))
    joint = _exchangeable(lambda j, _: (1 - j * threshold).clamp_min(0) ** (samples - 1), minor, samples)
    return torch.where(p > 0.5, joint.flip(0), joint)  # reflected: every bit complemented


def _gaussian_copula(p: Tensor, samples: int) -> Tensor:
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
    tuples = torch.cartesian_prod(*[torch.arange(len(z))] * samples).view(-1, samples).T  # (K, T)
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
    tuples = torch.cartesian_prod(*[torch.arange(len(weight))] * count).view(-1, count).T  # (M, T)
    drawn = torch.stack(codes)[:, tuples].flatten(0, 1).repeat_interleave(len(x), 1)  # ((1 + L) M, T B, D)
    return drawn, weight[tuples].prod(0).flatten()


def all_chain_branches(model: LatentVariableModel, x: Tensor, samples: int) -> tuple[Tensor, Tensor]:
    """K codes of a chain, each with its partners."""
    return chain_branches(model, x, 2 * samples)


def day_and_night(model: LatentVariableModel, x: Tensor, samples: int) -> tuple[Tensor, Tensor]:
    """K codes given the observation, and K dreams: codes and observations from the model."""
    z = every_code(model)  # (S, D)
    dreams = torch.tensor(list(itertools.product([0.0, 1.0], repeat=X))).double()  # (2^X, X)
    with torch.no_grad():
        by_day, log_p = (part.exp() for part in log_densities(model, x, z.unsqueeze(1)))  # (S, B), (S, 1)
        seen = log_bernoulli(model.likelihood(z).logits, dreams.unsqueeze(1)).exp()  # (2^X, S)
        by_night = (seen * log_p.T).flatten()  # (N,)
    pairs = torch.cartesian_prod(torch.arange(len(z)), torch.arange(len(by_night)))  # (O, 2)
    weight = by_day[pairs[:, 0]] * by_night[pairs[:, 1], None]  # (O, B)
    night = torch.cat([z.repeat(len(dreams), 1), dreams.repeat_interleave(len(z), 0)], -1)[pairs[:, 1]]  # (O, D + X)
    tuples = torch.cartesian_prod(*[torch.arange(len(pairs))] * samples).view(-1, samples).T  # (K, T)
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
        tuples = torch.cartesian_prod(*[torch.arange(len(columns))] * samples).view(-1, samples).T  # (K, S^K)
        return columns[tuples].flatten(1, 2), weights[tuples].prod(0).flatten()

    return product


def everything(model: LatentVariableModel, x: Tensor, samples: int) -> tuple[Tensor, Tensor]:
    """What is not random: all codes."""
    drawn = ESTIMATORS["exact"](model).draw(Expectation(model, ELBO(), x, model.posterior(x)))
    return drawn, torch.ones(len(x)).double()


def grid(model: LatentVariableModel, x: Tensor, samples: int) -> tuple[Tensor, Tensor]:
    """K independent Gaussian codes on a grid of reals, weighted by their density."""
    z, width = grid_of(model, x)
    weight = (log_densities(model, x, z)[0].exp() * width).detach()  # (N, B)
    tuples = torch.cartesian_prod(*[torch.arange(len(z))] * samples).view(-1, samples).T  # (K, T)
    drawn = z[tuples]  # (K, T, B, D)
    return drawn.flatten(1, 2), weight[tuples].prod(0).flatten()


def hermite(model: LatentVariableModel, x: Tensor, samples: int) -> tuple[Tensor, Tensor]:
    """Gaussian codes mu + sigma eps as functions of mu and sigma, eps on Gauss-Hermite nodes."""
    nodes, weights = (torch.tensor(part) for part in np.polynomial.hermite_e.hermegauss(180 if model.layers else 90))
    weights = weights / math.sqrt(2 * math.pi)
    eps = torch.cartesian_prod(*[nodes] * samples).view(-1, samples).T.repeat_interleave(len(x), 1)  # (K, T B)
    weight = torch.cartesian_prod(*[weights] * samples).view(-1, samples).prod(1).repeat_interleave(len(x))
    if model.layers:  # one code: a node for each layer
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


# ---------------------------------------------------------------- the table


@dataclass(frozen=True)
class Row:
    """One law: an estimator under an objective, how its draws are enumerated, and how closely it must agree."""

    estimator: str
    objective: str
    law: Law
    samples: int = 1
    options: dict[str, Any] = field(default_factory=dict)
    kind: str = "bits"
    bits: int = 2
    tolerance: float = 1e-9
    biased: tuple[str, ...] = ()  # the parts whose estimate has a bias, which is measured instead
    prime: Callable[[Any], None] = lambda estimator: None  # puts what it has learnt where the law is not vacuous

    @property
    def name(self) -> str:
        options = "".join(f" {value}" for value in self.options.values())
        return f"{self.estimator}{options} {self.objective} K={self.samples} D={self.bits} {self.kind}"

    def build(self, model: LatentVariableModel) -> Estimator:
        torch.manual_seed(3)
        estimator = ESTIMATORS[self.estimator](model, samples=self.samples, **self.options)
        estimator.check(model, OBJECTIVES[self.objective])
        self.prime(estimator)
        return estimator.eval()


def expectation(row: Row, law: Law | None = None, objective: Objective | None = None) -> tuple[Gradients, Gradients]:
    """The expected gradient of the surrogate, by part, and the exact gradient."""
    model, x = build_model(row.kind, row.bits), observations()
    estimator, objective = row.build(model), objective or OBJECTIVES[row.objective]
    drawn, weight = (law or row.law)(model, x, row.samples)
    repeated = x.repeat(len(weight) // len(x), 1)
    assert torch.allclose(weight.view(-1, len(x)).sum(0), torch.ones(len(x)).double(), rtol=0, atol=1e-12)
    estimate = estimator.score(Expectation(model, objective, repeated, model.posterior(repeated)), drawn)
    ours = gradients(model, (weight * estimate.surrogate).sum())
    return ours, gradients(model, exact_bound(model, x, objective, row.samples).sum())


def deviations(row: Row, objective: Objective | None = None) -> dict[str, float]:
    """The largest deviation from the exact gradient, by part."""
    ours, exact = expectation(row, objective=objective)
    return {part: float((ours[part] - exact[part]).abs().max()) for part in PARTS if exact[part].numel()}


def learnt(**values: float) -> Callable[[Any], None]:
    """Set named parameters or buffers of an estimator to given values."""

    def prime(estimator: Any) -> None:
        state = estimator.state_dict()
        for name, value in values.items():
            for key in [key for key in state if key.endswith(name.replace("__", "."))]:
                state[key].fill_(value)

    return prime


PAST = learnt(average__total=-1.7, average__weight=0.6)
NVIL = learnt(centre__total=-1.2, centre__weight=0.6, variance__total=0.2, variance__weight=0.6)
DOUBLE = learnt(alpha=0.8)
STEIN = learnt(alpha=0.8, beta=-0.6)
REBAR = learnt(scale=0.7, log_temperature=math.log(0.5))


def RELAX(estimator: Any) -> None:
    """A large smooth network: the law holds for any, and quadrature needs derivatives."""
    learnt(scale=0.7, log_temperature=math.log(0.5))(estimator)
    estimator.network.activation = torch.nn.Tanh()
    for weight in estimator.network.parameters():
        torch.nn.init.normal_(weight, std=0.5)


CHAIN, DEEP, REALS = "chain of bits", "deep chain of bits", "chain of reals"

ROWS: list[Row] = [
    Row("exact", "elbo", everything, bits=3),
    Row("exact", "iwae", everything, samples=2),
    Row("exact", "iwae", everything, samples=3),
    *(
        Row("score-function", objective, codes, samples, {"baseline": baseline}, bits=bits, prime=prime)
        for objective in OBJECTIVES
        for baseline, prime, counts in (
            ("none", lambda estimator: None, ((1, 3), (2, 2))),
            ("running-average", PAST, ((1, 3), (2, 2))),
            ("leave-one-out", lambda estimator: None, ((2, 3), (3, 2))),
            ("network", NVIL, ((1, 3), (2, 2))),
        )
        for samples, bits in counts
    ),
    *(
        Row("score-function", objective, grid, samples, {"baseline": "leave-one-out"}, "real", 1)
        for objective in OBJECTIVES
        for samples in (2,)
    ),
    *(
        Row("pathwise", objective, hermite, samples, {}, "real", 1, tolerance=1e-8)
        for objective in OBJECTIVES
        for samples in (1, 2)
    ),
    *(Row("sticking-the-landing", "elbo", hermite, samples, {}, "real", 1, tolerance=1e-8) for samples in (1, 2)),
    Row("sticking-the-landing", "iwae", hermite, 2, {}, "real", 1, tolerance=1e-8, biased=("encoder",)),
    *(
        Row("muprop", "elbo", codes, samples, {"baseline": baseline}, bits=bits, prime=prime)
        for baseline, prime, samples, bits in (
            ("none", lambda estimator: None, 1, 3),
            ("running-average", PAST, 2, 2),
            ("leave-one-out", lambda estimator: None, 2, 2),
            ("network", NVIL, 1, 3),
        )
    ),
    *(Row("rebar", "elbo", uniforms("1-p", gauss_legendre, 30), bits=bits, prime=REBAR) for bits in (1, 2)),
    Row("relax", "elbo", uniforms("1-p", tanh_sinh, 61, free=True), bits=1, prime=RELAX),
    Row("arm", "elbo", uniforms("both", gauss_legendre, 2), 2, bits=2),
    *(Row("disarm", "elbo", pairs, samples, bits=bits) for samples, bits in ((2, 3), (4, 2))),
    Row("disarm", "iwae", partners, 2, bits=2),
    Row("disarm", "iwae", partners, 4, bits=1),
    *(
        Row("arms", "elbo", copula(of), samples, {"copula": name}, bits=bits)
        for name, of, counts in (
            ("dirichlet", _dirichlet_copula, ((2, 3), (3, 3), (4, 2), (5, 2))),
            ("gaussian", _gaussian_copula, ((3, 2),)),
        )
        for samples, bits in counts
    ),
    *(
        Row("arms", "iwae", codes_and_copula(of), samples, {"copula": name}, bits=bits)
        for name, of, counts in (
            ("dirichlet", _dirichlet_copula, ((2, 2), (3, 2))),
            ("gaussian", _gaussian_copula, ((3, 1),)),
        )
        for samples, bits in counts
    ),
    *(Row("double-cv", "elbo", codes, samples, bits=bits, prime=DOUBLE) for samples, bits in ((2, 3), (3, 2), (4, 2))),
    *(Row("rodeo", "elbo", codes, samples, bits=bits, prime=STEIN) for samples, bits in ((2, 3), (3, 2))),
    Row("concrete", "elbo", uniforms("1-p", tanh_sinh, 61), bits=1, biased=PARTS),
    Row("concrete", "iwae", uniforms("1-p", tanh_sinh, 61), bits=1, biased=PARTS),
    Row("rebar", "elbo", side_by_side(uniforms("1-p", gauss_legendre, 30)), 2, bits=1, prime=REBAR),
    Row("concrete", "elbo", side_by_side(uniforms("1-p", tanh_sinh, 41)), 2, bits=1, biased=PARTS),
    Row("concrete", "iwae", side_by_side(uniforms("1-p", tanh_sinh, 41)), 2, bits=1, biased=PARTS),
    *(Row("straight-through", "elbo", codes, samples, bits=2, biased=("encoder",)) for samples in (1, 2)),
    Row("gumbel-straight-through", "elbo", uniforms("1-p", gauss_legendre, 30), bits=2, biased=("encoder",)),
    *(Row("reweighted-wake-sleep", "iwae", codes, samples, bits=2, biased=("encoder",)) for samples in (1, 3)),
    Row("reweighted-wake-sleep", "iwae", grid, 2, {}, "real", 1, biased=("encoder",)),
    *(Row("wake-sleep", "elbo", day_and_night, k, bits=bits, biased=("encoder",)) for k, bits in ((1, 2), (2, 1))),
    # codes of two layers, and of three
    Row("exact", "elbo", everything, kind=CHAIN),
    Row("exact", "iwae", everything, samples=2, kind=CHAIN),
    *(
        Row("score-function", objective, chain_codes, samples, {"baseline": baseline}, CHAIN, prime=prime)
        for objective in OBJECTIVES
        for baseline, prime, samples in (
            ("none", lambda estimator: None, 1),
            ("running-average", PAST, 2),
            ("leave-one-out", lambda estimator: None, 3),
            ("network", NVIL, 2),
        )
    ),
    *(Row("disarm", "elbo", chain_branches, samples, kind=CHAIN) for samples in (2, 4)),
    Row("disarm", "iwae", all_chain_branches, 2, kind=CHAIN),
    *(Row("reweighted-wake-sleep", "iwae", chain_codes, k, kind=CHAIN, biased=("encoder",)) for k in (1, 3)),
    Row("wake-sleep", "elbo", day_and_night, kind=CHAIN, biased=("encoder",)),
    Row("score-function", "elbo", chain_codes, 2, {"baseline": "leave-one-out"}, DEEP),
    Row("score-function", "iwae", chain_codes, 2, {"baseline": "leave-one-out"}, DEEP),
    Row("disarm", "elbo", chain_branches, 2, kind=DEEP),
    Row("disarm", "iwae", all_chain_branches, 1, kind=DEEP),
    *(Row("pathwise", objective, hermite, 1, {}, REALS, 1, tolerance=1e-6) for objective in OBJECTIVES),
    *(
        Row("score-function", objective, grid, 1, {"baseline": "running-average"}, REALS, 1, prime=PAST)
        for objective in OBJECTIVES
    ),
    *(Row("doubly-reparameterised", "iwae", hermite, samples, {}, "real", 1, tolerance=1e-8) for samples in (1, 2)),
]


def main() -> None:
    print(f"{'estimator':<58}" + "".join(f"{part:>12}" for part in PARTS) + "   tolerance")
    for row in ROWS:
        found = deviations(row)
        cells = "".join(f"{found[part]:>12.1e}" if part in found else f"{'-':>12}" for part in PARTS)
        note = f"   biased: {', '.join(row.biased)}" if row.biased else ""
        print(f"{row.name:<58}{cells}   {row.tolerance:.0e}{note}")
    sampled = [(row, deviations(row, SAMPLED)) for row in ROWS if row.objective == "elbo"]
    worst = max(found[part] for row, found in sampled for part in found if part not in row.biased)
    print(f"{len(sampled)} of them again with the KL sampled: largest deviation of what is unbiased {worst:.1e}")


if __name__ == "__main__":
    main()

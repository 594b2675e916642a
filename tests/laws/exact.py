"""Exact sums over codes, with ``torch.distributions`` alone: what every law is compared with."""

from __future__ import annotations

import itertools
import math
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Categorical, Distribution, Normal, kl_divergence

from vaelab.distributions import Autoregressive, DiagonalNormal, Mixture, OneHotCategorical, Product, all_codes
from vaelab.estimators import Estimate, Estimator, Expectation
from vaelab.models import LatentVariableModel
from vaelab.objectives import CIWAE, ELBO, IWAE, MIWAE, PIWAE, TVO, Objective, Renyi

__all__ = [
    "PARTS",
    "Gradients",
    "code_tuples",
    "combined",
    "divergence_of",
    "enumerate_bits",
    "every_code",
    "exact_bound",
    "exact_gradients",
    "gradients",
    "gradients_of_parts",
    "grid_of",
    "index_tuples",
    "largest_difference",
    "log_bernoulli",
    "log_densities",
    "score_every_tuple",
]

PARTS = {"encoder": "posterior", "decoder": "likelihood", "prior": "prior"}
Gradients = dict[str, Tensor]


# ---------------------------------------------------------------- gradients


def gradients(model: LatentVariableModel, value: Tensor) -> Gradients:
    """Return d value / d every trained weight, by name, zeros where there is none."""
    weights = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    found = torch.autograd.grad(value, list(weights.values()), allow_unused=True, retain_graph=True)
    return {
        name: torch.zeros_like(weight) if gradient is None else gradient
        for (name, weight), gradient in zip(weights.items(), found, strict=True)
    }


def gradients_of_parts(model: LatentVariableModel, value: Tensor) -> Gradients:
    """Return d value / d the trained weights of encoder, decoder and prior, flattened; empty where there are none."""
    by_name = gradients(model, value)
    return {
        part: torch.cat(
            [value.new_zeros(0)]
            + [gradient.flatten() for name, gradient in by_name.items() if name.startswith(f"{module}.")]
        )
        for part, module in PARTS.items()
    }


def largest_difference(one: Gradients, other: Gradients) -> float:
    """Return the largest difference of two tables of tensors; infinite where the shapes differ."""
    assert one.keys() == other.keys()
    if any(one[name].shape != other[name].shape for name in one):
        return float("inf")
    return max(float((one[name] - other[name]).abs().max()) for name in one)


# ---------------------------------------------------------------- codes and their densities


def code_tuples(dim: int, samples: int) -> Tensor:
    """Return every tuple of K codes of D bits, float64 (T, K, D), T = 2^(D K)."""
    codes = all_codes(dim, torch.zeros((), dtype=torch.float64))
    return codes[index_tuples(len(codes), samples)].transpose(0, 1)


def index_tuples(count: int, samples: int) -> Tensor:
    """Return every tuple of K numbers below ``count``, (K, count^K)."""
    return torch.cartesian_prod(*[torch.arange(count)] * samples).view(-1, samples).T


def every_code(model: LatentVariableModel) -> Tensor:
    """Return all codes of bits, (S, D)."""
    return torch.tensor(list(itertools.product([0.0, 1.0], repeat=model.latent_dim))).double()


def log_bernoulli(logits: Tensor, value: Tensor) -> Tensor:
    """Return log p(value), by torch's Bernoulli: shares nothing with vaelab's densities. NaN is left out."""
    observed = ~value.isnan()
    columns = Bernoulli(logits=logits, validate_args=False).log_prob(value.nan_to_num(0.0))
    return torch.where(observed, columns, 0.0).sum(-1)


def log_columns(p: Distribution, x: Tensor) -> Tensor:
    """Return log p(x) of bits, real numbers, categorical columns or a product of them, by torch. NaN is left out."""
    if isinstance(p, Product):
        return sum(log_columns(part, x[..., places]) for part, places in zip(p.parts, p.columns, strict=True))
    if isinstance(p, OneHotCategorical):
        groups = zip(p.logits.split(p.sizes, -1), x.split(p.sizes, -1), strict=True)
        return sum(_log_level(logits, value) for logits, value in groups)
    if isinstance(p, DiagonalNormal):
        columns = Normal(p.loc, p.stddev).log_prob(x.nan_to_num(0.0))
        return torch.where(x.isnan(), 0.0, columns).sum(-1)
    return log_bernoulli(p.logits, x)


def _log_level(logits: Tensor, value: Tensor) -> Tensor:
    level = Categorical(logits=logits).log_prob(value.nan_to_num(0.0).argmax(-1))
    return torch.where(value.isnan().any(-1), 0.0, level)


def log_likelihood(model: LatentVariableModel, x: Tensor, codes: Tensor) -> Tensor:
    """Return log p(x|z) or, of a conditional model and rows of x and y side by side, log p(x|z, y)."""
    if not model.given:
        return log_columns(model.likelihood(codes), x)
    x, y = x[:, : -model.given], x[:, -model.given :]
    shape = torch.broadcast_shapes(codes.shape[:-1], y.shape[:-1])
    decoded = torch.cat([codes.expand(*shape, -1), y.expand(*shape, -1)], -1)
    return log_bernoulli(model.likelihood(decoded).logits, x)


def _log_density(q: Any, value: Tensor) -> Tensor:
    if isinstance(q, Mixture):
        return (q.log_weights + _log_density(q.components, value.unsqueeze(-2))).logsumexp(-1)
    if isinstance(q, Autoregressive):
        return log_bernoulli(q.conditional_logits(value), value)
    if not hasattr(q, "logits") and not hasattr(q, "loc"):  # a flow, of another library
        return q.log_prob(value)
    return log_bernoulli(q.logits, value) if hasattr(q, "logits") else Normal(q.loc, q.stddev).log_prob(value).sum(-1)


def log_densities(model: LatentVariableModel, x: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
    """Return log q(z|x) and log p(z) by torch's distributions; of a chain, layer by layer."""
    if len(model.layers) > 1:
        first, *others = codes.split(model.layers, -1)
        layers, q, p = [first, *others], model.posterior.conditionals, model.prior
        up = _log_density(q[0](x), first)
        down = _log_density(p.top(), layers[-1])
        for part, step, low, high in zip(q[1:], reversed(p.conditionals), layers, others, strict=False):
            up = up + _log_density(part(low), high)
            down = down + _log_density(step(high), low)
        return up, down
    return _log_density(model.posterior(x), codes), _log_density(model.prior(), codes)


def grid_of(model: LatentVariableModel, x: Tensor) -> tuple[Tensor, Tensor]:
    """Fixed points (S, B, D) ten deviations either side, and their width (S, B): trapezoids, exact for a bell."""
    t = torch.linspace(-10, 10, 161, dtype=torch.float64).view(-1, 1, 1)
    if len(model.layers) > 1:  # the second layer's grid hangs on the point of the first
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


def divergence_of(model: LatentVariableModel, q: Distribution, z: Tensor) -> Tensor:
    """Return KL[q || p] in closed form, or of a chain, which has none, log q(z|x) - log p(z) of each code."""
    return q.log_prob(z) - model.prior().log_prob(z) if model.layers else kl_divergence(q, model.prior())


# ---------------------------------------------------------------- bounds


def exact_bound(model: LatentVariableModel, x: Tensor, objective: Objective, samples: int) -> Tensor:
    """Return E_q[objective], (B,), summed over codes or K-tuples of codes; a grid of reals for real codes.

    Free bits are of the mean over the batch, so each row has a share of them.
    """
    if model.code == "bits":
        codes, width = every_code(model).unsqueeze(1), torch.ones(()).double()  # (S, 1, D)
    else:
        codes, width = grid_of(model, x)  # (S, B, D), (S, B)
    log_q, log_p = log_densities(model, x, codes)  # (S, B), (S, 1) or (S, B)
    probability = log_q.exp() * width
    log_x = log_likelihood(model, x, codes)  # (S, B)
    if isinstance(objective, ELBO) and objective.free_bits:
        penalty = units_of_kl(model, x).mean(0).clamp_min(objective.free_bits).sum()
        return (probability * log_x).sum(0) - objective.beta * penalty
    if isinstance(objective, ELBO):
        return (probability * (log_x - objective.beta * (log_q - log_p))).sum(0)
    log_w = log_x + log_p - log_q
    tuples = index_tuples(len(codes), samples)  # (K, T)
    return (probability[tuples].prod(0) * combined(objective, log_w[tuples])).sum(0)


def units_of_kl(model: LatentVariableModel, x: Tensor) -> Tensor:
    """Return the KL of each unit, (B, D), by torch's formula for its own distributions."""
    q, p = model.posterior(x), model.prior()
    if model.code == "bits":
        return kl_divergence(Bernoulli(logits=q.logits), Bernoulli(logits=p.logits.expand_as(q.logits)))
    return kl_divergence(Normal(q.loc, q.stddev), Normal(p.loc, p.stddev))


def combined(objective: Objective, log_w: Tensor) -> Tensor:
    """Return an objective of log-weights (K, ...) by its formula, written again, shape (...)."""
    count = len(log_w)

    def mean_weight(values: Tensor) -> Tensor:
        return torch.logsumexp(values, 0) - math.log(len(values))

    if isinstance(objective, IWAE | PIWAE):
        return mean_weight(log_w)
    if isinstance(objective, Renyi):
        power = 1 - objective.alpha
        return mean_weight(power * log_w) / power if power else log_w.sum(0) / count
    if isinstance(objective, MIWAE):
        return sum(mean_weight(group) for group in log_w.chunk(objective.groups)) / objective.groups
    if isinstance(objective, CIWAE):
        share = objective.elbo_weight
        return share * log_w.sum(0) / count + (1 - share) * mean_weight(log_w)
    assert isinstance(objective, TVO)
    ends = [0.0, *(objective.first ** (1 - j / (objective.intervals - 1)) for j in range(objective.intervals - 1)), 1.0]
    total = 0.0
    for start, end in itertools.pairwise(ends):
        weight = (start * (log_w - log_w.amax(0))).exp()
        total = total + (end - start) * (weight * log_w).sum(0) / weight.sum(0)
    return total


def exact_gradients(model: LatentVariableModel, x: Tensor, objective: Objective, samples: int) -> Gradients:
    """Return the gradient of the exact bound by part; PIWAE's encoder has that of MIWAE."""
    found = gradients_of_parts(model, exact_bound(model, x, objective, samples).sum())
    if isinstance(objective, PIWAE):
        of_encoder = gradients_of_parts(model, exact_bound(model, x, MIWAE(objective.groups), samples).sum())
        found["encoder"] = of_encoder["encoder"]
    return found


def enumerate_bits(model: LatentVariableModel, x: Tensor, samples: int, bound: str, beta: float = 1.0) -> Tensor:
    """Return E_q[bound] (B,) over every tuple of K codes of bits, differentiable in every weight.

    ``bound`` is ``elbo`` (its KL weighed by beta), ``iwae``, or ``exact`` for log p(x).
    """
    if bound == "exact":
        assert samples == 1
        z = every_code(model).unsqueeze(1)  # (S, 1, D)
        log_joint = log_bernoulli(model.prior().logits, z) + log_likelihood(model, x, z)
        return log_joint.logsumexp(0)
    return exact_bound(model, x, ELBO(beta) if bound == "elbo" else IWAE(), samples)


def score_every_tuple(
    model: LatentVariableModel, estimator: Estimator, objective: Objective, x: Tensor
) -> tuple[Tensor, Estimate]:
    """Return (probability, estimate) of an estimator on every tuple of codes, the tuples laid along the batch."""
    tuples, count = code_tuples(model.latent_dim, estimator.samples), len(x)  # (T, K, D)
    z = tuples.repeat_interleave(count, 0).transpose(0, 1)  # (K, T B, D)
    repeated = x.repeat(len(tuples), 1)  # (T B, X)
    q = model.posterior(repeated)
    probability = log_bernoulli(q.logits, z).sum(0).exp().detach()  # (T B,)
    return probability, estimator.score(Expectation(model, objective, repeated, q), z)

"""What each biased estimator estimates, by a second formula that shares no code with vaelab.

Each function returns the expected gradient of a row, by part: the parts that are biased, from a formula of their own.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import torch
from torch import Tensor

from tests.laws.draws import gauss_legendre
from tests.laws.exact import (
    PARTS,
    Gradients,
    every_code,
    exact_bound,
    gradients_of_parts,
    index_tuples,
    log_bernoulli,
    log_densities,
)
from tests.laws.models import incomplete, observations_of
from tests.laws.table import OBJECTIVES, Row, build_model
from vaelab.models import LatentVariableModel
from vaelab.objectives import ELBO, TVO

__all__ = ["EXPECTED", "dreams"]


def weighted_score(row: Row) -> Gradients:
    """Return the gradient of E sum_k v_k log q(z_k|x), v_k = w_k / sum_j w_j held constant."""
    model, x = build_model(row.kind, row.bits), observations_of()
    drawn, weight = row.law(model, x, row.samples)  # (K, T B, D)
    repeated = x.repeat(len(weight) // len(x), 1)
    log_q, log_p = log_densities(model, repeated, drawn.detach())
    log_x = log_bernoulli(model.likelihood(drawn.detach()).logits, repeated)
    normalised = torch.softmax(log_x + log_p - log_q, 0).detach()
    return gradients_of_parts(model, (weight.detach() * (normalised * log_q).sum(0)).sum())


def without_score(row: Row) -> Gradients:
    """Return the exact gradient plus that of E sum_k v_k log q(z_k|x) (what a path derivative lacks)."""
    model, x = build_model(row.kind, row.bits), observations_of()
    exact = gradients_of_parts(model, exact_bound(model, x, OBJECTIVES[row.objective], row.samples).sum())
    return {part: exact[part] + gradient for part, gradient in weighted_score(row).items()}


def dreams(row: Row, missing: bool = False) -> Gradients:
    """Return the gradient of E log q(z|x) over x, z ~ p(x, z), for each observation of the batch.

    With ``missing`` q(z|x) reads of x what is observed of the observation.
    """
    model, x = build_model(row.kind, row.bits), observations_of()
    if missing:
        model, x = model.allow_missing(), incomplete(x)
    z = every_code(model).unsqueeze(1)  # (S, 1, D)
    observed = torch.tensor(list(itertools.product([0.0, 1.0], repeat=model.data_dim))).double()
    _, log_p = log_densities(model, observed, z)  # (S, 1)
    joint = (log_bernoulli(model.likelihood(z).logits, observed) + log_p).exp().detach()  # (S, 2^X)
    assert abs(float(joint.sum()) - 1) < 1e-12
    read = [observed.masked_fill(gaps, torch.nan) for gaps in x.isnan()]
    return gradients_of_parts(model, sum((joint * log_densities(model, part, z)[0]).sum() for part in read))


def relaxed_bound(row: Row) -> Gradients:
    """Return the gradient of the relaxed bound, integrated over y under q's density: of a density, not along a path."""
    model, x = build_model("bits", 1), observations_of()
    objective, step = OBJECTIVES[row.objective], 0.25
    y = torch.arange(-75, 75, step, dtype=torch.float64).view(-1, 1, 1)

    def log_density(logits: Tensor, t: float) -> Tensor:
        a = t * y - logits
        return (math.log(t) + torch.nn.functional.logsigmoid(a) + torch.nn.functional.logsigmoid(-a)).sum(-1)

    log_q, log_p = log_density(model.posterior(x).logits, 2 / 3), log_density(model.prior().logits, 0.5)
    log_x = log_bernoulli(model.likelihood(torch.sigmoid(y)).logits, x)
    log_w, density = log_x + objective.beta * (log_p - log_q), log_q.exp() * step  # (S, B)
    if isinstance(objective, ELBO):
        return gradients_of_parts(model, (density * log_w).sum())
    tuples = index_tuples(len(y), row.samples)
    values = torch.logsumexp(log_w[tuples], 0) - math.log(row.samples)
    return gradients_of_parts(model, (density[tuples].prod(0) * values).sum())


def slopes(model: LatentVariableModel, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return all codes (S, 1, D), and the derivatives of log p(x|z) by z there, (S, B, D)."""
    z = every_code(model).unsqueeze(1).expand(-1, len(x), -1).clone().requires_grad_()
    (slope,) = torch.autograd.grad(log_bernoulli(model.likelihood(z).logits, x).sum(), z)
    return z.detach(), slope


def straight_through(row: Row) -> Gradients:
    """Return the gradient of sum_j l_j p_j (1 - p_j) E[f'_j(z)] - beta KL, the factors of l held constant."""
    model, x = build_model(row.kind, row.bits), observations_of()
    z, slope = slopes(model, x)
    logits = model.posterior(x).logits
    p = torch.sigmoid(logits).detach()
    probability = log_bernoulli(logits, z).exp().detach().unsqueeze(-1)  # (S, B, 1)
    return _through_logits(model, logits, (probability * slope).sum(0) * p * (1 - p))


def half(row: Row) -> Gradients:
    """Return the gradient of sum_j l_j E[f'_j(z) (2 pi_j (1 - pi_j) - p_j (1 - p_j) / 2)] - beta KL.

    With pi_j = (z_j + sigmoid(l_j / t)) / 2, the factors of l held constant.
    """
    model, x = build_model(row.kind, row.bits), observations_of()
    z, slope = slopes(model, x)
    logits = model.posterior(x).logits
    p, soft = (torch.sigmoid(logits.detach() / t) for t in (1.0, row.options["temperature"]))
    between = (z + soft) / 2  # (S, B, D)
    probability = log_bernoulli(logits, z).exp().detach().unsqueeze(-1)  # (S, B, 1)
    factor = 2 * between * (1 - between) - p * (1 - p) / 2
    return _through_logits(model, logits, (probability * slope * factor).sum(0))


def gumbel_straight_through(row: Row) -> Gradients:
    """Return the same with dy_j/dl_j in place of p_j (1 - p_j), integrated over the noise that gives z_j.

    With a = l + log u - log(1 - u), which is logistic around l, and y = sigmoid(a / t), the factor of f'_j(z) is the
    integral of y (1 - y) / t over a of the sign that gives z_j, times the probability of the other bits.
    """
    model, x, t = build_model(row.kind, row.bits), observations_of(), 0.5
    z, slope = slopes(model, x)
    logits = model.posterior(x).logits
    nodes, weights = gauss_legendre(80)
    size = 60 * (torch.arange(40).unsqueeze(-1) + nodes).flatten() / 40  # |a|, on 40 pieces of (0, 60)
    width = 60 * weights.repeat(40) / 40
    density = {}
    for sign in (1, -1):
        a = sign * size.view(-1, 1, 1)
        y, noise = torch.sigmoid(a / t), torch.sigmoid(a - logits.detach())
        density[sign] = (width.view(-1, 1, 1) * noise * (1 - noise) * y * (1 - y) / t).sum(0)  # (B, D)
    own = torch.where(z > 0.5, density[1], density[-1])  # (S, B, D)
    p = torch.sigmoid(logits).detach()
    each = torch.where(z > 0.5, p, 1 - p)
    others = each.prod(-1, keepdim=True) / each
    return _through_logits(model, logits, (slope * own * others).sum(0))


def _through_logits(model: LatentVariableModel, logits: Tensor, factor: Tensor) -> Gradients:
    """Return the gradient of factor . l - beta KL[q || p], with the KL of torch's Bernoulli."""
    q, p = (torch.distributions.Bernoulli(logits=each) for each in (logits, model.prior().logits.expand_as(logits)))
    kl = torch.distributions.kl_divergence(q, p).sum(-1)  # (B,)
    return gradients_of_parts(model, ((factor.detach() * logits).sum(-1) - OBJECTIVES["elbo"].beta * kl).sum())


def covariances(row: Row) -> Gradients:
    """Return E sum_j (t_j+1 - t_j) (E_t[grad log w] + Cov_t[grad log pi_t, log w]), from the weights of K codes.

    The covariance is the mean of the product less the product of the means, times K / (K - 1).
    """
    model, x, objective = build_model(row.kind, row.bits), observations_of(), row.goal
    assert isinstance(objective, TVO)
    drawn, weight = row.law(model, x, row.samples)  # (K, T B, D)
    repeated = x.repeat(len(weight) // len(x), 1)
    log_q, log_p = log_densities(model, repeated, drawn)
    log_joint = log_bernoulli(model.likelihood(drawn).logits, repeated) + log_p
    log_w = log_joint - log_q
    total = torch.zeros_like(weight)
    ends = (0.0, 0.2, 0.2**0.5, 1.0)
    for start, end in itertools.pairwise(ends):
        v = log_w.detach()
        mean = (start * v).exp() / (start * v).exp().sum(0)  # (K, T B)
        log_pi = (1 - start) * log_q + start * log_joint
        covariance = (mean * log_pi * v).sum(0) - (mean * log_pi).sum(0) * (mean * v).sum(0)
        total = total + (end - start) * ((mean * log_w).sum(0) + row.samples / (row.samples - 1) * covariance)
    return gradients_of_parts(model, (weight.detach() * total).sum())


# estimator -> the formula, and the parts of the model for which it holds
EXPECTED: dict[str, tuple[Callable[[Row], Gradients], tuple[str, ...]]] = {
    "concrete": (relaxed_bound, tuple(PARTS)),
    "straight-through": (straight_through, ("encoder",)),
    "half": (half, ("encoder",)),
    "gumbel-straight-through": (gumbel_straight_through, ("encoder",)),
    "wake-sleep": (dreams, ("encoder",)),
    "reweighted-wake-sleep": (weighted_score, ("encoder",)),
    "sticking-the-landing": (without_score, ("encoder",)),
    "covariance": (covariances, tuple(PARTS)),
}

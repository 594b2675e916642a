"""docs/derivations.md is true: its formulae hold in the code, and its links lead somewhere.

Formulae that another test proves already are linked on the page and not repeated here. All sums are exact, in float64.
"""

from __future__ import annotations

import math
import re
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import gammaln
from torch.distributions import MultivariateNormal

from tests.laws import BITS, build, code_tuples, enumerate_bits, log_bernoulli, observations_of, score_every_tuple
from vaelab.distributions import Bernoulli, DiagonalNormal, all_codes
from vaelab.estimators import Expectation, ScoreFunction
from vaelab.estimators.baselines import leave_one_out
from vaelab.inference import Enumeration, linear_weights
from vaelab.models import sbn
from vaelab.objectives import ELBO, IWAE
from vaelab.priors import MixturePrior

DOCS = Path(__file__).parents[1] / "docs"
sys.path.insert(0, str(DOCS))

from named_code import NAME, source_of  # noqa: E402 - an extension of the documentation

PAGE = (DOCS / "derivations.md").read_text(encoding="utf-8")
LINKS = sorted({found for block in re.findall(r"^```\{code-and-tests\}\n(.*?)^```", PAGE, re.M | re.S)
                for found in NAME.findall(block)})  # fmt: skip


def hermite(count=60):
    """Nodes and weights of the expectation over a standard normal number."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(count)
    return torch.tensor(nodes), torch.tensor(weights) / math.sqrt(2 * math.pi)


def three_bits():
    """Return a model, an observation (1, X), every code (8, 1, D), and log q(z|x), log p(z), log p(x|z), (8,)."""
    model, x = build(BITS[1]), observations_of(1)
    z = all_codes(3, x).unsqueeze(1)
    with torch.no_grad():
        parts = model.posterior(x).log_prob(z), model.prior().log_prob(z), model.likelihood(z).log_prob(x)
    return model, x, z, *(part.squeeze(1) for part in parts)


# ---------------------------------------------------------------- the formulae


def test_the_prior_average_is_unbiased_and_its_logarithm_is_too_small():
    _, _, _, _, log_prior, log_likelihood = three_bits()
    p = (log_prior + log_likelihood).logsumexp(0)
    for samples in (1, 2, 3):
        tuples = torch.cartesian_prod(*[torch.arange(8)] * samples).view(-1, samples)  # (8^K, K)
        probability = log_prior[tuples].sum(1).exp()
        average = log_likelihood[tuples].exp().mean(1)
        mean = (probability * average).sum()
        assert mean.log().item() == pytest.approx(p.item(), abs=1e-12)
        assert (probability * average.log()).sum() < p - 0.01
        variance = (probability * (average - mean).square()).sum()
        single = (log_prior.exp() * (log_likelihood.exp() - mean).square()).sum()
        assert variance.item() == pytest.approx(single.item() / samples, rel=1e-12)


def test_the_error_of_a_log_average_falls_with_the_number_of_codes():
    """2 K (log p(x) - E log average) approaches Var[w] / p(x)^2. With one bit of code the sum is over a binomial."""
    model, x = build(BITS[1], latent_dim=1), observations_of(1)
    z = all_codes(1, x).unsqueeze(1)
    with torch.no_grad():
        q, p = model.posterior(x).log_prob(z).squeeze(1), model.prior().log_prob(z).squeeze(1)
        likelihood = model.likelihood(z).log_prob(x).squeeze(1)
    for proposal in (q, p):  # the importance-weighted bound, and the average over the prior
        log_weight, probability = likelihood + p - proposal, proposal.exp()
        log_p = (likelihood + p).logsumexp(0)
        ratio = (log_weight - log_p).exp()
        expected = float((probability * ratio.square()).sum() - 1)
        gaps = []
        for count in (1, 10, 100, 10_000):
            ones = np.arange(count + 1)
            binomial = gammaln(count + 1) - gammaln(ones + 1) - gammaln(count - ones + 1)
            binomial += ones * float(proposal[1]) + (count - ones) * float(proposal[0])
            average = (ones * float(ratio[1]) + (count - ones) * float(ratio[0])) / count
            gaps.append(-float((np.exp(binomial) * np.log(average)).sum()))
        assert gaps == sorted(gaps, reverse=True)
        assert 2 * 10_000 * gaps[-1] == pytest.approx(expected, rel=1e-3)
        posterior = (likelihood + p - log_p).exp()
        if proposal is p:  # the relative variance is a distance from the prior to the posterior
            assert float((posterior.square() / p.exp()).sum() - 1) == pytest.approx(expected, rel=1e-12)
            assert expected > math.exp(float((posterior * (posterior.log() - p)).sum())) - 1


def test_the_two_expectations_in_the_kl_of_gaussians():
    mu, sigma, (nodes, weights) = 0.7, 1.9, hermite()
    q = DiagonalNormal(torch.tensor([mu]).double(), torch.tensor([math.log(sigma)]).double())
    p = DiagonalNormal(torch.zeros(1).double(), torch.zeros(1).double())
    z = (mu + sigma * nodes).unsqueeze(1)
    half = 0.5 * math.log(2 * math.pi)
    assert float((weights * q.log_prob(z)).sum()) == pytest.approx(-half - math.log(sigma) - 0.5, abs=1e-12)
    assert float((weights * p.log_prob(z)).sum()) == pytest.approx(-half - 0.5 * (mu**2 + sigma**2), abs=1e-12)


def test_the_derivative_is_taken_inside_for_real_codes_and_not_for_bits():
    model, x = build("gaussian", latent_dim=1), observations_of(1)
    nodes, weights = hermite(100)
    mu, sigma = torch.tensor(0.3).double().requires_grad_(), torch.tensor(0.8).double().requires_grad_()

    def f(z):
        return model.likelihood(z.view(-1, 1, 1)).log_prob(x).squeeze(1)

    inside = torch.autograd.grad((weights * f(mu + sigma * nodes)).sum(), (mu, sigma))
    grid = torch.linspace(-12, 12, 4001, dtype=torch.float64)
    density = DiagonalNormal(mu.view(1), sigma.log().view(1)).log_prob(grid.unsqueeze(1)).exp()
    outside = torch.autograd.grad((density * f(grid)).sum() * (grid[1] - grid[0]), (mu, sigma))
    for one, other in zip(inside, outside, strict=True):
        assert abs(float(one)) > 0.05
        assert float(one) == pytest.approx(float(other), abs=1e-7)
    f0, f1 = f(torch.tensor([0.0, 1.0]).double()).tolist()
    draws = []
    for logit in (0.2, 0.2 + 1e-9):  # the same noise, another probability
        torch.manual_seed(0)
        draws.append(Bernoulli(torch.tensor([logit]).double()).sample((1000,)))
    assert torch.equal(*draws)  # no draw moves, so their average has the derivative zero; their expectation f1 - f0
    assert abs(f1 - f0) > 0.05


def test_leave_one_out_is_the_sample_covariance_of_value_and_score():
    values, score = torch.randn(5, 1).double(), torch.randn(5, 1).double()
    signals = leave_one_out(ELBO(), values)
    assert torch.allclose(signals, (values - values.mean(0)) / 4, atol=1e-14)
    covariance = torch.cov(torch.cat([values, score], 1).T)[0, 1]
    assert float((signals * score).sum()) == pytest.approx(float(covariance), abs=1e-14)


def test_the_best_constant_baseline_has_the_least_variance():
    model, x, z, log_q, _, value = three_bits()
    probability = log_q.exp()
    with torch.no_grad():
        score = z.squeeze(1) - model.posterior(x).mean  # by the logits, (8, D)
    length = score.square().sum(1)

    def variance(baseline):
        g = (value - baseline).unsqueeze(1) * score
        return float((probability * g.square().sum(1)).sum() - (probability @ g).square().sum())

    best = float((probability * value * length).sum() / (probability * length).sum())
    mean = float((probability * value).sum())
    assert abs(best - mean) > 0.01
    for other in (0.0, mean, best + 0.5, best - 0.5):
        excess = (best - other) ** 2 * float((probability * length).sum())
        assert variance(other) == pytest.approx(variance(best) + excess, rel=1e-12)
        assert variance(other) > variance(best)
    logits = model.posterior(x).logits.detach().requires_grad_()  # the score is that of the code's distribution
    (ours,) = torch.autograd.grad(Bernoulli(logits).log_prob(z[5]).sum(), logits)
    assert torch.allclose(ours, score[5], atol=1e-14)


def test_the_gradient_of_the_importance_weighted_bound_is_its_formula():
    """Every pair of codes: the surrogate's gradient by the logits is sum_k (L - b_k - share_k) (z_k - mu)."""
    model, x = build(BITS[1]), observations_of(1)
    estimator = ScoreFunction(model, 2, "leave-one-out")
    z = code_tuples(3, 2).transpose(0, 1)  # (K, T, D)
    rows = x.expand(z.shape[1], -1)
    logits = model.posterior(rows).logits.detach().requires_grad_()
    estimate = estimator.score(Expectation(model, IWAE(), rows, Bernoulli(logits)), z)
    (ours,) = torch.autograd.grad(estimate.surrogate.sum(), logits)
    with torch.no_grad():
        values = model.log_weight(rows, z, Bernoulli(logits))  # (K, T)
        signal = leave_one_out(IWAE(), values) - torch.softmax(values, 0)
        formula = (signal.unsqueeze(-1) * (z - torch.sigmoid(logits))).sum(0)
    assert torch.allclose(ours, formula, atol=1e-12)
    probability, estimate = score_every_tuple(model, estimator, IWAE(), x)  # the bound itself is that of every pair
    expected = enumerate_bits(model, x, 2, "iwae").sum()
    assert torch.allclose((probability * estimate.bound).sum(), expected, atol=1e-12)


def test_the_gradient_of_a_belief_network_is_the_rule_of_neal():
    torch.manual_seed(0)
    model, x = sbn(5, layers=[3]).double(), observations_of(1)
    for weight in model.parameters():
        torch.nn.init.normal_(weight)
    J, h = (part.detach().requires_grad_() for part in linear_weights(model.likelihood))
    z = all_codes(3, x)  # (8, D)
    log_joint = log_bernoulli(z @ J.T + h, x) + log_bernoulli(model.prior().logits, z)  # (8,)
    assert torch.allclose(log_joint.logsumexp(0), Enumeration(model).log_likelihood(x), atol=1e-12)
    posterior = torch.softmax(log_joint, 0).detach()
    expected = (posterior.view(-1, 1, 1) * (x - torch.sigmoid(z @ J.T + h)).unsqueeze(2) * z.unsqueeze(1)).sum(0)
    (gradient,) = torch.autograd.grad(log_joint.logsumexp(0), J)
    assert torch.allclose(gradient, expected, atol=1e-12)
    weight = Enumeration(model).gradient(x)["likelihood.network.layers.0.weight"]
    # J = 2 W and h = b - W 1, by the chain rule
    by_h = (posterior.unsqueeze(1) * (x - torch.sigmoid(z @ J.T + h))).sum(0)
    assert torch.allclose(weight, 2 * expected - by_h.unsqueeze(1), atol=1e-12)


def test_no_reconstruction_by_the_best_code_lies_below_log_p():
    _, _, _, _, log_prior, log_likelihood = three_bits()
    log_p = (log_prior + log_likelihood).logsumexp(0)
    assert log_likelihood.max() > log_p > log_likelihood.min()


def pattern(count=150):
    """Codes around three centres, (3 count, 2)."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.tensor([[0.0, 0.0], [5.0, 1.0], [1.0, 6.0]]).repeat_interleave(count, 0)
    return (centres + torch.randn(3 * count, 2, generator=generator)).double()


def test_expectation_maximisation_never_lowers_the_likelihood_and_ends_at_the_fit():
    z, prior = pattern(), MixturePrior(2, 3).double()
    prior.fit(z)
    weights, covariances = torch.full((3,), 1 / 3).double(), torch.eye(2).double().repeat(3, 1, 1)
    means, likelihoods = z[[0, 200, 400]] + 0.5, []
    for _ in range(60):
        joint = weights.log() + MultivariateNormal(means, covariances).log_prob(z.unsqueeze(1))  # (N, C)
        likelihoods.append(float(joint.logsumexp(1).sum()))
        share = torch.softmax(joint, 1)
        size = share.sum(0)
        weights, means = size / len(z), (share.T @ z) / size.unsqueeze(1)
        apart = z.unsqueeze(1) - means  # (N, C, D)
        covariances = torch.einsum("nc,nci,ncj->cij", share, apart, apart) / size.view(-1, 1, 1)
    assert all(later >= earlier - 1e-9 for earlier, later in pairwise(likelihoods))
    assert likelihoods[-1] > likelihoods[0] + 50
    order, other = means[:, 0].argsort(), prior.means[:, 0].argsort()
    for ours, theirs in ((weights, prior.weights), (means, prior.means), (covariances, prior.covariances)):
        assert torch.allclose(ours[order], theirs[other], atol=0.02)


@pytest.mark.parametrize("covariance", ["full", "diag"])
def test_bic_is_its_formula(covariance):
    z, prior = pattern(), MixturePrior(2, 3, covariance).double()
    free = (3 - 1) + 3 * 2 + (3 * 3 if covariance == "full" else 3 * 2)
    expected = -2 * float(prior_density(prior, z)) + free * math.log(len(z))
    assert prior.fit(z)[3] == pytest.approx(expected, rel=1e-9)


def prior_density(prior, z):
    """The log-density of all codes under a mixture that was fitted to them."""
    prior.fit(z)
    return prior().log_prob(z).sum()


# ---------------------------------------------------------------- the page


@pytest.mark.parametrize(("path", "name"), LINKS, ids=lambda part: part)
def test_what_the_page_names_is_in_the_repository(path, name):
    assert re.search(rf"^(def|class) {name.split('.')[-1]}\b", source_of(path, name), re.M)


def test_a_name_that_is_not_in_the_repository_is_refused():
    assert len(LINKS) > 50
    with pytest.raises(ValueError, match="has no _kl_gausian"):
        source_of("src/vaelab/distributions/normal.py", "_kl_gausian")
    with pytest.raises(ValueError, match=r"has no file src/vaelab/nothing\.py"):
        source_of("src/vaelab/nothing.py", "f")


def test_every_test_of_a_formula_is_on_the_page():
    own = re.findall(r"^def (test_\w+)", Path(__file__).read_text(encoding="utf-8").split("# ---")[1], re.M)
    linked = [name for path, name in LINKS if path == "tests/test_derivations.py"]
    assert sorted(own) == linked


def test_the_example_prints_what_its_comment_says(capsys):
    (block,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S)
    exec(compile(block, "derivations.md", "exec"), {})
    assert block.splitlines()[-1] == "# " + capsys.readouterr().out.strip()

"""Room: estimators. What docstrings claim beyond the laws: equalities, exact cases, and variances, all enumerated."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import MultivariateNormal

from tests.laws import draws, gradients, largest_difference, observations_of, score_every_tuple
from tests.laws import table as laws
from tests.laws.exact import log_bernoulli
from tests.laws.models import incomplete
from vaelab.data import DataSpec
from vaelab.distributions import Bernoulli
from vaelab.errors import InputError
from vaelab.estimators import (
    Exact,
    Expectation,
    GumbelStraightThrough,
    Half,
    StraightThrough,
    flips,
)
from vaelab.models import bernoulli_vae, gaussian_vae
from vaelab.objectives import ELBO, IWAE

REALS = DataSpec((5,), kind="real")


def linear(function, latent_dim, data=5, **options):
    """A float64 model with a linear decoder, its weights far from zero."""
    torch.manual_seed(4)
    model = function(data, latent_dim=latent_dim, hidden_dims=[], **options).double().eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(0.8 * torch.randn_like(weight))
    return model


def moments(row, logits, law=None):
    """Mean and second moment of the gradient for the logits (B, D) of E_q[log p(x|z)], over every outcome of a law."""
    model, x = laws.build_model("bits", row.bits), observations_of(len(logits))
    model.posterior.forward = lambda x: Bernoulli(logits.repeat(len(x) // len(logits), 1))
    drawn, weight = (law or row.law)(model, x, row.samples)
    repeated = x.repeat(len(weight) // len(x), 1)
    q = Bernoulli(logits.repeat(len(weight) // len(x), 1).requires_grad_())
    estimate = row.build(model).score(Expectation(model, ELBO(), repeated, q), drawn)
    (found,) = torch.autograd.grad((estimate.surrogate + model.kl(q)).sum(), q.logits)
    weight, found = weight.view(-1, len(x), 1), found.view(-1, *logits.shape)
    return (weight * found).sum(0), (weight * found.square()).sum(0)


def row_of(estimator, samples, law, bits=3, **options):
    return laws.Row(estimator, "elbo", law, samples, options, bits=bits)


# ---------------------------------------------------------------- half


def test_half_is_unbiased_where_f_is_quadratic_and_straight_through_is_not():
    """A linear decoder with Gaussian noise of one scale: log p(x|z) is quadratic in z."""
    model, x = linear(bernoulli_vae, 3, REALS, likelihood="gaussian-shared"), torch.randn(2, 5).double()
    exact = gradients(model, enumerated(model, x).sum())
    for kind, is_exact in ((Half, True), (StraightThrough, False)):
        probability, estimate = score_every_tuple(model, kind(model), ELBO(), x)
        ours = gradients(model, (probability * estimate.surrogate).sum())
        assert (largest_difference(ours, exact) < 1e-10) == is_exact


def enumerated(model, x):
    """The ELBO summed over all codes, with torch's Normal."""
    q, z = model.posterior(x), draws.every_code(model).unsqueeze(1)
    p = model.likelihood(z)
    log_x = torch.distributions.Normal(p.loc, p.stddev).log_prob(x).sum(-1)
    return (log_bernoulli(q.logits, z).exp() * log_x).sum(0) - model.kl(q)


@pytest.mark.parametrize("temperature", [1.0, 1.4])
def test_half_is_the_algorithm_of_reinmax(temperature):
    """The authors' three lines, through autograd: pi_1 at shifted logits, 2 pi_1 - pi_0 / 2."""
    model, x = laws.build_model("bits", 3), observations_of()
    q = model.posterior(x)
    z, logits = q.sample((4,)), q.logits
    middle = torch.logit((z + torch.sigmoid(logits / temperature)) / 2)
    first = torch.sigmoid((middle - logits).detach() + logits)
    soft = 2 * first - torch.sigmoid(logits) / 2
    carried = z + soft - soft.detach()
    theirs = gradients(model, (log_bernoulli(model.likelihood(carried).logits, x).mean(0) - model.kl(q)).sum())
    estimate = Half(model, 4, temperature).score(Expectation(model, ELBO(), x, model.posterior(x)), z)
    assert largest_difference(gradients(model, estimate.surrogate.sum()), theirs) < 1e-12


def test_half_is_the_limit_of_gumbel_rao_at_temperature_zero():
    """The noise given the bits on 40 000 equidistant quantiles."""
    model, x = laws.build_model("bits", 2), observations_of()
    quantiles = ((torch.arange(40_000).double() + 0.5) / 40_000).view(-1, 1, 1).expand(-1, 2, 2)
    first = torch.tensor([[[0.3, 0.9], [0.6, 0.2]]]).double()
    q = model.posterior(x)
    z = (first > 1 - q.mean).double()
    rao = GumbelStraightThrough(model, 1, temperature=0.01, conditional_samples=40_001)
    ours, limit = (
        gradients(model, estimator.score(Expectation(model, ELBO(), x, model.posterior(x)), drawn).surrogate.sum())
        for estimator, drawn in ((rao, torch.cat([first, quantiles])), (Half(model), z))
    )
    largest = max(gradient.abs().max() for gradient in limit.values())
    assert largest_difference(ours, limit) < 0.01 * largest


def test_infinitely_certain_bits_have_a_gradient_of_zero_not_of_rounding():
    q = Bernoulli(torch.tensor([[40.0, -40.0]]).requires_grad_())
    model = bernoulli_vae(5, latent_dim=2)
    estimate = Half(model).score(Expectation(model, ELBO(), torch.ones(1, 5), q), torch.tensor([[[1.0, 0.0]]]))
    (found,) = torch.autograd.grad((estimate.surrogate + model.kl(q)).sum(), q.logits)
    assert (found.abs() < 1e-15).all()


# ---------------------------------------------------------------- conditional samples

NOISE = draws.one_after_the_other(draws.uniforms("1-p", draws.gauss_legendre, 30, free=True))


def test_more_draws_of_the_noise_vary_less_around_the_same_mean():
    logits = torch.tensor([[0.4], [-2.0]]).double()
    one = row_of("gumbel-straight-through", 1, draws.uniforms("1-p", draws.gauss_legendre, 30), bits=1)
    two = row_of("gumbel-straight-through", 1, NOISE, bits=1, conditional_samples=2)
    (mean, square), (mean_of_two, square_of_two) = moments(one, logits), moments(two, logits)
    assert torch.allclose(mean, mean_of_two, rtol=1e-8)
    assert (square_of_two < 0.95 * square).all()


# ---------------------------------------------------------------- flips

FLIPS = draws.with_flips(draws.codes, draws.all_bits)
CLIPPED = draws.with_flips(draws.pairs, draws.rare_bits, 2)
LOGITS = torch.tensor([[0.5, -3.5, 4.0], [-0.3, 0.2, 3.0]]).double()


def test_second_moments_are_those_of_the_docstrings():
    """That of bitflip is D times that of local expectation, and that of the n certain bits of UGC n times."""
    local = moments(row_of("local-expectation", 1, draws.codes), LOGITS)
    flip = moments(row_of("bitflip", 1, FLIPS), LOGITS)
    clipped, disarm = (
        moments(row_of(name, 2, law), LOGITS) for name, law in (("ugc", CLIPPED), ("disarm", draws.pairs))
    )
    for mean, _ in (flip, clipped, disarm):
        assert torch.allclose(mean, local[0], atol=1e-12)
    assert torch.allclose(flip[1], 3 * local[1], atol=1e-12)
    certain = torch.tensor([[False, True, True], [False, False, True]])
    assert (flips.almost_certain(torch.sigmoid(LOGITS)) == certain).all()
    count = torch.tensor([[2.0], [1.0]]).double().expand(2, 3)
    assert torch.allclose(clipped[1][certain], (count * local[1])[certain], atol=1e-12)
    assert torch.allclose(clipped[1][~certain], disarm[1][~certain], atol=1e-12)
    assert (clipped[1] <= disarm[1] + 1e-12).all()


def test_local_expectation_does_not_vary_where_f_is_a_sum_over_bits(monkeypatch):
    monkeypatch.setattr(
        "vaelab.models.LatentVariableModel.log_likelihood", lambda model, x, z: (3 * z).sum(-1) + x.sum(-1)
    )
    mean, square = moments(row_of("local-expectation", 1, draws.codes), LOGITS)
    assert torch.allclose(square, mean.square(), atol=1e-12)
    assert torch.allclose(mean, 3 * Bernoulli(LOGITS).variance)


def test_a_flipped_bit_is_drawn_uniformly_from_those_that_are_marked():
    torch.manual_seed(0)
    among = torch.tensor([[True, False, True, True], [False, False, False, True], [False] * 4])
    count = 60_000
    z = torch.randint(0, 2, (count, 3, 4)).float()
    changed = flips.flip_one(z, among) != z
    assert (changed.sum(-1) == torch.tensor([1, 1, 0])).all()
    share = changed.double().mean(0)
    expected = torch.tensor([[1, 0, 1, 1], [0, 0, 0, 3], [0] * 4]) / 3
    assert ((share - expected).abs() < 5 * (2 / 9 / count) ** 0.5).all()


KINDS = {
    "bits": (5, {}, observations_of()),
    "missing bits": (5, {}, incomplete(observations_of())),
    "reals": (
        REALS,
        {"likelihood": "gaussian"},
        torch.randn(2, 5, generator=torch.Generator().manual_seed(1)).double(),
    ),
    "bits in a row": (5, {"likelihood": "autoregressive"}, observations_of()),
}


@pytest.mark.parametrize("objective", [ELBO(beta=0.7), ELBO(beta=0.7, kl="sampled")], ids=["closed", "sampled"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_linear_decoder_gives_its_flips_without_another_call(kind, objective, monkeypatch):
    data, options, x = KINDS[kind]
    model = linear(bernoulli_vae, 4, data, prior="learned", **options)
    model = model.allow_missing() if kind == "missing bits" else model
    z = model.posterior(x).sample((3,))
    expectation, calls = Expectation(model, objective, x, model.posterior(x)), []
    model.likelihood.register_forward_hook(lambda *_: calls.append(1))
    monkeypatch.setattr(flips, "_AT_ONCE", 20)  # two bits at a time
    ours = flips.values_of_flips(expectation, z)
    assert not calls
    monkeypatch.setattr(flips, "_linear_decoder", lambda model: None)
    assert torch.allclose(ours, flips.values_of_flips(expectation, z), atol=1e-11)
    assert calls
    flipped = z.clone()
    flipped[..., 2] = 1 - flipped[..., 2]
    assert torch.allclose(ours[..., 2], expectation.terms(flipped).log_weights, atol=1e-11)


def test_a_decoder_of_another_form_is_decoded_for_each_flip():
    model = linear(bernoulli_vae, 2)
    assert flips._linear_decoder(model) is not None
    model.likelihood = torch.nn.Sequential(model.likelihood)
    for other in (model, laws.build_model("bits", 2)):
        assert flips._linear_decoder(other) is None


# ---------------------------------------------------------------- exact, for real codes


def test_two_nodes_are_exact_for_a_quadratic_log_likelihood_of_four_numbers():
    """E_q[log N(x; W z + b, s^2)] = log N(x; W mu + b, s^2) - sum_ij W_ij^2 sigma_j^2 / (2 s_i^2)."""
    model, x = linear(gaussian_vae, 4, REALS, likelihood="gaussian-shared"), torch.randn(3, 5).double()
    estimate = Exact(model, nodes=2)(model, ELBO(), x)
    q = model.posterior(x)
    at_mean = model.likelihood(q.loc)
    (layer,) = model.likelihood.network.layers
    spread = (layer.weight.square() @ q.stddev.square().T).T / (2 * at_mean.stddev.square())
    expected = (
        torch.distributions.Normal(at_mean.loc, at_mean.stddev).log_prob(x).sum(-1) - spread.sum(-1) - model.kl(q)
    )
    assert torch.allclose(estimate.bound, expected, atol=1e-10)
    assert largest_difference(gradients(model, estimate.surrogate.sum()), gradients(model, expected.sum())) < 1e-9
    assert Exact(model, nodes=2).decoder_evaluations(ELBO()) == 16


def test_the_error_of_the_quadrature_falls_with_the_nodes():
    """A posterior of standard deviations up to 3.3, so that six nodes are few."""
    model, x = laws.build_model("real", 2), observations_of()
    found = {n: gradients(model, Exact(model, nodes=n)(model, ELBO(), x).surrogate.sum()) for n in (6, 16, 40, 80)}
    errors = [largest_difference(found[n], found[80]) for n in (6, 16, 40)]
    assert errors[0] > 4 * errors[1] > 16 * errors[2]


def test_codes_that_cannot_be_integrated_are_refused():
    five, two = gaussian_vae(6, latent_dim=5), gaussian_vae(6, latent_dim=2)
    with pytest.raises(
        InputError, match="at most 4 real numbers; the codes of this model have 5, which go with 'pathwise'"
    ):
        Exact(five).check(five, ELBO())
    Exact(two, samples=2, nodes=16).check(two, IWAE())
    with pytest.raises(InputError, match="expected at most 16 for 4 numbers, counting all K codes of a tuple; got 17"):
        Exact(two, samples=2, nodes=17).check(two, IWAE())
    q = two.posterior(torch.ones(3, 6))
    full = MultivariateNormal(q.loc, torch.diag_embed(q.stddev))
    with pytest.raises(InputError, match=r"needs a posterior made of normal noise .* got MultivariateNormal"):
        Exact(two).draw(Expectation(two, ELBO(), torch.ones(3, 6), full))

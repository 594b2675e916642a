"""Room: chains. One distribution over several layers: its density, its draws, its means, against the factors."""

import pytest
import torch
from torch.distributions import Bernoulli as TorchBernoulli
from torch.distributions import Normal

from tests.laws import LAYERED, X, build, log_bernoulli, observations_of
from vaelab.distributions import Bernoulli, Chain, DiagonalNormal, all_codes
from vaelab.errors import InputError
from vaelab.models import deep_gaussian_vae, sbn

THREE = {
    "bits": lambda: sbn(X, layers=[3, 2, 1]).double(),
    "reals": lambda: deep_gaussian_vae(X, layers=[3, 2, 1], hidden_dims=[[4], [], [3]]).double(),
}


def density(q, value):
    """By torch's own distributions."""
    return (
        log_bernoulli(q.logits, value) if isinstance(q, Bernoulli) else Normal(q.loc, q.stddev).log_prob(value).sum(-1)
    )


@pytest.mark.parametrize("kind", THREE)
def test_the_density_of_a_chain_is_the_product_of_its_factors_up_and_down(kind):
    model, x = THREE[kind](), observations_of(4)
    q, p = model.posterior(x), model.prior()
    z = q.sample((7,))
    first, second, third = z.split([3, 2, 1], -1)
    parts = model.posterior.conditionals
    up = [density(parts[0](x), first), density(parts[1](first), second), density(parts[2](second), third)]
    assert torch.allclose(q.log_prob(z), sum(up), atol=1e-12)
    assert all(torch.allclose(ours, one, atol=1e-12) for ours, one in zip(q.log_factors(z), up, strict=True))
    top, (to_second, to_first) = model.prior.top, model.prior.conditionals
    down = [density(to_first(second), first), density(to_second(third), second), density(top(), third)]
    assert torch.allclose(p.log_prob(z), sum(down), atol=1e-12)
    assert all(torch.allclose(ours, one, atol=1e-12) for ours, one in zip(p.log_factors(z), down, strict=True))
    assert (q.batch_shape, q.event_shape, p.batch_shape, p.event_shape) == ((4,), (6,), (), (6,))


def test_the_densities_of_all_codes_sum_to_one():
    model, x = THREE["bits"](), observations_of(4)
    codes = all_codes(6, x).unsqueeze(1)
    assert torch.allclose(model.posterior(x).log_prob(codes).logsumexp(0), torch.zeros(4).double(), atol=1e-12)
    assert model.prior().log_prob(codes).logsumexp(0).abs() < 1e-12


def test_draws_have_the_frequencies_of_the_density():
    """200 000 draws, 64 cells within 5 standard errors: false alarm below 4e-5; upwards and downwards."""
    model, x, count = THREE["bits"](), observations_of(1), 200_000
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.7, generator=torch.Generator().manual_seed(weight.numel()))
    torch.manual_seed(0)
    for distribution in (model.posterior(x), model.prior()):
        z = distribution.sample((count,)).view(count, 6)
        frequency = torch.bincount((z @ 2.0 ** torch.arange(6).double()).long(), minlength=64) / count
        exact = distribution.log_prob(all_codes(6, x).unsqueeze(1)).exp().flatten()
        assert ((frequency - exact).abs() / (exact * (1 - exact) / count).sqrt()).max() < 5


def test_reparameterised_draws_carry_the_path_through_both_layers():
    """With common noise, the derivative of a draw is that of its formula, layer by layer."""
    model, x = build("two layers of reals"), observations_of(3)
    torch.manual_seed(3)
    z = model.posterior(x).rsample((2,))
    torch.manual_seed(3)
    low_noise, high_noise = torch.randn(2, 3, 2, dtype=x.dtype), torch.randn(2, 3, 1, dtype=x.dtype)
    first = model.posterior.conditionals[0](x)
    low = first.loc + first.stddev * low_noise
    second = model.posterior.conditionals[1](low)
    expected = torch.cat([low, second.loc + second.stddev * high_noise], -1)
    assert torch.equal(z, expected)
    weights = list(model.posterior.parameters())
    ours, theirs = (torch.autograd.grad(draw.square().sum(), weights) for draw in (z, expected))
    assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))


def test_bits_carry_no_path_and_say_so():
    assert not THREE["bits"]().posterior(observations_of()).has_rsample
    assert THREE["reals"]().posterior(observations_of()).has_rsample


@pytest.mark.parametrize("kind", THREE)
def test_means_modes_and_variances_follow_the_means_below(kind):
    model, x = THREE[kind](), observations_of(4)
    q, parts = model.posterior(x), model.posterior.conditionals
    first = parts[0](x)
    second = parts[1](first.mean)
    third = parts[2](second.mean)
    assert torch.equal(q.mean, torch.cat([first.mean, second.mean, third.mean], -1))
    assert torch.equal(q.variance, torch.cat([first.variance, second.variance, third.variance], -1))
    assert torch.equal(model.encode(x), q.mean)
    if kind == "bits":
        mode = first.mode
        assert torch.equal(q.mode[:, :3], mode)
        assert torch.equal(q.mode[:, 3:5], parts[1](mode).mode)


@pytest.mark.parametrize("name", LAYERED)
def test_parameters_passed_through_detach_leave_the_density_and_no_gradient(name):
    model, x = build(name), observations_of(4)
    q = model.posterior(x)
    z = q.sample((2,))
    constant = q.map_parameters(torch.Tensor.detach)
    torch.testing.assert_close(constant.log_prob(z), q.log_prob(z).detach(), rtol=1e-13, atol=0)  # another formula
    assert not constant.log_prob(z).requires_grad
    assert isinstance(constant, Chain)


def test_a_chain_of_one_is_its_only_factor():
    for q, z in (
        (Bernoulli(torch.randn(4, 3)), torch.ones(2, 4, 3)),
        (DiagonalNormal(torch.randn(4, 3), torch.randn(4, 3)), torch.randn(2, 4, 3)),
    ):
        chain = Chain(q, (), (3,))
        assert torch.equal(chain.log_prob(z), q.log_prob(z))
        assert torch.equal(chain.mean, q.mean)


def test_the_marginal_of_the_first_layer_of_a_prior_is_that_of_ancestral_draws():
    """One bit given one bit: p(y_1) = sum p(y_2) p(y_1|y_2), against Bernoulli of torch's."""
    model = sbn(X, layers=[1, 1]).double()
    with torch.no_grad():
        model.prior.top.logits.fill_(0.4)
        model.prior.conditionals[0].network.layers[-1].weight.fill_(1.3)
        model.prior.conditionals[0].network.layers[-1].bias.fill_(-0.2)
    codes = all_codes(2, torch.zeros(()).double())
    joint = model.prior().log_prob(codes).exp().detach()
    p2 = torch.sigmoid(torch.tensor(0.4)).double()
    given = [TorchBernoulli(logits=torch.tensor(-0.2 + side * 1.3)).probs for side in (-1, 1)]  # bits are read as -1/+1
    assert float(joint[codes[:, 0] == 1].sum()) == pytest.approx(float((1 - p2) * given[0] + p2 * given[1]), abs=1e-6)


@pytest.mark.parametrize("name", LAYERED)
def test_codes_of_another_size_are_refused(name):
    with pytest.raises(InputError, match=r"expected inputs of shape \(..., 3\); got \(2, 2\)"):
        build(name).decode(torch.zeros(2, 2).double())

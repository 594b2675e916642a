"""Room: objectives. Combinations of log-weights, and the order of the bounds on log p(x)."""

import math
from itertools import pairwise

import pytest
import torch

from tests.laws import (
    BITS,
    LAYERED,
    MODELS,
    build,
    code_tuples,
    divergence_of,
    enumerate_bits,
    gradients,
    largest_difference,
    log_bernoulli,
    observations_of,
)
from tests.laws.exact import combined, exact_bound, gradients_of_parts, log_densities, units_of_kl
from vaelab.errors import InputError
from vaelab.estimators import ESTIMATORS, Covariance, Pathwise, Rebar, ScoreFunction, StickingTheLanding
from vaelab.models import gaussian_vae
from vaelab.objectives import (
    CIWAE,
    ELBO,
    IWAE,
    MIWAE,
    PIWAE,
    TVO,
    Reconstruction,
    Renyi,
    check_objective,
    log_weights,
)


def values(samples=3, batch=4):
    return 3 * torch.randn(samples, batch, dtype=torch.float64)


def test_combinations_of_values():
    v = values()
    assert torch.allclose(ELBO()(v), sum(v) / 3)
    assert torch.allclose(Reconstruction()(v), sum(v) / 3)
    assert torch.allclose(IWAE()(v), (v.exp().sum(0) / 3).log(), rtol=1e-12)
    assert torch.allclose(IWAE()(v[:1]), v[0], rtol=1e-15)
    assert torch.isfinite(IWAE()(v - 5000)).all()


@pytest.mark.parametrize("name", MODELS)
def test_terms_are_the_parts_of_the_log_weight(name):
    model, x = build(name), observations_of(4)
    q = model.posterior(x)
    z = q.sample((3,))
    log_likelihood = model.likelihood(z).log_prob(x)
    if name == "autoencoder":
        terms = Reconstruction().terms(model, x, q, z)
        assert torch.equal(terms.log_likelihood, log_likelihood)
        assert terms.kl.eq(0).all()
        return
    terms = IWAE().terms(model, x, q, z)
    assert torch.equal(terms.log_weights, log_weights(model, x, q, z))
    joint = model.prior().log_prob(z) + log_likelihood
    assert torch.allclose(terms.log_weights, joint - q.log_prob(z), rtol=1e-12)
    closed = ELBO().terms(model, x, q, z)
    assert torch.equal(closed.log_likelihood, log_likelihood)
    assert torch.allclose(closed.kl, divergence_of(model, q, z))


def test_beta_scales_the_kl_of_what_is_maximised_and_not_of_the_bound():
    model, x = build("gaussian"), observations_of(4)
    q = model.posterior(x)
    terms = ELBO(beta=0.3).terms(model, x, q, q.sample((2,)))
    assert torch.allclose(ELBO(0.3)(terms.log_weights), terms.log_likelihood.mean(0) - 0.3 * terms.kl)
    assert torch.equal(ELBO(0.3).bound(terms), terms.log_likelihood.sub(terms.kl).mean(0))


@pytest.mark.parametrize("name", BITS)
def test_the_bounds_are_in_order_and_reach_for_log_p(name):
    """Exact by enumeration: ELBO = IWAE-1 < IWAE-2 < IWAE-3 < log p(x), and each is strictly below the next."""
    model, x = build(name), observations_of(4)
    chain = [enumerate_bits(model, x, 1, "elbo")]
    chain += [enumerate_bits(model, x, samples, "iwae") for samples in (1, 2, 3)]
    chain.append(enumerate_bits(model, x, 1, "exact"))
    assert torch.allclose(chain[0], chain[1], atol=1e-12)
    for below, above in pairwise(chain[1:]):
        assert (above - below).min() > 1e-6


@pytest.mark.parametrize("name", BITS)
def test_the_gap_of_the_elbo_is_the_kl_to_the_true_posterior(name):
    model, x = build(name), observations_of(4)
    z = code_tuples(3, 1).transpose(0, 1)[0].unsqueeze(1)  # (8, 1, D)
    log_q = log_bernoulli(model.posterior(x).logits, z)
    log_joint = model.log_joint(x, z.expand(-1, 4, -1))
    gap = (log_q.exp() * (log_q - log_joint + log_joint.logsumexp(0))).sum(0)
    expected = enumerate_bits(model, x, 1, "exact") - enumerate_bits(model, x, 1, "elbo")
    assert torch.allclose(gap, expected, atol=1e-12)


@pytest.mark.parametrize("beta", [-0.1, math.nan, math.inf, "1", True])
def test_a_beta_that_is_no_weight_is_refused(beta):
    with pytest.raises(InputError, match=r"^beta: expected a number of at least 0"):
        ELBO(beta)


@pytest.mark.parametrize(
    ("name", "objective", "good"),
    [
        (name, kind(), (kind is Reconstruction) == (name == "autoencoder"))
        for name in MODELS
        for kind in (ELBO, IWAE, Reconstruction)
    ],
)
def test_an_objective_goes_with_a_model_or_is_refused(name, objective, good):
    model = build(name)
    if good:
        assert check_objective(model, objective) is None
        return
    with pytest.raises(InputError, match=r"objective: expected .* for codes of kind"):
        check_objective(model, objective)


def test_weights_lost_in_rounding_are_left_out_of_the_importance_weighted_bound():
    """No denormal gradients, which would make the products after them several times slower; the bound is the same."""
    values = torch.tensor([[-100.0], [-101.0], [-145.9], [-146.1], [-190.0]], requires_grad=True)
    bound = IWAE()(values)
    (gradient,) = torch.autograd.grad(bound.sum(), values)
    assert torch.equal(gradient[3:], torch.zeros(2, 1))
    assert (gradient[:3] > 0).all()
    exact = values.detach().double()
    plain = torch.logsumexp(exact, 0) - math.log(5)
    assert torch.allclose(IWAE()(exact), plain, rtol=0, atol=1e-15)
    assert torch.allclose(gradient.double(), torch.softmax(exact, 0), atol=1e-7)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_the_importance_weighted_bound_keeps_the_largest_weight_whatever_its_size(dtype):
    """Rounding may take 46 from a large number and leave it as it is; a bound is then still that number."""
    most = torch.finfo(dtype).max
    for value in (-most, -2e9, -1e5, 0.0, 1e5, 2e9, most):
        for samples in (1, 2, 5):
            values = torch.full((samples, 1), value, dtype=dtype, requires_grad=True)
            bound = IWAE()(values)
            assert torch.allclose(bound, values[0], rtol=0.01, atol=0.02), (value, samples)
            (gradient,) = torch.autograd.grad(bound.sum(), values)
            assert torch.allclose(gradient, torch.full_like(gradient, 1 / samples), rtol=0.01)


def test_weights_of_zero_infinity_and_nan():
    """log 0 adds nothing, and its gradient is zero; what is no number stays none."""
    values = torch.tensor([[-math.inf, -math.inf, 1.0, math.nan], [2.0, -math.inf, math.inf, 3.0]], requires_grad=True)
    bound = IWAE()(values)
    assert torch.allclose(bound[:3], torch.tensor([2 - math.log(2), -math.inf, math.inf]))
    assert bound[3].isnan()
    (gradient,) = torch.autograd.grad(bound[:2].sum(), values)
    assert torch.equal(gradient[:, :2], torch.tensor([[0.0, 0.0], [1.0, 0.0]]))


@pytest.mark.parametrize("log_scale", [-1000.0, -89.0, -50.0, 0.0, 50.0, 89.0, 1000.0])
def test_bounds_of_a_posterior_of_any_width_are_numbers(log_scale):
    model, x = build("gaussian").float(), observations_of().float()
    with torch.no_grad():
        model.posterior.network.layers[-1].weight[3:] = 0
        model.posterior.network.layers[-1].bias[3:] = log_scale
    for objective, samples in ((ELBO(), 1), (IWAE(), 1), (IWAE(), 5)):
        for estimator in (Pathwise(model, samples), ScoreFunction(model, samples, "none")):
            estimate = estimator(model, objective, x)
            assert estimate.bound.isfinite().all()
            assert all(part.isfinite().all() for part in gradients(model, estimate.surrogate.sum()).values())


# ---------------------------------------------------------------- functions of several codes

SEVERAL = {
    "renyi 0.4": Renyi(0.4),
    "renyi 2.5": Renyi(2.5),
    "miwae": MIWAE(3),
    "piwae": PIWAE(3),
    "ciwae": CIWAE(0.3),
    "tvo": TVO(intervals=4, first=0.1),
}


@pytest.mark.parametrize("name", SEVERAL)
def test_functions_of_several_codes_are_their_formulas(name):
    objective, v = SEVERAL[name], values(6)
    assert torch.allclose(objective(v), combined(objective, v), rtol=1e-12)
    for least in (-5000.0, 5000.0):  # a constant goes through, whatever its size
        assert torch.allclose(objective(v + least), objective(v) + least, rtol=1e-12)
    ours = objective(v.float()).double()
    assert torch.allclose(ours, objective(v.float().double()), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["iwae", *SEVERAL])
def test_weights_of_any_size_give_numbers(name):
    """No value of NaN and no infinite gradient, in single precision, of weights as they are early in a training."""
    objective = IWAE() if name == "iwae" else SEVERAL[name]
    for scale in (1e-6, 1.0, 100.0, 1e5):
        v = (scale * torch.randn(6, 5, generator=torch.Generator().manual_seed(1)) - 300).requires_grad_()
        bound = objective(v)
        (gradient,) = torch.autograd.grad(bound.sum(), v)
        assert bound.isfinite().all()
        assert gradient.isfinite().all()
        assert torch.allclose(gradient.sum(0), torch.ones(5), atol=1e-4)
        if objective.combination != "thermodynamic":
            factor = objective.encoder.path_factor(v.detach())
            assert ((factor > -1e-6) & (factor < max(1.0, objective.alpha if "renyi" in name else 1.0) + 1e-5)).all()


@pytest.mark.parametrize("objective", [IWAE(), Renyi(0.4), Renyi(2.5), MIWAE(2), CIWAE(0.3), CIWAE(0.0), Renyi(1.0)])
def test_the_path_factor_is_one_less_the_second_over_the_first_derivative(objective):
    v = values(4).requires_grad_()
    (first,) = torch.autograd.grad(objective(v).sum(), v, create_graph=True)
    if objective == Renyi(1.0):  # a mean: its first derivatives are constants
        second = torch.zeros_like(first)
    else:
        second = torch.stack([torch.autograd.grad(first[k].sum(), v, retain_graph=True)[0][k] for k in range(4)])
    assert torch.allclose(objective.path_factor(v.detach()), (1 - second / first).detach(), atol=1e-10)


def test_renyi_falls_with_alpha_from_the_iwae_through_the_elbo():
    v = values(5)
    bounds = [Renyi(alpha)(v) for alpha in (0.0, 0.3, 0.6, 1 - 1e-9, 1.0, 1 + 1e-9, 1.5, 4.0)]
    assert torch.allclose(bounds[0], IWAE()(v), rtol=1e-14)
    assert torch.equal(bounds[4], ELBO()(v))
    assert torch.allclose(bounds[3], bounds[4], atol=1e-7)
    assert torch.allclose(bounds[5], bounds[4], atol=1e-7)
    for above, below in pairwise(bounds[:3] + bounds[4:5] + bounds[6:]):
        assert (above - below).min() > 1e-3


def test_the_ends_of_the_objectives_between_two():
    v = values(6)
    assert torch.allclose(MIWAE(1)(v), IWAE()(v), rtol=1e-14)
    assert torch.allclose(MIWAE(6)(v), ELBO()(v), rtol=1e-14)
    assert torch.allclose(PIWAE(3)(v), IWAE()(v), rtol=1e-14)
    assert torch.allclose(CIWAE(1.0)(v), ELBO()(v), rtol=1e-14)
    assert torch.allclose(CIWAE(0.0)(v), IWAE()(v), rtol=1e-14)
    assert torch.allclose(TVO(intervals=1)(v), ELBO()(v), rtol=1e-14)
    assert torch.allclose(TVO(intervals=4_000, first=1e-4)(v), IWAE()(v), atol=1e-2)


@pytest.mark.parametrize("objective", [Renyi(0.4), MIWAE(3), CIWAE(0.3), TVO(), TVO(intervals=50, first=0.01)])
def test_what_lies_between_the_elbo_and_the_iwae_does_so_for_every_set_of_codes(objective):
    v = values(6, 1000)
    assert (ELBO()(v) - 1e-12 <= objective(v)).all()
    assert (objective(v) <= IWAE()(v) + 1e-12).all()


def multisets(count, samples):
    """Every multiset of K of S numbers, (T, S) counts, and the logarithm of the number of its orders, (T,)."""
    bars = torch.combinations(torch.arange(samples + count - 1), count - 1)  # stars and bars
    edges = torch.cat([torch.full((len(bars), 1), -1), bars, torch.full((len(bars), 1), samples + count - 1)], 1)
    counts = edges.diff(dim=1) - 1
    return counts, math.lgamma(samples + 1) - torch.lgamma(counts.double() + 1).sum(1)


def exact_mean(model, x, objective, samples):
    """E of an objective over K codes, (B,), summed over every multiset of codes: for one that is symmetric in them."""
    codes = code_tuples(model.latent_dim, 1).transpose(0, 1)[0].unsqueeze(1)  # (S, 1, D)
    log_q, log_p = log_densities(model, x, codes)
    log_w = log_bernoulli(model.likelihood(codes).logits, x) + log_p - log_q  # (S, B)
    counts, orders = multisets(len(codes), samples)  # (T, S)
    probability = (orders.unsqueeze(1) + counts.double() @ log_q).exp()  # (T, B)
    assert torch.allclose(probability.sum(0), torch.ones(len(x)).double(), atol=1e-9)
    which = torch.arange(len(codes)).repeat(len(counts)).repeat_interleave(counts.flatten()).view(-1, samples)  # (T, K)
    return (probability * objective(log_w[which.T])).sum(0)


@pytest.mark.parametrize("name", BITS)
@pytest.mark.parametrize("objective", [IWAE(), Renyi(0.4), CIWAE(0.3), TVO(2, 0.2)], ids=lambda each: each.name)
def test_five_and_fifty_codes_lie_in_order_between_the_elbo_and_log_p(name, objective):
    """Exact: the sum over every multiset of 5 and of 50 codes of two bits."""
    model, x = build(name, latent_dim=2), observations_of(2)
    with torch.no_grad():
        one, five, fifty = (exact_mean(model, x, objective, samples) for samples in (1, 5, 50))
        elbo, log_p = enumerate_bits(model, x, 1, "elbo"), enumerate_bits(model, x, 1, "exact")
        iwae = exact_mean(model, x, IWAE(), 50)
    assert torch.allclose(one, elbo, atol=1e-12)
    for below, above in pairwise([elbo, five, fifty, log_p]):
        assert (above - below).min() > 1e-6
    assert (iwae - fifty).min() > -1e-12


def test_groups_have_the_expectation_of_one_of_them():
    model, x = build(BITS[1], latent_dim=1), observations_of(2)
    six_in_three, two = exact_bound(model, x, MIWAE(3), 6), exact_bound(model, x, IWAE(), 2)
    assert torch.allclose(six_in_three, two, atol=1e-12)


# ---------------------------------------------------------------- the path from q to the posterior


def thermodynamic(model, x, objective):
    """Return the objective with exact means under q^(1 - t) p^t, (B,), and a surrogate of its covariance gradient."""
    codes = code_tuples(model.latent_dim, 1).transpose(0, 1)[0].unsqueeze(1)
    log_q, log_p = log_densities(model, x, codes)
    log_joint = log_bernoulli(model.likelihood(codes).logits, x) + log_p
    value, surrogate = 0.0, 0.0
    for start, end in pairwise(objective.points):
        log_pi = (1 - start) * log_q + start * log_joint  # (S, B)
        pi, log_w = torch.softmax(log_pi, 0), log_joint - log_q
        mean = (pi * log_w).sum(0)
        value = value + (end - start) * mean
        held, centred = pi.detach(), (log_w - mean).detach()
        surrogate = surrogate + (end - start) * (held * (log_w + centred * log_pi)).sum(0)
    return value, surrogate


@pytest.mark.parametrize("name", BITS)
def test_the_thermodynamic_objective_is_a_bound_and_its_gradient_is_a_mean_and_a_covariance(name):
    """Exact, by enumeration: below log p(x), closer with more intervals; the covariance formula is its derivative."""
    model, x = build(name), observations_of(4)
    bounds = [thermodynamic(model, x, TVO(intervals, 0.1))[0] for intervals in (1, 2, 5, 20, 200)]
    assert torch.allclose(bounds[0], enumerate_bits(model, x, 1, "elbo"), atol=1e-12)
    log_p = enumerate_bits(model, x, 1, "exact")
    assert (log_p - bounds[-1]).max() < 0.1 * (log_p - bounds[0]).min()
    for below, above in pairwise([*bounds, log_p]):
        assert (above - below).min() > 1e-6
    value, surrogate = thermodynamic(model, x, TVO(5, 0.1))
    assert largest_difference(gradients(model, value.sum()), gradients(model, surrogate.sum())) < 1e-12


@pytest.mark.parametrize("name", [BITS[1], "two layers of bits"])
def test_the_covariance_gradient_of_one_interval_is_that_of_leave_one_out(name):
    model, x = build(name), observations_of(4)

    def gradient(estimator, objective):
        torch.manual_seed(3)
        return gradients(model, estimator(model, objective, x).surrogate.sum())

    ours = gradient(Covariance(model, 5), TVO(intervals=1))
    whole_code = gradient(ScoreFunction(model, 5, "leave-one-out"), Renyi(1.0))
    assert largest_difference(ours, whole_code) < 1e-12


# ---------------------------------------------------------------- two targets


@pytest.mark.parametrize(
    ("kind", "estimator", "options"),
    [
        ("gaussian", "pathwise", {}),
        ("gaussian", "doubly-reparameterised", {}),
        ("two layers of reals", "pathwise", {}),
        ("two layers of bits", "score-function", {"baseline": "leave-one-out"}),
        (BITS[1], "score-function", {"baseline": "none"}),
        (BITS[1], "disarm", {}),
        (BITS[1], "arms", {}),
    ],
)
def test_each_part_follows_the_gradient_of_its_own_target(kind, estimator, options):
    """With the same codes: encoder that of MIWAE, decoder and prior that of IWAE; and they differ."""
    model, x = build(kind), observations_of(4)
    made = ESTIMATORS[estimator](model, samples=6, **options)

    def gradient(objective):
        torch.manual_seed(3)
        return gradients_of_parts(model, made(model, objective, x).surrogate.sum())

    ours, of_groups, of_all = gradient(PIWAE(3)), gradient(MIWAE(3)), gradient(IWAE())
    for part, expected in (("encoder", of_groups), ("decoder", of_all), ("prior", of_all)):
        assert torch.allclose(ours[part], expected[part], rtol=1e-10, atol=1e-12), part
    assert (of_groups["encoder"] - of_all["encoder"]).abs().max() > 1e-3
    assert (of_groups["decoder"] - of_all["decoder"]).abs().max() > 1e-3


def test_the_reported_bound_of_two_targets_is_that_of_all_codes():
    model, x = build("gaussian"), observations_of(4)

    def bound(objective):
        torch.manual_seed(3)
        return Pathwise(model, 4)(model, objective, x).bound

    assert torch.equal(bound(PIWAE(2)), bound(IWAE()))


# ---------------------------------------------------------------- warm-up and free bits


def test_beta_rises_to_its_value_and_the_bound_does_not():
    objective = ELBO(beta=0.8, warm_up=4)
    assert [objective.at(step).beta for step in range(6)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 0.8, 0.8])
    assert objective.at(4) is objective
    assert all(objective.at(step).kl == "closed-form" for step in range(6))
    assert IWAE().at(0) == IWAE()
    model, x = build("gaussian"), observations_of(4)
    q = model.posterior(x)
    z = q.sample((3,))
    bounds = [each.bound(each.terms(model, x, q, z)) for each in (ELBO(), objective.at(0), ELBO(free_bits=3.0))]
    assert torch.equal(bounds[0], bounds[1])
    assert torch.equal(bounds[0], bounds[2])


@pytest.mark.parametrize("name", ["gaussian", *BITS])
def test_free_bits_are_of_each_unit_in_the_mean_over_the_batch(name):
    model, x = build(name), observations_of(4)
    q = model.posterior(x)
    kl = units_of_kl(model, x)  # (B, D)
    units = kl.detach().mean(0).sort().values
    middle = len(units) // 2
    free = float(units[middle - 1 : middle + 1].mean())  # between two units, where rounding decides nothing
    objective, z = ELBO(0.7, free_bits=free), q.sample((2,))
    terms = objective.terms(model, x, q, z)
    expected = terms.log_likelihood.mean() - 0.7 * kl.mean(0).clamp_min(free).sum()
    assert torch.allclose(objective(terms.log_weights).mean(), expected, rtol=1e-12)
    assert torch.allclose(terms.kl, kl.sum(1))
    ours = torch.autograd.grad(terms.penalty.mean(), list(model.posterior.parameters()), retain_graph=True)
    paid = kl.mean(0) > free
    assert 0 < paid.sum() < len(paid)
    theirs = torch.autograd.grad(kl.mean(0)[paid].sum(), list(model.posterior.parameters()))
    assert all(torch.allclose(one, other, atol=1e-12) for one, other in zip(ours, theirs, strict=True))


def test_no_free_bits_change_nothing():
    model, x = build("gaussian"), observations_of(4)
    q = model.posterior(x)
    z = q.sample((2,))
    assert ELBO().terms(model, x, q, z).penalty is None
    never_free = ELBO(free_bits=1e-30).terms(model, x, q, z)
    assert torch.allclose(never_free.log_weights, ELBO().terms(model, x, q, z).log_weights, rtol=1e-12)


class Correlated(torch.nn.Module):
    """A prior whose units are not independent."""

    def __init__(self, size):
        super().__init__()
        self.size = size

    def forward(self):
        return torch.distributions.MultivariateNormal(torch.zeros(self.size), torch.eye(self.size))


IMPOSSIBLE = {
    "estimator": (
        lambda: StickingTheLanding(build("gaussian")).check(build("gaussian"), ELBO(free_bits=0.1)),
        "objective.free_bits: expected 0 for the estimator 'sticking-the-landing', whose gradient has no KL in closed "
        "form; got 0.1, which goes with exact, score-function or pathwise",
    ),
    "chain": (
        lambda: ScoreFunction(build(LAYERED[0])).check(build(LAYERED[0]), ELBO(free_bits=0.1)),
        "objective.free_bits: expected 0 for a chain of layers, because the KL of each unit has no closed form",
    ),
    "prior": (
        lambda: Pathwise(model := gaussian_vae(5, 2, prior=Correlated)).check(model, ELBO(free_bits=0.1)),
        "objective.free_bits: expected 0 for codes with the prior MultivariateNormal, because the KL of each unit",
    ),
    "sampled": (lambda: ELBO(free_bits=0.1, kl="sampled"), "^free_bits: expected 0 where kl is 'sampled'"),
    "negative": (lambda: ELBO(free_bits=-1.0), "^free_bits: expected a number of at least 0; got -1.0"),
    "rise": (lambda: ELBO(warm_up=-1), "^warm_up: expected an integer of at least 0; got -1"),
    "half a step": (lambda: ELBO(warm_up=0.5), "^warm_up: expected an integer of at least 0; got 0.5"),
    "alpha": (lambda: Renyi(-0.5), "^alpha: expected a number of at least 0; got -0.5 .below 0 the value"),
    "infinite": (lambda: Renyi(math.inf), "^alpha: expected a number"),
    "no groups": (lambda: MIWAE(0), "^groups: expected an integer of at least 1; got 0"),
    "share": (lambda: CIWAE(1.5), r"^elbo_weight: expected a number in \[0, 1\]; got 1.5"),
    "many intervals": (
        lambda: TVO(10**9),
        "^intervals: expected an integer from 1 to 10,000; got 1,000,000,000",
    ),
    "intervals": (lambda: TVO(0), "^intervals: expected an integer of at least 1; got 0"),
    "first": (lambda: TVO(first=0.0), "^first: expected a number above 0 and below 1; got 0"),
    "division": (
        lambda: Pathwise(build("gaussian"), 5).check(build("gaussian"), MIWAE(2)),
        "objective.groups: expected a divisor of the number of codes, estimator.samples=5; got 2",
    ),
    "codes": (
        lambda: build("gaussian").bound(observations_of(2), 3, PIWAE(2).encoder),
        "objective.groups: expected a divisor of the number of codes, estimator.samples=3; got 2",
    ),
    "the other way": (
        lambda: Rebar(build(BITS[0])).check(build(BITS[0]), Renyi()),
        "estimator: 'rebar' is defined for the objective elbo; got 'renyi', which goes with exact, score-function, "
        "disarm or arms",
    ),
}


@pytest.mark.parametrize("kind", IMPOSSIBLE)
def test_an_objective_that_cannot_be_is_refused_in_one_sentence(kind):
    make, words = IMPOSSIBLE[kind]
    with pytest.raises(InputError, match=words) as refusal:
        make()
    assert "\n" not in str(refusal.value)

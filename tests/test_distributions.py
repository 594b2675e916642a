"""Room: distributions. Reference values come from torch.distributions, enumeration or quadrature."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck
from torch.distributions import Bernoulli as TorchBernoulli
from torch.distributions import Independent, Normal, kl_divergence

from vaelab.distributions import (
    Autoregressive,
    Bernoulli,
    Chain,
    ContinuousBernoulli,
    Delta,
    DiagonalNormal,
    FlowedNormal,
    FullNormal,
    Mixture,
    Multinomial,
    OneHotCategorical,
    Product,
    RestrictedBoltzmann,
    Stacked,
    Tree,
    all_codes,
    map_parameters,
)
from vaelab.inference import MeanFieldBernoulli
from vaelab.networks import CouplingFlow

# (logits, value): the K axis of the logits, the B axis of the value, both, neither
BROADCASTS = [
    ((4,), (4,)),
    ((3, 4), (4,)),
    ((2, 3, 4), (3, 4)),
    ((4,), (3, 4)),
    ((2, 1, 4), (3, 4)),
    ((1, 3, 4), (2, 1, 4)),
    ((2, 1, 4), (1, 3, 4)),
]
EXTREME = torch.tensor([-100.0, -30.0, -1.5, 0.0, 0.7, 30.0, 100.0], dtype=torch.float64)


def normal(*shape):
    return torch.randn(shape, dtype=torch.float64)


def torch_bits(logits):
    return Independent(TorchBernoulli(logits=logits, validate_args=False), 1, validate_args=False)


def torch_gaussian(loc, log_scale):
    return Independent(Normal(loc, log_scale.exp()), 1)


@pytest.mark.parametrize(("logits", "value"), BROADCASTS)
def test_log_prob_of_bits_and_its_derivatives_for_every_broadcast(logits, value):
    logits, x = normal(*logits).requires_grad_(), torch.rand(value, dtype=torch.float64).requires_grad_()
    expected = (x * logits - torch.nn.functional.softplus(logits)).sum(-1)
    assert torch.allclose(Bernoulli(logits).log_prob(x), expected, rtol=1e-13, atol=1e-13)
    weights = normal(*expected.shape)  # an upstream gradient that differs from place to place
    ours = torch.autograd.grad((Bernoulli(logits).log_prob(x) * weights).sum(), (logits, x))
    theirs = torch.autograd.grad((expected * weights).sum(), (logits, x))
    for one, other in zip(ours, theirs, strict=True):
        assert torch.allclose(one, other, rtol=1e-12, atol=1e-12)
    assert gradcheck(lambda a, b: Bernoulli(a).log_prob(b), (logits, x))
    assert gradgradcheck(lambda a, b: Bernoulli(a).log_prob(b), (logits, x))


@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8, torch.bool])
@pytest.mark.parametrize(("logits", "value"), BROADCASTS)
def test_log_prob_takes_bits_of_any_type(logits, value, dtype):
    logits, x = normal(*logits), torch.randint(0, 2, value)
    assert torch.equal(Bernoulli(logits).log_prob(x.to(dtype)), Bernoulli(logits).log_prob(x.double()))


def test_log_prob_leaves_the_logits_and_the_value_as_they_were():
    logits, x = normal(2, 3, 4).requires_grad_(), normal(3, 4)
    kept = logits.detach().clone(), x.clone()
    Bernoulli(logits).log_prob(x).sum().backward()
    assert torch.equal(logits, kept[0])
    assert torch.equal(x, kept[1])


@given(
    st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=6),
    st.integers(0, 63),
)
@settings(max_examples=80, deadline=None)
def test_log_prob_of_bits_is_torchs(logits, code):
    dim = len(logits)
    logits = torch.tensor(logits, dtype=torch.float64)
    x = all_codes(dim, logits)[code % 2**dim]
    expected = torch_bits(logits).log_prob(x)
    # torch's softplus leaves out log(1 + exp(-l)) beyond l = 20: at most 2.1e-9 a bit
    assert torch.allclose(Bernoulli(logits).log_prob(x), expected, rtol=1e-12, atol=dim * 2.1e-9)


def test_bits_sum_to_one_and_have_the_moments_and_the_entropy_of_their_enumeration():
    q = Bernoulli(normal(2, 3))
    z = all_codes(3, q.logits).unsqueeze(1)  # (8, 1, D)
    probability = q.log_prob(z).exp()  # (8, B)
    assert torch.allclose(probability.sum(0), torch.ones(2, dtype=torch.float64), atol=1e-14)
    mean = (probability.unsqueeze(-1) * z).sum(0)
    assert torch.allclose(q.mean, mean, atol=1e-14)
    assert torch.allclose(q.variance, mean - mean**2, atol=1e-14)
    assert torch.allclose(q.entropy(), -(probability * probability.log()).sum(0), atol=1e-13)
    assert torch.equal(q.mode, z[probability.argmax(0), 0])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_entropy_of_bits_is_finite_and_right_at_logits_of_a_hundred(dtype):
    logits = EXTREME.to(dtype).requires_grad_()
    entropy = Bernoulli(logits.unsqueeze(-1)).entropy()
    odds = EXTREME.abs()
    expected = torch.log1p((-odds).exp()) + odds * torch.sigmoid(-odds)
    assert torch.allclose(entropy.double(), expected, rtol=1e-6, atol=1e-35)
    (gradient,) = torch.autograd.grad(entropy.sum(), logits)
    slope = -EXTREME * torch.sigmoid(EXTREME) * torch.sigmoid(-EXTREME)
    assert torch.allclose(gradient.double(), slope, rtol=1e-5, atol=1e-35)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_kl_of_bits_is_finite_and_right_at_logits_of_a_hundred(dtype):
    """Every pair of extreme logits; the reference takes logs of probabilities by log-sigmoid in float64."""
    q, p = (grid.reshape(-1) for grid in torch.meshgrid(EXTREME, EXTREME, indexing="ij"))
    log = torch.nn.functional.logsigmoid
    expected = torch.sigmoid(q) * (log(q) - log(p)) + torch.sigmoid(-q) * (log(-q) - log(-p))
    slope_q = torch.sigmoid(q) * torch.sigmoid(-q) * (q - p)
    slope_p = torch.sigmoid(p) - torch.sigmoid(q)
    q, p = (logits.to(dtype).unsqueeze(-1).requires_grad_() for logits in (q, p))
    kl = kl_divergence(Bernoulli(q), Bernoulli(p))
    atol = 1e-12 if dtype == torch.float64 else 1e-5
    assert torch.allclose(kl.double(), expected, rtol=1e-6, atol=atol)
    for logits, slope in ((q, slope_q), (p, slope_p)):
        (gradient,) = torch.autograd.grad(kl.sum(), logits, retain_graph=True)
        assert torch.allclose(gradient.double().squeeze(-1), slope, rtol=1e-5, atol=atol)


def test_kl_of_bits_is_torchs_and_the_sum_over_every_code():
    q, p = Bernoulli(normal(2, 3)), Bernoulli(normal(3))
    z = all_codes(3, q.logits).unsqueeze(1)
    enumerated = (q.log_prob(z).exp() * (q.log_prob(z) - p.log_prob(z))).sum(0)
    assert torch.allclose(kl_divergence(q, p), enumerated, atol=1e-13)
    assert torch.allclose(
        kl_divergence(q, p), kl_divergence(torch_bits(q.logits), torch_bits(p.logits.expand(2, 3))), atol=1e-13
    )


def test_kl_of_bits_to_one_half_is_the_formula_of_the_study():
    q = Bernoulli(normal(4, 6))
    mu = q.mean
    formula = (mu * mu.log() + (1 - mu) * (1 - mu).log() + math.log(2)).sum(-1)
    assert torch.allclose(kl_divergence(q, Bernoulli(torch.zeros(6).double())), formula, atol=1e-13)


def test_kl_of_gaussians_is_torchs_the_formula_and_the_integral():
    loc, log_scale = normal(4, 1), 0.5 * normal(4, 1)
    standard = DiagonalNormal(torch.zeros(1).double(), torch.zeros(1).double())
    kl = kl_divergence(DiagonalNormal(loc, log_scale), standard)
    formula = -0.5 * (1 + 2 * log_scale - loc**2 - (2 * log_scale).exp()).sum(-1)
    assert torch.allclose(kl, formula, atol=1e-13)
    other = DiagonalNormal(normal(1), normal(1))
    general = kl_divergence(DiagonalNormal(loc, log_scale), other)
    expected = kl_divergence(torch_gaussian(loc, log_scale), torch_gaussian(other.loc, other.log_scale))
    assert torch.allclose(general, expected, rtol=1e-12)
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)  # exact for the quadratic log-ratio
    z = loc + log_scale.exp() * torch.tensor(nodes)[:, None, None]  # (nodes, B, 1)
    ratio = torch_gaussian(loc, log_scale).log_prob(z) - torch_gaussian(other.loc, other.log_scale).log_prob(z)
    integral = (torch.tensor(weights)[:, None] * ratio).sum(0) / math.sqrt(2 * math.pi)
    assert torch.allclose(general, integral, rtol=1e-11)


@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 5), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_gaussian_is_torchs_for_every_shape(samples, batch, dim, seed):
    torch.manual_seed(seed)
    loc, log_scale, z = normal(batch, dim), normal(batch, dim), normal(samples, batch, dim)
    q, expected = DiagonalNormal(loc, log_scale), torch_gaussian(loc, log_scale)
    assert torch.allclose(q.log_prob(z), expected.log_prob(z), rtol=1e-11)
    assert torch.allclose(q.variance, expected.variance)
    assert torch.equal(q.mean, loc)
    assert q.rsample((samples,)).shape == z.shape


def test_draws_have_the_moments_of_the_distribution():
    """400 000 draws, 12 means within 5 standard errors: false alarm below 1e-5."""
    count = 400_000
    for q in (Bernoulli(normal(2, 3)), DiagonalNormal(normal(2, 3), 0.3 * normal(2, 3))):
        error = (q.sample((count,)).mean(0) - q.mean).abs() / (q.variance / count).sqrt()
        assert error.max() < 5


def test_a_gaussian_draw_is_differentiable_and_a_sample_of_either_is_not():
    loc, log_scale = normal(2, 3).requires_grad_(), normal(2, 3).requires_grad_()
    q = DiagonalNormal(loc, log_scale)
    draw = q.rsample((7,))
    noise = ((draw - loc) / log_scale.exp()).detach()
    by_loc, by_scale = torch.autograd.grad(draw.sum(), (loc, log_scale))
    assert torch.equal(by_loc, torch.full_like(loc, 7.0))
    assert torch.allclose(by_scale, noise.sum(0) * log_scale.exp())
    assert not q.sample((7,)).requires_grad
    assert not Bernoulli(loc).sample((7,)).requires_grad
    assert set(Bernoulli(loc).sample((50,)).unique().tolist()) == {0.0, 1.0}


def test_a_point_draws_itself():
    loc = normal(2, 3).requires_grad_()
    assert torch.equal(Delta(loc).rsample((4,)), loc.expand(4, 2, 3))
    assert torch.equal(Delta(loc).variance, torch.zeros(2, 3).double())
    assert torch.autograd.grad(Delta(loc).rsample((4,)).sum(), loc)[0].eq(4).all()


def test_validation_of_torch_distributions_is_left_on_for_others():
    Bernoulli(torch.zeros(2))
    with pytest.raises(ValueError, match="constraint"):
        TorchBernoulli(probs=torch.tensor(2.0))


# ---------------------------------------------------------------- extremes: numbers that a network may return

HUGE = [-math.inf, -1e30, -1000.0, -89.0, -20.0, 0.0, 20.0, 89.0, 1000.0, 1e30, math.inf]
TYPES = [torch.float32, torch.float64, torch.bfloat16]


@pytest.mark.parametrize("dtype", TYPES)
def test_bits_of_any_logit_have_the_density_that_mathematics_says(dtype):
    """The logarithm of a probability: 0 or minus the logit, whatever its size; beside it a logit of ordinary size."""
    for logit in HUGE:
        for bit in (0.0, 1.0):
            logits = torch.tensor([[logit, 0.5]], dtype=dtype, requires_grad=True)
            q, x = Bernoulli(logits), torch.tensor([[bit, 1.0]], dtype=dtype)
            own = -math.log1p(math.exp(-abs(logit))) - (abs(logit) if (logit > 0) != bool(bit) else 0.0)
            expected = torch.tensor(max(own, -torch.finfo(dtype).max) - math.log1p(math.exp(-0.5)), dtype=dtype)
            assert torch.allclose(q.log_prob(x), expected, rtol=1e-2 if dtype == torch.bfloat16 else 1e-6, atol=1e-3)
            for value in (q.log_prob(x), q.entropy()):
                (gradient,) = torch.autograd.grad(value.sum(), logits)
                assert gradient.isfinite().all(), (logit, bit)
            assert math.log(2) * 2 + 0.01 > q.entropy().item() >= 0


@pytest.mark.parametrize("size", [0.0, 1.0, 5.0, 10.5, 11.5, 12.5, 13.5, 30.0])
def test_bits_given_many_codes_have_the_density_of_each_code(size):
    """Probabilities of several columns are multiplied; also where their product is too small for its type."""
    x = torch.randint(0, 2, (3, 16)).float()
    logits = size * (1 - 2 * x) + torch.randn(20, 3, 16)  # most bits are improbable, with probability e^-size
    values = Bernoulli(logits).log_prob(x)
    assert torch.allclose(values.double(), torch_bits(logits.double()).log_prob(x.double()), rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("dtype", TYPES)
def test_the_kl_of_bits_is_no_nan_for_any_pair_of_logits(dtype):
    grid = torch.tensor(HUGE, dtype=dtype)
    q, p = (side.reshape(-1, 1).requires_grad_() for side in torch.meshgrid(grid, grid, indexing="ij"))
    kl = kl_divergence(Bernoulli(q), Bernoulli(p))
    assert (kl >= -1e-2).all()
    assert (kl.view(len(grid), -1).diagonal().abs() < 1e-2).all()
    for gradient in torch.autograd.grad(kl.sum(), (q, p)):
        assert gradient.isfinite().all()


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("loc", [0.0, 1.0, -30.0])
def test_a_gaussian_of_any_scale_has_a_draw_a_density_and_a_kl(loc, dtype):
    """The density of its own draw is finite, and so is its gradient, for every log sigma."""
    for log_scale in HUGE:
        one, other = (torch.full((1, 3), value, dtype=dtype, requires_grad=True) for value in (loc, log_scale))
        q, standard = (
            DiagonalNormal(one, other),
            DiagonalNormal(torch.zeros(3, dtype=dtype), torch.zeros(3, dtype=dtype)),
        )
        z = q.rsample((50,))
        for value in (q.log_prob(z), standard.log_prob(z), kl_divergence(q, standard)):
            assert value.isfinite().all(), (loc, log_scale)
            for gradient in torch.autograd.grad(value.sum(), (one, other), retain_graph=True):
                assert gradient.isfinite().all(), (loc, log_scale)


def test_a_gaussian_is_the_one_that_was_asked_for_within_the_limits_of_its_type():
    for dtype, sizes in ((torch.float32, [-39.0, -12.0, 39.0]), (torch.float64, [-319.0, -89.0, 319.0])):
        for log_scale in sizes:
            q = DiagonalNormal(torch.zeros(1, dtype=dtype), torch.full((1,), log_scale, dtype=dtype))
            expected = -0.5 - log_scale - 0.5 * math.log(2 * math.pi)
            assert q.log_prob(q.stddev).item() == pytest.approx(expected, rel=1e-6)


# ---------------------------------------------------------------- the contract of torch.distributions


def chain_of_bits(**options):
    step = lambda y: Bernoulli(2 * y[..., :2] - 1)  # noqa: E731
    return Chain(Bernoulli(normal(4, 3)), [step], (3, 2), **options)


def chain_of_normals(**options):
    step = lambda y: DiagonalNormal(y[..., :2], 0.1 * y[..., 1:])  # noqa: E731
    return Chain(DiagonalNormal(normal(4, 3), 0.3 * normal(4, 3)), [step], (3, 2), downwards=False, **options)


def product(**options):
    parts = [Bernoulli(normal(4, 2)), DiagonalNormal(normal(4, 1), normal(4, 1)), ContinuousBernoulli(normal(4, 1))]
    return Product(parts, [torch.tensor([0, 3]), torch.tensor([2]), torch.tensor([1])], **options)


# name -> (build, repr, a value outside the support)
CONTRACT = {
    "normal": (
        lambda **options: DiagonalNormal(normal(4, 3), 0.3 * normal(4, 3), **options),
        "DiagonalNormal(loc: (4, 3), log_scale: (4, 3))",
        torch.tensor([0.0, math.nan, 1.0]),
    ),
    "normal of correlated units": (
        lambda **options: FullNormal(normal(4, 3), 0.3 * normal(4, 3), normal(4, 3), **options),
        "FullNormal(loc: (4, 3), log_scale: (4, 3), below: (4, 3))",
        torch.tensor([0.0, math.nan, 1.0]),
    ),
    "normal with a flow": (
        lambda **options: FlowedNormal(
            *(normal(4, 3), 0.3 * normal(4, 3), normal(4, 2)), CouplingFlow(3, 2).double(), **options
        ),
        "FlowedNormal(loc: (4, 3), log_scale: (4, 3), context: (4, 2))",
        torch.tensor([0.0, math.nan, 1.0]),
    ),
    "Bernoulli": (
        lambda **options: Bernoulli(normal(4, 3), **options),
        "Bernoulli(logits: (4, 3))",
        torch.tensor([0.0, 0.5, 1.0]),
    ),
    "one-hot": (
        lambda **options: OneHotCategorical(normal(4, 7), (2, 3, 2), **options),
        "OneHotCategorical(logits: (4, 7), 3 variables of 2 to 3 levels)",
        torch.tensor([0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0]),
    ),
    "one-hot of one size": (
        lambda **options: OneHotCategorical(normal(4, 6), (3, 3), **options),
        "OneHotCategorical(logits: (4, 6), 2 variables of 3 levels)",
        torch.zeros(6),
    ),
    "continuous Bernoulli": (
        lambda **options: ContinuousBernoulli(normal(4, 3), **options),
        "ContinuousBernoulli(logits: (4, 3))",
        torch.tensor([0.0, 0.5, 1.5]),
    ),
    "multinomial": (
        lambda **options: Multinomial(normal(4, 3), 5, **options),
        "Multinomial(logits: (4, 3), total: 5)",
        torch.tensor([0.0, 0.5, 4.5]),
    ),
    "autoregressive": (
        lambda **options: Autoregressive(normal(4, 3), normal(4, 3), *normal(3, 3, 3), **options),
        "Autoregressive(logits: (4, 3), shifts: (4, 3))",
        torch.tensor([0.0, 0.5, 1.0]),
    ),
    "tree": (
        lambda **options: Tree(normal(4, 3), normal(4, 3), [-1, 0, 1], **options),
        "Tree(off: (4, 3), on: (4, 3))",
        torch.tensor([0.0, 0.5, 1.0]),
    ),
    "restricted Boltzmann machine": (
        lambda **options: RestrictedBoltzmann(
            *(normal(3), normal(2), normal(3, 2)),
            known=torch.tensor([[1.0, math.nan, math.nan]] * 4).double(),
            **options,
        ),
        "RestrictedBoltzmann(visible: (3,), hidden: (2,), known: (4, 3))",
        torch.tensor([0.0, 0.5, 1.0]),
    ),
    "mixture": (
        lambda **options: Mixture(normal(4, 2), Bernoulli(normal(4, 2, 3)), **options),
        "Mixture(log_weights: (4, 2), Bernoulli(logits: (4, 2, 3)))",
        torch.tensor([0.0, 0.5, 1.0]),
    ),
    "stack": (
        lambda **options: Stacked([Bernoulli(normal(3)) for _ in range(4)], **options),
        "Stacked(4 x Bernoulli(logits: (3,)))",
        torch.tensor([0.0, 0.5, 1.0]),
    ),
    "product": (
        product,
        "Product(Bernoulli(logits: (4, 2)), DiagonalNormal(loc: (4, 1), log_scale: (4, 1)), "
        "ContinuousBernoulli(logits: (4, 1)))",
        torch.tensor([0.0, 2.0, 1.0, 1.0]),
    ),
    "Delta": (lambda **options: Delta(normal(4, 3), **options), "Delta(loc: (4, 3))", None),
    "chain of bits": (chain_of_bits, "Chain(Bernoulli(logits: (4, 3)), sizes: (3, 2))", torch.full((5,), 0.5)),
    "chain of normals": (
        chain_of_normals,
        "Chain(DiagonalNormal(loc: (4, 3), log_scale: (4, 3)), sizes: (3, 2))",
        torch.full((5,), math.nan),
    ),
    "mean field": (
        lambda **options: MeanFieldBernoulli(normal(4, 3), (normal(4, 3),), **options),
        "MeanFieldBernoulli(logits: (4, 3))",
        torch.tensor([0.0, 0.5, 1.0]),
    ),
}


@pytest.fixture(params=CONTRACT)
def case(request):
    torch.manual_seed(5)
    return CONTRACT[request.param]


def test_a_repr_shows_shapes(case):
    build, shown, _ = case
    assert repr(build()) == shown


def test_expand_repeats_a_distribution_along_new_axes(case):
    build, _, _ = case
    q = build()
    wide = q.expand((6, 4))
    assert type(wide) is type(q)
    assert (wide.batch_shape, wide.event_shape) == ((6, 4), q.event_shape)
    assert wide.sample((2,)).shape == (2, 6, 4, *q.event_shape)
    if isinstance(
        q, Autoregressive | FlowedNormal
    ):  # its mean is computed with products of matrices, of another size here
        assert torch.allclose(wide.mean, q.mean.expand(6, 4, -1), rtol=1e-12, atol=1e-12)
    else:
        assert torch.equal(wide.mean, q.mean.expand(6, 4, -1))
    if not isinstance(q, Delta):
        z = q.sample((6,))
        assert torch.allclose(wide.log_prob(z), q.log_prob(z))
    doubled = Independent(q, 1).expand((3,))  # torch's own code expands what it wraps
    assert (doubled.batch_shape, doubled.event_shape) == ((3,), (4, *q.event_shape))


def test_samples_are_in_the_support_and_have_the_shape_that_is_asked_for(case):
    build, _, _ = case
    q = build()
    for shape in ((), (7,), (2, 7)):
        z = q.sample(shape)
        assert z.shape == (*shape, 4, *q.event_shape)
        assert q.support.check(z).all()
        assert not z.requires_grad


def test_parameters_and_values_are_checked_where_the_user_asks(case):
    build, _, wrong = case
    q, checked = build(), build(validate_args=True)
    if wrong is None:
        return
    q.log_prob(wrong.double())  # relaxed bits have a density, and nothing is read twice
    checked.log_prob(checked.sample())
    for other in (checked, checked.expand((2, 4)), map_parameters(checked, torch.Tensor.detach)):
        with pytest.raises(ValueError, match="within the support"):
            other.log_prob(wrong.double())
    with pytest.raises(ValueError, match="must match"):
        checked.log_prob(wrong.double()[:2])


@pytest.mark.parametrize(
    "build",
    [Bernoulli, Delta, ContinuousBernoulli, Multinomial, lambda p, **options: DiagonalNormal(p, 0 * p, **options)],
)
def test_parameters_that_are_no_numbers_are_refused_where_the_user_asks(build):
    wrong = torch.tensor([[0.0, math.nan]])
    build(wrong)
    with pytest.raises(ValueError, match="to satisfy the constraint"):
        build(wrong, validate_args=True)


def test_the_mode_has_the_highest_density(case):
    build, _, wrong = case
    q = build()
    if wrong is None:
        assert torch.equal(q.mode, q.mean)
        return
    if isinstance(q, FlowedNormal):
        with pytest.raises(NotImplementedError):
            q.mode  # noqa: B018
        return
    if isinstance(q, Chain):  # the mode of each layer given that of the one before
        first, second = q.mode.split(q.sizes, -1)
        assert torch.equal(first, q.first.mode)
        assert torch.equal(second, q.steps[0](first).mode)
        return
    if isinstance(q, Mixture):  # the best of the modes of the components
        assert torch.equal(q.log_prob(q.mode), q.log_prob(q.components.mode.movedim(-2, 0)).amax(0))
        return
    if isinstance(q, Autoregressive):  # the mode of each column given those before it
        assert torch.equal(q.mode, (q.conditional_logits(q.mode) > 0).double())
        return
    z = q.sample((2000,))
    assert (q.log_prob(q.mode.expand_as(z)) >= q.log_prob(z)).all()  # as many values: the same path


def test_the_entropy_is_that_of_torch():
    logits, loc = normal(4, 3), normal(4, 3)
    assert torch.allclose(Bernoulli(logits).entropy(), torch_bits(logits).entropy(), rtol=1e-12)
    assert torch.allclose(DiagonalNormal(loc, 0.3 * loc).entropy(), torch_gaussian(loc, 0.3 * loc).entropy())


def test_the_parameters_of_a_normal_distribution_broadcast():
    loc, log_scale = normal(3), normal(4, 3)
    q, expected = DiagonalNormal(loc, log_scale), torch_gaussian(loc.expand(4, 3), log_scale)
    assert (q.batch_shape, q.sample().shape) == (expected.batch_shape, (4, 3))
    assert torch.allclose(q.log_prob(loc), expected.log_prob(loc))
    assert torch.allclose(q.entropy(), expected.entropy())


def test_what_has_no_closed_form_is_not_implemented():
    with pytest.raises(NotImplementedError, match="Delta has no density"):
        Delta(normal(2, 3)).log_prob(normal(2, 3))
    for q in (chain_of_bits(), Delta(normal(2, 3))):
        with pytest.raises(NotImplementedError):
            q.entropy()


@pytest.mark.parametrize("columns", [7, 300, 304])
@pytest.mark.parametrize("kind", ["bits", "large logits", "unlikely bits", "infinite logits", "grey levels"])
def test_the_density_of_many_codes_is_that_of_each(kind, columns):
    """Many codes of the same rows take another path than a few, except where a product of columns would overflow."""
    torch.manual_seed(0)
    logits, value = 3 * torch.randn(40, 5, columns), (torch.rand(5, columns) < 0.4).float()
    if kind == "large logits":
        logits[3] *= 100
    if kind == "unlikely bits":  # each of probability e^-20: in float32 a product of five is not zero yet, of eight is
        logits[::2] = 20 - 40 * value
    if kind == "infinite logits":
        logits[0, 0, :2], value[0, :2] = torch.tensor([torch.inf, -torch.inf]), torch.tensor([1.0, 0.0])
    if kind == "grey levels":
        value = torch.rand(5, columns)
    exact = (logits.double() * value - torch.nn.functional.softplus(logits.double())).sum(-1)
    exact = exact.nan_to_num() if kind == "infinite logits" else exact
    found = Bernoulli(logits).log_prob(value)
    if kind == "infinite logits":
        finite = Bernoulli(logits[0].clamp(-1e4, 1e4)).log_prob(value)[0]
        assert float(found[0, 0]) == pytest.approx(float(finite), rel=1e-5)
        found, exact = found[1:], exact[1:]
    assert torch.allclose(found.double(), exact, rtol=2e-6, atol=2e-5)

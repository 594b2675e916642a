"""Room: models, mean-field inference. Laws in float64: no update lowers the bound, the bound lies below log p(x),
its gradient is that of differences and of the published formulae, its fixed point is where nothing can be gained."""

from __future__ import annotations

import copy
import itertools

import pytest
import torch

from tests.laws import binary_data, enumerate_bits, observations_of
from vaelab.errors import InputError
from vaelab.estimators import Expectation, MeanFieldEM, ScoreFunction
from vaelab.evaluation import evaluate
from vaelab.inference import Enumeration, MeanField, MeanFieldPosterior, State, generative_parts, linear_weights
from vaelab.inference.fields import FIELDS, Product
from vaelab.likelihood import elbo, exact, importance_weighted
from vaelab.models import bernoulli_vae, sbn
from vaelab.objectives import ELBO, IWAE
from vaelab.training import fit

X = 5
LAYERS = [[4], [3, 2], [3, 2, 2]]
WEIGHTS = [0.3, 1.0, 3.0]  # standard deviations: from nearly independent to nearly deterministic units
CASES = list(itertools.product(LAYERS, WEIGHTS, FIELDS))


def network(layers, std=1.0, field="product", seed=0):
    torch.manual_seed(seed)
    model = sbn(X, layers=layers, inference="mean-field", field=field).double()
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=std)
    return model


def somewhere(solver, x, seed=1):
    """A state with every mu and xi drawn at random."""
    generator = torch.Generator().manual_seed(seed)
    start = solver.start(x)
    return State(*(tuple(torch.rand(p.shape, generator=generator).double() for p in parts) for parts in start))


@pytest.mark.parametrize(("layers", "std", "field"), CASES)
def test_no_update_lowers_the_bound(layers, std, field):
    model, x = network(layers, std, field), observations_of(8, X)
    solver = model.posterior.solver()
    with torch.no_grad():
        for seed in range(5):
            state = somewhere(solver, x, seed)
            before, count = solver.bound(x, state), 0
            for _ in range(10):
                for updated in solver.updates(x, state):
                    state = updated
                    after = solver.bound(x, state)
                    assert (after - before).min() > -1e-12 * before.abs().max()
                    before, count = after, count + 1
            each = sum(layers) if field == "product" else len(layers)
            assert count == 10 * (each + len(layers))


@pytest.mark.parametrize(("layers", "std"), list(itertools.product(LAYERS, WEIGHTS)))
def test_the_product_bound_lies_below_log_p_wherever_mu_and_xi_are(layers, std):
    model, x = network(layers, std), observations_of(8, X)
    solver, truth = model.posterior.solver(), Enumeration(model).log_likelihood(x)
    with torch.no_grad():
        for seed in range(10):
            assert (solver.bound(x, somewhere(solver, x, seed)) < truth).all()
        assert (solver.bound(x, solver.infer(x, 1e-9, 500)) < truth).all()


@pytest.mark.parametrize(("layers", "std"), list(itertools.product(LAYERS, WEIGHTS)))
def test_the_product_bound_lies_below_the_evidence_bound_of_the_same_q(layers, std):
    """The ELBO of the factorised q is summed over every code; the bound on <log(1 + e^z)> costs the difference."""
    model, x = network(layers, std), observations_of(8, X)
    solver = model.posterior.solver()
    state = solver.infer(x)
    codes = torch.tensor(list(itertools.product([0.0, 1.0], repeat=sum(layers)))).double().unsqueeze(1)
    mu = torch.cat(state.mu, -1)
    log_q = (codes * mu.log() + (1 - codes) * (1 - mu).log()).sum(-1)  # (S, B)
    evidence = (log_q.exp() * (model.log_joint(x, codes) - log_q)).sum(0)
    bound = solver.bound(x, state)
    assert (bound <= evidence + 1e-12).all()
    assert (evidence <= Enumeration(model).log_likelihood(x) + 1e-12).all()


def test_a_network_without_weights_is_exact():
    model, x = network([3, 2]), observations_of(8, X)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith("weight"):
                weight.zero_()
    for field in FIELDS:
        solver = MeanField(*(lambda s: (s.layers, s.top))(model.posterior.solver()), field)
        bound = solver.bound(x, solver.infer(x, 1e-12, 100))
        assert torch.allclose(bound, Enumeration(model).log_likelihood(x), atol=1e-9)


def test_the_cost_of_the_product_is_its_formula():
    """Against the sum over every value of the parents: xi <z> + log <e^(-xi z) + e^((1 - xi) z)>."""
    torch.manual_seed(2)
    mu, xi, J, h = (
        torch.rand(2, 3).double(),
        torch.rand(2, 4).double(),
        torch.randn(4, 3).double(),
        torch.randn(4).double(),
    )
    parents = torch.tensor(list(itertools.product([0.0, 1.0], repeat=3))).double()  # (8, 3)
    probability = (parents * mu.unsqueeze(1) + (1 - parents) * (1 - mu.unsqueeze(1))).prod(-1)  # (B, 8)
    z = parents @ J.T + h  # (8, C)
    tilted = torch.exp(-xi.unsqueeze(1) * z) + torch.exp((1 - xi.unsqueeze(1)) * z)  # (B, 8, C)
    expected = xi * (probability @ z) + torch.einsum("bs,bsc->bc", probability, tilted).log()
    assert torch.allclose(Product().cost(mu, xi, J, h), expected, atol=1e-12)
    assert (expected >= torch.einsum("bs,sc->bc", probability, torch.nn.functional.softplus(z))).all()


@pytest.mark.parametrize("field", FIELDS)
def test_the_slope_in_xi_is_that_of_differences_up_to_its_factor(field):
    torch.manual_seed(2)
    mu, xi, J, h = (
        torch.rand(2, 3).double(),
        torch.rand(2, 4).double(),
        torch.randn(4, 3).double(),
        torch.randn(4).double(),
    )
    kind, step = FIELDS[field](), 1e-4
    below, here, above = (kind.cost(mu, xi + shift, J, h) for shift in (-step, 0.0, step))
    cost, slope, curvature = kind.slopes(mu, xi, J, h)
    factor = torch.ones(()).double() if field == "product" else (mu * (1 - mu)) @ J.square().T
    assert torch.allclose(cost, here, atol=1e-12)
    assert torch.allclose(factor * slope, (above - below) / (2 * step), atol=1e-6)
    assert torch.allclose(factor * curvature, (above - 2 * here + below) / step**2, atol=1e-6)


@pytest.mark.parametrize("field", FIELDS)
def test_tightening_finds_the_lowest_cost_of_a_fine_grid(field):
    torch.manual_seed(2)
    mu, J, h = torch.rand(3, 4).double(), 2 * torch.randn(6, 4).double(), torch.randn(6).double()
    kind, xi = FIELDS[field](), torch.rand(3, 6).double()
    for _ in range(10):
        xi = kind.tighten(mu, xi, J, h)
    grid = torch.stack([kind.cost(mu, torch.full_like(xi, point), J, h) for point in torch.linspace(0, 1, 2001)])
    assert (kind.cost(mu, xi, J, h) <= grid.amin(0) + 1e-12).all()


@pytest.mark.parametrize(("layers", "field"), list(itertools.product(LAYERS, FIELDS)))
def test_where_inference_ends_no_step_in_mu_or_xi_gains(layers, field):
    model, x = network(layers, 1.0, field), observations_of(6, X)
    solver = model.posterior.solver()
    state = solver.infer(x, 1e-15, 2000)
    logits = [torch.logit(part).detach().requires_grad_() for part in (*state.mu, *state.xi)]
    means = [torch.sigmoid(part) for part in logits]
    bound = solver.bound(x, State(tuple(means[: len(layers)]), tuple(means[len(layers) :])))
    for gradient in torch.autograd.grad(bound.sum(), logits):
        assert gradient.abs().max() < 1e-6


@pytest.mark.parametrize(("layers", "field"), list(itertools.product(LAYERS, FIELDS)))
def test_the_gradient_of_learning_is_that_of_differences_at_fixed_mu_and_xi(layers, field):
    model, x = network(layers, 1.0, field), observations_of(6, X)
    q, estimator = model.posterior(x), MeanFieldEM(model)
    weights = [weight for weight in model.parameters() if weight.requires_grad]

    def bound():
        expectation = Expectation(model, ELBO(), x, q)
        return estimator.score(expectation, estimator.draw(expectation)).surrogate.sum()

    ours, step = torch.autograd.grad(bound(), weights), 1e-5
    with torch.no_grad():
        for weight, gradient in zip(weights, ours, strict=True):
            differences = torch.zeros_like(weight)
            for index in range(weight.numel()):
                kept = weight.view(-1)[index].item()
                weight.view(-1)[index] = kept + step
                above = bound()
                weight.view(-1)[index] = kept - step
                differences.view(-1)[index] = (above - bound()) / (2 * step)
                weight.view(-1)[index] = kept
            assert torch.allclose(gradient, differences, atol=1e-8)


def test_the_gradient_in_J_and_h_is_the_published_one():
    torch.manual_seed(5)
    x, mu, xi = observations_of(1, X), torch.rand(1, 3).double(), torch.rand(1, X).double()
    J, h, top = (torch.randn(*size).double().requires_grad_() for size in ((X, 3), (X,), (3,)))
    solver = MeanField([(J, h)], top)
    ours = torch.autograd.grad(solver.bound(x, State((mu,), (xi,))).sum(), (J, h, top))
    s, m, e = x.T, mu, xi.T  # (X, 1), (1, P), (X, 1)
    a, b = torch.exp(-e * J), torch.exp((1 - e) * J)
    log_a, log_b = (
        (1 - m + m * a).log().sum(-1, keepdim=True) - e * h[:, None],
        (1 - m + m * b).log().sum(-1, keepdim=True) + (1 - e) * h[:, None],
    )
    phi = torch.sigmoid(log_b - log_a)
    for_J = (s - e) * m + (1 - phi) * e * m * a / (1 - m + m * a) - phi * (1 - e) * m * b / (1 - m + m * b)
    assert torch.allclose(ours[0], for_J, atol=1e-12)
    assert torch.allclose(ours[1], (s - phi).squeeze(-1), atol=1e-12)
    assert torch.allclose(ours[2], (mu - torch.sigmoid(top)).squeeze(0), atol=1e-12)


def test_the_gaussian_gradient_at_the_best_xi_is_the_published_one():
    """dL/dJ_ij = (S_i - xi_i) mu_j - J_ij xi_i (1 - xi_i) mu_j (1 - mu_j), Saul & Jordan (1999)."""
    torch.manual_seed(5)
    x, mu = observations_of(1, X), torch.rand(1, 3).double()
    J, h = torch.randn(X, 3).double().requires_grad_(), torch.randn(X).double()
    solver = MeanField([(J, h)], torch.zeros(3).double(), "gaussian")
    xi = torch.full((1, X), 0.5).double()
    with torch.no_grad():
        for _ in range(30):
            xi = solver.field.tighten(mu, xi, J, h)
    (ours,) = torch.autograd.grad(solver.bound(x, State((mu,), (xi,))).sum(), J)
    expected = (x - xi).T * mu - J * (xi * (1 - xi)).T * mu * (1 - mu)
    assert torch.allclose(ours, expected, atol=1e-7)


def test_weights_are_those_of_units_of_zeros_and_ones():
    model = network([3])
    J, h = linear_weights(model.likelihood)
    codes = torch.tensor(list(itertools.product([0.0, 1.0], repeat=3))).double()
    assert torch.allclose(codes @ J.T + h, model.likelihood(codes).logits, atol=1e-12)


def test_the_posterior_is_found_row_by_row_and_repeats_itself():
    model, x = network([3, 2]), observations_of(7, X)
    q = model.posterior(x)
    alone = torch.cat([model.posterior(row).logits for row in x.split(1)])
    assert torch.allclose(torch.sigmoid(alone), q.mean, atol=1e-9)
    assert torch.equal(model.posterior(x).logits, q.logits)
    assert torch.allclose(torch.cat(model.posterior.state_of(q).mu, -1), q.mean)
    copied = copy.deepcopy(model)
    with torch.no_grad():
        copied.likelihood.conditional.network.layers[0].weight.zero_()  # a copy's posterior belongs to the copy
    assert not torch.allclose(copied.posterior(x).mean, q.mean, atol=1e-3)
    assert torch.equal(model.posterior(x).logits, q.logits)


@pytest.mark.parametrize("layers", [[3], [2, 1]])
def test_evaluation_needs_no_special_case(layers):
    model, data = network(layers, 0.5), binary_data(dim=X)
    held_out = data.test.observations()
    truth = exact(model, held_out).values
    q = model.posterior(held_out.bits(slice(None)).double())
    assert torch.allclose(truth, Enumeration(model).log_likelihood(held_out.bits(slice(None))))
    weighted = importance_weighted(model, held_out, 3000)
    spread = (1 / weighted.diagnostics["effective_samples"] - 1 / 3000).clamp_min(0).sqrt()
    assert ((weighted.values - truth).abs() / spread.clamp_min(1e-3)).max() < 5.5
    assert elbo(model, held_out, 100).mean < float(truth.mean())
    names = [record.name for record in evaluate(model, data, bounds=("elbo", "exact"))]
    assert names == ["elbo", "reconstruction", "kl", "exact", "active-units"]
    assert q.event_shape == (sum(layers),)


@pytest.mark.parametrize("field", FIELDS)
def test_training_by_mean_field_raises_log_p(field):
    torch.manual_seed(0)
    data = binary_data(dim=8)
    model = sbn(8, layers=[4, 2], inference="mean-field", field=field)
    held_out = data.validation.observations()
    before = exact(model, held_out).mean
    steps = {"steps": 150, "batch_size": 60, "learning_rate": 0.05, "warmup": 0, "validate_every": 50}
    rows = []
    fit(model, data, estimator=MeanFieldEM(model), objective=ELBO(), callback=rows.append, **steps)
    assert exact(model, held_out).mean > before + 1.0
    bounds = [row["train/bound"] for row in rows]
    assert bounds[-1] > bounds[0]


def test_a_model_of_two_layers_under_mean_field_has_its_evidence_bound():
    """q is factorised and p a chain: the KL has no closed form, and the sampled one has the right expectation."""
    model, x = network([2, 1]), observations_of(3, X)
    q = model.posterior(x)
    codes = torch.tensor(list(itertools.product([0.0, 1.0], repeat=3))).double().unsqueeze(1)
    terms = ELBO().terms(model, x, q, codes)
    weighed = (q.log_prob(codes).exp() * terms.log_weights).sum(0)
    joint = model.log_joint(x, codes)
    assert torch.allclose(weighed, (q.log_prob(codes).exp() * (joint - q.log_prob(codes))).sum(0), atol=1e-12)


def test_one_layer_agrees_with_the_enumeration_of_the_other_tests():
    model, x = network([3]), observations_of(4, X)
    assert torch.allclose(enumerate_bits(model, x, 1, "exact"), Enumeration(model).log_likelihood(x), atol=1e-12)


def test_what_cannot_work_is_refused():
    recognition, solver = sbn(X, layers=[3]), network([3, 2]).posterior.solver()
    for call, sentence in [
        (lambda: sbn(X, hidden_dims=[4], inference="mean-field"), r"'mean-field' expects linear layers .* got \[4\]"),
        (lambda: sbn(X, inference="mean-feild"), "did you mean 'mean-field'"),
        (lambda: sbn(X, inference="mean-field", field="gausian"), "field: expected one of product, gaussian"),
        (lambda: MeanFieldEM(recognition).check(recognition, ELBO()), "needs mean-field inference .*; the model's q"),
        (
            lambda: MeanFieldEM(network([3])).check(network([3]), IWAE()),
            "is defined for the objective elbo; got 'iwae'",
        ),
        (
            lambda: MeanFieldEM(network([3])).check(network([3]), ELBO(beta=2)),
            "objective.beta: expected 1 for the estimator 'mean-f",
        ),
        (
            lambda: MeanFieldEM(network([3])).check(network([3]), ELBO(warm_up=2)),
            "objective.warm_up: expected 0 for the estimator 'mean-field', which does not use beta; got 2",
        ),
        (lambda: linear_weights(bernoulli_vae(X, 3, [4]).likelihood), "weights: expected a linear layer of bits"),
        (lambda: network([3]).posterior(torch.ones(2, X + 1)), r"expected inputs of shape \(..., 5\); got \(2, 6\)"),
        (lambda: solver.infer(torch.ones(2, X + 1)), r"x: expected observations of shape \(B, 5\); got \(2, 6\)"),
        (lambda: solver.infer(torch.ones(2, X), -1.0), "tolerance: expected a number of at least 0; got -1.0"),
        (lambda: solver.infer(torch.ones(2, X), 1.0, 0), "sweeps: expected an integer of at least 1; got 0"),
        (
            lambda: MeanField(solver.layers[::-1], solver.top),
            r"layers\[0\]: expected J of shape \(3, 5\); got \(3, 2\)",
        ),
        (lambda: MeanFieldPosterior(*generative_parts(recognition), "gauss"), "did you mean 'gaussian'"),
        (lambda: network([3]).bound(torch.full((2, X), float("nan"))), "x: .* got NaN"),
    ]:
        with pytest.raises(InputError, match=sentence):
            call()
    ScoreFunction(network([3])).check(network([3]), ELBO())  # the model learns from codes of q; q has nothing to learn
    assert network([3]).posterior(torch.empty(0, X).double()).logits.shape == (0, 3)


def test_inference_multiplies_in_full_whatever_the_training_does():
    """Products in bfloat16, which a training may choose, make L waver by as much as the tolerance of 0.01 nats."""
    torch.manual_seed(0)
    x, J = (torch.rand(20, 784) < 0.15).float(), 0.3 * torch.randn(784, 20)
    inference, before = MeanField([(J, torch.randn(784) - 2)], torch.randn(20)), torch.get_float32_matmul_precision()
    expected = inference.infer(x)
    try:
        torch.set_float32_matmul_precision("medium")
        found = inference.infer(x)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)
    assert all(
        torch.equal(one, other) for one, other in zip(found.mu + found.xi, expected.mu + expected.xi, strict=True)
    )

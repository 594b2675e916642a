"""Room: estimators. A gradient estimate is summed over every tuple of codes and compared with the exact gradient."""

import math

import numpy as np
import pytest
import torch

from tests.laws import (
    BITS,
    MODELS,
    D,
    X,
    build,
    enumerate_bits,
    gradients,
    largest_difference,
    observations_of,
    score_every_tuple,
)
from vaelab.errors import InputError
from vaelab.estimators import ESTIMATORS, Expectation, Pathwise, ScoreFunction, Sizes
from vaelab.estimators.baselines import BASELINES, Baseline, leave_one_out
from vaelab.models import bernoulli_vae, gaussian_vae, sbn
from vaelab.objectives import ELBO, IWAE, Reconstruction
from vaelab.settings import resolve

OBJECTIVES = {"elbo": ELBO(), "elbo, beta 0.4": ELBO(0.4), "elbo, beta 3": ELBO(3.0), "iwae": IWAE()}
SCORES = [
    ("none", 1),
    ("none", 2),
    ("running-average", 1),
    ("running-average", 2),
    ("leave-one-out", 2),
    ("leave-one-out", 3),
]
EXACT = 1e-11


@pytest.mark.parametrize("name", ESTIMATORS)
def test_what_an_estimator_learns_starts_from_the_seed_of_the_settings(name):
    """Whatever the state of the global generator; another seed gives other weights, where there are any."""

    def start(state, seed):
        torch.manual_seed(state)
        options = {"baseline": "network"} if name == "score-function" else {}
        settings = resolve("bernoulli-vae", {"seed": seed, "estimator": {"name": name, **options}})
        weights = [part.flatten() for part in settings.build_estimator(Sizes(4, 3)).parameters()]
        return torch.cat(weights) if weights else torch.zeros(0)

    first = start(0, seed=1)
    assert torch.equal(first, start(5, seed=1))
    drawn = name in ("rebar", "relax", "rodeo", "score-function")
    assert torch.equal(first, start(0, seed=2)) != drawn


def test_an_estimator_for_codes_of_other_layers_is_refused():
    """Otherwise its baselines would be those of some of the layers, and the others would get no gradient."""
    one, two = bernoulli_vae(X, latent_dim=5), sbn(X, layers=[3, 2])
    for made_for, used_with, count in ((one, two, "1 layers; .* have 2"), (two, one, "2 layers; .* have 1")):
        estimator = ScoreFunction(made_for, samples=2)
        with pytest.raises(InputError, match=f"was made for a model with codes of {count}, so make another"):
            estimator(used_with, ELBO(), observations_of().float())


def score_function(model, baseline, samples):
    """Return the estimator in evaluation mode; a running average has a past, so that it subtracts something."""
    estimator = ScoreFunction(model, samples, baseline).eval()
    for name, buffer in estimator.named_buffers():
        buffer.fill_(-4.2 if name.endswith("total") else 0.6)
    return estimator


def expected_gradient(model, estimator, objective, x):
    """Sum the surrogate's gradient over every tuple of codes, each by its probability."""
    probability, estimate = score_every_tuple(model, estimator, objective, x)
    return gradients(model, (probability * estimate.surrogate).sum())


def exact_gradient(model, objective, x, samples):
    return gradients(model, enumerate_bits(model, x, samples, objective.name, objective.beta).sum())


@pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES.keys())
@pytest.mark.parametrize(("baseline", "samples"), SCORES)
@pytest.mark.parametrize("name", BITS)
def test_the_score_function_is_unbiased_for_every_weight(name, baseline, samples, objective):
    model, x = build(name, latent_dim=3 if samples < 3 else 2), observations_of()
    ours = expected_gradient(model, score_function(model, baseline, samples), objective, x)
    exact = exact_gradient(model, objective, x, samples)
    assert largest_difference(ours, exact) < EXACT
    trained = {"posterior", "likelihood", *(["prior"] if "learned" in name else [])}
    assert {weight.split(".")[0] for weight, gradient in exact.items() if gradient.abs().max() > 1e-3} == trained


class SeesItsOwnCode(Baseline):
    """Wrong on purpose: subtracts a mean that the code itself is part of."""

    def forward(self, objective, values, x):
        return objective.signal(values, objective(values)), None


@pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES.keys())
def test_the_sum_over_codes_finds_a_wrong_baseline(objective):
    model, x = build(BITS[0]), observations_of()
    estimator = score_function(model, "none", 2)
    estimator.baselines[0] = SeesItsOwnCode(X)
    wrong = expected_gradient(model, estimator, objective, x)
    assert largest_difference(wrong, exact_gradient(model, objective, x, 2)) > 0.05


@pytest.mark.parametrize("objective", [ELBO(0.4), IWAE()], ids=["elbo", "iwae"])
def test_the_reported_bound_has_the_expectation_of_the_bound_with_beta_one(objective):
    model, x = build(BITS[1]), observations_of()
    probability, estimate = score_every_tuple(model, score_function(model, "leave-one-out", 2), objective, x)
    reported = (probability * estimate.bound).view(-1, len(x)).sum(0)
    assert torch.allclose(reported, enumerate_bits(model, x, 2, objective.name), atol=1e-12)
    elbo = (probability * (estimate.log_likelihood - estimate.kl)).view(-1, len(x)).sum(0)
    assert torch.allclose(elbo, enumerate_bits(model, x, 1, "elbo"), atol=1e-12)


@pytest.mark.parametrize("objective", [ELBO(0.4), IWAE()], ids=["elbo", "iwae"])
@pytest.mark.parametrize("baseline", ["none", "running-average"])
def test_the_score_function_agrees_with_the_pathwise_gradient_on_a_gaussian_code(baseline, objective):
    """One real code: both are integrated over the noise by Gauss-Hermite quadrature of 100 nodes."""
    model, x = build("gaussian", latent_dim=1), observations_of()
    nodes, weights = np.polynomial.hermite_e.hermegauss(100)
    probability = torch.tensor(weights).repeat_interleave(len(x)) / math.sqrt(2 * math.pi)
    noise = torch.tensor(nodes).repeat_interleave(len(x)).view(1, -1, 1)  # (1, nodes B, 1)
    repeated = x.repeat(len(nodes), 1)

    def integrated(estimator, detach):
        q = model.posterior(repeated)
        z = q.loc + q.stddev * noise
        estimate = estimator.score(Expectation(model, objective, repeated, q), z.detach() if detach else z)
        return gradients(model, (probability * estimate.surrogate).sum())

    by_score = integrated(score_function(model, baseline, 1), detach=True)
    by_path = integrated(Pathwise(model, 1), detach=False)
    assert max(gradient.abs().max() for gradient in by_path.values()) > 0.1
    assert largest_difference(by_score, by_path) < 1e-8


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize(
    ("name", "objective"),
    [("gaussian", ELBO()), ("gaussian", ELBO(0.4)), ("gaussian", IWAE()), ("autoencoder", Reconstruction())],
)
def test_the_pathwise_gradient_is_that_of_differences_with_common_noise(name, objective, samples):
    model, x = build(name, latent_dim=2, hidden_dims=(3,)), observations_of()
    estimator = Pathwise(model, samples)

    def surrogate():
        torch.manual_seed(5)
        return estimator(model, objective, x).surrogate.sum()

    ours = gradients(model, surrogate())
    step = 1e-5
    for weight_name, weight in model.named_parameters():
        differences = torch.zeros_like(weight)
        with torch.no_grad():
            flat = weight.view(-1)
            for index in range(weight.numel()):
                kept = flat[index].item()
                flat[index] = kept + step
                above = surrogate()
                flat[index] = kept - step
                differences.view(-1)[index] = (above - surrogate()) / (2 * step)
                flat[index] = kept
        assert torch.allclose(ours[weight_name], differences, rtol=1e-6, atol=1e-7), weight_name


@pytest.mark.parametrize("objective", [ELBO(), IWAE()], ids=["elbo", "iwae"])
@pytest.mark.parametrize("samples", [2, 3, 4])
def test_leave_one_out_is_its_definition(objective, samples):
    values = torch.randn(samples, 5, dtype=torch.float64)
    for left_out in range(samples):
        others = [values[k] for k in range(samples) if k != left_out]
        replaced = torch.stack([*others, sum(others) / len(others)])
        expected = objective(values) - objective(replaced)
        assert torch.allclose(leave_one_out(objective, values)[left_out], expected, atol=1e-14)


def test_the_running_average_is_the_weighted_mean_of_the_past_and_knows_nothing_of_the_present():
    baseline, objective, x = BASELINES["running-average"](X).double(), ELBO(), observations_of(3)

    def signal_of(baseline, values):
        signal, loss = baseline(objective, values, x)
        assert loss is None
        return signal

    assert torch.equal(signal_of(baseline, torch.full((2, 3), 5.0).double()), torch.full((2, 3), 2.5).double())
    past = [5.0]
    for value in (-1.0, 7.0, 2.0):
        decay = [0.9 ** (len(past) - 1 - index) for index in range(len(past))]
        mean = sum(map(float.__mul__, decay, past)) / sum(decay)
        signal = signal_of(baseline, torch.full((2, 3), value).double())
        assert torch.allclose(signal, torch.full((2, 3), (value - mean) / 2).double(), atol=1e-12)
        past.append(value)
    kept = {name: buffer.clone() for name, buffer in baseline.named_buffers()}
    signal_of(baseline.eval(), torch.full((2, 3), 100.0).double())
    assert all(torch.equal(buffer, kept[name]) for name, buffer in baseline.named_buffers())
    again = BASELINES["running-average"](X).double()
    again.load_state_dict(baseline.state_dict())
    values = torch.randn(2, 3).double()
    assert torch.equal(signal_of(again.eval(), values), signal_of(baseline, values))


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("kind", [Pathwise, ScoreFunction])
def test_an_estimator_goes_with_a_model_or_is_refused(name, kind):
    model = build(name)
    estimator = kind(model, samples=2)
    objective = Reconstruction() if name == "autoencoder" else ELBO()
    if model.code not in kind.codes:
        with pytest.raises(InputError, match=f"estimator: '{kind.name}' needs codes of kind"):
            estimator.check(model, objective)
        return
    estimator.check(model, objective)
    estimate = estimator(model, objective, observations_of(4))
    assert [part.shape for part in estimate[:4]] == [(4,)] * 4
    assert [part.requires_grad for part in estimate[:4]] == [False, True, False, False]
    wrong = ELBO() if name == "autoencoder" else Reconstruction()
    with pytest.raises(InputError, match="objective: expected"):
        estimator.check(model, wrong)


@pytest.mark.parametrize("samples", [0, -1, 1.5, "2", True, None])
@pytest.mark.parametrize("kind", ESTIMATORS.values(), ids=ESTIMATORS.keys())
def test_a_number_of_codes_that_is_none_is_refused(kind, samples):
    with pytest.raises(InputError, match=r"^samples: expected an integer of at least 1"):
        kind(Sizes(X, D), samples=samples)


def test_options_of_the_score_function_that_cannot_work_are_refused():
    with pytest.raises(InputError, match=r"at least 2 for the baseline leave-one-out; got 1"):
        ScoreFunction(Sizes(X, D), 1, "leave-one-out")
    with pytest.raises(InputError, match="did you mean 'running-average'"):
        ScoreFunction(Sizes(X, D), 2, "runing-average")


def test_the_nodes_of_the_quadrature_move_with_the_estimator_and_are_no_part_of_its_state():
    estimator = ESTIMATORS["exact"](gaussian_vae(6, latent_dim=2))
    assert {part.device.type for part in estimator.to("meta").buffers()} == {"meta"}
    assert not estimator.state_dict()

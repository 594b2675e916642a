"""Room: likelihood. Annealed importance sampling: kernels on enumerated targets, estimates against the truth."""

import math
from itertools import pairwise

import pytest
import torch

import vaelab
from vaelab.data import DataSpec
from vaelab.errors import InputError
from vaelab.likelihood import (
    Interrupted,
    annealed_gap,
    annealed_importance,
    bracket,
    exact,
    importance_weighted,
    kernel_for,
    quadrature,
    walk,
)
from vaelab.likelihood.annealing import Path, temperatures_between
from vaelab.likelihood.kernels import HamiltonianMonteCarlo, Langevin
from vaelab.models import LatentVariableModel

X, D = 6, 3
TEMPERATURES = (0.0, 0.3, 1.0)
STARTS = ("posterior", "prior")


def sharpened(model, factor=2.5):
    """Return a model in float64 with larger weights of p(x, z): its posteriors are not close to the prior, nor to q."""
    with torch.no_grad():
        for weight in [*model.prior.parameters(), *model.likelihood.parameters()]:
            weight.mul_(factor)
    return model.double()


def conditional(seed):
    data = vaelab.Dataset.from_arrays(torch.randint(0, 2, (40, X)).numpy().astype("uint8"), [0, 1] * 20)
    return vaelab.bernoulli_vae(data.with_condition("labels"), D, hidden_dims=[5], seed=seed)


MODELS = {
    "bits": lambda seed: vaelab.bernoulli_vae(X, D, hidden_dims=[5], prior="learned", seed=seed),
    "layers of bits": lambda seed: vaelab.sbn(X, layers=[D, 2], seed=seed),
    "real": lambda seed: vaelab.gaussian_vae(X, 2, hidden_dims=[5], seed=seed),
    "conditional": conditional,
}
TRUTH = {"real": quadrature}


def rows_of(model, count=8):
    x = torch.randint(0, 2, (count, X)).double()
    y = torch.nn.functional.one_hot(torch.arange(count) % 2, 2)[:, : model.given].double()
    return torch.cat([x, y], 1)


def codes(size=D):
    """Return all codes of so many bits, (2^D, 1, D)."""
    return torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * size).view(-1, 1, size).double()


def target_on(path, temperature):
    return path.at(codes()).log_density(temperature).squeeze(1).softmax(0)


def langevin_matrix(path, temperature, step):
    """Return the probability of every move between codes, (2^D, 2^D), from proposals and acceptances."""
    kernel, z = Langevin(), codes()
    place = path.at(z)
    logits = kernel.flip_logits(place, temperature, step)
    matrix = torch.zeros(len(z), len(z), dtype=torch.float64)
    for column, other in enumerate(z):
        flips = (z - other).abs()
        proposed = (torch.where(flips > 0, 1.0, -1.0) * logits).sigmoid().log().sum(-1).exp()
        new = path.at(other.expand_as(z))
        matrix[:, column] = (proposed * kernel.chance(place, new, flips, temperature, step)).squeeze(1)
    matrix.fill_diagonal_(0)
    return matrix + torch.diag(1 - matrix.sum(1))


def gibbs_matrix(target):
    """Return the probability of every move of a scan forth and back, from the conditionals of an enumerated target."""
    z = codes().squeeze(1)
    matrix = torch.eye(len(z), dtype=torch.float64)
    for bit in (*range(D), *reversed(range(D - 1))):
        same = (z[:, None] == z[None])[..., [other for other in range(D) if other != bit]].all(-1)
        one = same * target
        matrix = matrix @ (one / one.sum(1, keepdim=True))
    return matrix


@pytest.fixture
def path():
    model = sharpened(MODELS["bits"](0))
    return Path(model, rows_of(model, 1), "posterior", gradients=True)


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("step", [0.1, 0.5, 5.0])
def test_langevin_leaves_its_target_unchanged(path, temperature, step):
    target, matrix = target_on(path, temperature), langevin_matrix(path, temperature, step)
    flow = target[:, None] * matrix
    assert torch.allclose(target @ matrix, target, atol=1e-12)
    assert torch.allclose(flow, flow.T, atol=1e-12)  # and can be run backwards
    assert (matrix - torch.eye(len(matrix))).abs().max() > 0.01  # and moves


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_a_scan_of_gibbs_leaves_its_target_unchanged(path, temperature):
    target = target_on(path, temperature)
    flow = target[:, None] * gibbs_matrix(target)
    assert torch.allclose(flow.sum(0), target, atol=1e-12)
    assert torch.allclose(flow, flow.T, atol=1e-12)


@pytest.mark.parametrize("name", ["langevin", "gibbs"])
def test_kernels_of_bits_move_as_their_matrices_say(path, name):
    """Each count is within 5 standard errors: 64 counts fail by chance in fewer than 4 of 100 000 runs."""
    count, temperature, step = 20_000, 0.7, 0.5
    target = target_on(path, temperature)
    matrix = langevin_matrix(path, temperature, step) if name == "langevin" else gibbs_matrix(target)
    numbers = 2.0 ** torch.arange(D - 1, -1, -1).double()
    for row, z in enumerate(codes()):
        place, _ = kernel_for("bits", name).move(path, path.at(z.expand(count, 1, D)), temperature, step)
        found = torch.bincount((place.z.squeeze(1) @ numbers).long(), minlength=2**D) / count
        error = (matrix[row] * (1 - matrix[row]) / count).sqrt()
        assert ((found - matrix[row]).abs() <= 5 * error + 1e-9).all()


def test_leapfrog_steps_can_be_run_backwards_and_keep_volume():
    """With fresh normal momenta and the acceptance of Metropolis, that leaves the target unchanged."""
    model = sharpened(MODELS["real"](0))
    path, kernel = Path(model, rows_of(model, 1), "posterior", gradients=True), HamiltonianMonteCarlo()
    step = 0.3 * path.scale

    def flow(point):
        z, momentum = point.view(1, 1, 4).split(2, -1)
        place, left = kernel.leapfrog(path, path.at(z), momentum, 0.6, step)
        return torch.cat([place.z, left], -1).view(4)

    point = torch.tensor([0.2, -0.4, 0.7, 0.1], dtype=torch.float64)
    end = flow(point)
    mirror = torch.tensor([1.0, 1.0, -1.0, -1.0], dtype=torch.float64)
    assert (end - point).abs().max() > 0.1
    assert torch.allclose(flow(end * mirror) * mirror, point, atol=1e-12)
    tiny = 1e-5 * torch.eye(4, dtype=torch.float64)
    jacobian = torch.stack([(flow(point + row) - flow(point - row)) / 2e-5 for row in tiny], 1)
    assert abs(float(torch.linalg.det(jacobian)) - 1) < 1e-8


def test_hmc_accepts_by_the_change_of_its_energy():
    model = sharpened(MODELS["real"](0))
    path, kernel = Path(model, rows_of(model, 3), "posterior", gradients=True), HamiltonianMonteCarlo()
    place = path.at(path.sample(5))
    torch.manual_seed(3)
    _, chance = kernel.move(path, place, 0.6, 0.9)
    torch.manual_seed(3)
    momentum = torch.randn_like(place.z)
    new, left = kernel.leapfrog(path, place, momentum, 0.6, 0.9 * path.scale)
    energy = [-at.log_density(0.6) + 0.5 * p.square().sum(-1) for at, p in ((place, momentum), (new, left))]
    assert torch.allclose(chance, (energy[0] - energy[1]).exp().clamp(max=1))


def truth_of(name, model, x):
    return TRUTH.get(name, exact)(model, x).values


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("name", MODELS)
def test_the_mean_weight_is_the_likelihood(name, start):
    """Unbiased: the mean of w / p(x) over 4000 chains is 1, within 5 standard errors (one false alarm in 10^6)."""
    model = sharpened(MODELS[name](0))
    x = rows_of(model, 2)
    found = annealed_importance(model, x.repeat(40, 1), samples=50, temperatures=8, start=start)
    ratio = (found.values - truth_of(name, model, x).repeat(40)).exp()
    assert abs(float(ratio.mean()) - 1) < 5 * float(ratio.std()) / math.sqrt(len(ratio))
    assert 0.2 < found.details["acceptance"] <= 1


@pytest.mark.parametrize("name", MODELS)
def test_many_temperatures_come_close_to_the_truth(name):
    model = sharpened(MODELS[name](1))
    x = rows_of(model)
    error = annealed_importance(model, x, samples=100, temperatures=100).values - truth_of(name, model, x)
    assert error.abs().mean() < 0.05


@pytest.mark.parametrize("start", STARTS)
def test_it_finds_the_density_of_principal_components(start):
    """Probabilistic principal components (Tipping & Bishop, 1999): log N(x; b, W W' + s^2 I) in closed form.

    q has the exact means, and standard deviations that are a fifth too small, as trained ones are.
    """
    model = vaelab.gaussian_vae(DataSpec((4,), kind="real"), 3, hidden_dims=[], likelihood="gaussian", seed=0).double()
    decoder, encoder = (part.network.layers[0] for part in (model.likelihood, model.posterior))
    with torch.no_grad():
        p = model.likelihood(torch.zeros(1, 3, dtype=torch.float64))
        weight, variance = 2 * decoder.weight, p.variance[0]
        decoder.weight.copy_(weight)
        covariance = torch.linalg.inv(torch.eye(3).double() + (weight.T / variance) @ weight)  # of p(z|x)
        encoder.weight.zero_()
        encoder.weight[:3] = covariance @ (weight.T / variance)
        encoder.bias[:3] = -encoder.weight[:3] @ p.mean[0]
        encoder.bias[3:] = (0.8 * covariance.diagonal().sqrt()).log()
        x = model.sample(6, seed=0)
        density = torch.distributions.MultivariateNormal(p.mean[0], weight @ weight.T + torch.diag(variance))
    error = (annealed_importance(model, x, samples=64, temperatures=60, start=start).values - density.log_prob(x)).abs()
    assert error.max() < 0.25
    assert error.mean() < 0.08


@pytest.mark.parametrize("name", ["bits", "real"])
def test_missing_values_are_left_out(name):
    model = sharpened(MODELS[name](0)).allow_missing()
    x = rows_of(model)
    x[:, :2] = torch.nan
    x[0] = torch.nan
    error = annealed_importance(model, x, samples=32, temperatures=100).values - truth_of(name, model, x)
    assert error.abs().mean() < 0.05
    assert abs(float(error[0])) < 0.05  # nothing is observed: log p(x) = 0


@pytest.mark.parametrize("name", ["bits", "layers of bits", "real"])
def test_the_backward_walk_is_an_upper_bound(name):
    """Both means are within 5 standard errors of the truth's side, and the gap closes as the path gets finer."""
    model = sharpened(MODELS[name](0))
    gaps = [bracket(model, rows=40, samples=8, temperatures=count).gap for count in (4, 64)]
    assert gaps[0].mean > 0
    assert gaps[1].mean > -5 * gaps[1].standard_error
    assert gaps[1].mean < 0.5 * gaps[0].mean


def test_the_mean_of_the_inverse_weights_is_the_inverse_likelihood():
    """Unbiased backwards: the mean of p(x) / w over rows of the model is 1, within 5 standard errors."""
    model = sharpened(MODELS["bits"](0))
    found = bracket(model, rows=1000, samples=4, temperatures=8)
    ratio = (exact(model, found.rows).values - found.upper.values).exp()
    assert abs(float(ratio.mean()) - 1) < 5 * float(ratio.std()) / math.sqrt(len(ratio))


def test_the_gap_takes_what_is_given_and_what_is_missing_from_the_rows_that_are_observed():
    model = sharpened(conditional(0)).allow_missing()
    x = rows_of(model, 40)
    x[::2, :2] = torch.nan
    seen = []
    model.posterior.register_forward_hook(lambda module, inputs, q: seen.append(inputs[0]))
    gap = annealed_gap(model, x, samples=4, temperatures=8)
    of_tuning, drawn = seen
    assert torch.equal(of_tuning.nan_to_num(2.0), drawn[: len(of_tuning)].nan_to_num(2.0))
    assert torch.equal(drawn.isnan(), x.isnan())
    assert torch.equal(drawn[:, X:], x[:, X:])
    assert not torch.equal(drawn[1::2], x[1::2])
    truth = exact(model, drawn).values
    lower, upper = gap.parts["ais-lower-8"].values, gap.parts["ais-upper-8"].values
    assert torch.equal(gap.values, upper - lower)
    for sign, bound in ((1, lower), (-1, upper)):  # unbiased on both sides
        ratio = (sign * (bound - truth)).exp()
        assert abs(float(ratio.mean()) - 1) < 5 * float(ratio.std()) / math.sqrt(len(ratio))


def test_one_temperature_is_importance_sampling():
    model = sharpened(MODELS["bits"](0))
    x = rows_of(model)
    found = annealed_importance(model, x, samples=4000, temperatures=1)
    other = importance_weighted(model, x, 4000)
    assert (found.values - other.values).abs().max() < 0.2
    assert (found.diagnostics["effective_samples"] / other.diagnostics["effective_samples"] - 1).abs().max() < 0.2


def test_the_same_seed_gives_the_same_numbers():
    model = MODELS["bits"](0)
    x = rows_of(model)
    one, other, third = (annealed_importance(model, x, 4, seed, temperatures=5).values for seed in (1, 1, 2))
    assert torch.equal(one, other)
    assert not torch.equal(one, third)


def test_the_schedule_is_symmetric_and_complete():
    steps = temperatures_between(10)
    assert steps[0] == 0
    assert steps[-1] == 1
    assert all(low < high for low, high in pairwise(steps))
    assert all(math.isclose(low + high, 1) for low, high in zip(steps, steps[::-1], strict=True))


def test_progress_ends_at_the_total():
    seen = []
    annealed_importance(
        MODELS["bits"](0), rows_of(MODELS["bits"](0)), 2, 0, lambda *at: seen.append(at), temperatures=7
    )
    assert seen[-1] == (7, 7)
    assert seen == sorted(seen)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"temperatures": 0}, "temperatures: expected an integer of at least 1; got 0"),
        ({"samples": 0}, "samples: expected an integer of at least 1; got 0"),
        ({"start": "middle"}, "start: expected one of posterior, prior; got 'middle'"),
        ({"kernel": "hmc"}, "kernel: expected langevin or gibbs for codes of kind 'bits'; got 'hmc'"),
        ({"kernel": "metropolis"}, "kernel: expected one of hmc, langevin, gibbs; got 'metropolis'"),
    ],
)
def test_wrong_options_are_refused(options, sentence):
    model = MODELS["bits"](0)
    with pytest.raises(InputError, match=sentence.replace("(", r"\(")):
        annealed_importance(model, rows_of(model), **options)


def test_an_autoencoder_has_no_likelihood():
    with pytest.raises(InputError, match="likelihood"):
        annealed_importance(vaelab.autoencoder(X), torch.zeros(2, X))


def test_models_without_gradients_in_their_parameters_work():
    model = MODELS["bits"](0)
    for weight in model.parameters():
        weight.requires_grad_(False)
    assert isinstance(model, LatentVariableModel)
    assert annealed_importance(model, rows_of(model), 2, temperatures=5).values.isfinite().all()


@pytest.mark.parametrize("name", ["bits", "real"])
def test_it_works_in_inference_mode(name):
    model = MODELS[name](0)
    rows = rows_of(model)
    with torch.inference_mode():
        found = annealed_importance(model, rows.clone(), 2, temperatures=5), annealed_gap(model, rows.clone(), 2)
    assert torch.equal(found[0].values, annealed_importance(model, rows, 2, temperatures=5).values)
    assert found[1].values.isfinite().all()


def test_an_interrupt_ends_the_call_and_has_the_rows_that_are_done(monkeypatch):
    """A call in a program ends as by any other interrupt; only an evaluation goes on with what is done."""
    model = MODELS["bits"](0)
    monkeypatch.setattr(walk, "_ELEMENTS", 2 * X * 3)  # chunks of three rows

    def stop(done, total):
        if done > total // 2:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted) as stopped:
        annealed_importance(model, rows_of(model), 2, 0, stop, temperatures=4)
    assert stopped.value.estimate.interrupted
    assert len(stopped.value.estimate.values) == 3
    with pytest.raises(Interrupted) as stopped:
        annealed_gap(model, rows_of(model), 2, 0, stop, temperatures=4)
    gap = stopped.value.estimate
    assert gap.interrupted
    assert [len(each.values) for each in (gap, *gap.parts.values())] == [3, 3, 3]
    with pytest.raises(KeyboardInterrupt):
        bracket(model, rows=8, samples=2, temperatures=4, callback=lambda done, total: stop(2 * done, total))

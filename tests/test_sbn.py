"""Room: models, sigmoid belief networks. The model's distribution, exact sums, completion, and the four inferences."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
import torch

from tests.commands import CommandLine
from tests.laws import binary_data, largest_difference, observations_of, widths_of
from vaelab.data import Dataset, Split
from vaelab.distributions import all_codes
from vaelab.errors import InputError
from vaelab.inference import Enumeration, complete
from vaelab.inference import enumeration as enumeration_module
from vaelab.inference.completion import gibbs_sweep
from vaelab.likelihood import exact
from vaelab.models import bernoulli_vae, deep_gaussian_vae, gaussian_vae, sbn
from vaelab.settings import resolve
from vaelab.training import fit, train

X = 6
NETS = {"one layer": [4], "two layers": [3, 2], "three layers": [2, 2, 1]}


def network(layers, std=1.0, **options):
    torch.manual_seed(0)
    model = sbn(X, layers=layers, **options).double()
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=std)
    return model


def every_x(dim=X):
    return all_codes(dim, torch.zeros((), dtype=torch.float64))


# ---------------------------------------------------------------- the model


@pytest.mark.parametrize("layers", NETS.values(), ids=NETS.keys())
def test_the_joint_is_the_product_of_units_given_their_parents(layers):
    """P(S_i = 1 | parents) = sigmoid(sum_j J_ij S_j + h_i), unit by unit, J and h written out."""
    model, x = network(layers), observations_of(3, X)
    z = model.prior().sample((5, 3))
    values = [x.expand(5, -1, -1), *z.split(layers, -1)]
    likelihood, below = model.likelihood, []
    if len(layers) > 1:
        likelihood, below = model.likelihood.conditional, reversed(list(model.prior.conditionals))
    total = torch.zeros(5, 3).double()
    for part, child, parents in zip((likelihood, *below), values, values[1:], strict=False):
        (linear,) = part.network.layers
        J, h = 2 * linear.weight, linear.bias - linear.weight.sum(-1)  # bits are read as -1/+1
        p = torch.sigmoid(parents @ J.T + h)
        total += (child * p.log() + (1 - child) * (1 - p).log()).sum(-1)
    top = torch.sigmoid((model.prior if len(layers) == 1 else model.prior.top).logits)
    total += (values[-1] * top.log() + (1 - values[-1]) * (1 - top).log()).sum(-1)
    assert torch.allclose(model.log_joint(x, z), total, atol=1e-12)


@pytest.mark.parametrize("layers", NETS.values(), ids=NETS.keys())
def test_samples_have_the_frequencies_of_the_exact_distribution(layers):
    """100 000 draws, 64 cells within 5 standard errors: false alarm below 4e-5."""
    model, count = network(layers), 100_000
    draws = model.sample(count, "draw", seed=0)
    frequency = torch.bincount((draws @ 2.0 ** torch.arange(X).double()).long(), minlength=2**X) / count
    with torch.no_grad():
        truth = Enumeration(model).log_likelihood(every_x()).exp()
    assert float(truth.sum()) == pytest.approx(1, abs=1e-12)
    assert ((frequency - truth).abs() / (truth * (1 - truth) / count).sqrt()).max() < 5


def test_hidden_layers_go_between_the_layers_of_bits():
    model = sbn(X, layers=[4, 3], hidden_dims=[7, 5], encoder_dims=[9])
    assert widths_of(model.likelihood.conditional) == [5, 7, X]
    assert widths_of(model.prior.conditionals[0]) == [5, 7, 4]
    assert [widths_of(part) for part in model.posterior.conditionals] == [[9, 4], [9, 3]]
    assert sbn(X, layers=[4]).prior.logits.requires_grad


def test_the_gaussian_vae_of_two_layers_has_the_published_sizes():
    model = deep_gaussian_vae(784)
    first, second = model.posterior.conditionals
    assert widths_of(first) == [200, 200, 2 * 100]
    assert widths_of(second) == [100, 100, 2 * 50]
    assert model.posterior(torch.rand(2, 784)).event_shape == (150,)


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: sbn(X, layers=[]), r"layers: expected a list of layer sizes, such as \[200, 200\]; got \[\]"),
        (lambda: sbn(X, layers=200), "layers: expected a list of layer sizes"),
        (lambda: sbn(X, layers="200"), "layers: expected a list of layer sizes"),
        (lambda: sbn(X, layers=[4, 0]), r"layers\[1\]: expected an integer of at least 1; got 0"),
        (lambda: sbn(X, layers=[2.5]), r"layers\[0\]: expected an integer"),
        (lambda: sbn(0), "data: expected an integer of at least 1"),
        (lambda: sbn(X, hidden_dims=[0]), r"hidden_dims\[0\]: expected an integer"),
        (lambda: sbn(X, hidden_dims=5), "hidden_dims: expected a list; got 5"),
        (lambda: sbn(X, encoder_dims="5"), "encoder_dims: expected a list; got '5'"),
        (lambda: sbn(X, field="gaussian"), "field, tolerance: go with inference=mean-field; .* 'amortised'"),
        (lambda: sbn(X, tolerance=0.1, inference="wake-sleep"), "field, tolerance: go with inference=mean-field"),
        (
            lambda: sbn(X, inference="mean-field", encoder_dims=[4]),
            r"has no recognition network .* got \[\], mlp and \[4\]",
        ),
        (
            lambda: deep_gaussian_vae(X, layers=[3], hidden_dims=5),
            "hidden_dims: expected a list of lists of widths",
        ),
        (lambda: deep_gaussian_vae(X, layers=[3, 2], hidden_dims=[[4]]), "hidden_dims: expected 2 lists of widths"),
        (lambda: deep_gaussian_vae(X, layers=[3], hidden_dims=[4]), "hidden_dims: expected a list of layer widths"),
        (lambda: deep_gaussian_vae(X, layers=[]), "layers: expected a list of layer sizes"),
    ],
)
def test_networks_that_cannot_be_are_refused(build, sentence):
    with pytest.raises(InputError, match=sentence):
        build()


# ---------------------------------------------------------------- exact sums


@pytest.mark.parametrize("elements", [4_000_000, 40], ids=["in one piece", "in chunks"])
@pytest.mark.parametrize("layers", NETS.values(), ids=NETS.keys())
def test_enumeration_is_the_brute_force_sum(layers, elements, monkeypatch):
    monkeypatch.setattr(enumeration_module, "_ELEMENTS", elements)
    model, x = network(layers), observations_of(7, X)
    dim = sum(layers)
    joint = model.log_joint(x, all_codes(dim, x).unsqueeze(1))  # (S, B)
    log_p = joint.logsumexp(0)
    enumeration = Enumeration(model)
    assert torch.allclose(enumeration.log_likelihood(x), log_p, atol=1e-12)
    posterior = (joint - log_p).exp()
    assert torch.allclose(enumeration.posterior_mean(x), posterior.T @ all_codes(dim, x), atol=1e-12)
    parts = {n: w for n, w in model.named_parameters() if w.requires_grad and not n.startswith("posterior")}
    expected = dict(zip(parts, torch.autograd.grad(log_p.mean(), list(parts.values())), strict=True))
    assert largest_difference(enumeration.gradient(x), expected) < 1e-12


def test_the_gradient_of_log_p_is_that_of_differences():
    model, x, step = network([3, 1]), observations_of(4, X), 1e-5
    enumeration = Enumeration(model)
    ours = enumeration.gradient(x)
    with torch.no_grad():
        for name, gradient in ours.items():
            weight = model.get_parameter(name).view(-1)
            for index in range(weight.numel()):
                kept = weight[index].item()
                weight[index] = kept + step
                above = enumeration.log_likelihood(x).mean()
                weight[index] = kept - step
                difference = (above - enumeration.log_likelihood(x).mean()) / (2 * step)
                weight[index] = kept
                assert gradient.view(-1)[index].item() == pytest.approx(float(difference), abs=1e-9)


@pytest.mark.parametrize("elements", [4_000_000, 40], ids=["in one piece", "in chunks"])
def test_exact_posterior_draws_have_the_exact_frequencies(elements, monkeypatch):
    """20 000 draws for each of 2 observations, 16 codes within 5 standard errors: false alarm below 2e-5."""
    monkeypatch.setattr(enumeration_module, "_ELEMENTS", elements)
    model, x, count = network([4]), observations_of(2, X), 20_000
    torch.manual_seed(0)
    draws = Enumeration(model).sample(x, count)  # (K, B, D)
    joint = model.log_joint(x, all_codes(4, x).unsqueeze(1))
    for b in range(2):
        frequency = torch.bincount((draws[:, b] @ 2.0 ** torch.arange(4).double()).long(), minlength=16) / count
        truth = torch.softmax(joint[:, b], 0).detach()
        assert ((frequency - truth).abs() / (truth * (1 - truth) / count).sqrt().clamp_min(1e-4)).max() < 5


def test_known_pixels_alone_are_the_marginal_over_the_others():
    model = network([3, 2])
    x, known = every_x(), torch.tensor([True, True, False, True, False, False])
    with torch.no_grad():
        whole = Enumeration(model).log_likelihood(x).exp()
        ours = Enumeration(model).log_likelihood(torch.where(known, x, torch.nan), known.expand(x.shape)).exp()
        assert torch.equal(Enumeration(model).log_likelihood(x, known).exp(), ours)
    key = (x[:, known] @ torch.tensor([1.0, 2.0, 4.0]).double()).long()
    marginal = torch.zeros(8).double().index_add(0, key, whole)
    assert torch.allclose(ours, marginal[key], atol=1e-12)


def test_twelve_bits_of_mnist_size_are_summed_fast_and_twenty_fit_the_memory():
    """At least 1,000 images a second for 12 bits and 784 pixels; a chunk never holds more than its share."""
    model, x = sbn(784, layers=[12]), torch.rand(1000, 784).round()
    enumeration = Enumeration(model)
    with torch.no_grad():
        enumeration.log_likelihood(x[:100])
        started = time.process_time()
        enumeration.log_likelihood(x)
        assert len(x) / (time.process_time() - started) > 1000
    assert enumeration_module.MAX_BITS == 20
    largest = max(z.shape[0] for z, _ in Enumeration(sbn(9, layers=[17])).chunks(torch.ones(1000, 9)))
    assert largest * 1000 <= enumeration_module._ELEMENTS


def test_single_and_double_precision_agree():
    data = binary_data(dim=X)
    model, held_out = network([4]).float(), data.test.observations()
    single, double = exact(model, held_out), exact(model, held_out, double=True)
    assert double.values.dtype == torch.float64
    assert (single.values - double.values).abs().max() < 1e-4
    assert next(model.parameters()).dtype == torch.float32


def test_what_cannot_be_enumerated_is_refused():
    with pytest.raises(InputError, match="exact: expected at most 20 bits to enumerate; the model has 21"):
        Enumeration(sbn(X, layers=[20, 1]))
    with pytest.raises(InputError, match="exact: only codes of bits can be enumerated"):
        Enumeration(gaussian_vae(X, 2))
    with pytest.raises(InputError, match="samples: expected an integer of at least 1"):
        Enumeration(network([2])).sample(observations_of(1, X), 0)
    for x, known, sentence in [
        (torch.ones(2, X + 1), None, "x: expected 6 pixels in each row, as the model has; got 7"),
        (
            torch.ones(X),
            None,
            r"x: expected a tensor or an array of observations, shape \(B, X\); got Tensor of shape \(6,\)",
        ),
        ([[1.0] * X] * 2, None, "x: expected a tensor or an array of observations, .* got list"),
        (torch.full((2, X), torch.nan), None, r"x: expected bits or numbers in \[0, 1\]; got NaN"),
        (torch.full((2, X), 2.0), None, r"x: expected bits or numbers in \[0, 1\]; got values in \[2, 2\]"),
        (torch.ones(2, X), torch.ones(2, X), r"known: expected booleans of shape \(6,\) or \(2, 6\); got float32"),
    ]:
        for what in ("log_likelihood", "posterior_mean", "sample"):
            with pytest.raises(InputError, match=sentence):
                getattr(Enumeration(network([2])), what)(x, known=known)


# ---------------------------------------------------------------- completion


@pytest.mark.parametrize("way", ["exact", "gibbs"])
@pytest.mark.parametrize("layers", [[3], [2, 1]])
def test_completions_have_the_exact_conditional_frequencies(layers, way):
    """20 000 completions of one half, 8 cells within 5 standard errors: false alarm below 5e-6."""
    model, count = network(layers), 20_000
    known = torch.tensor([True, False, True, False, True, False])
    x = torch.tensor([[1.0, 0, 0, 0, 1, 0]]).double().expand(count, -1)
    completed, _ = complete(model, x, known, sweeps=60, seed=1, exact=way == "exact")
    assert torch.equal(completed[:, known], x[:, known])
    every = every_x()
    with torch.no_grad():
        truth = Enumeration(model).log_likelihood(every).exp()
    truth = truth * (every[:, known] == x[0, known]).all(-1)
    truth = (truth / truth.sum())[truth > 0]
    key = (completed[:, ~known] @ torch.tensor([1.0, 2.0, 4.0]).double()).long()
    frequency = torch.bincount(key, minlength=8) / count
    assert ((frequency - truth).abs() / (truth * (1 - truth) / count).sqrt()).max() < 5


class _Decisions:
    """Stands for the uniforms of a sweep: bit j turns as told, and the probability of what was told is kept."""

    def __init__(self, turns):
        self.turns, self.probability = iter(turns.T.bool()), torch.ones(len(turns)).double()

    def __call__(self, _):
        return self

    def __lt__(self, p):
        turn = next(self.turns)
        self.probability = self.probability * torch.where(turn, p, 1 - p)
        return turn


@pytest.mark.parametrize("options", [{}, {"hidden_dims": [4]}], ids=["linear", "non-linear"])
@pytest.mark.parametrize("layers", [[3], [2, 1], [2, 1, 1]])
@pytest.mark.parametrize("count", [0, 3, X])
def test_a_gibbs_sweep_leaves_the_exact_posterior_as_it_is_and_reaches_every_code(layers, options, count, monkeypatch):
    """The sweep's matrix of transitions T, entry by entry: p(z|x_known) T = p(z|x_known), and every entry positive."""
    model, x, known = network(layers, **options), observations_of(1, X), torch.arange(X) < count
    bits, codes = sum(layers), every_x(sum(layers))
    start, turns = codes.repeat_interleave(2**bits, 0), codes.repeat(2**bits, 1)
    decisions = _Decisions(turns)
    monkeypatch.setattr(torch, "rand_like", decisions)
    rows = x.expand(len(start), -1)
    with torch.no_grad():
        end = gibbs_sweep(model, torch.where(known, rows, torch.nan), start)
        joint = model.prior().log_prob(codes)
        densities = model.likelihood(codes).logits
        p = torch.sigmoid(densities[:, known])
        joint = joint + (x[:, known] * p.log() + (1 - x[:, known]) * (1 - p).log()).sum(-1)
    assert torch.equal(end, (start - turns).abs())
    number = (end @ 2.0 ** torch.arange(bits).double()).long().view(2**bits, -1)
    transitions = torch.zeros(2**bits, 2**bits).double().scatter_(1, number, decisions.probability.view(2**bits, -1))
    posterior = torch.softmax(joint, 0)
    assert torch.allclose(transitions.sum(1), torch.ones(2**bits).double(), atol=1e-12)
    assert torch.allclose(posterior @ transitions, posterior, atol=1e-12)
    assert (transitions > 0).all()


@pytest.mark.parametrize("layers", [[3], [7, 6]], ids=["exact", "gibbs"])
@pytest.mark.parametrize("kind", [torch.float64, torch.int64, torch.uint8, torch.bool])
def test_observations_of_every_type_are_completed_alike(layers, kind):
    model, half = sbn(X, layers=layers), torch.arange(X) < 3
    x = observations_of(4, X)
    whole, mean = complete(model, x.float(), half, sweeps=2, seed=3)
    other, other_mean = complete(model, x.to(kind), half, sweeps=2, seed=3)
    assert torch.equal(whole, other)
    assert torch.equal(mean, other_mean)
    assert whole.dtype == torch.float32


def test_everything_known_is_returned_and_nothing_known_is_a_sample():
    model, x = network([3]), observations_of(4, X)
    whole, mean = complete(model, x, torch.ones(X, dtype=torch.bool), seed=0)
    assert torch.equal(whole, x)
    assert torch.equal(mean, x)
    unseen = torch.full((4, X), float("nan")).double()
    drawn, mean = complete(model, unseen, torch.zeros(X, dtype=torch.bool), seed=0)
    assert set(drawn.unique().tolist()) <= {0.0, 1.0}
    assert mean.isfinite().all()
    before = torch.get_rng_state()
    again, _ = complete(model, unseen, torch.zeros(X, dtype=torch.bool), seed=0)
    assert torch.equal(again, drawn)
    assert torch.equal(torch.get_rng_state(), before)


def test_other_models_of_bits_are_completed_too():
    model = bernoulli_vae(X, latent_dim=13, hidden_dims=[5])
    completed, _ = complete(model, observations_of(3, X).float(), torch.arange(X) < 3, sweeps=2, seed=0)
    assert completed.shape == (3, X)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"model": gaussian_vae(X, 2)},
            "complete: expected a model with codes of bits; this model's are of kind 'real'",
        ),
        ({"sweeps": 0}, "sweeps: expected an integer of at least 1"),
        (
            {"x": torch.ones(X)},
            r"x: expected a tensor or an array of observations, shape \(B, X\); got Tensor of shape \(6,\)",
        ),
        ({"x": np.ones((2, X, 1))}, "x: expected a tensor or an array of observations, .* got ndarray"),
        ({"x": [[1.0] * X] * 2}, "x: expected a tensor or an array of observations, .* got list"),
        ({"x": torch.ones(2, X, device="meta")}, "x: expected a tensor on cpu, where the model is; got one on meta"),
        ({"x": torch.full((2, X), 3.0)}, r"x: expected bits or numbers in \[0, 1\] where pixels are known"),
        ({"x": torch.full((2, X), float("nan"))}, "where pixels are known"),
        (
            {"known": torch.ones(X)},
            r"known: expected booleans of shape \(6,\) or \(2, 6\); got float32 of shape \(6,\)",
        ),
        ({"known": torch.ones(X + 1, dtype=torch.bool)}, r"known: expected booleans .* got bool of shape \(7,\)"),
        ({"known": [True] * X}, "known: expected booleans .* got list"),
        ({"known": None}, r"known: expected booleans of shape \(X,\) or \(B, X\); got None"),
        ({"x": torch.ones(2, X + 1), "known": torch.ones(X + 1, dtype=torch.bool)}, "x: expected 6 pixels"),
    ],
)
def test_what_cannot_be_completed_is_refused(change, sentence):
    arguments = {"model": sbn(X, layers=[3]), "x": torch.ones(2, X), "known": torch.ones(X, dtype=torch.bool)}
    with pytest.raises(InputError, match=sentence):
        complete(**(arguments | change))


# ---------------------------------------------------------------- the four inferences, and the command line

INFERENCES = {
    "amortised": ("score-function", "elbo"),
    "wake-sleep": ("wake-sleep", "elbo"),
    "reweighted-wake-sleep": ("reweighted-wake-sleep", "iwae"),
    "mean-field": ("mean-field", "elbo"),
}


@pytest.mark.parametrize("layers", [[4], [3, 2]])
@pytest.mark.parametrize("inference", INFERENCES)
def test_every_inference_raises_the_exact_log_p(inference, layers):
    """On two noisy patterns: the average log p(x) rises by more than a nat, whatever the inference."""
    data = binary_data(dim=8)
    settings = resolve("sbn", {"layers": layers, "inference": inference})
    assert (settings.estimator["name"], settings.objective["name"]) == INFERENCES[inference]
    torch.manual_seed(0)
    model, held_out = settings.build_model(8), data.validation.observations()
    before = exact(model, held_out).mean
    steps = {"steps": 300, "batch_size": 60, "learning_rate": 0.03, "warmup": 0, "validate_every": 100}
    estimator, objective = settings.build_estimator(model), settings.build_objective()
    fit(model, data, estimator=estimator, objective=objective, **steps)
    assert exact(model, held_out).mean > before + 1.0


def test_an_inference_names_its_estimator_and_another_is_refused():
    def check(*layers):
        settings = resolve("sbn", *layers)
        model = settings.build_model(X)
        settings.build_estimator(model).check(model, settings.build_objective())

    check({"inference": "wake-sleep"}, {"estimator": {"samples": 3}})
    for layers, sentence in [
        (
            [{"inference": "wake-sleep", "estimator": {"name": "disarm"}}],
            'goes with estimator={"name": "wake-sleep"}; got .disarm.',
        ),
        ([{"inference": "mean-field", "objective": {"name": "iwae"}}], "is defined for the objective elbo"),
        (
            [{"inference": "reweighted-wake-sleep", "objective": {"name": "elbo"}}],
            'goes with objective={"name": "iwae"}; got .elbo.',
        ),
        ([{"inference": "mean-feild"}], "inference: .*mean-field"),
        ([{"inference": ["mean-field"]}], "inference: "),
        ([{"layers": 20}], "layers: expected a list; got 20"),
        ([{"layers": "a"}], "layers: expected a list; got 'a'"),
    ]:
        with pytest.raises(InputError, match=sentence):
            check(*layers)
    later = resolve("sbn", {"inference": "mean-field"}, {"inference": "amortised"})
    assert later.estimator["name"] == "score-function"


@pytest.mark.parametrize("inference", INFERENCES)
def test_a_run_of_every_inference_is_written_resumed_and_read(inference, tmp_path):
    data = binary_data(dim=8)
    np.save(tmp_path / "x.npy", data.splits["train"].x)
    words = {"layers": [3, 2], "inference": inference, "data": str(tmp_path / "x.npy")}
    settings = resolve("sbn", words, {"training": {"steps": 20, "batch_size": 20, "validate_every": 10}})
    run, fitted = train(settings, tmp_path / "run")
    assert fitted.stop_reason == "finished"
    again, _ = train(settings, tmp_path / "run", resume=True)
    x = torch.from_numpy(data.splits["test"].x).float()
    assert torch.equal(run.load_model().encode(x), again.load_model().encode(x))
    assert not any(name.startswith("posterior") for name in run.load_model().state_dict()) or inference != "mean-field"


def test_the_command_line_trains_evaluates_and_samples(tmp_path, capsys, monkeypatch):
    vaelab = CommandLine(capsys, monkeypatch)
    images = (np.random.default_rng(0).random((200, 4, 4)) < 0.4).astype(np.uint8)
    np.save(tmp_path / "x.npy", images)
    words = ("layers=[4,2]", "inference=mean-field", "training.steps=20", "training.batch_size=20")
    assert vaelab("train", "sbn", *words, "--data", tmp_path / "x.npy", "--out", tmp_path / "run").code == 0
    done = vaelab("evaluate", tmp_path / "run", "--bound", "elbo", "--bound", "exact", "--samples", "5", "--json")
    assert done.code == 0
    names = [record["name"] for record in json.loads(done.out)["evaluations"]]
    assert names == ["elbo", "reconstruction", "kl", "exact", "active-units"]
    assert vaelab("sample", tmp_path / "run", "-n", "4", "--out", tmp_path / "s.png").code == 0
    assert "goes with estimator.name=mean-field" in vaelab.refused(
        "train", "sbn", "inference=mean-field", "estimator.name=arm", "--out", tmp_path / "other"
    )
    assert "needs a code of one layer" in vaelab.refused(
        "train", "sbn", "layers=[4,2]", "estimator.name=arm", "--data", tmp_path / "x.npy", "--out", tmp_path / "third"
    )


def test_a_data_set_of_one_pixel_and_a_layer_of_one_bit():
    rows = Split(np.array([[0], [1]] * 20, dtype=np.uint8))
    data = Dataset("coin", {"train": rows, "validation": rows, "test": rows}, "binary", 1)
    model = sbn(1, layers=[1], inference="mean-field")
    settings = resolve("sbn", {"inference": "mean-field"})
    fit(model, data, estimator=settings.build_estimator(model), steps=5)
    assert float(exact(model, data.test.observations()).mean) < 0

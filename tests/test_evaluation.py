"""Room: evaluation. Estimates against exact sums, their standard errors, and the diagnostics of the code."""

import inspect
import math
import sys

import numpy as np
import pytest
import torch
import typer
from torch import nn
from torch.distributions import Normal, kl_divergence

from tests.laws import BITS, LAYERED, MODELS, VARIATIONAL, X, binary_data, build, enumerate_bits
from vaelab.cli import app
from vaelab.data import Dataset, Split
from vaelab.distributions import all_codes
from vaelab.errors import InputError
from vaelab.evaluation import SAMPLES, active_units, encode_means, evaluate
from vaelab.inference import Enumeration
from vaelab.likelihood import BOUNDS, BoundEstimate, elbo, exact, importance_weighted, prior_average
from vaelab.models import bernoulli_vae, gaussian_vae
from vaelab.training import fit

ROWS = 30


@pytest.fixture(scope="module")
def held_out():
    return binary_data(rows=(20, 20, ROWS)).test.observations()


def table_of(observed):
    return observed.bits(slice(None)).double()


def log_error(estimated, samples):
    """Standard error of log 1/K sum w for each observation, by the delta method: sd(w) / (mean(w) sqrt K)."""
    return (1 / estimated.diagnostics["effective_samples"] - 1 / samples).clamp_min(0).sqrt()


@pytest.mark.torch_versions
@pytest.mark.parametrize("name", BITS)
@pytest.mark.parametrize("elements", [4_000_000, 100])
def test_exact_is_the_brute_force_sum(name, elements, held_out, monkeypatch):
    monkeypatch.setattr(
        sys.modules[Enumeration.__module__], "_ELEMENTS", elements
    )  # in one piece, or a few codes at once
    model = build(name)
    estimated = exact(model, held_out)
    assert torch.allclose(estimated.values, enumerate_bits(model, table_of(held_out), 1, "exact"), atol=1e-12)
    every = torch.cartesian_prod(*[torch.tensor([0, 1], dtype=torch.uint8)] * X)
    all_x = Dataset("all", {"train": Split(every.numpy())}, "binary", 1).train.observations()
    assert float(exact(model, all_x).values.exp().sum()) == pytest.approx(1, abs=1e-12)


@pytest.mark.torch_versions
@pytest.mark.parametrize("name", BITS)
@pytest.mark.parametrize("estimate", [importance_weighted, prior_average])
def test_likelihood_estimates_reach_the_exact_log_p(name, estimate, held_out):
    """20 000 codes; each of 30 observations within 5 standard errors: false alarm below 2e-5."""
    model, samples = build(name), 20_000
    estimated = estimate(model, held_out, samples)
    assert ((estimated.values - exact(model, held_out).values).abs() / log_error(estimated, samples)).max() < 5
    assert log_error(estimated, samples).max() < 0.05  # else the test says little


@pytest.mark.parametrize("name", BITS)
def test_the_elbo_has_its_exact_expectation_and_lies_below_log_p(name, held_out):
    """The mean over 4 000 codes of each of 30 observations, within 5 standard errors: false alarm below 2e-5."""
    model, x = build(name), table_of(held_out)
    estimated = elbo(model, held_out, 4000)
    expected = enumerate_bits(model, x, 1, "elbo").detach()
    q = model.posterior(x)
    spread = model.likelihood(q.sample((4000,))).log_prob(x).std(0) / math.sqrt(4000)
    assert ((estimated.values - expected).abs() / spread).max() < 5
    assert torch.allclose(
        estimated.values, estimated.parts["reconstruction"].values - estimated.parts["kl"].values, atol=1e-12
    )
    assert torch.allclose(estimated.parts["kl"].values, kl_divergence(q, model.prior()), atol=1e-12)
    assert (expected < exact(model, held_out).values).all()


@pytest.mark.parametrize("samples", [1, 7])
@pytest.mark.parametrize("name", VARIATIONAL)
def test_chunks_change_no_law(name, samples, held_out, monkeypatch):
    """Small chunks draw other codes, so means over 30 observations are compared, within 5 standard errors."""
    model = build(name)
    whole = [estimate(model, held_out, samples) for estimate in (elbo, importance_weighted, prior_average)]
    seen = []
    monkeypatch.setattr(
        "vaelab.likelihood.objective._ELEMENTS", 2 * X * min(samples, 40)
    )  # two rows at a time, a few codes at a time
    parts = [elbo(model, held_out, samples, callback=lambda *done: seen.append(done))]
    parts += [estimate(model, held_out, samples) for estimate in (importance_weighted, prior_average)]
    assert seen == [(done, ROWS) for done in range(2, ROWS + 1, 2)]
    if not model.layers:  # the KL of a chain is averaged over codes, and other codes are drawn
        assert torch.allclose(whole[0].parts["kl"].values, parts[0].parts["kl"].values, atol=1e-12)
    for one, other in zip(whole, parts, strict=True):
        assert len(other.values) == ROWS
        assert abs(one.mean - other.mean) < 5 * math.hypot(one.standard_error, other.standard_error)
    effective = parts[1].diagnostics["effective_samples"]
    assert effective.min() >= 1 - 1e-9
    assert effective.max() <= samples + 1e-9


def test_chunks_of_codes_add_up_exactly(held_out, monkeypatch):
    """With a posterior that is certain, every code is the same, so the chunks must give the same number."""
    model = build(BITS[0])
    with torch.no_grad():
        model.posterior.network.layers[-1].bias.fill_(200.0)
        model.posterior.network.layers[-1].weight.zero_()
    whole = [elbo(model, held_out, 50), importance_weighted(model, held_out, 50)]
    monkeypatch.setattr("vaelab.likelihood.objective._ELEMENTS", 7 * X * ROWS)
    for one, other in zip(whole, [elbo(model, held_out, 50), importance_weighted(model, held_out, 50)], strict=True):
        assert torch.allclose(one.values, other.values, atol=1e-12)
    assert torch.allclose(other.diagnostics["effective_samples"], torch.full((ROWS,), 50.0).double())


@pytest.mark.parametrize("name", VARIATIONAL)
def test_estimates_depend_on_their_seed_alone_and_more_codes_tighten_them(name, held_out):
    model = build(name)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = importance_weighted(model, held_out, 5, seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(importance_weighted(model, held_out, 5, seed=3).values, first.values)
    assert not torch.equal(importance_weighted(model, held_out, 5, seed=4).values, first.values)
    means = [importance_weighted(model, held_out, samples).mean for samples in (1, 10, 1000)]
    assert means == sorted(means)
    assert means[2] - means[0] > 0.1


def test_a_split_of_a_data_set_is_read_as_its_observations():
    split = binary_data(rows=(20, 20, 5)).test
    model = build("gaussian")
    assert torch.equal(encode_means(model, split), encode_means(model, split.observations()))
    first, second = (elbo(model, observed, 3, 0).values for observed in (split, split.observations()))
    assert torch.equal(first, second)


def test_mean_and_standard_error():
    estimated = BoundEstimate(torch.tensor([1.0, 2.0, 6.0]))
    assert estimated.mean == 3
    assert estimated.standard_error == pytest.approx(math.sqrt(7 / 3))
    assert math.isnan(BoundEstimate(torch.tensor([1.0])).standard_error)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("rows", [30, 1])
def test_evaluate_records_every_number_with_its_name_error_and_protocol(name, rows):
    records = evaluate(build(name), binary_data(rows=(20, 20, rows)), samples=20, seed=4)
    names = [record.name for record in records]
    if name == "autoencoder":
        assert names == ["reconstruction-error", "code-log-density", "active-units"]
        assert "no likelihood of x" in records[0].note
    else:
        assert names == ["elbo", "reconstruction", "kl", "iwae-20", "active-units"]
        assert records[0].value == pytest.approx(records[1].value - records[2].value)
        assert [record.samples for record in records] == [10, 10, 10, 20, None]
    for record in records:
        assert {key: getattr(record, key) for key in ("split", "binarisation", "data", "seed")} == {
            "split": "test",
            "binarisation": "none",
            "data": "patterns",
            "seed": 4,
        }
        assert math.isfinite(record.value)
        if record.name != "active-units":
            assert record.observations == rows
            assert (record.standard_error is None) == (rows == 1)


@pytest.mark.torch_versions
def test_evaluate_gives_what_is_asked_for(held_out):
    model, data = build(BITS[0]), binary_data(rows=(20, 20, ROWS))
    records = evaluate(model, data, bounds=("exact", "prior"), samples=10)
    assert [record.name for record in records] == ["prior-10", "exact", "active-units"]
    assert records[1].value == exact(model, held_out).mean
    assert records.advice()[0].startswith("prior-10: do not quote it: few codes of the prior explain a row")


def test_active_units_of_bits_are_those_that_tell_something_of_x():
    """Three bits: one copies a pixel, one is always on, one is a fair coin: only the first is active."""
    model = bernoulli_vae(2, latent_dim=3, hidden_dims=[])
    with torch.no_grad():
        model.posterior.network.layers[-1].weight.copy_(torch.tensor([[40.0, 0], [0, 0], [0, 0]]))
        model.posterior.network.layers[-1].bias.copy_(torch.tensor([-20.0, 20, 0]))
    pixels = np.array([[0, 1], [1, 0], [1, 1], [0, 0]] * 5, np.uint8)
    observed = Dataset("x", {"test": Split(pixels)}, "binary", 1).test.observations()
    units = active_units(model, observed)
    assert (units["active_units"], units["units"]) == (1, 3)
    assert units["average_bit_entropy"] == pytest.approx(2 / 3 * math.log(2), abs=1e-6)
    assert units["nats"] == units["nats_per_active_unit"] == pytest.approx(math.log(2), abs=1e-5)


def test_active_units_of_real_codes_vary_by_more_than_a_hundredth(held_out):
    model = build("gaussian")
    with torch.no_grad():
        model.posterior.network.layers[-1].weight[1:3] *= 1e-3  # of the means of the second and third
    units = active_units(model, held_out)
    assert (units["active_units"], units["units"], units["measure"]) == (1, 3, "KL[q || p]")
    q = model.posterior(table_of(held_out))
    per_unit = kl_divergence(Normal(q.loc, q.stddev), Normal(torch.zeros(3).double(), torch.ones(3).double())).mean(0)
    assert units["nats"] == units["nats_per_active_unit"] == pytest.approx(per_unit[0].item(), rel=1e-9)
    assert torch.allclose(encode_means(model, held_out, rows=7), encode_means(model, held_out), atol=1e-12)


def enumerated_information(model, x):
    """I(z_j; x) of every bit of a chain of two layers, its first layer summed out: shares no code with the estimate."""
    first, second = model.posterior.conditionals
    below = all_codes(model.layers[0], x)  # (S, D_1)
    with torch.no_grad():
        p = first(x).mean
        weight = torch.stack([torch.where(code == 1, p, 1 - p).prod(-1) for code in below])  # (S, B)
        upper = (weight.unsqueeze(-1) * second(below).mean.unsqueeze(1)).sum(0)  # (B, D_2)
    q = torch.cat([p, upper], -1)

    def entropy(p):
        return -(p * p.log() + (1 - p) * (1 - p).log())

    return entropy(q.mean(0)) - entropy(q).mean(0)


def test_bits_of_an_upper_layer_tell_what_draws_of_the_layer_below_say(held_out):
    """Not its means: by those, the upper bit would seem to tell more of x. With many draws the sum is the exact one."""
    model, x = build("two layers of bits", latent_dim=4), table_of(held_out)
    with torch.no_grad():
        for weight in model.posterior.parameters():
            weight.mul_(3)
    exact = enumerated_information(model, x)
    active = exact > 0.01
    assert active[3]  # the upper layer is among them
    found = active_units(model, held_out, draws=20_000)
    assert found["active_units"] == int(active.sum())
    assert found["nats"] == pytest.approx(float(exact[active].sum()), rel=2e-3)
    mean = model.encode(x)[:, 3]  # of the means of the layer below
    entropy = torch.distributions.Bernoulli(mean).entropy().mean()
    through_means = torch.distributions.Bernoulli(mean.mean()).entropy() - entropy
    assert abs(float(through_means) - float(exact[3])) > 0.1 * float(exact[3])
    assert active_units(model, held_out, seed=1) == active_units(model, held_out, seed=1)


def test_the_noise_of_draws_makes_no_real_unit_active(held_out):
    """A second layer that ignores the first has means without variance; one that reads only its noise likewise."""
    model = build("two layers of reals", latent_dim=3)
    first, second = model.posterior.conditionals
    with torch.no_grad():
        first.network.layers[-1].weight.zero_()  # the first layer is noise: no unit tells anything of x
        first.network.layers[-1].bias.zero_()
        second.network.layers[-1].weight.mul_(3)
    found = active_units(model, held_out, draws=200)
    assert found == {"active_units": 0, "units": 3}


@pytest.mark.parametrize("name", VARIATIONAL)
def test_a_sampled_kl_is_marked_as_an_estimate(name):
    model, data = build(name), binary_data()
    kl = evaluate(model, data)["kl"]
    assert kl.sampled == (name in LAYERED)
    assert ("can be negative" in kl.note) == (name in LAYERED)
    assert kl.standard_error > 0


@pytest.mark.parametrize("asked", [None, ("elbo",), ("iwae", "prior"), ("elbo", "iwae", "prior", "exact")])
def test_the_progress_is_that_of_the_whole(asked):
    """One row of rising shares of the work, in proportion to the codes that are scored, which ends with all of it."""
    heard = []
    data = binary_data(rows=(20, 20, 2500))
    watch = lambda done, total: heard.append(done / total)  # noqa: E731
    evaluate(build(BITS[0]), data, bounds=asked, samples=30, callback=watch)
    assert heard == sorted(heard)
    assert heard[-1] == 1
    assert len(heard) == 3 * len(asked or ("elbo", "iwae"))  # chunks of a thousand rows
    if asked is None:
        assert heard[2] == pytest.approx(10 / 40)  # the ELBO's ten codes of forty


def test_help_of_the_command_says_which_bounds_are_the_default():
    options = typer.main.get_command(app).commands["evaluate"].params
    text = next(option.help for option in options if option.name == "bound")
    assert text.endswith(f"[default: {', '.join(name for name, bound in BOUNDS.items() if bound.default)}]")


def test_the_command_line_and_python_have_the_same_default_of_samples():
    from vaelab.cli.options import SAMPLES as said

    assert inspect.signature(evaluate).parameters["samples"].default == SAMPLES == said


@pytest.mark.parametrize(
    ("name", "call", "sentence"),
    [
        ("autoencoder", lambda m, o: elbo(m, o), "has no likelihood of x"),
        ("autoencoder", lambda m, o: importance_weighted(m, o, 5), "has no likelihood of x"),
        ("autoencoder", lambda m, o: prior_average(m, o, 5), "has no likelihood of x"),
        ("autoencoder", lambda m, o: exact(m, o), "only codes of bits can be enumerated"),
        ("gaussian", lambda m, o: exact(m, o), "only codes of bits can be enumerated"),
        ("gaussian", lambda m, o: importance_weighted(m, o, 0), "samples: expected an integer of at least 1"),
        ("gaussian", lambda m, o: importance_weighted(m, torch.ones(0, 5)), "x: expected at least one row; got none"),
        ("gaussian", lambda m, o: elbo(m, o, 1.5), "samples: expected an integer of at least 1"),
        ("gaussian", lambda m, o: evaluate(m, binary_data(), split="tset"), "did you mean 'test'"),
        ("gaussian", lambda m, o: evaluate(m, binary_data(), bounds=("ielbo",)), "did you mean 'elbo'"),
        ("gaussian", lambda m, o: evaluate(m, binary_data(), bounds=3), "bounds: expected a list of names"),
        ("gaussian", lambda m, o: evaluate(m, binary_data(), seed=None), "seed: expected an integer"),
        ("gaussian", lambda m, o: evaluate(m, binary_data(dim=9)), r"expected inputs of shape \(..., 5\)"),
    ],
)
def test_what_cannot_be_estimated_is_refused(name, call, sentence, held_out):
    with pytest.raises(InputError, match=sentence):
        call(build(name), held_out)


def test_more_bits_than_can_be_enumerated_are_refused(held_out):
    with pytest.raises(InputError, match="at most 20 bits to enumerate; the model has 21"):
        exact(bernoulli_vae(X, latent_dim=21, hidden_dims=[]), held_out)


def test_a_bound_that_the_model_does_not_have_is_refused_before_another_is_computed():
    for asked, model, sentence in (
        (("elbo", "exact"), bernoulli_vae(X, latent_dim=21, hidden_dims=[]), "at most 20 bits to enumerate"),
        (("elbo", "quadrature"), build("gaussian", latent_dim=5), "expected a code of 1 to 4 real numbers"),
    ):
        seen = []
        with pytest.raises(InputError, match=sentence):
            evaluate(model, binary_data(), bounds=asked, samples=1, callback=lambda *done, seen=seen: seen.append(done))
        assert seen == []


def test_a_model_is_evaluated_without_dropout_and_keeps_its_mode():
    network = lambda inputs, outputs: nn.Sequential(nn.Linear(inputs.numel(), outputs.numel()), nn.Dropout())  # noqa: E731
    model = gaussian_vae(X, latent_dim=2, network=network, seed=0)
    asked = {"data": binary_data(), "bounds": ("elbo",), "samples": 1}
    expected = evaluate(model.eval(), **asked)["elbo"].value
    assert evaluate(model.train(), **asked)["elbo"].value == expected
    assert all(part.training for part in model.modules())


def test_a_model_is_evaluated_under_the_binarisation_of_its_training():
    greys = Dataset.from_arrays(np.random.default_rng(0).integers(0, 256, (40, 6)).astype(np.uint8))
    static = greys.with_binarisation("static")
    for model in (gaussian_vae(static, 2, [4]), gaussian_vae(6, 2, [4])):
        fit(model, static, steps=1)
        assert model.spec.binarisation == "static"
        asked = {"bounds": ("elbo",), "samples": 1}
        assert evaluate(model, static, **asked)["elbo"].trained_binarisation is None
        with pytest.raises(InputError, match=r"expected static, under which the model was trained; .*give data\.with"):
            evaluate(model, greys, **asked)
        with pytest.raises(InputError, match=r"expected static, for which the model was built; .* have dynamic"):
            fit(model, greys, steps=1)
        result = evaluate(model, greys, **asked, other_binarisation=True)
        assert (result["elbo"].binarisation, result["elbo"].trained_binarisation) == ("dynamic", "static")
        assert "binarisation dynamic with seed 777; trained under static;" in " ".join(str(result).split())

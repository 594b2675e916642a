"""Room: evaluation. The diagnostics of codes: each number against a second formula, and the words of the advice."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.distributions import Bernoulli as OneBit
from torch.distributions import Categorical, Normal, kl_divergence

from tests.laws import BITS, binary_data, build
from vaelab.data import Dataset, Split
from vaelab.distributions import Bernoulli, DiagonalNormal, all_codes
from vaelab.errors import InputError
from vaelab.evaluation import diagnose
from vaelab.evaluation.diagnostics import aggregate
from vaelab.evaluation.diagnostics.bits import total_correlation
from vaelab.evaluation.diagnostics.contract import Sample
from vaelab.evaluation.diagnostics.two_samples import two_sample_test
from vaelab.likelihoods import BernoulliLikelihood
from vaelab.models import MODELS, LatentVariableModel
from vaelab.objectives import ELBO
from vaelab.priors import POINT_PRIORS, BernoulliPrior, GaussianPrior

ROWS = 30


@pytest.fixture(autouse=True)
def _without_gradients():
    with torch.no_grad():
        yield


@pytest.fixture(scope="module")
def data():
    return binary_data(rows=(20, 20, ROWS))


def rows_of(data):
    return data.test.observations().bits(slice(None)).double()


def found(name, model, data, **options):
    return diagnose(model, data, only=(name,), **options)[name]


class OfFirst(nn.Module):
    """q(z|x) whose first units change with the first column of x by a step, and whose others take fixed values."""

    def __init__(self, steps, others, code):
        super().__init__()
        self.code, self.steps, self.others = code, torch.tensor(steps), torch.tensor(others)

    def forward(self, x):
        first = (2 * x[:, :1] - 1) * self.steps
        values = torch.cat([first, self.others.expand(len(x), -1)], -1)
        return Bernoulli(values) if self.code == "bits" else DiagonalNormal(values, torch.zeros_like(values))


def model_of(steps, others, code="bits", dim=5):
    size = len(steps) + len(others)
    prior = BernoulliPrior(size) if code == "bits" else GaussianPrior(size)
    return LatentVariableModel(prior, BernoulliLikelihood(size, dim), OfFirst(steps, others, code)).eval()


# ---------------------------------------------------------------- units


@pytest.mark.parametrize("name", BITS)
def test_the_nats_of_a_bit_are_those_of_its_table_with_the_rows(name, data):
    model = build(name)
    q = model.posterior(rows_of(data)).mean
    table = torch.stack([1 - q, q], -1) / ROWS  # p(row, value), (N, D, 2)
    information = (table * (table / (table.sum(0) / ROWS)).log()).sum((0, 2))
    prior = model.prior().mean
    kl = kl_divergence(OneBit(q), OneBit(prior.expand_as(q))).mean(0)
    numbers, arrays = (diagnosis := found("units", model, data)).numbers, diagnosis.arrays
    torch.testing.assert_close(arrays["nats"].double(), information, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(arrays["kl"].double(), kl, atol=1e-6, rtol=1e-5)
    assert numbers["all_nats"] == pytest.approx(float(information.sum()))
    assert numbers["kl"] == pytest.approx(float(kl.sum()))
    assert numbers["kl"] == pytest.approx(float(model.kl(model.posterior(rows_of(data))).mean()))


def test_the_nats_of_a_normal_unit_are_its_kl(data):
    model = build("gaussian")
    q = model.posterior(rows_of(data))
    kl = kl_divergence(Normal(q.mean, q.stddev), Normal(0.0, 1.0)).mean(0)
    diagnosis = found("units", model, data)
    torch.testing.assert_close(diagnosis.arrays["nats"].double(), kl, atol=1e-6, rtol=1e-5)
    assert diagnosis.numbers["half"] == 1 + int((kl.sort(descending=True).values.cumsum(0) < kl.sum() / 2).sum())


def test_the_kl_of_a_chain_is_the_expectation_over_its_codes(data):
    """Of two layers of bits, by summing over all codes; the rows repeated, so that many codes are drawn of each."""
    model, x = build("two layers of bits"), rows_of(data)[:4]
    codes = all_codes(3, x).unsqueeze(1)  # (8, 1, D)
    q, p = model.posterior(x), model.prior()
    weights = q.log_prob(codes.expand(-1, 4, -1)).exp()  # (8, 4)
    expected = []
    for layer in (0, 1):
        pair = (q.factors(codes.expand(-1, 4, -1)), p.expand((8, 4)).factors(codes.expand(-1, 4, -1))[::-1])
        upwards, downwards = (OneBit(factors[layer].mean.expand(8, 4, -1)) for factors in pair)
        expected.append((weights.unsqueeze(-1) * kl_divergence(upwards, downwards)).sum(0).mean(0))
    repeated = Dataset("repeated", {"test": Split(x.byte().numpy().repeat(3000, 0))}, "binary", 1)
    sample = Sample(model, repeated, "test", 12000, 0)
    with torch.no_grad():
        kl = sample.codes.kl
    error = kl.std(0) / math.sqrt(len(kl))
    assert ((kl.mean(0) - torch.cat(expected)).abs() <= 5 * error + 1e-9).all()
    numbers = found("units", model, repeated, rows=12000).numbers
    assert [layer["units"] for layer in numbers["layers"]] == [2, 1]
    assert numbers["kl"] == pytest.approx(sum(layer["kl"] for layer in numbers["layers"]))


# ---------------------------------------------------------------- collapse


def test_the_states_of_units_and_the_advice_of_a_collapsed_code(data):
    """Of 200 bits, 141 stay at 1/2, 9 are stuck at another value, 20 carry little and 30 carry much."""
    model = model_of([0.3] * 20 + [3.0] * 30, [2.0] * 9 + [0.0] * 141)
    diagnosis = found("collapse", model, data, objective=ELBO(beta=4.0))
    states = {"collapsed": 141, "constant": 9, "weak": 20, "used": 30}
    assert diagnosis.numbers == {"units": 200, **states}
    assert diagnosis.sentences == [
        "150 of 200 bits never change with x: the posterior of 141 equals the prior, and the posterior of 9 is the "
        "same for all x, but not the prior. Of the others, 20 carry less than 0.1 nat and 30 carry more."
    ]
    advice = diagnosis.advice
    assert advice.startswith("150 of 200 bits never change: 50 bits would carry the same, and train faster.")
    assert "lower the weight of the KL, which is 4 (objective.beta=1)" in advice
    assert "objective.free_bits=0.1" in advice
    assert "less noise" in advice


def test_a_code_that_is_ignored_is_said_to_be(data):
    diagnosis = found("collapse", model_of([], [0.0, 0.0], "real"), data)
    assert diagnosis.sentences == ["2 of 2 units never change with x: the posterior of 2 equals the prior."]
    assert diagnosis.advice.startswith("2 of 2 units never change: the code says nothing about x")
    assert "beta=1" not in diagnosis.advice
    assert found("units", model_of([], [0.0, 0.0], "real"), data).numbers["active_units"] == 0


@pytest.mark.parametrize("code", ["bits", "real"])
def test_no_advice_where_every_unit_is_used(code, data):
    diagnosis = found("collapse", model_of([3.0, 3.0], [], code), data)
    assert diagnosis.numbers["used"] == 2
    assert diagnosis.advice == ""
    assert diagnosis.sentences == [f"No unit ignores x: all 2 {'bits' if code == 'bits' else 'units'} change with it."]


def test_the_information_of_a_normal_unit_is_at_most_the_bound(data):
    """Of a step of 2 both ways with noise 1 the information is an integral; it lies below the bound."""
    ones = float(rows_of(data)[:, 0].mean())
    grid = torch.linspace(-12, 12, 20001, dtype=torch.float64)
    up, down = Normal(2.0, 1.0).log_prob(grid), Normal(-2.0, 1.0).log_prob(grid)
    both = torch.logaddexp(up + math.log(ones), down + math.log(1 - ones))
    exact = float(torch.trapezoid(ones * up.exp() * (up - both) + (1 - ones) * down.exp() * (down - both), grid))
    bound = float(found("collapse", model_of([2.0], [], "real"), data).arrays["information"])
    assert bound == pytest.approx(0.5 * math.log(1 + 16 * ones * (1 - ones)), rel=1e-5)
    assert exact <= bound


# ---------------------------------------------------------------- aggregate posterior


def test_the_discrepancy_is_that_of_the_double_sum():
    x, y = torch.randn(7, 3).double(), torch.randn(5, 3).double() + 1
    found = two_sample_test(x, y, permutations=4)

    def kernel(u, v):
        return math.exp(-float((u - v).square().sum()) / (2 * found.width**2))

    same_x = sum(kernel(u, v) for i, u in enumerate(x) for j, v in enumerate(x) if i != j) / (7 * 6)
    same_y = sum(kernel(u, v) for i, u in enumerate(y) for j, v in enumerate(y) if i != j) / (5 * 4)
    across = sum(kernel(u, v) for u in x for v in y) / (7 * 5)
    assert found.mmd == pytest.approx(same_x + same_y - 2 * across, abs=1e-12)
    distances = torch.pdist(torch.cat([x, y])).sort().values
    assert found.width == pytest.approx(float(distances[(len(distances) - 1) // 2]))
    near = [
        np.mean([kernel(u, v) for v in own if v is not u]) > np.mean([kernel(u, v) for v in other])
        for own, other in ((list(x), list(y)), (list(y), list(x)))
        for u in own
    ]
    assert found.told_apart == pytest.approx(np.mean(near))


@pytest.mark.parametrize("kind", ["real", "bits"])
def test_the_false_alarms_of_the_test_are_at_its_rate(kind):
    """With 19 permutations p <= 0.05 has the probability 1 in 20: 400 tests of equal sets, within 4 standard errors."""
    torch.manual_seed(0)
    sets = torch.randn(400, 24, 3) if kind == "real" else (torch.rand(400, 24, 8) < 0.3).float()
    alarms = sum(two_sample_test(both[:12], both[12:], permutations=19).differs for both in sets.double())
    assert abs(alarms / 400 - 0.05) < 4 * math.sqrt(0.05 * 0.95 / 400)


def test_the_test_finds_a_shift_and_a_correlation():
    torch.manual_seed(0)
    x, y = torch.randn(200, 5).double(), torch.randn(200, 5).double()
    assert two_sample_test(x + 0.5, y).p_value == 1 / 200
    bits = (torch.rand(400, 4) < 0.5).double()
    alike = bits[:200, :1].expand(-1, 4)  # every bit has probability 1/2 as before
    assert two_sample_test(bits[200:], alike).p_value == 1 / 200


def test_codes_that_are_all_equal_lie_as_near_to_both_sets() -> None:
    found = two_sample_test(torch.ones(20, 3), torch.ones(20, 3), permutations=4)
    assert (found.told_apart, found.p_value) == (0.5, 1.0)


def test_the_units_of_the_aggregate_posterior_are_mixtures_over_the_rows(data):
    model = build("gaussian")
    q = model.posterior(rows_of(data))
    diagnosis = found("aggregate", model, data)
    variance = (q.variance + q.mean.square()).mean(0) - q.mean.mean(0).square()
    torch.testing.assert_close(diagnosis.arrays["variance"].double(), variance, atol=1e-5, rtol=1e-5)
    grid = torch.linspace(-8, 8, 20001, dtype=torch.float64)
    below = Normal(q.mean.unsqueeze(-1), q.stddev.unsqueeze(-1)).cdf(grid).mean(0)
    distance = (below - Normal(0.0, 1.0).cdf(grid)).abs().amax(-1)
    torch.testing.assert_close(diagnosis.arrays["distance"].double(), distance, atol=1e-2, rtol=0.0)
    edges, density = diagnosis.arrays["edges"], diagnosis.arrays["density"]
    torch.testing.assert_close((density * edges.diff()).sum(1), torch.ones(3), atol=1e-3, rtol=0.0)


def test_the_probability_of_a_bit_is_compared_with_that_of_the_prior(data):
    model = model_of([], [2.0, 0.0])
    arrays = found("aggregate", model, data).arrays
    assert float(arrays["distance"][0]) == pytest.approx(float(torch.sigmoid(torch.tensor(2.0))) - 0.5, abs=1e-6)
    assert float(arrays["distance"][1]) == 0


def test_advice_on_the_prior_only_where_codes_differ_from_it():
    data = binary_data(rows=(20, 20, 300))
    far, near = (found("aggregate", model_of([], values), data) for values in ([3.0, -3.0], [0.0, 0.0]))
    assert far.numbers["p_value"] == 1 / 200
    assert "Samples of the model start from codes" in far.advice
    assert near.numbers["p_value"] > 0.05
    assert near.advice == ""
    assert "cannot be told from" in near.sentences[1]
    few = found("aggregate", build("gaussian"), data, rows=10)
    assert few.sentences[1] == "The joint test was left out: it needs 20 rows."
    assert few.advice == ""


@pytest.mark.parametrize(
    ("name", "prior", "richer"),
    [
        ("gaussian-vae", "normal", ["mixture", "vamp", "flow"]),
        ("gaussian-vae", "vamp", ["flow"]),
        ("bernoulli-vae", "learned", ["mixture", "autoregressive"]),
        ("bernoulli-vae", "autoregressive", []),
    ],
)
def test_the_advice_names_richer_priors_alone(name, prior, richer):
    assert aggregate._other_priors(MODELS[name].build(6, prior=prior)) == richer


def test_the_advice_to_an_autoencoder_is_of_its_own_density():
    far = {"largest_distance": 0.5, "told_apart": 0.9}
    advice = {prior: aggregate._advice(far, MODELS["autoencoder"].build(6, prior=prior)) for prior in POINT_PRIORS}
    assert "fit a mixture with more components (components=...)" in advice["mixture"]
    assert "fit the flow for more steps (fit-prior --prior flow --steps N)" in advice["flow"]


# ---------------------------------------------------------------- bits


@pytest.mark.parametrize("name", BITS)
def test_correlations_are_those_of_the_summed_aggregate_posterior(name, data):
    model = build(name)
    codes = all_codes(3, rows_of(data))
    q = model.posterior(rows_of(data))
    probability = torch.stack([q.log_prob(code.expand(ROWS, -1)).exp().mean() for code in codes])  # q(z), (8,)
    mean = probability @ codes
    covariance = codes.T @ (probability[:, None] * codes) - mean[:, None] * mean
    spread = covariance.diagonal().sqrt()
    diagnosis = found("bits", model, data)
    expected = covariance / (spread[:, None] * spread)
    torch.testing.assert_close(diagnosis.arrays["correlation 1"].double(), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(diagnosis.arrays["use 1"].double(), mean, atol=1e-6, rtol=1e-5)
    (layer,) = diagnosis.numbers["layers"]
    first, second, value = layer["pairs"][0]
    assert value == pytest.approx(float(expected[first - 1, second - 1]), abs=1e-5)
    assert abs(value) == pytest.approx(float(expected.triu(1).abs().max()), abs=1e-5)
    separate = sum(float(OneBit(p).entropy()) for p in mean)
    total = separate - float(Categorical(probability).entropy())
    assert 0 <= layer["total_correlation"] <= total + 1e-9
    assert layer["total_correlation"] > 0.5 * total  # three bits: the tree leaves little out


def test_a_tree_has_all_of_the_total_correlation_where_bits_form_one():
    bits = torch.randint(0, 2, (500, 1)).double().expand(-1, 4)  # four copies of one bit
    entropy = float(OneBit(bits[:, 0].mean()).entropy())
    assert total_correlation(bits, torch.full((500,), 1 / 500).double()) == pytest.approx(3 * entropy)


def test_the_chance_level_is_that_of_shuffled_rows():
    generator = torch.Generator().manual_seed(0)
    probabilities = torch.rand(400, 30, generator=generator).double()

    class Table(nn.Module):
        code = "bits"

        def forward(self, x):
            return Bernoulli(torch.logit(probabilities[: len(x)]))

    model = LatentVariableModel(BernoulliPrior(30), BernoulliLikelihood(30, 5), Table())
    (layer,) = found("bits", model, binary_data(rows=(20, 20, 400))).numbers["layers"]
    assert layer["mean_correlation"] == pytest.approx(layer["chance"], rel=0.15)
    assert layer["alike"] == 0


def test_bits_that_say_the_same_are_named(data):
    diagnosis = found("bits", model_of([9.0, 9.0, -9.0], [6.0]), data)
    (layer,) = diagnosis.numbers["layers"]
    assert layer["alike"] == 3
    assert layer["stuck"] == 1
    assert diagnosis.advice.startswith("3 pairs of bits say nearly the same")
    assert "1 of 4 bits is nearly always the same" in diagnosis.sentences[0]
    assert found("bits", model_of([0.5], []), data).advice == ""


# ---------------------------------------------------------------- every kind of model and data


@pytest.mark.parametrize("name", ["gaussian", *BITS])
def test_a_row_of_weight_two_is_two_rows(name):
    """In every number that needs no draws."""
    generator = np.random.default_rng(0)
    x, counts = generator.integers(0, 2, (25, 5)).astype(np.uint8), generator.integers(0, 3, 25)
    weighted = Dataset("weighted", {"test": Split(x, weights=counts.astype(np.float32))}, "binary", 1)
    repeated = Dataset("repeated", {"test": Split(x.repeat(counts, 0))}, "binary", 1)
    exact = {"units": ["nats", "kl", "active"], "collapse": ["kl", "information", "state"]}
    exact |= {"aggregate": ["variance", "mean"] if name == "gaussian" else ["ones", "distance"]}
    exact |= {} if name == "gaussian" else {"bits": ["use 1", "noise 1", "correlation 1"]}
    one, other = (diagnose(build(name), each, only=tuple(exact)) for each in (weighted, repeated))
    for diagnostic, names in exact.items():
        for array in names:
            torch.testing.assert_close(one[diagnostic].arrays[array], other[diagnostic].arrays[array])


def test_units_that_are_not_independent_are_refused_by_name_and_left_out_otherwise(data, caplog):
    class Correlated(nn.Module):
        code = "real"

        def forward(self, x):
            return torch.distributions.MultivariateNormal(x[:, :2].nan_to_num(0.5), torch.eye(2).expand(len(x), 2, 2))

    model = LatentVariableModel(GaussianPrior(2), BernoulliLikelihood(2, 5), Correlated())
    with pytest.raises(InputError, match="collapse: expected q\\(z\\|x\\) and p\\(z\\) of independent bits"):
        diagnose(model, data, only=("collapse",))
    diagnoses = diagnose(model, data)
    assert [each.name for each in diagnoses][:2] == ["units", "aggregate"]
    assert "collapse left out" in caplog.text
    assert "nats" not in diagnoses["units"].numbers


def test_rows_on_the_disk_are_refused_in_one_sentence(tmp_path, data):
    np.save(tmp_path / "x.npy", data.test.x)
    mapped = Dataset("large", {"test": Split(np.load(tmp_path / "x.npy", mmap_mode="r"))}, "binary", 1)
    with pytest.raises(InputError, match="split: expected a split in memory; 'test' of large is on the disk"):
        diagnose(build("gaussian"), mapped)

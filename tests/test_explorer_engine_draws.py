"""The engine of the explorer: random numbers, draws, layers, missing values, and what it cannot compute."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from tests.engine_page import EnginePage
from tests.test_explorer_engine import BUILD, livelier, rows_of
from vaelab import models
from vaelab.distributions import Bernoulli, DiagonalNormal, all_codes
from vaelab.errors import InputError
from vaelab.explorer import precision
from vaelab.explorer.parts import describe
from vaelab.explorer.precision import TOLERANCE, choose_precision
from vaelab.explorer.tensors import Tensors
from vaelab.inference import Enumeration
from vaelab.likelihoods import BernoulliLikelihood
from vaelab.networks import output_bias
from vaelab.priors import GaussianPrior


@pytest.fixture(scope="module")
def engine(browser):
    page = EnginePage(browser)
    yield page
    page.close()


def xoshiro(seed: str, count: int) -> list[float]:
    """Return the uniform numbers of xoshiro128**, its state from SplitMix32, in whole numbers of Python."""
    word = 2**32 - 1

    def mix(h: int) -> int:
        h = ((h ^ h >> 16) * 0x21F0AAAD) & word
        h = ((h ^ h >> 15) * 0x735A2D97) & word
        return h ^ h >> 15

    def rotate(x: int, bits: int) -> int:
        return ((x << bits) | x >> (32 - bits)) & word

    key = 0x9E3779B9
    for letter in seed:
        key = mix(key ^ ord(letter))
    a, b, c, d = (mix((key + k * 0x9E3779B9) & word) for k in (1, 2, 3, 4))
    numbers = []
    for _ in range(count):
        numbers.append(rotate(b * 5 & word, 7) * 9 % 2**32 / 2**32)
        shifted = b << 9 & word
        c, d = c ^ a, d ^ b
        b, a = b ^ c, a ^ d
        c, d = c ^ shifted, rotate(d, 11)
    return numbers


def test_a_seed_gives_the_numbers_of_the_published_generator(engine):
    found = engine.run("const r = engine.random('7'); return Array.from({ length: 200 }, r.uniform);")
    assert found == xoshiro("7", 200)
    forked = "const r = engine.random(7); r.normals(9); return [r.fork('a').uniform(), engine.random('7/a').uniform()];"
    one, other = engine.run(forked)
    assert one == other == xoshiro("7/a", 1)[0]  # whatever was drawn before


def test_uniform_and_normal_numbers_pass_kolmogorov_smirnov_tests(engine):
    source = """const r = engine.random("draws");
    return { uniform: Float64Array.from({ length: 20000 }, r.uniform), normal: r.normals(20000) };"""
    found = engine.run(source)
    assert stats.kstest(found["uniform"], "uniform").pvalue > 0.001
    assert stats.kstest(found["normal"], "norm").pvalue > 0.001
    for numbers in map(np.array, found.values()):  # successive numbers are uncorrelated
        assert abs(np.corrcoef(numbers[:-1], numbers[1:])[0, 1]) < 4 / math.sqrt(len(numbers))


def test_the_logarithm_is_exact_to_rounding(engine):
    x = [2.0**e * m for e in (-60, -3, 0, 1, 40) for m in (1.0, 1.1, 1.4142, 1.4143, 1.999)]
    found = engine.run("return given.x.map(engine.logarithm);", x=x)
    assert np.allclose(found, np.log(x), rtol=1e-14, atol=1e-16)


MOMENTS = """
const { model, x, z, y, n, many } = given;
const rng = engine.random("moments");
const tile = (row) => row && Float32Array.from({ length: many * row.length }, (_, i) => row[i % row.length]);
const moments = (rows, size) => {
  const [mean, square] = [new Float64Array(size), new Float64Array(size)];
  rows.forEach((value, i) => { mean[i % size] += value / many; square[i % size] += value * value / many; });
  return { mean, square };
};
return {
  x: moments(model.likelihood(tile(z), many, tile(y)).sample(rng), model.columns),
  q: moments(model.posterior(tile(x), many, tile(y)).sample(rng), model.dim),
  z: moments(model.prior(many).sample(rng), model.dim),
};
"""


@pytest.mark.parametrize(
    "name",
    [
        "gaussian",
        "continuous-bernoulli",
        "categorical",
        "multinomial",
        "product",
        "tree",
        "sbn, three layers",
        "condition",
    ],
)
def test_draws_have_the_moments_of_torch(engine, name):
    model, many = livelier(BUILD[name]()), 4000
    row = rows_of(model, 1)
    x, y = model.split(row)
    with torch.no_grad():
        z = model.prior().sample((1,))
        torch_draws = {
            "x": model.conditional(z, y).sample((many,))[:, 0],
            "q": model.posterior(row).sample((many,))[:, 0],
            "z": model.prior().sample((many,)),
        }
    found = engine.run(MOMENTS, model, x=x[0], z=z[0], y=y[0] if model.given else None, n=1, many=many)
    for part, draws in torch_draws.items():
        for moment, values in (("mean", draws.double()), ("square", draws.double().square())):
            error = values.std(0) * math.sqrt(2 / many) + 1e-6
            assert ((torch.tensor(found[part][moment]) - values.mean(0)).abs() / error).max() < 5, (part, moment)


def test_draws_of_a_mixture_have_the_moments_of_torch(engine):
    model = livelier(models.autoencoder(6, 2, [5], components=2))
    model.prior.fit(torch.cat([torch.randn(150, 2) @ torch.tensor([[2.0, 1.0], [0.0, 0.5]]), torch.randn(50, 2) + 6]))
    source = """const p = given.model.prior(6000);
    const z = p.sample(engine.random("mixture"));
    return { z, share: p.responsibilities(z), one: p.sampleOf(1, engine.random(2)) };"""
    found = engine.run(source, model)
    z, one = (torch.tensor(found[name]).reshape(-1, 2) for name in ("z", "one"))
    weights, means, covariances = model.prior.weights, model.prior.means, model.prior.covariances
    mean = weights @ means
    assert torch.allclose(z.mean(0), mean, atol=0.2)
    centred = means - mean
    assert torch.allclose(
        z.T.cov(), torch.einsum("c,cij->ij", weights, covariances) + (weights * centred.T) @ centred, atol=0.5
    )
    assert torch.allclose(one.T.cov(), covariances[1], atol=0.25)
    component = torch.tensor(found["share"]).reshape(-1, 2).argmax(-1)
    assert (component == model.prior.component(z)).float().mean() > 0.999


@pytest.mark.parametrize("name", ["gaussian", "continuous-bernoulli", "categorical", "tree", "no hidden layer"])
def test_a_temperature_of_zero_draws_the_most_probable_value(engine, name):
    model = livelier(BUILD[name]())
    source = """const p = given.model.likelihood(given.z, 5);
    return { cold: p.sample(engine.random(1), 0), mode: p.mode(), cool: p.sample(engine.random(1), 1e-5) };"""
    found = engine.run(source, model, z=model.prior().sample((5,)))
    assert np.allclose(found["cold"], found["mode"], atol=1e-4)
    assert np.allclose(found["cool"], found["mode"], atol=1e-2)


def test_all_things_fall_on_the_likeliest_column_at_a_temperature_of_zero(engine):
    model = livelier(BUILD["multinomial"]())
    source = """const p = given.model.likelihood(given.z, 5);
    return { cold: p.sample(engine.random(1), 0), cool: p.sample(engine.random(1), 1e-4), shares: p.shares() };"""
    found = {name: np.reshape(rows, (5, 5)) for name, rows in engine.run(source, model, z=torch.randn(5, 2)).items()}
    assert np.array_equal(found["cold"], found["cool"])
    assert np.array_equal(found["cold"], 8 * (found["shares"] == found["shares"].max(1, keepdims=True)))


def test_what_is_hidden_is_filled_given_its_neighbours_in_the_tree(engine):
    """5000 codes and 4000 draws against exact sums over the codes and the hidden values: 5 standard errors."""
    model = BUILD["tree, layers"]().eval().allow_missing()
    with torch.no_grad():  # a column mostly repeats its parent
        output_bias(model.likelihood).copy_(torch.tensor([-2.0] * 6 + [1.5] * 6))
    x, values = torch.tensor([1.0, math.nan, 0.0, math.nan, 1.0, math.nan]), all_codes(6, torch.zeros(()))
    same = (values == x).logical_or(x.isnan()).all(1)
    weights = Enumeration(model).log_likelihood(values[same]).softmax(0).detach()
    mean = weights @ values[same]
    source = """const codes = engine.weighing(given.model, given.x, null, engine.random(1));
    for (let done = 0; done < 5000; done += 1000) codes.add(1000);
    return { filled: codes.mean(), drawn: codes.draws(4000, engine.random(2)), effective: codes.effective() };"""
    found = engine.run(source, model, x=x)
    error = 2.5 / found["effective"] ** 0.5
    assert np.allclose(found["filled"], mean, atol=error)
    drawn = torch.tensor(found["drawn"]).reshape(-1, 6).float()
    second = torch.einsum("s,sx,sy->xy", weights, values[same], values[same])
    assert np.allclose(drawn.T @ drawn / len(drawn), second, atol=error + 0.04)
    codes = Enumeration(model).sample(x.unsqueeze(0), 4000)[:, 0]
    given_z_alone = model.decode(codes).mean(0)
    assert (given_z_alone - mean)[x.isnan()].abs().max() > 3 * error  # so that the test says something


def exact_conditional(model: models.LatentVariableModel, layers: list[Tensor], layer: int, x: Tensor) -> Tensor:
    """Return p(y_l | other layers, x) for every value of the layer, by enumeration."""
    values = all_codes(layers[layer].shape[-1], torch.zeros(()))
    z = torch.cat([values if at == layer else known.expand(len(values), -1) for at, known in enumerate(layers)], -1)
    with torch.no_grad():
        return model.log_joint(x, z.unsqueeze(1))[:, 0].softmax(0)


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("sbn, three layers", 0),
        ("sbn, three layers", 1),
        ("sbn, hidden layers", 1),
        ("tree, layers", 0),
        ("learned prior", 0),
    ],
)
def test_sweeps_over_a_layer_draw_it_given_all_else(engine, name, layer):
    model, many, sweeps = livelier(BUILD[name](), 3.0), 3000, 6
    row = rows_of(model, 1, missing=0.3)
    sizes = model.layers or (model.latent_dim,)
    layers = list(model.prior().sample((1,)).split(sizes, -1))
    source = """const { model, x, many, sweeps, layer } = given;
    const { belief } = model;
    const tile = (row) => Float32Array.from({ length: many * row.length }, (_, i) => row[i % row.length]);
    const layers = given.layers.map(tile);
    const rng = engine.random("sweeps");
    for (let sweep = 0; sweep < sweeps; sweep += 1) {
      layers[layer] = belief.resample(layer, layers, tile(x), many, rng);
    }
    return { drawn: layers[layer], sizes: belief.sizes };"""
    found = engine.run(
        source, model, layers=[known[0] for known in layers], x=row[0], many=many, sweeps=sweeps, layer=layer
    )
    assert tuple(found["sizes"]) == tuple(sizes)
    bits = torch.tensor(found["drawn"]).reshape(many, -1).long()
    number = (bits << torch.arange(bits.shape[1])).sum(-1)
    shares = number.bincount(minlength=2 ** bits.shape[1]) / many
    exact = exact_conditional(model, layers, layer, row)
    assert 0.5 * (shares - exact).abs().sum() < 0.05
    assert exact.max() < 0.9  # so that the test says something


def test_a_layer_has_the_distribution_that_the_layer_above_gives_it(engine):
    model = livelier(BUILD["sbn, three layers"]())
    layers = model.prior().sample((2,)).split(model.layers, -1)
    source = """const { belief } = given.model;
    return { top: belief.fromAbove(2, given.layers, 2).mean(), middle: belief.fromAbove(1, given.layers, 2).mean(),
      first: belief.under(1, given.layers[1], 2).mean(), x: belief.under(0, given.layers[0], 2).mean() };"""
    found = engine.run(source, model, layers=list(layers))
    with torch.no_grad():
        chain = model.prior()
        exact = {
            "top": chain.first.mean.expand(2, -1),
            "middle": chain.steps[0](layers[2]).mean,
            "first": chain.steps[1](layers[1]).mean,
            "x": model.likelihood.conditional(layers[0]).mean,
        }
    for name, means in exact.items():
        assert np.allclose(found[name], means.flatten(), atol=1e-5), name
    assert engine.run("return given.model.belief;", livelier(BUILD["gaussian"]())) is None


@pytest.mark.parametrize("given", [0, 3])
def test_the_field_of_a_bit_is_what_it_adds_to_the_logits(engine, given):
    model = livelier(BUILD["condition, layers" if given else "sbn, three layers"]())
    bits = model.layers[0]
    source = "const f = given.model.belief.fields(0); return { data: f.data, width: f.width };"
    found = engine.run(source, model)
    with torch.no_grad():
        rows = torch.cat([torch.zeros(bits + 1, bits), torch.zeros(bits + 1, given)], -1)
        rows[1:, :bits] = torch.eye(bits)
        logits = model.likelihood.conditional(rows).logits
    assert found["width"] == logits.shape[1]
    assert np.allclose(found["data"], (logits[1:] - logits[0]).flatten(), atol=1e-4)
    hidden = livelier(BUILD["sbn, hidden layers"]())
    assert engine.run("return given.model.belief.fields(0);", hidden) is None


def test_samples_repeat_with_their_seed_and_have_the_same_codes_for_every_kind(engine):
    model = livelier(BUILD["condition"]())
    source = """const draw = (kind, seed) => given.model.sample({ n: 4, kind, seed, given: given.y });
    const [one, again, mean, other] = [draw("draw", 1), draw("draw", 1), draw("mean", 1), draw("draw", 2)];
    return { one: one.x, again: again.x, z: one.z, mean: mean.x, codes: mean.z, other: other.z };"""
    y = torch.tensor([0.0, 1.0, 0.0])
    found = engine.run(source, model, y=y)
    assert found["one"] == found["again"]
    assert found["z"] == found["codes"] != found["other"]
    assert set(found["one"]) <= {0.0, 1.0}
    with torch.no_grad():
        exact = model.conditional(torch.tensor(found["z"]).reshape(4, 2), y.expand(4, -1)).mean
    assert np.allclose(found["mean"], exact.flatten(), atol=1e-5)


class OwnLikelihood(BernoulliLikelihood):
    def distribution(self, numbers: Tensor) -> Bernoulli:
        return Bernoulli(2 * numbers)


class OwnPrior(GaussianPrior):
    def forward(self) -> DiagonalNormal:
        return DiagonalNormal(self.zeros, self.zeros + 1)


class OwnModel(models.LatentVariableModel):
    def conditional(self, z: Tensor, y: Tensor) -> Bernoulli:
        return self.likelihood(-z)


def own_model() -> OwnModel:
    model = models.gaussian_vae(6, 2)
    return OwnModel(model.prior, model.likelihood, model.posterior)


def with_layer(layer: nn.Module) -> models.LatentVariableModel:
    return models.gaussian_vae(6, 2, network=lambda a, b: nn.Sequential(nn.Linear(a.numel(), b.numel()), layer))


def with_flow_of(layer: nn.Module) -> models.LatentVariableModel:
    """A prior whose flow has another activation than the page knows."""
    model = models.gaussian_vae(6, 2, prior="flow")
    model.prior.flow.transform.transforms[0].hyper[1] = layer
    return model


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: with_flow_of(nn.GELU()), "the layer GELU of the flow; it computes Linear, "),
        (lambda: with_layer(nn.GELU()), "the layer GELU of the posterior; it computes Linear, "),
        (lambda: with_layer(nn.Flatten(0, 1)), "the layer Flatten of the posterior"),
        (lambda: models.gaussian_vae(6, 2, likelihood=OwnLikelihood), "the likelihood OwnLikelihood; it computes"),
        (lambda: models.gaussian_vae(6, 2, prior=OwnPrior), "the prior OwnPrior; it computes GaussianPrior"),
        (own_model, "OwnModel.conditional"),
        (lambda: models.autoencoder(6, 2), "no density of its codes yet"),
        (lambda: models.autoencoder(6, 2, prior="flow"), "no density of its codes yet"),
    ],
)
def test_a_part_that_the_page_cannot_compute_is_refused_in_a_sentence(build, words):
    model = build()
    with pytest.raises(InputError) as refused:
        describe(model, Tensors())
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_weights_are_rounded_as_far_as_the_tolerance_allows(monkeypatch):
    model = livelier(BUILD["wide"](), 1.0)
    rows = rows_of(model, 50)
    rounded = choose_precision(model, rows)
    assert 0 < rounded.deviation <= TOLERANCE
    assert min(rounded.coarseness.values()) > 1  # 16 bits are more than needed
    monkeypatch.setattr(precision, "TOLERANCE", 0.0)
    described = describe(model, Tensors(), rows)
    assert (described["weights"], described["deviation"]) == ("float32", 0.0)


def test_decoding_a_code_takes_less_than_a_display_frame(engine):
    model = models.gaussian_vae(784, 2, [400], seed=0)
    source = """const { model, z } = given;
    model.decode(z, 200);
    const times = Array.from({ length: 30 }, (_, i) => {
      const start = performance.now();
      model.decode(z.subarray(2 * i, 2 * i + 2), 1);
      return performance.now() - start;
    });
    return times.sort((a, b) => a - b)[15];"""
    assert engine.run(source, model, z=torch.randn(200, 2)) < 2  # milliseconds, the median


def test_the_arrays_of_a_page_come_back_as_they_were(engine):
    tensors = Tensors()
    arrays = {
        "bits": (np.arange(21).reshape(3, 7) % 3 == 0, "bits"),
        "float32": (np.array([[0.1, -2e20], [math.nan, math.inf]]), "float32"),
        "int32": (np.array([-5, 70000]), "int32"),
        "uint8": (np.array([0, 255]), "uint8"),
        "int16": (np.random.default_rng(0).normal(size=(3, 50)) * np.array([[1e-3], [0], [40]]), "int16"),
    }
    places = {name: tensors.add(values, form) for name, (values, form) in arrays.items()}
    assert tensors.add(*arrays["int32"]) == places["int32"]  # once
    source = "return Object.fromEntries(Object.entries(given.places).map(([k, p]) => [k, given.get(p).data]));"
    found = engine.run(source, tensors=tensors, places=places)
    for name, (values, _) in arrays.items():
        exact = np.asarray(values, np.float64).ravel()
        numbers = np.isfinite(exact)
        largest = np.repeat(np.abs(values).max(1), 50) if name == "int16" else np.abs(exact)
        tolerance = largest / 65534 * 1.001 if name == "int16" else 1e-7 * largest
        assert np.all(np.abs(np.array(found[name])[numbers] - exact[numbers]) <= tolerance[numbers]), name
    assert math.isnan(found["float32"][2])
    assert found["float32"][3] == math.inf

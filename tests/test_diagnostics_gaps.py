"""Room: evaluation. Diagnostics of gaps: of inference, between splits, and between predictions and frequencies."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from tests.golden.make import data_of
from tests.laws import binary_data
from vaelab import Dataset
from vaelab.data import Resident
from vaelab.data.weights import Weighted
from vaelab.distributions import Bernoulli, all_codes
from vaelab.errors import InputError
from vaelab.evaluation import diagnose
from vaelab.evaluation.diagnostics.best_posterior import best_posterior, bound_of
from vaelab.evaluation.diagnostics.reliability import Ranks, Reliability, p_value
from vaelab.evaluation.diagnostics.spread import spread
from vaelab.inference import Enumeration
from vaelab.likelihoods import BernoulliLikelihood
from vaelab.models import LatentVariableModel, autoencoder, bernoulli_vae, gaussian_vae, sbn
from vaelab.priors import GaussianPrior
from vaelab.seeds import seeded


@pytest.fixture(scope="module")
def data():
    return binary_data(rows=(20, 20, 30))


def of_apart_bits(bits: int, columns: int = 2) -> LatentVariableModel:
    """A network in which every bit has columns of its own: p(z|x) is a product of bits."""
    model = sbn(bits * columns, layers=[bits], seed=0).double()
    weight = next(parameter for parameter in model.likelihood.parameters() if parameter.ndim == 2)
    with torch.no_grad():
        weight.normal_(std=2.0, generator=torch.Generator().manual_seed(0))
        weight *= (torch.arange(bits * columns) // columns).unsqueeze(1) == torch.arange(bits)
    return model


class TrueBits(nn.Module):
    """The exact posterior of a network in which every bit has columns of its own."""

    code = "bits"

    def __init__(self, model: LatentVariableModel) -> None:
        super().__init__()
        self._model = (model,)

    def forward(self, x):
        (model,) = self._model
        none = x.new_zeros(1, len(x), model.latent_dim)
        single = torch.eye(model.latent_dim).to(x).unsqueeze(1).expand(-1, len(x), -1)
        return Bernoulli((model.log_joint(x, single) - model.log_joint(x, none)).T)


# ---------------------------------------------------------------- the inference gap


@pytest.mark.parametrize("bits", [3, 24])
def test_a_posterior_of_the_family_leaves_no_approximation_gap(bits):
    model = of_apart_bits(bits)
    x = model.sample(8, seed=0).double()
    truth = TrueBits(model)(x)
    with torch.no_grad():
        best = best_posterior(model, x, model.posterior(x), seed=0)
        log_density = model.log_weight(x, truth.sample((1,)), truth)[0]  # q = p(z|x): every log-weight is log p(x)
        lost, found = (log_density - bound_of(model, x, q, 2000, seed=0) for q in (model.posterior(x), best.q))
    assert lost.mean() > 1
    assert found.mean() < (1e-6 if bits == 3 else 0.05 * lost.mean())


def test_an_exact_encoder_leaves_no_gap():
    model = of_apart_bits(3)
    exact = LatentVariableModel(model.prior, model.likelihood, TrueBits(model))
    found = diagnose(exact, binary_data(rows=(20, 20, 30), dim=6), only=("inference-gap",))["inference-gap"]
    for name in ("gap", "approximation_gap", "amortisation_gap"):
        assert found.numbers[name] == pytest.approx(0, abs=1e-5)
    assert not found.advice


def test_the_best_bits_are_those_of_a_search_over_a_grid():
    model, grid = sbn(6, layers=[2], seed=3).double(), torch.linspace(0.0005, 0.9995, 400).double()
    x = model.sample(5, seed=1).double()
    z = all_codes(2, x)
    mu = torch.cartesian_prod(grid, grid)  # (G, 2)
    q = (z * mu.unsqueeze(1) + (1 - z) * (1 - mu.unsqueeze(1))).prod(-1)  # (G, 4)
    with torch.no_grad():
        log_joint = model.log_joint(x, z.unsqueeze(1).expand(-1, 5, -1))  # (4, 5)
        of_grid = (q @ log_joint - (q * q.log()).sum(-1, keepdim=True)).amax(0)
        best = best_posterior(model, x, model.posterior(x), seed=0).q
        log_q = best.log_prob(z.unsqueeze(1))
    bound = (log_q.exp() * (log_joint - log_q)).sum(0)
    assert torch.allclose(bound, of_grid, atol=1e-4)


def test_the_gaps_of_a_linear_normal_model_are_those_of_its_closed_form():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(300, 2)) @ rng.normal(size=(2, 5)) + 0.5 * rng.normal(size=(300, 5))
    data = Dataset.from_arrays(rows.astype(np.float32), values="real")
    model = gaussian_vae(data, 2, hidden_dims=[], seed=0)
    with torch.no_grad():
        p = model.likelihood(torch.eye(3, 2)[[2, 0, 1]].unsqueeze(0))  # at 0, and at each unit vector
        W, S = (p.loc[0, 1:] - p.loc[0, 0]).T.double(), p.variance[0, 0].double()
        x = data.test.observations().bits(slice(None)).double() - p.loc[0, 0].double()
    precision = torch.eye(2) + W.T @ (W / S.unsqueeze(1))
    log_density = torch.distributions.MultivariateNormal(torch.zeros(5).double(), W @ W.T + S.diag()).log_prob(x)
    approximation = 0.5 * (precision.diagonal().log().sum() - precision.logdet())
    numbers = diagnose(model, data, only=("inference-gap",))["inference-gap"].numbers
    assert numbers["log_density"] == pytest.approx(float(log_density.mean()), abs=5e-3)
    assert numbers["approximation_gap"] == pytest.approx(float(approximation), abs=0.03)
    assert numbers["gap"] == pytest.approx(numbers["approximation_gap"] + numbers["amortisation_gap"])


def test_a_mean_field_has_no_amortisation_gap(data):
    model = sbn(data, layers=[3], inference="mean-field", seed=0)
    found = diagnose(model, data, only=("inference-gap",))["inference-gap"]
    x = data.test.observations().bits(slice(None))
    q, z = model.posterior(x), all_codes(3, x).unsqueeze(1)
    log_q = q.log_prob(z)
    elbo = (log_q.exp() * (model.log_joint(x, z.expand(-1, len(x), -1)) - log_q)).sum(0)
    gap = (Enumeration(model).log_likelihood(x) - elbo).mean()
    assert found.numbers["gap"] == pytest.approx(gap.item(), abs=0.05)
    assert "amortisation gap is 0 by construction" in str(found.sentences)


# ---------------------------------------------------------------- generalisation


def test_the_gap_between_splits_is_that_of_the_closed_form():
    rng = np.random.default_rng(0)
    splits = [(rng.random((count, 5)) < share).astype(np.uint8) for count, share in ((60, 0.7), (50, 0.4), (10, 0.5))]
    data = Dataset.from_arrays(splits[0], validation=splits[1], test=splits[2])
    model = bernoulli_vae(data, 3, hidden_dims=[])  # without weights the bits say nothing, and log p(x) is the ELBO
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    p = model.likelihood(torch.zeros(3)).mean.detach().double().numpy()
    train, held_out = ((x * np.log(p) + (1 - x) * np.log(1 - p)).sum(1) for x in (splits[0], splits[1]))
    train = train[np.linspace(0, 59, 50).round().astype(int)]
    numbers = diagnose(model, data, only=("generalisation",))["generalisation"].numbers
    assert (numbers["compared_rows"], numbers["held_out_split"]) == (50, "validation")
    assert numbers["train"] == pytest.approx(train.mean(), rel=1e-5)
    assert numbers["gap"] == pytest.approx(train.mean() - held_out.mean(), rel=1e-4)
    assert numbers["gap_standard_error"] == pytest.approx(
        np.sqrt((train.var(ddof=1) + held_out.var(ddof=1)) / 50), rel=1e-4
    )
    assert numbers["reconstruction_gap"] - numbers["kl_gap"] == pytest.approx(numbers["gap"], rel=1e-4)


@pytest.mark.parametrize(
    ("bounds", "step", "words"),
    [((-9, -8, -8.5), 20, "fell by 0.50 nats until step 30"), ((-9, -8, -7), 30, "best at the last step")],
)
def test_overfitting_is_seen_in_the_validations_of_the_training(data, bounds, step, words):
    history = [{"step": 10 * (index + 1), "val/bound": bound} for index, bound in enumerate(bounds)]
    model = bernoulli_vae(data, 3, seed=0)
    found = diagnose(model, data, only=("generalisation",), history=history)["generalisation"]
    assert found.numbers["best_step"] == step
    assert any(words in sentence for sentence in found.sentences)
    assert "best_step" not in diagnose(model, data, only=("generalisation",))["generalisation"].numbers


def test_rows_without_weight_are_not_used():
    weights = torch.tensor([0.0, 1, 2, 0, 0, 1])
    observed = spread(Weighted(Resident(torch.arange(6.0).unsqueeze(1), 1, redraw=False), weights), 2, seed=0)
    assert (observed.bits(slice(None)).flatten().tolist(), observed.weights.tolist()) == ([1, 5], [1, 1])
    with pytest.raises(InputError, match="rows: expected more"):
        spread(Weighted(Resident(torch.zeros(3, 1), 1, redraw=False), torch.zeros(3)), 2, seed=0)


# ---------------------------------------------------------------- calibration


def drawn_from(model: LatentVariableModel, rows: int, seed: int) -> Dataset:
    """Return data that the model itself draws."""
    x = model.sample(rows, seed=seed).numpy().astype(np.uint8)
    return Dataset.from_arrays(x[:20], validation=x[:20], test=x)


def sharpened(model: LatentVariableModel, factor: float) -> LatentVariableModel:
    """Return the model with the logits of p(x|z) multiplied."""
    changed = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in list(changed.likelihood.parameters())[-2:]:  # of the last layer
            parameter *= factor
    return changed


@pytest.fixture(scope="module")
def wide() -> LatentVariableModel:
    """A small model whose bits depend on each other."""
    model = bernoulli_vae(8, 3, hidden_dims=[], seed=0)
    with torch.no_grad():
        for parameter in model.likelihood.parameters():
            parameter.normal_(generator=torch.Generator().manual_seed(1))
    return model


def calibration_of(model: LatentVariableModel, data: Dataset, seed: int = 0):
    return diagnose(model, data, only=("calibration",), seed=seed)["calibration"]


def test_a_model_is_calibrated_on_its_own_rows_at_the_stated_rate_of_false_alarms(wide):
    found = [calibration_of(wide, drawn_from(wide, 200, seed), seed).numbers for seed in range(25)]
    chances = np.array([numbers["p_value"] for numbers in found])
    assert (chances <= 0.02).sum() <= 3  # of 25 with probability 0.02: more than 3 in 0.15 % of all such tests
    assert 0.3 < chances.mean() < 0.7
    assert sum(bool(numbers["worst_columns"]) for numbers in found) <= 3


@pytest.mark.parametrize(("factor", "words"), [(2.5, "too sure"), (0.4, "too cautious")])
def test_predictions_that_are_off_are_found_with_their_direction_and_advice(wide, factor, words):
    found = calibration_of(sharpened(wide, factor), drawn_from(wide, 1000, 0))
    assert found.numbers["p_value"] == pytest.approx(0.02)
    assert any(words in sentence for sentence in found.sentences)
    assert "Do not use these probabilities" in found.advice


def test_predictions_from_few_codes_are_not_blamed_on_the_model():
    model = of_apart_bits(24)
    found = calibration_of(model, drawn_from(model, 200, 0))
    assert found.numbers["effective_samples"] < 3
    assert "too sure whatever the model" in found.sentences[1]
    assert "overfitting" not in found.advice
    assert "no finding about the model: predict with more codes" in found.advice


def test_a_column_that_is_further_off_than_chance_is_named(wide):
    x = wide.sample(1000, seed=0).numpy().astype(np.uint8)
    x[:, 2] = x[:, 2].mean() < 0.5
    data = Dataset.from_arrays(x[:20], validation=x[:20], test=x, columns=list("abcdefgh"))
    assert "c" in calibration_of(wide, data).numbers["worst_columns"]


def test_the_calibration_error_is_that_of_its_bins():
    rng = np.random.default_rng(0)
    p, w = rng.random(400), rng.random(400)
    p[:30], p[30:70] = 0.005, 0.995
    happened = (rng.random((3, 400)) < p**2).astype(float)
    reliability = Reliability(*map(torch.tensor, (p, happened, w)), torch.zeros(400).long())
    between = np.flatnonzero((p >= 0.01) & (p <= 0.99))
    bins = [np.flatnonzero(p < 0.01), *np.array_split(between[np.argsort(p[between])], 10), np.flatnonzero(p > 0.99)]
    off = np.array([[abs((w[b] * (h[b] - p[b])).sum()) for b in bins] for h in happened])
    errors, uncertain = reliability.errors()
    assert np.allclose(errors, off.sum(1) / w.sum())
    assert np.allclose(uncertain, off[:, 1:-1].sum(1) / w[between].sum())


def test_ranks_are_uniform_for_draws_and_not_for_others():
    rng = np.random.default_rng(0)
    values = torch.tensor(rng.normal(size=(50, 300)))
    values[:, :40] = values[:, :40].round()  # some with ties
    ranks = Ranks(values, torch.ones(300).double())
    with seeded(0):
        places = ranks.places()
    assert torch.equal(places.sort(0).values, torch.arange(50).unsqueeze(1).expand(-1, 300))
    assert torch.equal(places[0, 40:], (values[:, 40:] < values[0, 40:]).sum(0))
    distances = ranks.distances(ranks.shares(places))
    share = np.bincount(places[0], minlength=50).cumsum() / 300
    assert float(distances[0]) == pytest.approx(np.abs(share - np.arange(1, 51) / 50).max())
    assert p_value(distances) > 0.02
    far = Ranks(torch.cat([values[:1] + 1, values[1:]]), ranks.weights)
    with seeded(0):
        assert p_value(far.distances(far.shares(far.places()))) == pytest.approx(0.02)


def test_numbers_levels_and_bits_of_one_table_are_checked_together():
    data = data_of("mixed")
    model = gaussian_vae(data, 2, hidden_dims=[4], seed=0)
    found = calibration_of(model, data)
    assert {"calibration_error", "rank_distance", "reconstruction_error"} <= set(found.numbers)
    assert found.arrays["ranks"].sum() == pytest.approx(1)
    counts = Dataset.from_arrays(np.random.default_rng(0).poisson(2.0, (60, 3)), values="count")
    with pytest.raises(InputError, match="which apply to this model; got 'calibration'"):
        calibration_of(bernoulli_vae(counts, 2, seed=0), counts)


def test_an_autoencoder_has_reconstructions_alone(data):
    assert set(calibration_of(autoencoder(data, 2, seed=0), data).numbers) == {
        "reconstruction_error",
        "reconstruction_error_uncertain",
        "reconstruction_p_value",
    }


class OwnPosterior(nn.Module):
    """A mixture of two normal distributions, which does not read missing values."""

    code = "real"

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Linear(5, 2)

    def forward(self, x):
        means = torch.stack([self.network(x), -self.network(x)], -2)
        weights = Categorical(logits=x.new_zeros(len(x), 2))
        return MixtureSameFamily(weights, Independent(Normal(means, 1.0), 1))


def test_what_a_posterior_of_your_own_does_not_allow_is_said(data):
    model = LatentVariableModel(GaussianPrior(2), BernoulliLikelihood(2, data), OwnPosterior())
    gap = diagnose(model, data, only=("inference-gap",))["inference-gap"]
    assert "amortisation_gap" not in gap.numbers
    assert "MixtureSameFamily is no q(z|x) of independent normal numbers or bits" in gap.sentences[1]
    found = calibration_of(model, data)
    assert found.sentences[0].startswith("Hidden values were not predicted: expected a posterior that reads rows with")
    assert "reconstruction_error" in found.numbers

"""Missing values: NaN in x. What is left out, the laws that hold with it, and how data with gaps are stored."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.laws import table as laws
from tests.laws.biases import dreams
from tests.laws.exact import enumerate_bits, log_likelihood
from tests.laws.models import BITS, VARIATIONAL, X, binary_data, build, incomplete, observations_of
from vaelab import Dataset, evaluate, fit, impute, load
from vaelab.data import Batches, DataSpec, Resident, Split
from vaelab.errors import InputError
from vaelab.inference import Enumeration
from vaelab.likelihood import elbo, exact, importance_weighted, prior_average, quadrature
from vaelab.models import bernoulli_vae, gaussian_vae, sbn
from vaelab.objectives import ELBO, IWAE

NAN = float("nan")


def table(rows=60, columns=6, share=0.4, seed=0):
    """Bits of which a share is missing, float64 with NaN."""
    generator = np.random.default_rng(seed)
    x = generator.integers(0, 2, (rows, columns)).astype(float)
    x[generator.random(x.shape) < share] = np.nan
    return x


# ---------------------------------------------------------------- laws


@pytest.mark.parametrize("row", laws.ROWS, ids=lambda row: row.name)
def test_the_expected_gradient_is_exact_with_missing_values(row):
    """One observation with 2 of 5 values missing, and one of which nothing is observed."""
    ours, exact_gradient = laws.expectation(row, missing=True)
    for part in laws.PARTS:
        if part in row.biased or not exact_gradient[part].numel():
            continue
        assert exact_gradient[part].isfinite().all()
        assert exact_gradient[part].abs().max() > 0.001
        assert (ours[part] - exact_gradient[part]).abs().max() < row.tolerance, part


@pytest.mark.parametrize("row", [row for row in laws.ROWS if row.estimator == "wake-sleep"], ids=lambda row: row.name)
def test_the_encoder_of_wake_sleep_learns_from_dreams_with_the_gaps_of_the_observations(row):
    """Else nothing would teach it what to return for a row of which values are missing."""
    ours, expected = laws.expectation(row, missing=True)[0], dreams(row, missing=True)
    assert expected["encoder"].abs().max() > 0.001
    assert (ours["encoder"] - expected["encoder"]).abs().max() < 1e-8


@pytest.mark.parametrize("name", VARIATIONAL)
@pytest.mark.parametrize("objective", [ELBO(), IWAE()], ids=["elbo", "iwae"])
def test_the_bound_of_complete_data_is_the_same_where_missing_values_are_allowed(name, objective):
    x = observations_of(4)
    with_gaps = build(name).allow_missing()
    torch.manual_seed(0)
    first = build(name).bound(x, 3, objective)
    torch.manual_seed(0)
    second = with_gaps.bound(x, 3, objective)
    assert torch.allclose(first, second, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", BITS)
def test_the_bound_is_below_the_enumerated_density_of_what_is_observed(name):
    model = build(name).allow_missing()
    x = incomplete(observations_of(3))
    log_p = enumerate_bits(model, x, 1, "exact")
    assert torch.allclose(Enumeration(model).log_likelihood(x), log_p, rtol=0, atol=1e-12)
    assert torch.allclose(exact(model, x).values.double(), log_p, rtol=0, atol=1e-6)
    assert log_p[-1].abs() < 1e-12, "nothing is observed, so that the density of what is observed is 1"
    bounds = [enumerate_bits(model, x, 1, "elbo"), *(enumerate_bits(model, x, k, "iwae") for k in (1, 2))]
    for lower, upper in zip(bounds[1:], [*bounds[2:], log_p], strict=True):
        assert (lower <= upper + 1e-12).all()
    assert torch.allclose(bounds[0], bounds[1])
    sampled = importance_weighted(model, x, samples=20_000).values
    assert torch.allclose(sampled.double(), log_p, rtol=0, atol=0.02)


@pytest.mark.parametrize("name", BITS)
def test_the_density_of_what_is_observed_is_the_sum_over_what_is_not(name):
    """p(x_observed) = sum over every value of the missing columns of p(x), by the model without missing values."""
    model, x = build(name), observations_of(1)
    x[0, [1, 3]] = NAN
    filled = [torch.where(x.isnan(), torch.tensor([[0.0, a, 0.0, b, 0.0]]).double(), x) for a in (0, 1) for b in (0, 1)]
    total = Enumeration(model).log_likelihood(torch.cat(filled)).logsumexp(0)
    assert torch.allclose(Enumeration(model.allow_missing()).log_likelihood(x)[0], total, rtol=0, atol=1e-12)


def test_known_pixels_and_missing_values_are_the_same_thing():
    model, x = build(BITS[0]), observations_of(4)
    known = torch.tensor([True, False, True, True, False])
    conditional = Enumeration(model).log_likelihood(x, known)
    gaps = torch.where(known, x, NAN)
    assert torch.equal(conditional, Enumeration(model.allow_missing()).log_likelihood(gaps))


def test_quadrature_integrates_the_density_of_what_is_observed():
    model = build("gaussian", latent_dim=1).allow_missing()
    x = incomplete(observations_of(3))
    values = quadrature(model, x).values
    assert abs(values[-1]) < 1e-9
    nodes = torch.linspace(-8, 8, 4001).double().view(-1, 1, 1)
    log_joint = log_likelihood(model, x, nodes) + model.prior().log_prob(nodes)
    assert torch.allclose(values, torch.logsumexp(log_joint, 0) + np.log(16 / 4000), rtol=0, atol=1e-6)
    for bound in (elbo, importance_weighted, prior_average):
        assert bound(model, x, samples=5).values.isfinite().all()


@pytest.mark.parametrize("field", ["product", "gaussian"])
@pytest.mark.parametrize("layers", [[3], [3, 2]])
def test_mean_field_leaves_missing_children_out(field, layers):
    """The bound is that of a network without the missing columns; no update lowers it."""
    model = sbn(X, layers=layers, inference="mean-field", field=field, tolerance=0.0, seed=0).double().allow_missing()
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(std=0.7, generator=torch.Generator().manual_seed(weight.numel()))
    x = observations_of(2)
    x[:, [1, 3]] = NAN
    solver = model.posterior.solver()
    (J, h), *above = solver.layers
    kept = [0, 2, 4]
    small = type(solver)([(J[kept], h[kept]), *above], solver.top, field)
    state = solver.start(x)
    before = solver.bound(x, state)
    for _ in range(3):
        for updated in solver.updates(x, state):
            state, after = updated, solver.bound(x, updated)
            assert (after >= before - 1e-9).all()
            before = after
    assert torch.allclose(solver.bound(x, solver.infer(x, 0.0)), small.bound(x[:, kept], small.infer(x[:, kept], 0.0)))
    if field == "product":
        assert (solver.bound(x, solver.infer(x, 0.0)) <= Enumeration(model).log_likelihood(x) + 1e-9).all()


# ---------------------------------------------------------------- what the encoder reads


def test_the_encoder_reads_the_mean_where_a_value_is_missing():
    mean = torch.tensor([0.2, 0.4, 0.6, 0.8, 0.5])
    model = gaussian_vae(DataSpec((X,), mean, may_be_missing=True), 2, [4], seed=0)
    x = incomplete(observations_of(3)).float()
    filled = torch.where(x.isnan(), mean, x)
    assert torch.equal(model.posterior(x).loc, model.posterior(filled).loc)


@pytest.mark.parametrize("network", ["mlp", "conv"])
def test_an_encoder_of_the_mask_tells_a_missing_value_from_the_mean(network):
    spec = DataSpec((8, 9), torch.full((72,), 0.5), may_be_missing=True)
    model = gaussian_vae(spec, 2, [4], network=network, encode_mask=True, seed=0)
    x = torch.full((2, 72), 0.5)
    x[1, 40] = NAN
    loc = model.posterior(x).loc
    assert loc.isfinite().all()
    assert not torch.allclose(loc[0], loc[1])


@pytest.mark.parametrize("name", [*VARIATIONAL, "autoencoder"])
def test_every_model_refuses_missing_values_until_they_are_allowed(name):
    model, x = build(name), incomplete(observations_of(3))
    with pytest.raises(InputError, match=r"x: .* got NaN, which marks a missing value; .*model\.allow_missing\(\)"):
        model.encode(x)
    assert model.allow_missing().encode(x).isfinite().all()
    assert model.reconstruct(x).isfinite().all()


# ---------------------------------------------------------------- data


@pytest.mark.parametrize(
    ("x", "kind", "scale"),
    [
        (table(), "binary", 1),
        (np.where(np.isnan(table()), np.nan, table() * 0.8 + 0.1), "grey", 1),
    ],
    ids=["bits", "greys"],
)
def test_gaps_stay_gaps_under_every_binarisation(x, kind, scale):
    data = Dataset.from_arrays(x)
    assert (data.kind, data.scale, data.spec.may_be_missing) == (kind, scale, True)
    for protocol in ["none"] if kind == "binary" else ["dynamic", "static", "threshold"]:
        chosen = data.with_binarisation(protocol)
        for split in chosen.splits.values():
            bits = split.observations().bits(slice(0, len(split)))
            assert np.array_equal(bits.isnan().numpy(), np.isnan(split.x))
            assert set(bits[~bits.isnan()].tolist()) <= {0.0, 1.0}
        seen = Batches(chosen.train.observations(), 16, seed=0)(0)
        assert seen.isnan().any()
        assert (seen[~seen.isnan()] % 1 == 0).all()
    assert torch.allclose(data.spec.mean, torch.from_numpy(np.nanmean(data.train.x, 0)), atol=1e-6)


def test_grey_levels_with_gaps_keep_their_scale():
    x = np.random.default_rng(0).integers(0, 256, (40, 5)).astype(float)
    x[3, 2] = np.nan
    data = Dataset.from_arrays(x, scale=255)
    assert data.spec.may_be_missing
    assert 0 <= float(data.spec.mean.min()) <= float(data.spec.mean.max()) <= 1
    assert np.nanmax(np.concatenate([split.x for split in data.splits.values()])) / data.scale == np.nanmax(x) / 255


def test_complete_data_are_stored_and_modelled_as_before():
    data = Dataset.from_arrays(np.nan_to_num(table()))
    assert data.train.x.dtype == np.uint8
    assert not data.spec.may_be_missing
    assert not gaussian_vae(data, 2, [4]).may_be_missing


@pytest.mark.parametrize("scale", [1, 255])
def test_the_mean_of_many_rows_is_that_of_the_observed_values(scale):
    rng = np.random.default_rng(0)
    x = np.where(rng.random((2300, 3)) < 0.2, np.nan, rng.integers(0, 2, (2300, 3)) * scale).astype(np.float32)
    x[:, 2] = np.nan
    weights, rows = rng.random(2300).astype(np.float32), Resident(torch.from_numpy(x), scale, False)
    observed = ~np.isnan(x[:, :2])
    for each in (np.ones(2300), weights.astype(np.float64)):
        expected = (each @ np.nan_to_num(x[:, :2])) / (each @ observed) / scale
        found = rows.mean(None if each.sum() == 2300 else torch.from_numpy(weights))
        assert found.tolist() == pytest.approx([*expected, 0.5], rel=1e-6)


def test_a_column_that_is_never_observed_has_mean_one_half():
    x = table()
    x[:, 2] = np.nan
    data = Dataset.from_arrays(x)
    assert float(data.spec.mean[2]) == 0.5
    assert gaussian_vae(data, 2, [4]).bound(data.test.batch(3)).isfinite().all()


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Dataset.from_arrays(np.full((20, 3), np.nan)), "data: expected some values that are not missing"),
        (lambda: Dataset.from_arrays(np.where(table() == 1, np.inf, 0.0)), "expected finite numbers; got inf in row"),
        (lambda: Dataset("d", {"all": Split(np.full((4, 2), np.nan))}, "binary", 1), "all 8 are NaN"),
        (lambda: Dataset("d", {"all": Split(table() * 2)}, "binary", 1), r"expected 0 and 1, as kind='binary' says"),
    ],
)
def test_what_is_no_data_with_gaps_is_refused(make, sentence):
    with pytest.raises(InputError, match=sentence):
        make()


# ---------------------------------------------------------------- training, evaluation, files


@pytest.mark.parametrize(
    ("build_model", "options"),
    [(gaussian_vae, {"hidden_dims": [16]}), (bernoulli_vae, {"hidden_dims": [16]}), (sbn, {"layers": [4]})],
    ids=["gaussian", "bits", "sbn"],
)
def test_a_model_learns_from_what_is_observed(build_model, options, tmp_path):
    """Two patterns with 3 in 10 values missing: the bound rises above that of independent columns."""
    complete = binary_data((300, 100, 100), dim=8)
    generator = np.random.default_rng(1)

    def gaps(split):
        return np.where(generator.random(split.x.shape) < 0.3, np.nan, split.x)

    data = Dataset.from_arrays(gaps(complete.train), validation=gaps(complete.validation), test=gaps(complete.test))
    model = build_model(data, **options, seed=0)
    fit(model, data, steps=300, learning_rate=1e-2)
    mean = data.spec.mean.clamp(0.01, 0.99)
    x = data.test.batch(100)
    independent = torch.where(x.isnan(), 0, x.nan_to_num() * mean.log() + (1 - x.nan_to_num()) * (1 - mean).log()).sum(
        -1
    )
    result = evaluate(model, data, samples=20)
    assert result["iwae-20"].value > float(independent.mean()) + 0.3
    model.save(tmp_path / "model")
    again = load(tmp_path / "model")
    assert again.may_be_missing
    assert torch.equal(again.encode(x), model.encode(x))


def test_a_model_of_complete_data_is_evaluated_on_gaps_with_a_word(caplog):
    complete = binary_data(dim=6)
    model = gaussian_vae(complete, 2, [4], seed=0)
    gaps = Dataset.from_arrays(table())
    assert evaluate(model, gaps, samples=2)["elbo"].value < 0
    assert "the model was built for complete data" in caplog.text


def test_an_evaluation_says_how_many_values_of_each_row_are_observed():
    data = Dataset.from_arrays(table())
    result = evaluate(gaussian_vae(data, 2, [4], seed=0), data, samples=2)
    counts = (~np.isnan(data.test.x)).sum(1)
    assert result.values["observed"].tolist() == counts.tolist()
    assert result["elbo"].observed_cells == pytest.approx(counts.mean())
    assert f"{counts.mean():.3g} of 6 values observed, on average" in str(result)
    complete = binary_data(dim=6)
    assert "observed" not in evaluate(gaussian_vae(complete, 2, [4], seed=0), complete, samples=2).values


def test_a_likelihood_of_columns_that_depend_on_each_other_stays_as_it_is_where_values_are_missing():
    counts = np.random.default_rng(0).integers(0, 4, (40, 5))
    model = gaussian_vae(Dataset.from_arrays(counts, values="count"), 2, [4], likelihood="multinomial", seed=0)
    gaps = np.where(np.eye(5) == 1, np.nan, counts[:5])
    with pytest.raises(InputError, match="multinomial has no density of some of its columns"):
        impute(model, gaps, samples=2)
    assert model.bound(counts).isfinite().all()
    incomplete_counts = Dataset.from_arrays(np.tile(gaps, (4, 1)), values="count")
    with pytest.raises(InputError, match="multinomial has no density of some of its columns"):
        gaussian_vae(incomplete_counts, likelihood="multinomial")

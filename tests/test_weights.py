"""Weights of rows: a row of weight 2 is two rows, in a training and in an evaluation; a row of weight 0 is none."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from tests.commands import CommandLine
from tests.laws import binary_data, build, observations_of
from vaelab import Dataset, Split, diagnose, evaluate, fit, impute, load_data
from vaelab.data import Batches, describe, order_columns
from vaelab.data.assembly import assemble
from vaelab.data.content import Content, RawTable
from vaelab.data.parts import observed, without_named
from vaelab.data.splitting import Splitting
from vaelab.data.values import ReadOptions
from vaelab.data.variables import Column
from vaelab.distributed import Ranks
from vaelab.errors import InputError
from vaelab.estimators import ESTIMATORS
from vaelab.evaluation import Imputation, active_units
from vaelab.evaluation.diagnostics import calibration
from vaelab.likelihood import BoundEstimate
from vaelab.likelihood.importance import log_mean_weight
from vaelab.models import autoencoder, bernoulli_vae
from vaelab.objectives import ELBO, Terms

COUNTS = np.array([2, 0, 1, 3, 1, 0, 1, 2])


def weighted_and_repeated(rows=64, dim=4, seed=0):
    """Return the same data twice: with weights that are whole numbers, and with each row as often as its weight."""
    generator = np.random.default_rng(seed)
    weighted, repeated = {}, {}
    for name in ("train", "validation", "test"):
        x = generator.integers(0, 2, (rows, dim)).astype(np.uint8)
        weights = generator.permutation(np.resize(COUNTS, rows))
        weighted[name] = Split(x, weights=weights.astype(np.float32))
        repeated[name] = Split(x.repeat(weights, axis=0))
    return Dataset("weighted", weighted, "binary", 1), Dataset("repeated", repeated, "binary", 1)


# ---------------------------------------------------------------- training


@pytest.mark.parametrize("objective", [ELBO(), ELBO(beta=0.5)])
def test_the_weighted_gradient_is_that_of_repeated_rows(objective):
    """The whole data set as one batch, in float64, with the exact gradient."""
    model, x = build("bits, learned prior"), observations_of(len(COUNTS))
    estimator = ESTIMATORS["exact"](model)
    counts = torch.from_numpy(COUNTS)

    def gradients(x, weights=None):
        estimate = estimator(model, objective, x)
        return estimate.means(weights), torch.autograd.grad(estimate.loss(weights), list(model.parameters()))

    means, weighted = gradients(x, counts / counts.double().mean())
    expected, repeated = gradients(x.repeat_interleave(counts, 0))
    torch.testing.assert_close(means, expected)
    torch.testing.assert_close(weighted, repeated)
    assert any(gradient.abs().max() > 0.01 for gradient in weighted)


def test_free_bits_of_weighted_rows_are_refused():
    data, _ = weighted_and_repeated()
    model = bernoulli_vae(data, latent_dim=2, hidden_dims=[4], seed=0)
    with pytest.raises(
        InputError, match=r"objective\.free_bits: expected 0 for rows with weights, as those of 'weighted'"
    ):
        fit(model, data, objective=ELBO(free_bits=0.1), steps=2)


@pytest.mark.parametrize("options", [{}, {"learning_rate": 0.01, "clip": 1.0, "average": False}])
def test_a_weighted_training_is_that_of_repeated_rows(options):
    """Full batches and the exact gradient: the weights of the models and the logged bounds agree to rounding."""
    found = []
    for data in weighted_and_repeated():
        model = bernoulli_vae(data, latent_dim=2, hidden_dims=[4], seed=0)
        estimator = ESTIMATORS["exact"](model)
        lengths = {"steps": 20, "batch_size": 10_000, "log_every": 5, "validate_every": 20}
        result = fit(model, data, estimator=estimator, **lengths, **options)
        found.append(([row["train/bound"] for row in result.history], list(model.parameters())))
    torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=1e-4)


def test_a_compiled_step_uses_the_weights():
    """The graph of the step takes them as an input; without them it is another graph."""
    data = weighted_and_repeated()[0]

    def trained(compiled):
        model = bernoulli_vae(data, latent_dim=2, hidden_dims=[4], seed=0)
        fit(model, data, estimator=ESTIMATORS["exact"](model), steps=3, batch_size=32, compile=compiled)
        return list(model.parameters())

    torch.testing.assert_close(trained(True), trained(False), rtol=1e-4, atol=1e-5)


def test_weights_of_a_batch_belong_to_its_rows_on_every_rank():
    x = np.unpackbits(np.arange(96, dtype=np.uint8)[:, None], axis=1)
    data = Dataset("numbers", {"train": Split(x, weights=np.arange(96))}, "binary", 1)
    places = 2 ** torch.arange(7, -1, -1.0)

    def batches(ranks):
        return Batches(data.train.observations(), 32, 0, ranks)

    for step in (0, 2, 5):
        whole = batches(Ranks()).weights(step)
        torch.testing.assert_close(whole * 47.5, batches(Ranks())(step) @ places)  # their mean over the split is 1
        shares = [batches(Ranks(rank, 4)).weights(step) for rank in range(4)]
        assert torch.equal(torch.cat(shares), whole)
    assert Batches(binary_data().train.observations(), 32, 0).weights(0) is None


def test_the_mean_that_a_model_is_told_is_that_of_repeated_rows():
    weighted, repeated = weighted_and_repeated()
    torch.testing.assert_close(weighted.spec.mean, repeated.spec.mean)
    grey = Split(np.array([[0, 255], [255, 255]], np.uint8), weights=np.array([3, 1]))
    for binarisation in ("dynamic", "threshold"):
        data = Dataset("greys", {"train": grey}, "grey", 255, binarisation=binarisation)
        assert data.spec.mean.tolist() == [0.25, 1]


def test_validation_and_the_mixture_of_codes_are_those_of_repeated_rows():
    """An auto-encoder draws nothing, so that its validations agree to rounding; a mixture converges to 0.2 nat."""
    found = []
    for data in weighted_and_repeated(rows=160):
        model = autoencoder(data, latent_dim=2, hidden_dims=[4], components=2, seed=0)
        result = fit(model, data, steps=4, batch_size=10_000, validate_every=2)
        mixture = model.prior.arrays()
        order = mixture["weights"].argsort()
        validations = [row["val/reconstruction"] for row in result.history]
        found.append((validations, {name: array[order] for name, array in mixture.items()}))
    torch.testing.assert_close(found[0][0], found[1][0], rtol=1e-5, atol=0)
    torch.testing.assert_close(found[0][1], found[1][1], rtol=1e-2, atol=1e-2)


# ---------------------------------------------------------------- evaluation


def test_a_weighted_evaluation_is_that_of_repeated_rows():
    """Value, standard error and active units; nothing is drawn, so that they agree to rounding."""
    weighted, repeated = weighted_and_repeated()
    model = bernoulli_vae(weighted, latent_dim=2, hidden_dims=[4], seed=0)
    torch.nn.init.normal_(model.posterior.network.layers[0].weight, std=3)
    one, other = (evaluate(model, data, bounds=("exact",)) for data in (weighted, repeated))
    for field in ("value", "standard_error"):
        assert getattr(one["exact"], field) == pytest.approx(getattr(other["exact"], field), rel=1e-6)
    assert one["exact"].note == "Weighted: a row of weight w is w rows, 80 in all."
    assert other["exact"].note == ""
    assert one["exact"].observations == 64
    units = [active_units(model, data.test.observations()) for data in (weighted, repeated)]
    assert units[0].pop("measure") == units[1].pop("measure")
    assert units[0] == pytest.approx(units[1], rel=1e-5)
    assert units[0]["active_units"] > 0


def test_what_is_said_of_the_importance_weights_is_that_of_repeated_rows():
    """Their medians and the share of heavy tails: the log-weights of a row are a function of the row alone."""
    noise = torch.randn(200, 1, generator=torch.Generator().manual_seed(0))

    def score(x):
        log_likelihood = noise * (0.2 + 0.5 * x.sum(-1))  # (K, B)
        return lambda samples: Terms(log_likelihood, torch.zeros_like(log_likelihood))

    model, names = bernoulli_vae(4, 2), ("median_effective_samples", "median_pareto_shape", "heavy_tailed")
    one, other = (
        log_mean_weight(model, data.test.observations(), 200, 0, None, score).details
        for data in weighted_and_repeated(8)
    )
    assert [one[name] for name in names] == pytest.approx([other[name] for name in names], rel=1e-12)
    assert 0 < one["heavy_tailed"] < 1


def test_medians_of_effective_samples_are_those_of_repeated_rows(monkeypatch):
    weighted, _ = weighted_and_repeated(seed=1)
    model, seen = bernoulli_vae(4, 3, hidden_dims=(5,), seed=0).allow_missing(), []
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(4)  # so that few codes count
    counts = torch.from_numpy(weighted.test.weights).int()
    found = impute(model, weighted.test, samples=20)
    repeated = found.effective_samples.repeat_interleave(counts)
    assert found.median_effective_samples == float(repeated.median())
    assert f"median {float(repeated.median()):.3g} effective samples" in repr(found)
    monkeypatch.setattr(calibration, "impute", lambda *given, **how: seen.append(impute(*given, **how)) or seen[-1])
    numbers = diagnose(model, weighted, only=("calibration",))["calibration"].numbers
    effective = seen[0].effective_samples  # of the rows that count
    assert numbers["effective_samples"] == float(effective.repeat_interleave(counts[counts > 0]).median())
    assert float(effective.median()) != numbers["effective_samples"]
    none = Imputation(found.values, found.observed, found.effective_samples)
    assert none.median_effective_samples == float(found.effective_samples.median())


def test_weights_that_do_not_count_rows_have_the_error_of_a_weighted_sample():
    """It does not depend on the unit of the weights; with equal weights it is the usual one."""
    values = torch.tensor([1.0, 4.0, 2.0, torch.nan])
    weights = torch.tensor([0.5, 0.25, 1.5, 0.0])
    estimate = BoundEstimate(values, weights=weights)
    assert estimate.mean == pytest.approx((0.5 + 1 + 3) / 2.25)
    assert BoundEstimate(values, weights=10.24 * weights).standard_error == pytest.approx(estimate.standard_error)
    plain = BoundEstimate(values[:3])
    for same in (torch.full((3,), 0.3), torch.ones(3)):
        assert BoundEstimate(values[:3], weights=same).standard_error == pytest.approx(plain.standard_error)
    assert np.isnan(BoundEstimate(values[:2], weights=torch.tensor([1.0, 0.0])).standard_error)
    assert np.isnan(BoundEstimate(values[:2], weights=torch.tensor([1.5, 0.0])).standard_error)


def test_the_error_of_a_weighted_sample_is_that_of_many_samples():
    """20 000 samples of 40 values with random weights: the spread of their means is the error that is reported."""
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(20_000, 40, generator=generator)
    weights = torch.rand(20_000, 40, generator=generator) + 0.1
    means = (values * weights).sum(1) / weights.sum(1)
    errors = [BoundEstimate(v, weights=w).standard_error for v, w in zip(values[:500], weights[:500], strict=True)]
    assert np.mean(errors) == pytest.approx(float(means.std()), rel=0.03)


# ---------------------------------------------------------------- data


def test_arrays_keep_the_weight_of_each_row_in_every_split():
    rows = np.random.default_rng(0).integers(0, 2, (200, 9)).astype(np.uint8)
    places = 2.0 ** np.arange(9)
    data = Dataset.from_arrays(rows, sample_weight=rows @ places + 1)
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 160, "validation": 20, "test": 20}
    order = [f"c{place}" for place in range(9)]
    named = Dataset("named", data.splits, "binary", 1, columns=tuple(reversed(order)))
    for changed in (data, data.with_binarisation("none"), order_columns(named, order)):
        read = np.flip(places) if changed.columns else places
        for split in changed.splits.values():
            assert np.array_equal(split.weights, split.x @ read + 1)
    conditional = named.with_condition("c3")
    assert np.array_equal(conditional.test.weights, named.test.weights)
    given = Dataset.from_arrays(rows, validation=(rows[:5], None, [1, 2, 3, 4, 5]), test=rows)
    assert given.validation.weights.tolist() == [1, 2, 3, 4, 5]
    assert (given.train.weights, given.test.weights) == (None, None)
    assert repr(data.train) == "Split(160 rows of 9, weights)"


def test_weights_are_part_of_the_checksum():
    weighted, _ = weighted_and_repeated()
    plain = Dataset("plain", {name: Split(split.x) for name, split in weighted.splits.items()}, "binary", 1)
    halves = {name: Split(split.x, weights=split.weights / 2) for name, split in weighted.splits.items()}
    digests = {data.sha256() for data in (weighted, plain, Dataset("halves", halves, "binary", 1))}
    assert len(digests) == 3


@pytest.mark.parametrize(
    ("weights", "sentence"),
    [
        ([1, -2, 1], "weights of x: expected numbers from 0 on; got -2 in row 1"),
        ([1, 1, np.nan], "weights of x: expected finite numbers; got nan in row 2; give a row that does not count"),
        ([1, np.inf, 1], "weights of x: expected finite numbers; got inf in row 1"),
        ([1, 1], r"weights of x: expected one weight for each row, shape \(3,\); got shape \(2,\)"),
        ([0, 0, 0], "weights of x: expected a weight above zero for at least one row; got zero for all 3"),
        ([1e-60, 0, 0], "weights of x: expected a weight above zero"),
        ([1e300, 0, 0], "weights of x: expected numbers up to 3.4e\\+38; got 1e\\+300"),
        (["a", "b", "c"], "weights of x: expected numbers; got object"),
    ],
)
def test_bad_weights_are_refused(weights, sentence):
    with pytest.raises(InputError, match=sentence):
        Dataset.from_arrays(np.eye(3), sample_weight=weights)


def test_a_split_without_any_weight_and_rows_on_the_disk_are_refused(tmp_path):
    with pytest.raises(InputError, match="split 'test': weights: expected a weight above zero"):
        Dataset("x", {"test": Split(np.eye(2, dtype=np.uint8), weights=np.zeros(2))}, "binary", 1)
    np.save(tmp_path / "x.npy", np.eye(8, dtype=np.uint8))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    with pytest.raises(InputError, match="split 'train': expected no weights, as the rows stay on the disk"):
        Dataset("x", {"train": Split(mapped, weights=np.ones(8))}, "binary", 1)
    (tmp_path / "shards").mkdir()
    np.save(tmp_path / "shards" / "0.npy", np.eye(16, dtype=np.uint8))
    with pytest.raises(InputError, match="weight_column: expected data in memory; these rows stay on the disk"):
        load_data(tmp_path / "shards", weight_column="w")


# ---------------------------------------------------------------- files and commands


def write_table(path, weights="w"):
    generator = np.random.default_rng(0)
    bits, counts = generator.integers(0, 2, (60, 3)), generator.integers(0, 4, 60) / 2
    lines = [f"a,{weights},b,c", *(f"{a},{w:g},{b},{c}" for (a, b, c), w in zip(bits, counts, strict=True))]
    path.write_text("\n".join(lines) + "\n")
    return bits, counts


def test_a_column_of_a_file_holds_the_weights(tmp_path):
    bits, counts = write_table(tmp_path / "x.csv")
    data = load_data(tmp_path / "x.csv", split=False, weight_column="w")
    assert data.columns == ("a", "b", "c")
    assert np.array_equal(data.split("all").x, bits)
    assert np.array_equal(data.split("all").weights, counts)
    assert "the weights are in column 'w'" in data.notes
    assert describe(data)["weights"] == f"in [0, 1.5], {counts.sum():g} in all"
    with pytest.raises(InputError, match=r"weight_column: there is no column 'ww' \(did you mean 'w'\?\)"):
        load_data(tmp_path / "x.csv", weight_column="ww")
    with pytest.raises(InputError, match="for a file; 'mnist' needs none"):
        load_data("mnist", weight_column="w")


def test_an_array_of_an_archive_holds_the_weights(tmp_path):
    bits = np.eye(12, dtype=np.uint8)
    np.savez(tmp_path / "x.npz", x=bits, y=np.arange(12), counts=np.arange(12))
    found = load_data(tmp_path / "x.npz", split=False, weight_column="counts").split("all")
    assert found.weights.tolist() == found.labels.tolist()
    splits = {"train": bits, "validation": bits, "test": bits}
    np.savez(tmp_path / "y.npz", **splits, w_train=np.arange(12), test_w=np.ones(12))
    found = load_data(tmp_path / "y.npz", weight_column="w")
    assert found.train.weights.tolist() == list(range(12))
    assert (found.validation.weights, found.test.weights.sum()) == (None, 12)
    with pytest.raises(InputError, match="weight_column: there is no array 'v'"):
        load_data(tmp_path / "x.npz", weight_column="v")


def test_the_commands_read_the_weights(capsys, tmp_path, monkeypatch):
    """train keeps the column in its settings, so that evaluate and a resumed training find it again."""
    monkeypatch.chdir(tmp_path)
    command_line = CommandLine(capsys, monkeypatch)
    write_table(tmp_path / "x.csv")
    words = ["latent_dim=2", "hidden_dims=[4]", "steps=3"]
    read = ["--data", "x.csv", "--weight-column", "w"]
    assert command_line("train", "bernoulli-vae", *read, "--out", "out", *words).code == 0
    assert json.loads((tmp_path / "out" / "config.json").read_text())["settings"]["weight_column"] == "w"
    printed = command_line("evaluate", "out", "--bound", "exact", "--no-report", "--json").out
    assert "weighted sample" in json.loads(printed)["evaluations"][0]["note"]
    assert "weights       in [0, 1.5]" in command_line("data", "x.csv", "--weight-column", "w").out
    assert "there is no column 'v'" in command_line.refused("data", "x.csv", "--weight-column", "v")


def test_a_column_of_a_table_with_text_holds_the_weights():
    colours = np.array(["red", "blue", None, "red"], object)
    table = RawTable(("colour", "w", "n"), [colours, np.array([1.0, 0, 2, 3]), np.arange(4)])
    columns = (Column("colour", "binary", ("blue", "red"), "str"), Column("n", "count", None, "int64"))
    whole = Splitting(whole=True)

    def assembled(options):
        content = observed("x.csv", without_named("x.csv", Content({}, table=table), whole, options), options)
        return assemble("x.csv", content, whole, options)

    parts = assembled(ReadOptions(weight_column="w", variables=columns))
    assert parts.columns == ("colour", "n")
    assert parts.splits["all"].weights.tolist() == [1, 0, 2, 3]
    assert "the weights are in column 'w'" in parts.notes
    for column, sentence in (("colour", "weights of x: expected numbers; got object"), ("v", "there is no column 'v'")):
        with pytest.raises(InputError, match=sentence):
            assembled(ReadOptions(weight_column=column, variables=columns[1:]))


@pytest.mark.parametrize("missing", [False, True])
def test_the_deviation_of_real_columns_is_that_of_repeated_rows(missing):
    generator = np.random.default_rng(0)
    x = generator.normal(5, 2, (len(COUNTS), 3)).astype(np.float32)
    if missing:
        x[generator.random(x.shape) < 0.4] = np.nan
    weighted, repeated = Split(x, weights=COUNTS.astype(np.float32)), Split(x.repeat(COUNTS, 0))
    torch.testing.assert_close(weighted.deviation(), repeated.deviation())
    means = [Dataset("reals", {"train": split}, "real", 1).spec.mean for split in (weighted, repeated)]
    torch.testing.assert_close(*means)


def test_sparse_rows_have_weights():
    from scipy import sparse

    x = (np.random.default_rng(0).random((120, 5)) < 0.3).astype(np.uint8)
    weights = np.arange(120)
    dense, stored = (Dataset.from_arrays(form, sample_weight=weights) for form in (x, sparse.csr_array(x)))
    assert np.array_equal(dense.test.weights, stored.test.weights)
    torch.testing.assert_close(dense.spec.mean, stored.spec.mean)
    assert dense.sha256() == stored.sha256()

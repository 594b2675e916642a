"""Room: sklearn. The estimators are scikit-learn's kind of estimator, and give what the models of vaelab give."""

from __future__ import annotations

import copy
import inspect
import json
import pickle
import pickletools
import re
import signal

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Binarizer, StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import vaelab
from tests.laws import build, observations_of
from vaelab.data import Dataset
from vaelab.data.frames import table_of
from vaelab.data.sparse import SparseRows
from vaelab.data.tables import encode_table
from vaelab.errors import InputError
from vaelab.evaluation import encode_means
from vaelab.likelihood import elbo, exact, score_rows
from vaelab.sklearn import BernoulliVAE, GaussianVAE, LogisticPCA, MixtureAutoencoder, SigmoidBeliefNetwork
from vaelab.sklearn.reading import filled_frame, read_more
from vaelab.storage import seal

QUICK = {"steps": 4, "random_state": 0}
SMALL = {
    "GaussianVAE": GaussianVAE(latent_dim=2, hidden_dims=(6,), bound_samples=5, **QUICK),
    "BernoulliVAE": BernoulliVAE(latent_dim=9, hidden_dims=(6,), bound_samples=5, **QUICK),
    "SigmoidBeliefNetwork": SigmoidBeliefNetwork(layers=(5, 2), bound_samples=5, **QUICK),
    "MixtureAutoencoder": MixtureAutoencoder(hidden_dims=(6,), components=1, **QUICK),
}
OF_BITS = LogisticPCA(latent_dim=2, encoder_dims=(6,), bound_samples=5, steps=1, random_state=0)
VARIATIONAL = [name for name in SMALL if name != "MixtureAutoencoder"]
REAL, WHOLE = "feeds real numbers, and bernoulli is for 0 and 1", "feeds whole numbers from 1 to 4"
OF_OTHER_NUMBERS = {
    "check_dict_unchanged": REAL,
    "check_dont_overwrite_parameters": REAL,
    "check_dtype_object": REAL,
    "check_estimator_sparse_array": REAL,
    "check_estimator_sparse_matrix": REAL,
    "check_estimator_sparse_tag": REAL,
    "check_estimators_dtypes": REAL,
    "check_estimators_fit_returns_self": REAL,
    "check_estimators_overwrite_params": REAL,
    "check_estimators_pickle": REAL,
    "check_f_contiguous_array_estimator": REAL,
    "check_fit2d_1feature": REAL,
    "check_fit2d_predict1d": REAL,
    "check_fit_check_is_fitted": REAL,
    "check_fit_idempotent": REAL,
    "check_fit_score_takes_y": REAL,
    "check_methods_sample_order_invariance": REAL,
    "check_methods_subset_invariance": REAL,
    "check_n_features_in": REAL,
    "check_n_features_in_after_fitting": REAL,
    "check_pipeline_consistency": REAL,
    "check_positive_only_tag_during_fit": REAL,
    "check_readonly_memmap_input": REAL,
    "check_sample_weight_equivalence_on_dense_data": REAL,
    "check_sample_weight_equivalence_on_sparse_data": REAL,
    "check_sample_weights_list": REAL,
    "check_sample_weights_not_an_array": WHOLE,
    "check_sample_weights_not_overwritten": WHOLE,
    "check_sample_weights_pandas_series": WHOLE,
    "check_sample_weights_shape": WHOLE,
    "check_transformer_data_not_an_array": REAL,
    "check_transformer_general": REAL,
    "check_transformer_preserve_dtypes": REAL,
}


def small(name, **parameters):
    return clone(SMALL[name]).set_params(**parameters)


def bits(rows=60, columns=7, seed=0):
    """Rows of bits with structure: two patterns, a tenth of each row flipped."""
    generator = np.random.default_rng(seed)
    patterns = generator.integers(0, 2, (2, columns))
    return patterns[generator.integers(0, 2, rows)] ^ (generator.random((rows, columns)) < 0.1)


def results_of(estimator, expected):
    results = check_estimator(estimator, expected_failed_checks=expected, on_fail=None, on_skip=None)
    assert len(results) > 50
    assert {result["status"] for result in results} <= {"passed", "failed", "xfail", "skipped"}
    return {
        status: {result["check_name"]: result["exception"] for result in results if result["status"] == status}
        for status in ("failed", "xfail", "skipped")
    }


# ---------------------------------------------------------------- scikit-learn's own checks


@pytest.mark.filterwarnings("ignore")  # the checks raise warnings of scikit-learn's own
@pytest.mark.parametrize("name", SMALL)
def test_check_estimator_passes_with_real_numbers(name):
    found = results_of(small(name, steps=1, likelihood="gaussian"), {})
    assert found["failed"] == {}
    assert set(found["skipped"]) <= {"check_array_api_input"}  # it needs SCIPY_ARRAY_API=1 in the environment


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [*SMALL, "LogisticPCA"])
def test_with_bernoulli_only_checks_that_feed_other_numbers_fail(name):
    estimator = small(name, steps=1, likelihood="bernoulli") if name in SMALL else OF_BITS
    found = results_of(estimator, OF_OTHER_NUMBERS)
    assert found["failed"] == {}
    assert set(found["xfail"]) == set(OF_OTHER_NUMBERS)
    for error in found["xfail"].values():
        chain = [error, error.__cause__, error.__context__]
        assert any("X: expected 0 and 1, of which bernoulli is the likelihood" in str(part) for part in chain)


def _cut(rows):
    if isinstance(rows, SparseRows):
        return rows.with_values((rows.values > 0.7).astype(rows.dtype))
    return (rows > 0.7).astype(rows.dtype)


class _OfBits(BernoulliVAE):
    """Takes every number for a bit: whether it is above 0.7."""

    def _data(self, rows, *others):
        return super()._data(_cut(rows), *others)

    def _checked(self, X):
        return _cut(read_more(self, X, None))


@pytest.mark.filterwarnings("ignore")
def test_check_estimator_passes_with_bits():
    found = results_of(_OfBits(**small("BernoulliVAE", steps=1).get_params()), {})
    assert found["failed"] == {}


# ---------------------------------------------------------------- the methods are those of the model


@pytest.mark.parametrize("name", SMALL)
def test_codes_and_rows_are_those_of_the_model(name):
    X = bits()
    estimator = small(name).fit(X)
    model, codes = estimator.model_, estimator.transform(X)
    torch.testing.assert_close(torch.from_numpy(codes).float(), encode_means(model, X), rtol=1e-4, atol=1e-5)
    decoded, rebuilt = estimator.inverse_transform(codes), estimator.reconstruct(X)
    torch.testing.assert_close(torch.from_numpy(decoded).float(), model.decode(codes), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(torch.from_numpy(rebuilt).float(), model.reconstruct(X), rtol=1e-4, atol=1e-5)
    assert codes.shape[1] == len(estimator.get_feature_names_out()) == model.latent_dim
    assert estimator.get_feature_names_out()[0] == f"{name.lower()}0"
    assert np.array_equal(estimator.anomaly_score(X), -estimator.score_samples(X))
    assert estimator.score(X) == pytest.approx(estimator.score_samples(X).mean())
    assert estimator.n_iter_ == 4
    assert estimator.history_[-1]["step"] == 4


@pytest.mark.parametrize("name", ["BernoulliVAE", "SigmoidBeliefNetwork"])
def test_bits_are_packed(name):
    X = bits()
    estimator = small(name).fit(X)
    packed, codes = estimator.bits(X), estimator.transform(X)
    assert packed.dtype == np.uint8
    assert np.array_equal(np.unpackbits(packed, axis=1, count=codes.shape[1]), codes > 0.5)
    assert not hasattr(GaussianVAE(), "bits")


def test_bounds_are_those_of_the_model():
    """``exact`` is the enumerated log p(x), and ``elbo`` and ``iwae`` lie below it on average over the noise."""
    X = bits()
    estimator = small("BernoulliVAE", latent_dim=3, bound_samples=1000).fit(X)
    truth = exact(estimator.model_, X).values.numpy()
    assert estimator.score_samples(X, bound="exact") == pytest.approx(truth, abs=1e-4)
    assert estimator.score_samples(X) == pytest.approx(truth, abs=0.2)
    low = estimator.set_params(bound="elbo").score(X)
    assert low < truth.mean() < low + 2
    assert small("GaussianVAE").fit(X).score_samples(X, bound="quadrature").shape == (60,)
    with pytest.raises(InputError, match=r"bound: expected one of .*; got 'iwea' \(did you mean 'iwae'\?\)"):
        estimator.score_samples(X, bound="iwea")


def test_the_scores_of_rows_have_the_right_expectation():
    """The ELBO of 2000 seeds: within five standard errors of its exact value, for each of four rows."""
    model, x = build("bits, learned prior"), observations_of(4)
    values = torch.stack([score_rows(model, x, "elbo", samples=3, seed=seed) for seed in range(400)])
    many = elbo(model, x, samples=40_000).values
    error = values.std(0) / len(values) ** 0.5 + 0.01
    assert ((values.mean(0) - many).abs() < 5 * error).all()
    assert torch.equal(score_rows(model, x, "iwae", 50)[[2, 0]], score_rows(model, x[[2, 0]], "iwae", 50))


def test_scores_of_an_auto_encoder_are_no_bounds():
    X = bits()
    auto = small("MixtureAutoencoder").fit(X)
    model = auto.model_
    codes = encode_means(model, X)
    density = model.prior().log_prob(codes).numpy()
    assert auto.score_samples(X, bound="code-log-density") == pytest.approx(density, abs=1e-3)
    p = auto.inverse_transform(codes.numpy())
    assert auto.score_samples(X) == pytest.approx((X * np.log(p) + (1 - X) * np.log(1 - p)).sum(1), abs=1e-5)
    with pytest.raises(InputError, match="bound: expected one of reconstruction, code-log-density; got 'iwae'"):
        auto.score_samples(X, bound="iwae")


@pytest.mark.parametrize("name", SMALL)
def test_rows_are_drawn_as_by_a_mixture(name):
    """X and what each row was drawn from; the same again for the same random_state."""
    estimator = small(name).fit(bits())
    X, y = estimator.sample(50)
    assert X.shape == (50, 7)
    assert set(np.unique(X)) == {0, 1}
    assert y.shape == ((50,) if name == "MixtureAutoencoder" else (50, estimator.model_.latent_dim))
    assert np.array_equal(estimator.sample(50)[0], X)
    with pytest.raises(InputError, match="n_samples: expected an integer of at least 1; got 0"):
        estimator.sample(0)
    others = estimator.set_params(random_state=np.random.RandomState(0))
    assert not np.array_equal(others.sample(50)[0], others.sample(50)[0])


def test_a_mixture_gives_the_component_of_each_row():
    auto = small("MixtureAutoencoder", components=2).fit(bits())
    prior = auto.model_.prior
    prior.load(
        {
            "weights": np.array([0.25, 0.75]),
            "means": np.array([[-50, 0], [50, 0]]),
            "covariances": np.stack([np.eye(2)] * 2),
        }
    )
    X, component = auto.sample(400)
    low, high = auto.inverse_transform([[-50.0, 0], [50.0, 0]])
    assert component.mean() == pytest.approx(0.75, abs=0.1)
    for number, expected in enumerate((low, high)):
        assert X[component == number].mean(0) == pytest.approx(expected, abs=0.25)


# ---------------------------------------------------------------- weights, missing values, sparse rows


@pytest.mark.parametrize("name", SMALL)
def test_a_row_of_weight_two_is_two_rows(name):
    """Bitwise, whatever the order of the rows, also for the rows that are held out; a row of weight 0 is none."""
    X, order = bits(300), np.random.default_rng(1).permutation(300)
    weights = np.random.default_rng(0).integers(0, 3, 300)
    one = small(name).fit(X[order], sample_weight=weights[order])
    other = small(name).fit(X.repeat(weights, 0))
    assert np.array_equal(one.transform(X), other.transform(X))
    assert not np.array_equal(one.transform(X), small(name).fit(X[weights > 0]).transform(X))
    assert one.score(X, sample_weight=weights) == pytest.approx(other.score(X.repeat(weights, 0)))


def test_weights_that_are_not_whole_numbers_are_used_as_they_are():
    """An auto-encoder draws nothing: in one batch, half the weights give the same model, to rounding."""
    X = bits(90)
    weights = np.random.default_rng(0).integers(0, 3, 90)
    auto = small("MixtureAutoencoder", steps=20)
    whole, half, none = (clone(auto).fit(X, sample_weight=w).reconstruct(X) for w in (weights, weights / 2, None))
    assert np.allclose(whole, half, rtol=1e-3, atol=1e-4)
    assert not np.allclose(whole, none, rtol=1e-3, atol=1e-4)
    many = clone(auto).fit(X, sample_weight=weights * 1000.0).reconstruct(X)
    assert np.allclose(whole, many, rtol=1e-3, atol=1e-4)


def test_missing_values_are_left_out():
    """Fitted to complete rows and to rows with gaps; the exact score is that of the observed columns."""
    X = bits().astype(float)
    gaps = np.where(np.random.default_rng(1).random(X.shape) < 0.4, np.nan, X)
    for name in SMALL:
        for fitted in (small(name).fit(X), small(name).fit(gaps)):
            assert np.isfinite(fitted.transform(gaps)).all()
            assert np.isfinite(fitted.score_samples(gaps)).all()
            assert np.isfinite(fitted.reconstruct(gaps)).all()
    vae = small("BernoulliVAE", latent_dim=3).fit(X)
    row = np.array([[1, 0, 1, np.nan, 0, 1, 0.0]])
    both = np.concatenate([np.where(np.isnan(row), value, row) for value in (0, 1)])
    total = np.logaddexp(*vae.score_samples(both, bound="exact"))
    assert vae.score_samples(row, bound="exact")[0] == pytest.approx(total)


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_sparse_rows_give_what_dense_ones_give(likelihood):
    X = bits(200).astype(float) * (1 if likelihood == "bernoulli" else 2.5)
    found = []
    for form in (X, sparse.csr_array(X), sparse.coo_matrix(X)):
        vae = small("GaussianVAE", likelihood=likelihood).fit(form)
        found.append(np.column_stack([vae.transform(form), vae.score_samples(form), vae.reconstruct(form)]))
    assert np.allclose(found[0], found[1], rtol=1e-4, atol=1e-5)
    assert np.array_equal(found[1], found[2])


@pytest.mark.parametrize(
    ("X", "likelihood", "kind"),
    [
        (bits(), "auto", "BernoulliLikelihood"),
        (bits() * 0.5, "auto", "ContinuousBernoulliLikelihood"),
        (bits() * 3.0, "auto", "GaussianLikelihood"),
        (bits(), "gaussian", "GaussianLikelihood"),
        (bits() * 3, "multinomial", "MultinomialLikelihood"),
    ],
)
def test_the_likelihood_is_that_of_the_values(X, likelihood, kind):
    vae = small("GaussianVAE", likelihood=likelihood).fit(X)
    assert type(vae.model_.likelihood).__name__ == kind
    assert vae.sample(3)[0].shape == (3, 7)
    torch.testing.assert_close(
        torch.from_numpy(vae.reconstruct(X)).float(), vae.model_.reconstruct(X), rtol=1e-4, atol=1e-5
    )
    assert np.isfinite(vae.score(X))


@pytest.mark.parametrize(
    ("parameters", "X", "sentence"),
    [
        (
            {"likelihood": "bernoulli"},
            bits() * 2,
            "X: expected 0 and 1, of which bernoulli is the likelihood; got values such as 2",
        ),
        ({"likelihood": "continuous-bernoulli"}, bits() * 2, r"X: expected numbers in \[0, 1\], of which"),
        ({"likelihood": "multinomial"}, bits() - 1, "X: expected whole numbers from 0 on, of which"),
        ({"likelihood": "gausian"}, bits(), r"likelihood: expected .*gaussian"),
        ({"estimator": "rebar"}, bits(), "estimator: 'rebar' needs codes of kind bits"),
        ({"latent_dim": 0}, bits(), "latent_dim: expected an integer of at least 1; got 0"),
        ({"validation_fraction": 1.0}, bits(), r"validation_fraction: expected a number in \[0, 0.9\]; got 1.0"),
        ({}, bits() * 1e300, "X: expected finite numbers"),
        ({}, np.full((20, 3), np.inf), "infinity"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(parameters, X, sentence):
    with pytest.raises(ValueError, match=sentence):
        small("GaussianVAE", **parameters).fit(X)


def test_rows_of_another_kind_are_refused_after_the_fit():
    vae = small("GaussianVAE").fit(bits())
    for method in (vae.transform, vae.score_samples, vae.partial_fit, vae.reconstruct):
        with pytest.raises(InputError, match=r"X: expected 0 and 1, as .*; got values such as 2"):
            method(bits() + 1)
    with pytest.raises(InputError, match=r"X: expected codes of shape \(N, 2\); got \(4, 3\)"):
        vae.inverse_transform(np.zeros((4, 3)))


def test_missing_values_are_imputed_as_the_model_does():
    X = bits().astype(float)
    gaps = np.where(np.random.default_rng(1).random(X.shape) < 0.4, np.nan, X)
    vae = small("BernoulliVAE", latent_dim=4).fit(gaps)
    filled = vae.impute(gaps, samples=4000)
    known = ~np.isnan(gaps)
    assert np.array_equal(filled[known], gaps[known])
    expected = vaelab.impute(vae.model_, gaps, samples=4000).values.numpy()
    assert np.abs(filled - expected)[~known].max() < 0.1  # two estimates of one expectation
    assert set(np.unique(vae.impute(gaps, kind="mode", samples=50))) == {0, 1}
    draws = vae.impute(gaps, n_draws=3, samples=50)
    assert draws.shape == (3, *X.shape)
    assert np.array_equal(draws[0][known], gaps[known])
    auto = small("MixtureAutoencoder").fit(gaps)
    assert np.allclose(auto.impute(gaps)[~known], auto.reconstruct(gaps)[~known])
    with pytest.raises(InputError, match="a deterministic auto-encoder draws nothing; got 'mean', 1 and 2"):
        auto.impute(gaps, n_draws=2)


@pytest.mark.parametrize("name", SMALL)
def test_a_frame_with_levels_and_gaps_comes_back_as_a_frame(name, tmp_path):
    import pandas

    generator = np.random.default_rng(0)
    colours = generator.choice(["red", "green", "blue"], 120).astype(object)
    frame = pandas.DataFrame({"colour": colours, "ok": colours == "red", "height": generator.normal(170, 8, 120)})
    frame.loc[generator.random(120) < 0.3, "colour"] = None
    frame.loc[generator.random(120) < 0.3, "height"] = np.nan
    estimator = small(name).fit(frame)
    assert list(estimator.feature_names_in_) == ["colour", "ok", "height"]
    assert estimator.transform(frame).shape == (120, estimator.model_.latent_dim)
    assert np.isfinite(estimator.score_samples(frame)).all()
    for table in (estimator.reconstruct(frame), estimator.sample(9)[0], estimator.impute(frame)):
        assert list(table.columns) == ["colour", "ok", "height"]
        assert set(table["colour"]) <= {"red", "green", "blue"}
        assert table["ok"].dtype == bool
    filled, known = estimator.impute(frame), frame.notna()
    assert (filled[known] == frame[known]).to_numpy()[known].all()  # to the last digit
    estimator.save(tmp_path / "saved")
    for again in (pickle.loads(pickle.dumps(estimator)), type(estimator).load(tmp_path / "saved")):
        assert again.impute(frame).equals(filled)
    assert estimator.partial_fit(frame).n_iter_ == 5
    with pytest.raises(InputError, match=r"column 'colour': expected the levels .*; got 'pink'"):
        estimator.transform(frame.assign(colour="pink"))
    with pytest.raises(InputError, match="X: expected a frame with columns of the kinds that were fitted; got ndarray"):
        estimator.transform(np.zeros((3, 3)))


def test_imputation_leaves_everything_else_of_the_rows_as_it_is():
    import pandas

    generator = np.random.default_rng(0)
    X = generator.normal(100.0, 1.0, (60, 3))
    X[::3, 1] = np.nan
    vae, known = small("GaussianVAE").fit(X), ~np.isnan(X)
    for filled in (vae.impute(X, samples=5), *vae.impute(X, samples=5, n_draws=2)):
        assert np.array_equal(filled[known], X[known])  # to the last digit of float64
    names = [f"person {number}" for number in range(60)]
    frame = pandas.DataFrame({"name": names, "age": X[:, 1], "ok": X[:, 0] > 100}, index=range(100, 160))
    vae = small("GaussianVAE", columns={"name": "drop"}).fit(frame)
    filled = vae.impute(frame, samples=5)
    assert filled.drop(columns="age").equals(frame.drop(columns="age"))
    assert list(filled.columns) == list(frame.columns)
    assert filled["age"].notna().all()
    assert vae.reconstruct(frame).index.equals(frame.index)


def frames_of(frame):
    """Return a frame of pandas in every library."""
    import polars
    import pyarrow

    table = pyarrow.Table.from_pandas(frame, preserve_index=False)
    batch = pyarrow.RecordBatch.from_pandas(frame, preserve_index=False)
    return {"pandas": frame, "polars": polars.from_pandas(frame), "pyarrow": table, "pyarrow batch": batch}


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow", "pyarrow batch"])
def test_a_frame_comes_back_in_its_library(library):
    import pandas

    frame = pandas.DataFrame({"colour": ["red", "blue", None] * 20, "ok": [True, False] * 30, "id": range(60)})
    given = frames_of(frame)
    vae = small("GaussianVAE", columns={"id": "drop"}).fit(given[library])
    assert list(vae.feature_names_in_) == ["colour", "ok", "id"]
    filled = vae.impute(given[library])
    assert type(filled) is type(given[library.removesuffix(" batch")])
    assert np.array_equal(np.array(filled["ok"]), frame["ok"])
    assert np.array_equal(np.array(filled["id"]), frame["id"])
    assert set(np.array(filled["colour"])) == {"red", "blue"}


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow", "pyarrow batch"])
def test_columns_in_another_order_and_two_of_one_name_are_refused(library):
    import pandas
    import pyarrow

    frame = pandas.DataFrame(bits(columns=3), columns=list("abc"))
    estimator = small("BernoulliVAE").fit(frames_of(frame)[library])
    assert list(estimator.feature_names_in_) == list("abc")
    with pytest.raises(ValueError, match="in the same order"):
        estimator.score_samples(frames_of(frame[list("bac")])[library])
    twice = frame.set_axis(list("aba"), axis=1)
    if library.startswith("pyarrow"):
        makes = pyarrow.table if library == "pyarrow" else pyarrow.record_batch
        twice = makes(list(frame.to_numpy().T), list("aba"))
    if library != "polars":  # which makes no such frame
        for use in (estimator.fit, estimator.score_samples):
            with pytest.raises(InputError, match="X: expected different names of columns; got 'a' more than once"):
                use(twice)


def test_categories_come_back_as_categories():
    import pandas
    import polars

    levels, colours = ["low", "mid", "high"], pandas.Categorical(["red", "blue", "green"] * 20)
    grades = [None if row % 5 == 0 else levels[row % 3] for row in range(60)]
    frame = pandas.DataFrame({"g": pandas.Categorical(grades, categories=levels, ordered=True), "c": colours})
    enums = polars.DataFrame({"g": polars.Series(grades, dtype=polars.Enum(levels)), "c": colours.tolist()})
    vae = small("GaussianVAE").fit(frame)
    assert vae.model_.spec.variables[0].levels == tuple(levels)
    assert (vae.impute(frame).dtypes == frame.dtypes).all()
    assert vae.fit(enums).impute(enums).schema == enums.schema


def test_a_gap_gets_a_level_that_the_categories_of_the_rows_lack():
    import pandas
    import polars

    values = {"text": ["low", "mid", "high"], "number": [1, 2, 3], "bit": [0, 1, 0], "truth": [False, True, False]}
    levels = values["text"]
    full = pandas.DataFrame({name: pandas.Categorical(column * 10) for name, column in values.items()})
    full["text"] = full["text"].cat.set_categories(levels, ordered=True)
    spec = Dataset.from_arrays(full, columns={"number": "categorical"}).spec
    rows = encode_table("X", table_of("X", full[:3]), spec.variables)
    gap = full[:3].mask(np.arange(12).reshape(3, 4) // 4 == 1)
    filled = filled_frame(gap, spec, rows, "pandas")
    assert (filled.dtypes == full.dtypes).all()
    assert filled.to_dict("list") == values
    few = gap.apply(lambda column: column.cat.remove_unused_categories())
    filled = filled_frame(few, spec, rows, "pandas")
    assert filled.to_dict("list") == values
    assert filled["text"].dtype == full["text"].dtype
    assert filled["number"].dtype == full["number"].dtype
    types = {polars.Enum(["low", "high"]): polars.Enum(levels), polars.Categorical(): polars.Categorical()}
    spec = Dataset.from_arrays(full[["text"]]).spec
    for given, expected in types.items():
        frame = polars.DataFrame({"text": polars.Series(["low", None, "high"], dtype=given)})
        filled = filled_frame(frame, spec, rows[:, :3], "polars")["text"]
        assert filled.to_list() == levels
        assert filled.dtype == expected


def test_columns_say_what_the_columns_of_a_frame_are():
    import pandas

    frame = pandas.DataFrame({"stars": [1, 2, 3] * 20, "seen": [0, 1] * 30})
    vae = small("GaussianVAE", columns={"stars": "categorical"}).fit(frame)
    assert [column.kind for column in vae.model_.spec.variables] == ["categorical", "binary"]
    assert set(vae.sample(50)[0]["stars"]) <= {1, 2, 3}
    with pytest.raises(InputError, match="columns: expected a frame as X, whose columns have names; got ndarray"):
        small("GaussianVAE", columns={"stars": "categorical"}).fit(frame.to_numpy())


def test_rows_of_every_provenance_are_those_of_their_array():
    class Annotated:
        X, var_names, obs = bits().astype(float), list("abcdefg"), {}

    X = Annotated.X
    expected = small("BernoulliVAE").fit(X).transform(X)
    hidden = np.ma.masked_array(X, X > 1)
    of_torch = torch.utils.data.TensorDataset(torch.from_numpy(X), torch.zeros(60))
    for given in (Annotated(), X.tolist(), torch.from_numpy(X), hidden, of_torch, np.asfortranarray(X), X.astype(bool)):
        estimator = small("BernoulliVAE").fit(given)
        assert np.array_equal(estimator.transform(given), expected)
    annotated = small("BernoulliVAE").fit(Annotated())
    assert list(annotated.feature_names_in_) == list("abcdefg")
    Annotated.var_names = list("gfedcba")
    with pytest.raises(InputError, match="X: expected the variables that were fitted, in their order"):
        annotated.transform(Annotated())


# ---------------------------------------------------------------- in scikit-learn


def test_estimators_work_in_pipelines_searches_and_column_transformers():
    import pandas

    generator = np.random.default_rng(0)
    frame = pandas.DataFrame(bits(90), columns=list("abcdefg")).assign(height=generator.normal(170, 9, 90))
    labels = frame["a"].to_numpy()
    vae = small("BernoulliVAE", bound_samples=2)
    search = GridSearchCV(vae, {"latent_dim": np.array([2, 3]), "hidden_dims": [(4,), ()]}, cv=2).fit(
        frame[list("abcdefg")]
    )
    assert np.isfinite(search.best_score_)
    assert list(search.best_estimator_.feature_names_in_) == list("abcdefg")
    both = ColumnTransformer([("answers", vae, list("abcdefg")), ("height", StandardScaler(), ["height"])])
    both.set_output(transform="pandas")
    codes = both.fit_transform(frame)
    assert list(codes.columns[:2]) == ["answers__bernoullivae0", "answers__bernoullivae1"]
    assert codes.shape == (90, 10)
    assert cross_val_score(make_pipeline(both, LogisticRegression()), frame, labels, cv=2).shape == (2,)
    greys = make_pipeline(Binarizer(threshold=0.5), small("GaussianVAE"))
    assert np.isfinite(greys.fit(generator.random((40, 3))).score(generator.random((40, 3))))


def test_clones_and_states_are_independent():
    vae = small("GaussianVAE", random_state=3).fit(bits())
    assert not hasattr(clone(vae), "model_")
    assert np.array_equal(clone(vae).fit(bits()).transform(bits()), vae.transform(bits()))
    other = clone(vae).set_params(random_state=4).fit(bits())
    assert not np.array_equal(other.transform(bits()), vae.transform(bits()))
    free = [small("GaussianVAE", random_state=None).fit(bits()).transform(bits()) for _ in range(2)]
    assert not np.array_equal(*free)


# ---------------------------------------------------------------- partial_fit, progress


@pytest.mark.parametrize("name", SMALL)
def test_partial_fit_goes_on_for_an_epoch(name):
    X = bits(400)
    estimator = small(name, batch_size=50, **({"bound_samples": 200} if name in VARIATIONAL else {}))
    first = estimator.partial_fit(X).score(X)
    assert estimator.n_iter_ == 8
    for _ in range(5):
        estimator.partial_fit(X, sample_weight=np.ones(400))
    assert estimator.n_iter_ == 48
    assert estimator.score(X) > first
    assert len(estimator.history_) == 6


def test_rows_are_held_out_if_ten_are():
    """``validation_fraction`` of 100 rows, but none of 99: then all rows train."""
    from vaelab.sklearn.tables import data_of

    for rows, fraction, sizes in ((100, 0.1, [90, 10]), (99, 0.1, [99, 99]), (99, 0.2, [80, 19]), (50, 0, [50, 50])):
        data = data_of(bits(rows), None, "binary", fraction, 0)
        assert [len(split) for split in data.splits.values()] == sizes
    one, other = (data_of(bits(100), None, "binary", 0.1, seed).validation.x for seed in (0, 1))
    assert not np.array_equal(one, other)


def test_verbose_prints_the_bounds(capsys):
    small("GaussianVAE", verbose=1).fit(bits())
    lines = capsys.readouterr().out.splitlines()
    pattern = r"\[GaussianVAE\] step 4 of 4, \d\.\d s: training bound -\d+\.\d{3}, validation bound -\d+\.\d{3}"
    assert re.fullmatch(pattern, lines[-1])
    small("MixtureAutoencoder", verbose=True).fit(bits())
    assert "validation reconstruction" in capsys.readouterr().out


def test_an_interrupted_fit_keeps_the_model_and_stops_the_search(monkeypatch):
    """Ctrl-C after the first step: the estimator is fitted so far, and what called it is interrupted too."""
    vae = small("GaussianVAE", steps=1000, verbose=1)
    monkeypatch.setattr(GaussianVAE, "_print", lambda self, row: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        vae.fit(bits())
    assert 0 < vae.n_iter_ < 1000
    assert vae.transform(bits()).shape == (60, 2)


# ---------------------------------------------------------------- files


@pytest.mark.parametrize("name", SMALL)
def test_a_pickle_holds_no_module_of_torch(name):
    X = bits()
    estimator = small(name).fit(X)
    content = pickle.dumps(estimator)
    named = [argument for _, argument, _ in pickletools.genops(content) if isinstance(argument, str)]
    assert not [word for word in named if word.startswith(("torch", "vaelab.models", "vaelab.priors"))]
    for again in (pickle.loads(content), copy.deepcopy(estimator)):
        assert np.array_equal(again.transform(X), estimator.transform(X))
        assert np.array_equal(again.score_samples(X), estimator.score_samples(X))
        assert again.history_ == estimator.history_
        assert again.partial_fit(X).n_iter_ == 5
    assert not hasattr(pickle.loads(pickle.dumps(small(name))), "model_")


@pytest.mark.parametrize("name", SMALL)
def test_a_saved_estimator_is_the_same(name, tmp_path):
    import pandas

    X = pandas.DataFrame(bits(), columns=list("abcdefg"))
    estimator = small(name).fit(X)
    estimator.save(tmp_path / "saved")
    again = type(estimator).load(tmp_path / "saved")
    assert again.get_params() == estimator.get_params()
    assert np.array_equal(again.transform(X), estimator.transform(X))
    assert np.array_equal(again.score_samples(X), estimator.score_samples(X))
    assert list(again.feature_names_in_) == list("abcdefg")
    assert again.history_ == estimator.history_
    assert vaelab.load(tmp_path / "saved").latent_dim == estimator.model_.latent_dim
    with pytest.raises(InputError, match="path: expected a new or empty directory"):
        estimator.save(tmp_path / "saved")
    estimator.save(tmp_path / "saved", overwrite=True)
    other = BernoulliVAE if name != "BernoulliVAE" else GaussianVAE
    with pytest.raises(InputError, match=f"path: expected a {other.__name__}; .* holds a {name}"):
        other.load(tmp_path / "saved")


def test_a_file_sets_nothing_but_what_a_fit_sets(tmp_path):
    vae = small("GaussianVAE").fit(bits())
    vae.save(tmp_path / "saved")
    path = tmp_path / "saved" / "estimator.json"
    content = json.loads(path.read_text())
    for part, name in (("fitted", "transform"), ("parameters", "trees")):
        path.write_text(seal({**content, part: {**content[part], name: "1"}}))
        with pytest.raises(InputError, match=f"got '{name}', which GaussianVAE does not have"):
            GaussianVAE.load(tmp_path / "saved")
    path.write_text(json.dumps(content).replace("iwae", "elbo"))
    with pytest.raises(InputError, match="damaged, or was changed by hand"):
        GaussianVAE.load(tmp_path / "saved")


def test_what_no_file_can_hold_is_refused(tmp_path):
    vae = small("GaussianVAE", random_state=np.random.RandomState(0)).fit(bits())
    with pytest.raises(InputError, match="random_state: expected a number, a word or a list, which a file can hold"):
        vae.save(tmp_path / "saved")
    assert not (tmp_path / "saved").exists()
    with pytest.raises(InputError, match="path: expected a directory that an estimator was saved to"):
        GaussianVAE.load(tmp_path)


@pytest.mark.parametrize("name", SMALL)
def test_an_evaluation_is_that_of_python(name):
    """The same result, arguments and defaults as vaelab.evaluate, of the same rows."""
    X, estimator = bits(), small(name).fit(bits())
    weights = np.arange(60) % 3
    data = estimator.as_dataset(X, weights)
    asked = {"samples": 5, "rows": 20, "chains": 2, "temperatures": 3, "start": "prior"}
    found = estimator.evaluate(X, sample_weight=weights, **asked)
    expected = vaelab.evaluate(estimator.model_, data, "all", **asked)
    assert [record.value for record in found] == [record.value for record in expected]
    assert found.protocol() == expected.protocol()
    assert found.advice() == expected.advice()
    assert {record.rows_of_split for record in found if record.observations} == {60}
    signatures = [inspect.signature(each).parameters for each in (estimator.evaluate, vaelab.evaluate)]
    assert all(
        signatures[0][word].default == signatures[1][word].default
        for word in signatures[0].keys() & signatures[1].keys()
    )
    gaps = X.astype(float)
    gaps[:, 0] = np.nan
    assert np.isfinite(estimator.evaluate(gaps, samples=2)[0].value)
    with pytest.raises(InputError, match="bound: expected one of"):
        estimator.evaluate(X, bounds=("iwea",))


def test_an_objective_comes_with_its_options(tmp_path):
    x = np.random.default_rng(0).integers(0, 2, (60, 5))
    fitted = GaussianVAE(2, [4], objective={"name": "renyi", "alpha": 0.25}, steps=2, random_state=0).fit(x)
    fitted.save(tmp_path / "model")
    assert vaelab.sklearn.GaussianVAE.load(tmp_path / "model").objective == {"name": "renyi", "alpha": 0.25}
    GaussianVAE(2, [4], objective={"warm_up": 1, "free_bits": 0.05}, steps=3).fit(x)
    with pytest.raises(InputError, match=r"objective\.warm_up: expected 0 for partial_fit, .*; got 1"):
        GaussianVAE(2, [4], objective={"warm_up": 1}).partial_fit(x)
    with pytest.raises(InputError, match=r"objective\.alpha: expected a number of at least 0; got -1"):
        GaussianVAE(2, [4], objective={"name": "renyi", "alpha": -1}, steps=2).fit(x)

"""Room: likelihoods. Which columns each is for, what auto chooses, where they start, units, saving."""

import contextlib
import math

import numpy as np
import pytest
import torch

import vaelab
from tests.laws import table as laws
from vaelab import DataSpec
from vaelab.data import Column, Dataset, Split
from vaelab.distributions import DiagonalNormal, Multinomial, OneHotCategorical, Product
from vaelab.errors import InputError
from vaelab.estimators import ESTIMATORS
from vaelab.likelihoods import LIKELIHOODS, GaussianLikelihood, MultinomialLikelihood, likelihood_for
from vaelab.models import MODELS
from vaelab.objectives import ELBO, IWAE, TVO
from vaelab.report import ReportedRun, require_comparable
from vaelab.settings import resolve

COLOURS = ("blue", "green", "red")
COLUMNS = {
    "binary": Column("answer", "binary"),
    "categorical": Column("colour", "categorical", COLOURS, "str"),
    "unit": Column("share", "unit"),
    "real": Column("height", "real"),
    "count": Column("visits", "count"),
}
MIXED = (COLUMNS["real"], COLUMNS["binary"], COLUMNS["categorical"], COLUMNS["unit"], COLUMNS["count"])
SPECS = {
    "binary": DataSpec((4,)),
    "categorical": DataSpec((3,), kind="mixed", variables=(COLUMNS["categorical"],)),
    "unit": DataSpec((4,), kind="grey", binarisation="none"),
    "real": DataSpec((4,), kind="real"),
    "count": DataSpec((4,), kind="count"),
    "mixed": DataSpec((7,), kind="mixed", variables=MIXED),
}
ALLOWED = {
    "autoregressive": {"binary"},
    "bernoulli": {"binary"},
    "categorical": {"categorical"},
    "continuous-bernoulli": {"unit"},
    "gaussian": {"unit", "real", "count"},
    "gaussian-shared": {"unit", "real", "count"},
    "multinomial": {"binary", "count"},
    "product": set(SPECS),
    "tree": {"binary"},
}
AUTO = {
    "binary": "bernoulli",
    "categorical": "categorical",
    "unit": "continuous-bernoulli",
    "real": "gaussian",
    "count": "multinomial",
    "mixed": "product",
}


def rows_of(kind, count=60, seed=0):
    """Return rows as a model gets them."""
    rng = np.random.default_rng(seed)
    parts = {
        "binary": lambda width: rng.integers(0, 2, (count, width)),
        "categorical": lambda width: np.eye(3)[rng.integers(0, 3, count)],
        "unit": lambda width: rng.beta(0.5, 0.8, (count, width)),
        "real": lambda width: rng.normal(170, 8, (count, width)),
        "count": lambda width: rng.poisson(2.5, (count, width)),
    }
    if kind != "mixed":
        return parts[kind](4).astype(np.float32)
    return np.concatenate([parts[column.kind](1) for column in MIXED], 1).astype(np.float32)


def dataset_of(kind, count=60):
    spec = SPECS[kind]
    splits = {name: Split(rows_of(kind, count, seed)) for seed, name in enumerate(("train", "validation", "test"))}
    return Dataset(kind, splits, spec.kind, 1, binarisation=spec.binarisation, variables=spec.variables)


@pytest.mark.parametrize("kind", SPECS)
@pytest.mark.parametrize("name", LIKELIHOODS)
def test_a_likelihood_is_built_for_its_kinds_and_refuses_others_with_the_choices(name, kind):
    if kind in ALLOWED[name]:
        p = LIKELIHOODS[name](2, SPECS[kind])(torch.zeros(5, 3, 2))
        assert (p.batch_shape, p.event_shape) == ((5, 3), (SPECS[kind].dim,))
        return
    with pytest.raises(InputError, match=rf"^likelihood: {name} is for .*; expected .*, or auto") as refusal:
        LIKELIHOODS[name](2, SPECS[kind])
    if kind != "mixed":
        chosen = AUTO[kind]
        assert chosen in str(refusal.value).partition("expected")[2]


@pytest.mark.parametrize("kind", SPECS)
def test_auto_chooses_by_the_kinds_of_the_columns(kind):
    assert likelihood_for(SPECS[kind]) == AUTO[kind]
    model = vaelab.gaussian_vae(SPECS[kind], latent_dim=2, seed=0)
    named = vaelab.gaussian_vae(SPECS[kind], latent_dim=2, seed=0, likelihood=AUTO[kind])
    assert type(model.likelihood) is type(named.likelihood) is LIKELIHOODS[AUTO[kind]]
    assert model.built_with == named.built_with
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), named.parameters(), strict=True))


def test_auto_for_counts_that_are_no_complete_rows_of_several_is_gaussian():
    assert likelihood_for(DataSpec((1,), kind="count")) == "gaussian"
    assert likelihood_for(DataSpec((4,), kind="count", may_be_missing=True)) == "gaussian"


@pytest.mark.parametrize("protocol", ["dynamic", "static", "threshold", None])
def test_auto_for_grey_levels_that_become_bits_is_bernoulli(protocol):
    assert likelihood_for(DataSpec((4,), kind="grey", binarisation=protocol)) == "bernoulli"


def bits_of(rows, width, **more):
    rng = np.random.default_rng(0)
    splits = {
        name: Split(rng.integers(0, 2, (count, width), np.uint8))
        for name, count in (("train", rows), ("validation", 20))
    }
    return Dataset("bits", splits, more.pop("kind", "binary"), 1, **more)


# data set -> what auto stands for in a VAE: a tree for tables of bits with 1 000 rows, and four for each column
TABLES = {
    "enough rows": (lambda: bits_of(1_000, 6), "tree"),
    "too few": (lambda: bits_of(999, 6), "bernoulli"),
    "four for each column": (lambda: bits_of(1_200, 300), "tree"),
    "fewer for each column": (lambda: bits_of(1_199, 300), "bernoulli"),
    "many columns": (lambda: bits_of(2_004, 501), "bernoulli"),
    "one column": (lambda: bits_of(1_000, 1), "bernoulli"),
    "images": (lambda: bits_of(1_000, 6, image_shape=(2, 3)), "bernoulli"),
    "grey levels": (lambda: bits_of(1_000, 6, kind="grey", binarisation="static"), "bernoulli"),
    "given columns": (lambda: bits_of(1_000, 6, columns=tuple("abcdef")).with_condition(["b"]), "tree"),
    "several kinds": (lambda: dataset_of("mixed", 1_000), "product"),
}


@pytest.mark.parametrize("table", TABLES)
def test_auto_is_a_tree_where_a_table_of_bits_has_the_rows_for_it(table):
    data, expected = TABLES[table][0](), TABLES[table][1]
    for name in ("gaussian-vae", "bernoulli-vae"):
        chosen = vaelab.training.for_data(resolve(name, {"latent_dim": 2, "hidden_dims": [3]}), data)
        built = MODELS[name].build(data, latent_dim=2, hidden_dims=[3])
        assert chosen.likelihood == built.built_with.options["likelihood"] == expected
        assert type(built.likelihood) is type(chosen.build_model(data).likelihood) is LIKELIHOODS[expected]
    assert vaelab.autoencoder(data, 2).built_with.options["likelihood"] == likelihood_for(data.spec) != "tree"
    assert vaelab.gaussian_vae(data.spec, 2).built_with.options["likelihood"] != "tree"  # which has no rows


def test_a_table_of_bits_with_gaps_gets_a_tree_that_fills_them():
    data = bits_of(1_000, 6)
    rows = data.train.x.astype(np.float32)
    rows[::3, 0] = np.nan
    gaps = Dataset("gaps", {**data.splits, "train": Split(rows)}, "binary", 1)
    model = vaelab.gaussian_vae(gaps, 2, [3], seed=0)
    assert (model.built_with.options["likelihood"], model.may_be_missing) == ("tree", True)
    assert vaelab.fit(model, gaps, steps=2).best_bound < 0
    assert not vaelab.impute(model, gaps.train.batch(4), samples=2).values.isnan().any()


def test_grey_levels_that_stay_real_are_refused_by_bernoulli_with_the_choices():
    with pytest.raises(InputError, match="binarisation=dynamic, static or threshold") as refusal:
        vaelab.gaussian_vae(SPECS["unit"], likelihood="bernoulli")
    assert "continuous-bernoulli, gaussian or gaussian-shared" in str(refusal.value)


def test_settings_keep_the_choice_and_show_auto_as_the_default():
    settings = resolve("gaussian-vae")
    assert settings.likelihood == "auto"
    for kind in ("binary", "real"):
        chosen = vaelab.training.for_data(settings, dataset_of(kind))
        assert chosen.likelihood == AUTO[kind]


# ---------------------------------------------------------------- where they start


@pytest.mark.parametrize("kind", SPECS)
def test_without_any_influence_of_z_the_mean_is_that_of_the_data(kind):
    data = dataset_of(kind)
    likelihood = vaelab.gaussian_vae(data, latent_dim=2, hidden_dims=[]).likelihood
    p = likelihood(torch.zeros(2))
    tolerance = 0.1 if kind == "count" else 2e-4  # the sum of a row is rounded
    scale = torch.ones(1) if data.spec.deviation is None else data.spec.deviation
    assert ((p.mean - data.spec.mean).abs() / scale).max() < tolerance


def test_a_multinomial_row_has_the_mean_sum_of_the_training_rows():
    likelihood = MultinomialLikelihood(2, dataset_of("count"))
    p = likelihood(torch.randn(5, 2))
    assert isinstance(p, Multinomial)
    assert (p.sample().sum(-1) == round(float(dataset_of("count").spec.mean.sum()))).all()
    with pytest.raises(InputError, match="total: expected the number of counts of a row"):
        MultinomialLikelihood(2, SPECS["count"])(torch.zeros(2)).sample()


# ---------------------------------------------------------------- gaussian: units and scale


@pytest.mark.parametrize("name", ["gaussian", "gaussian-shared"])
def test_other_units_change_the_density_by_their_logarithms_and_nothing_else(name):
    x = torch.from_numpy(rows_of("real")).double()
    factor, offset = torch.full((4,), 0.01).double() if name == "gaussian-shared" else torch.rand(4).double(), 40.0
    densities = []
    for rows in (x, factor * x + offset):
        spec = DataSpec((4,), rows.mean(0), kind="real", deviation=rows.std(0, correction=0))
        model = vaelab.gaussian_vae(spec, latent_dim=2, seed=3, likelihood=name).double()
        densities.append(model.log_likelihood(rows, torch.ones(2, len(rows), 2).double()))
    assert torch.allclose(densities[1], densities[0] - factor.log().sum(), rtol=0, atol=1e-4)


def test_the_scale_starts_at_the_deviation_and_is_never_below_a_thousandth_of_it():
    deviation = torch.tensor([2.0, 0.5, 0.0])  # a constant column counts as one of deviation 1
    likelihood = GaussianLikelihood(2, DataSpec((3,), torch.zeros(3), kind="real", deviation=deviation))
    expected = torch.tensor([2.0, 0.5, 1.0])
    assert torch.allclose(likelihood(torch.zeros(2)).stddev, expected, rtol=1e-5)
    with torch.no_grad():
        likelihood.log_scale.fill_(-1e6)
    assert torch.allclose(likelihood(torch.zeros(2)).stddev, 1e-3 * expected, rtol=1e-5)
    shared = LIKELIHOODS["gaussian-shared"](2, DataSpec((2,), kind="real", deviation=torch.tensor([3.0, 4.0])))
    assert torch.allclose(shared(torch.zeros(2)).stddev, torch.full((2,), math.sqrt(12.5)), rtol=1e-5)


# ---------------------------------------------------------------- product


def test_a_product_has_the_distribution_of_its_kind_in_every_column():
    p = vaelab.gaussian_vae(dataset_of("mixed"), latent_dim=2).likelihood(torch.zeros(9, 2))
    assert isinstance(p, Product)
    x = torch.from_numpy(rows_of("mixed", 9))
    assert p.support.check(p.sample()).all()
    by_kind = {type(part): x.index_select(-1, places) for part, places in zip(p.parts, p.columns, strict=True)}
    assert by_kind[DiagonalNormal].tolist() == x[:, [0, 6]].tolist()  # real and count
    assert by_kind[OneHotCategorical].tolist() == x[:, 2:5].tolist()
    assert torch.allclose(p.log_prob(x), sum(part.log_prob(group) for part, group in p.split(x)), rtol=1e-6)


def test_a_product_of_one_kind_is_that_likelihood():
    for kind in ("binary", "categorical", "unit", "real"):
        data = dataset_of(kind)
        x, z = torch.from_numpy(rows_of(kind)), torch.randn(3, 60, 2)
        one, other = (
            vaelab.gaussian_vae(data, latent_dim=2, seed=1, likelihood=name) for name in (AUTO[kind], "product")
        )
        assert torch.allclose(one.log_likelihood(x, z), other.log_likelihood(x, z), rtol=1e-5, atol=1e-5)


# ---------------------------------------------------------------- what a model accepts


def changed(column, value, kind="mixed"):
    rows = rows_of(kind, 3)
    rows[1, column] = value
    return rows


@pytest.mark.parametrize(
    ("x", "sentence"),
    [
        (changed(0, math.inf), r"x: expected finite numbers in column 'height'; got values in \[.*, inf\]"),
        (changed(1, 2), r"x: expected bits or numbers in \[0, 1\] in column 'answer'; got values in \[0, 2\]"),
        (changed(2, 5), "x: expected a one and zeros in the columns from 'colour=blue' on; got values in"),
        (
            changed(slice(2, 5), 1),
            "x: expected a one and zeros in the columns from 'colour=blue' on; got a row with an",
        ),
        (changed(5, -0.1), r"x: expected numbers in \[0, 1\] in column 'share'; got values in \[-0.1, "),
        (changed(6, -1), "x: expected whole numbers from 0 on in column 'visits'; got values in"),
        (changed(6, 1.5), "x: expected whole numbers from 0 on in column 'visits'; got others"),
        (changed(0, math.nan), "x: expected numbers; got NaN, which marks a missing value"),
        (rows_of("mixed")[:, :6], "x: expected 7 columns, as the data of the model have; got 6"),
    ],
)
def test_values_that_a_column_cannot_have_are_refused(x, sentence):
    model = vaelab.gaussian_vae(SPECS["mixed"], latent_dim=2)
    assert model.encode(rows_of("mixed", 3)).shape == (3, 2)
    for door in (model.encode, model.reconstruct, model.bound):
        with pytest.raises(InputError, match=f"^{sentence}"):
            door(x)


def test_without_a_spec_the_columns_are_those_of_the_likelihood():
    parts = vaelab.gaussian_vae(SPECS["real"], latent_dim=2)
    model = vaelab.LatentVariableModel(parts.prior, parts.likelihood, parts.posterior)
    assert model.bound(rows_of("real")).isfinite().all()
    with pytest.raises(InputError, match="x: expected finite numbers; got values in"):
        model.bound(changed(2, math.inf, "real"))


@pytest.mark.parametrize("built", ["binary", "categorical", "mixed", "real", "count"])
@pytest.mark.parametrize("kind", ["binary", "mixed", "real", "count"])
def test_data_of_other_columns_than_those_of_the_likelihood_are_refused(built, kind):
    model, data = vaelab.gaussian_vae(SPECS[built], latent_dim=2), dataset_of(kind)
    fits = built == kind or (built, kind) in {("real", "count"), ("count", "binary")}
    for door in (lambda: vaelab.fit(model, data, steps=1), lambda: vaelab.evaluate(model, data, samples=1)):
        if fits:
            door()
        else:
            with pytest.raises(InputError, match=r"^(likelihood: .* (is for|is built for)|x: expected)"):
                door()


# ---------------------------------------------------------------- training


@pytest.mark.parametrize("kind", SPECS)
@pytest.mark.parametrize("build", [vaelab.gaussian_vae, vaelab.bernoulli_vae])
def test_every_family_trains_evaluates_and_is_saved(build, kind, tmp_path):
    data = dataset_of(kind, 100)
    if kind == "mixed":  # a pattern to be found: a tall person answers yes
        for split in data.splits.values():
            split.x[:, 1] = split.x[:, 0] > 170
    model = build(data, latent_dim=3, hidden_dims=[16], seed=0)
    before = vaelab.evaluate(model, data, samples=20)
    vaelab.fit(model, data, steps=20, seed=0)
    after = vaelab.evaluate(model, data, samples=20)
    assert after["elbo"].value > before["elbo"].value
    assert math.isfinite(after["iwae-20"].value)
    model.save(tmp_path / "model")
    loaded = vaelab.load(tmp_path / "model")
    x, z = data.test.batch(10), torch.ones(2, 10, 3)
    assert torch.equal(loaded.log_joint(x, z), model.log_joint(x, z))
    assert torch.equal(loaded.sample(5, seed=1), model.sample(5, seed=1))
    assert model.likelihood(z).support.check(model.sample(5)).all()
    assert model.reconstruct(x).shape == x.shape


@pytest.mark.parametrize("factor", [1e-3, 1.0, 1e4])
def test_training_does_not_depend_on_the_units(factor):
    """The encoder reads real numbers in units of their deviation, so the bound changes by the logarithm alone."""
    splits = {name: Split(factor * rows_of("real", 100, seed)) for seed, name in enumerate(("train", "validation"))}
    data = Dataset("units", splits, "real", 1)
    model = vaelab.gaussian_vae(data, latent_dim=2, hidden_dims=[8], seed=0)
    bound = vaelab.fit(model, data, steps=10, seed=0).best_bound + 4 * math.log(factor)
    assert bound == pytest.approx(-14.0, abs=0.3)


CODES = (
    lambda data, **options: vaelab.bernoulli_vae(data, latent_dim=2, hidden_dims=[4], seed=0, **options),
    lambda data, **options: vaelab.gaussian_vae(data, latent_dim=2, hidden_dims=[4], seed=0, **options),
)
CHAINS = (
    lambda data, **options: vaelab.sbn(data, layers=[3, 2], seed=0, **options),
    lambda data, **options: vaelab.deep_gaussian_vae(data, [3, 2], [[4], []], seed=0, **options),
)


DEPENDENT = [("binary", "tree"), ("binary", "autoregressive")]  # the columns depend on each other given z


@pytest.mark.parametrize(
    ("kind", "likelihood", "builds"),
    [
        *((kind, likelihood, CODES) for kind, likelihood in [*((kind, "auto") for kind in SPECS), *DEPENDENT]),
        *((kind, likelihood, CHAINS) for kind, likelihood in [("mixed", "auto"), *DEPENDENT]),
    ],
)
def test_an_estimator_of_every_kind_takes_every_family(kind, likelihood, builds):
    data, used = dataset_of(kind), set()
    x = data.train.batch(8)
    for build in builds:
        model = build(data, likelihood=likelihood)
        for name, estimator in ((name, new(model)) for name, new in ESTIMATORS.items() if model.code in new.codes):
            for objective in (ELBO(), IWAE(), TVO()):
                with contextlib.suppress(InputError):
                    estimator.check(model, objective)
                    break
            else:
                continue
            loss = estimator(model, objective, x).loss()
            weights = [weight for weight in model.parameters() if weight.requires_grad]
            gradients = torch.autograd.grad(loss, weights, allow_unused=True)
            assert all(gradient.isfinite().all() for gradient in gradients if gradient is not None)
            used.add(name)
    if builds is CODES:
        assert set(ESTIMATORS) - used == {"mean-field"}  # which is for networks of bits
    else:
        assert used >= {"score-function", "wake-sleep", "reweighted-wake-sleep", "disarm", "exact", "pathwise"}


def test_mean_field_inference_names_the_likelihood_that_it_needs():
    with pytest.raises(InputError, match=r"likelihood: expected bernoulli, as mean-field .* got gaussian .*amortised"):
        vaelab.sbn(SPECS["real"], layers=[3], inference="mean-field")


# ---------------------------------------------------------------- the laws of the estimators, for three kinds

TABLE = DataSpec((5,), kind="mixed", variables=(COLUMNS["real"], COLUMNS["binary"], COLUMNS["categorical"]))
TWO_ROWS = torch.tensor([[0.7, 1, 0, 1, 0], [-1.2, 0, 1, 0, 0]]).double()
# One row for each, but not the laws that are of bits alone: that of wake-sleep, which enumerates every x that it
# dreams, and those of two layers of reals, whose quadrature converges for weights that were chosen for bits.
FIRST = {
    (row.estimator, row.objective, row.kind): row
    for row in reversed(laws.ROWS)
    if row.estimator != "wake-sleep" and row.kind != laws.REALS
}


@pytest.mark.parametrize("missing", [False, True], ids=["complete", "missing"])
@pytest.mark.parametrize("row", FIRST.values(), ids=lambda row: row.name)
def test_the_expected_gradient_is_exact_for_a_mixed_table(row, missing):
    """Estimators that decode relaxed codes too, compared with sums over torch's distributions."""
    ours, exact = laws.expectation(row, data=TABLE, x=TWO_ROWS, missing=missing)
    for part in laws.PARTS:
        if part in row.biased or not exact[part].numel():
            continue
        assert exact[part].abs().max() > 0.001
        assert (ours[part] - exact[part]).abs().max() < row.tolerance, part


def test_the_density_of_a_mixed_table_with_gaps_is_one_graph():
    data = dataset_of("mixed")
    model = vaelab.gaussian_vae(data, latent_dim=2, hidden_dims=[4], seed=0).allow_missing()
    x = data.train.batch(8)
    x[0, :3] = math.nan

    def density(x):
        return model.log_likelihood(x, model.posterior(x).mean.unsqueeze(0))

    compiled = torch.compile(density, backend="aot_eager", fullgraph=True)(x)
    assert torch.allclose(compiled, density(x), rtol=1e-6)
    weights = list(model.likelihood.parameters())
    ours, plain = (torch.autograd.grad(value.sum(), weights) for value in (compiled, density(x)))
    assert all(torch.allclose(one, other, rtol=1e-5, atol=1e-5) for one, other in zip(ours, plain, strict=True))


def test_runs_of_a_multinomial_and_another_likelihood_are_not_compared(tmp_path):
    """The one is log p(x) with the sum of a row given, the other a log-density of all columns."""
    members = []
    for name in ("multinomial", "gaussian"):
        settings = resolve("gaussian-vae", {"likelihood": name, "hidden_dims": [4], "training": {"steps": 2}})
        run, _ = vaelab.training.train(settings, tmp_path / name, data=dataset_of("count"))
        members.append(ReportedRun(name, run))
    with pytest.raises(
        InputError,
        match=r"differ in measure of the likelihood \(multinomial: probability given the sum; gaussian: dens",
    ):
        require_comparable(members)
    assert require_comparable(members[:1]) is None


def test_a_reconstruction_of_counts_has_the_sum_of_its_row():
    model, x = vaelab.gaussian_vae(dataset_of("count"), latent_dim=2), torch.from_numpy(rows_of("count"))
    reconstructed = model.reconstruct(x)
    assert torch.allclose(reconstructed.sum(-1), x.sum(-1), rtol=1e-5)
    shares = model.decode(model.encode(x))
    assert torch.allclose(reconstructed / x.sum(-1, keepdim=True), shares / shares.sum(-1, keepdim=True), rtol=1e-4)

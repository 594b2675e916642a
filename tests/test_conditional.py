"""Conditional models: p(x|z, y) and q(z|x, y), with y the labels or some columns of the data."""

import itertools

import numpy as np
import pytest
import torch

from tests.commands import CommandLine
from tests.laws import draws
from tests.laws import table as laws
from tests.laws.exact import enumerate_bits
from tests.laws.models import WITH_CODES, D, X, binary_data, build, observations_of
from vaelab import Dataset, Run, evaluate, fit, impute, load
from vaelab.data import Condition, DataSpec
from vaelab.errors import InputError
from vaelab.estimators import ESTIMATORS, WakeSleep
from vaelab.evaluation import active_units, encode_means
from vaelab.inference import Enumeration, complete
from vaelab.likelihood import exact, quadrature
from vaelab.models import MODELS, LatentVariableModel, bernoulli_vae, gaussian_vae, sbn
from vaelab.objectives import ELBO, IWAE
from vaelab.settings import resolve
from vaelab.training import train

CLASSES = Condition("labels", ("0", "1", "4"))
SPEC = DataSpec((X,), torch.linspace(0.1, 0.9, X), condition=CLASSES)
Y = CLASSES.rows([4, 0], 2).double()


def rows(count=2):
    """Observations with a class each, (B, X + 3)."""
    labels = torch.tensor([4, 0, 1, 4])[:count]
    return torch.cat([observations_of(count), CLASSES.rows(labels, count).double()], -1)


def labelled(classes=(3, 7), **options):
    """Data whose two patterns are two classes."""
    data = binary_data(**options)
    names = np.array(classes)
    splits = {name: (split.x, names[split.labels]) for name, split in data.splits.items()}
    (x, y), validation, test = (splits[name] for name in ("train", "validation", "test"))
    return Dataset.from_arrays(x, y, validation=validation, test=test)


# ---------------------------------------------------------------- laws

ROWS = list({(row.estimator, row.objective, row.kind): row for row in reversed(laws.ROWS)}.values())
ROWS = [row for row in ROWS if row.kind in ("bits", "real", laws.CHAIN) and row.law is not draws.day_and_night]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_expected_gradient_is_that_of_the_conditional_bound(row, monkeypatch):
    """Every estimator of the table, on the same models with y: unbiased for the bound on log p(x|y)."""
    monkeypatch.setitem(laws.KINDS, "real", (*laws.KINDS["real"][:3], 8))  # weights of which quadrature converges
    ours, exact_gradient = laws.expectation(row, data=SPEC, given=Y)
    for part in laws.PARTS:
        if exact_gradient[part].numel() and part not in row.biased:
            assert exact_gradient[part].abs().max() > 0.01
            assert (ours[part] - exact_gradient[part]).abs().max() < row.tolerance, part


def test_the_table_of_laws_has_every_estimator_that_can_be_conditional():
    assert {row.estimator for row in ROWS} == set(ESTIMATORS) - {"wake-sleep", "mean-field"}


@pytest.mark.parametrize("name", ["bits, learned prior", "two layers of bits"])
def test_bounds_are_below_the_enumerated_log_p_of_x_given_y(name):
    model, x = build(name, data_dim=SPEC), rows(4)
    log_p = Enumeration(model).log_likelihood(x)
    assert torch.allclose(log_p, exact(model, x).values)
    if not model.layers:
        assert torch.allclose(log_p, enumerate_bits(model, x, 1, "exact"), atol=1e-12)
        elbo, iwae = (enumerate_bits(model, x, 2, bound) for bound in ("elbo", "iwae"))
        assert (elbo < iwae).all()
        assert (iwae < log_p).all()
    every_x = torch.tensor(list(itertools.product([0.0, 1.0], repeat=X))).double()
    for y in CLASSES.rows([0, 1, 4], 3).double():
        total = Enumeration(model).log_likelihood(torch.cat([every_x, y.expand(len(every_x), -1)], -1))
        assert torch.allclose(total.exp().sum(), torch.ones(()).double(), atol=1e-12)
    assert (log_p[0] - Enumeration(model).log_likelihood(torch.cat([x[:1, :X], Y[1:]], -1))).abs() > 1e-3


@pytest.mark.parametrize("name", ["gaussian", "bits, learned prior", "two layers of bits", "two layers of reals"])
def test_a_model_with_y_fixed_is_a_model_without_it(name):
    """The weights of y move into the biases: the same densities, draws and bounds."""
    model, plain, x = build(name, data_dim=SPEC), build(name), rows(1)
    state = model.state_dict()
    for part, width in (("posterior", X), ("likelihood", None)):
        network = getattr(model, part)
        network = getattr(network, "conditionals", [getattr(network, "conditional", network)])[0].network
        key = next(key for key in state if key.startswith(part) and key.endswith("network.layers.0.weight"))
        weight, shift = state[key], network.shift
        width = width or weight.shape[1] - 3
        y = (x[0, X:] - shift[width:]) * network.scale
        state[key.replace("weight", "bias")] = state[key.replace("weight", "bias")] + weight[:, width:] @ y
        state[key] = weight[:, :width].clone()
        state[key.replace("layers.0.weight", "shift")] = shift[:width].clone()
    plain.load_state_dict(state)
    for samples, objective in ((3, ELBO()), (3, IWAE())):
        torch.manual_seed(1)
        ours = model.bound(x, samples, objective)
        torch.manual_seed(1)
        assert torch.allclose(ours, plain.bound(x[:, :X], samples, objective), atol=1e-12)
    assert torch.allclose(model.reconstruct(x), plain.reconstruct(x[:, :X]))
    assert torch.equal(model.sample(5, seed=2, given=4), plain.sample(5, seed=2))


def test_dreams_have_the_condition_of_their_row():
    model, x = build("bits, learned prior", data_dim=SPEC), rows()
    estimator = WakeSleep(model, samples=3)
    estimate = estimator(model, ELBO(), x)
    assert estimate.surrogate.shape == (2,)
    from vaelab.estimators import Expectation

    day, night = estimator.draw(Expectation(model, ELBO(), x, model.posterior(x)))
    for part in (day, night):
        assert torch.equal(part[..., D + X :], Y.expand(3, -1, -1))


# ---------------------------------------------------------------- data, training, evaluation, saved models


@pytest.mark.parametrize("name", WITH_CODES)
def test_every_model_is_conditional_for_data_with_a_condition(name, tmp_path):
    data = labelled().with_condition("labels")
    model = MODELS[name].build(data, **({"components": 1} if name == "autoencoder" else {}), seed=0)
    assert (model.given, model.data_dim, model.spec.dim) == (2, X + 2, X)
    fit(model, data, steps=5, batch_size=20)
    if name != "autoencoder":
        result = evaluate(model, data, samples=3, bounds=("elbo", "iwae"))
        assert torch.tensor(result["iwae"].value).isfinite()
        assert model.sample(4, given=7).shape == (4, X)
    x = data.test.batch(6)
    assert encode_means(model, data.test.observations()).shape[0] == len(data.test)
    assert model.reconstruct(x).shape == (6, X)
    model.save(tmp_path / "saved")
    assert torch.equal(load(tmp_path / "saved").reconstruct(x), model.reconstruct(x))


def test_a_conditional_model_draws_what_it_is_given():
    """The two patterns are the two classes: the class alone tells which pattern is drawn."""
    data = labelled((3, 7), dim=12).with_condition("labels")
    model = gaussian_vae(data, latent_dim=2, hidden_dims=[16], seed=0)
    fit(model, data, steps=200, learning_rate=1e-2)
    for label in (3, 7):
        mean = torch.from_numpy(data.train.x[data.train.labels == label]).float().mean(0)
        assert (model.sample(2000, seed=0, given=label).mean(0) - mean).abs().max() < 0.1
    both = model.sample(4, kind="mean", seed=0, given=[3, 3, 7, 7])
    assert torch.allclose(both[:2], model.sample(4, kind="mean", seed=0, given=3)[:2])
    z = torch.zeros(2, 2)
    assert torch.equal(model.decode(z, given=[3, 7])[1], model.decode(z, given=7)[1])
    assert active_units(model, data.test.observations())["active_units"] <= 2


def test_columns_are_given_and_no_longer_modelled():
    data = Dataset.from_arrays(observations_of(60).numpy(), columns=list("abcde"))
    given = data.with_condition(["d", "b"])
    assert (given.columns, given.dim, given.spec.given) == (("a", "c", "e"), 3, 2)
    x = torch.from_numpy(data.test.x).float()
    assert torch.equal(given.test.batch(6), x[:6][:, [0, 2, 4, 3, 1]])
    model = bernoulli_vae(given, latent_dim=3)
    fit(model, given, steps=3)
    assert model.sample(2, given=[1, 0]).shape == (2, 3)
    assert exact(model, given.test.batch(6)).values.shape == (6,)
    assert quadrature(gaussian_vae(given, latent_dim=1), given.test.batch(3)).values.isfinite().all()


def test_grey_levels_are_binarised_and_labels_are_not():
    grey = np.random.default_rng(0).integers(0, 256, (60, 4)).astype(np.uint8)
    data = Dataset.from_arrays(grey, np.arange(60) % 3, values="grey").with_condition("labels")
    for protocol in ("dynamic", "static", "threshold"):
        batch = next(data.with_binarisation(protocol).train.batches(10))
        assert batch.shape == (10, 7)
        assert batch[:, 4:].sum(1).eq(1).all()


GRID = sum(i * i + j * j <= 32**2 for i in range(-32, 33) for j in range(-32, 33))  # points of 64 intervals an axis


@pytest.mark.parametrize(
    ("build", "estimate", "decoded"),
    [
        (gaussian_vae, quadrature, 2 * 2 * GRID),  # with two labels, to choose the number of intervals and to sum
        (bernoulli_vae, exact, 150 * 2**10 + 1),  # with the label of each row; one finds the number of columns
    ],
)
def test_exact_sums_decode_few_numbers_at_once(build, estimate, decoded):
    """A code is decoded with every condition: of each observation, or once for those that are alike (two labels)."""
    data = labelled(rows=(150, 20, 20), dim=60).with_condition("labels")
    model, sizes = build(data, 2 if estimate is quadrature else 10, [4], seed=0), []
    model.likelihood.register_forward_hook(lambda part, inputs, p: sizes.append(p.logits.numel()))
    observed = data.train.observations()
    values = estimate(model, observed).values
    assert max(sizes) <= 4_000_000
    assert sum(sizes) == decoded * 60
    rows = observed.bits(slice(0, 3))
    assert torch.allclose(estimate(model, rows).values, values[:3], atol=1e-4)


def test_what_a_model_is_given_is_never_missing():
    model = gaussian_vae(SPEC, 2, [4], seed=0).double().allow_missing()
    x = rows()
    x[0, 1] = torch.nan
    assert model.bound(x).isfinite().all()
    x[1, -1] = torch.nan
    for method in (model.bound, model.encode, lambda x: impute(model, x, samples=2)):
        with pytest.raises(InputError, match="x: expected the 3 columns that the model is given"):
            method(x)


def test_a_custom_model_is_conditional_by_one_argument():
    plain = bernoulli_vae(X, latent_dim=D)
    both = bernoulli_vae(SPEC, latent_dim=D)
    model = LatentVariableModel(plain.prior, both.likelihood, both.posterior, given=3)
    assert model.bound(rows().float()).shape == (2,)
    assert model.sample(2, given=[[0.0, 1.0, 0.0]]).shape == (2, X)


WRONG = [
    (lambda: labelled().with_condition("age"), "condition: expected labels, or names of columns; got 'age'"),
    (lambda: binary_data().with_condition(["0", "0"]), "condition: expected different columns, and others to model"),
    (lambda: binary_data().with_condition(list("01234")), "condition: expected different columns"),
    (lambda: labelled().with_condition("labels").with_condition(["0"]), "condition: expected data without one"),
    (lambda: Dataset.from_arrays(np.eye(20)).with_condition("labels"), "condition: expected labels in every split"),
    (lambda: labelled().with_condition(Condition("labels", ("3", "4"))), "expected one of the classes 3, 4; got 7"),
    (lambda: build("gaussian").sample(2, given=3), "given: expected None, as the model is not conditional"),
    (lambda: build("gaussian", data_dim=SPEC).sample(2), r"given: expected a label \(0, 1, 4\), once or 2 times|label"),
    (lambda: build("gaussian", data_dim=SPEC).sample(2, given=2), "expected one of the classes 0, 1, 4; got 2"),
    (lambda: build("gaussian", data_dim=SPEC).sample(3, given=[0, 1]), "once or 3 times"),
    (
        lambda: build("gaussian", data_dim=SPEC).sample(3, given="seven"),
        "given: expected one of the classes 0, 1, 4; got seven",
    ),
    (
        lambda: build("gaussian", data_dim=SPEC).bound(rows()[:, :X]),
        r"expected inputs of shape \(..., 8\); got \(2, 5\)",
    ),
    (lambda: sbn(SPEC, layers=[2], inference="mean-field"), "expected another than 'mean-field' for data with a cond"),
    (
        lambda: complete(build("bits, learned prior", data_dim=SPEC), rows(), torch.ones(X + 3, dtype=torch.bool)),
        "known: expected a model that is not conditional",
    ),
    (
        lambda: gaussian_vae(DataSpec((8, 8), condition=CLASSES), network="conv"),
        "network: 'conv' expects data with an image shape",
    ),
]


@pytest.mark.parametrize(("call", "sentence"), WRONG)
def test_what_cannot_be_given_is_refused_in_a_sentence(call, sentence):
    with pytest.raises(InputError, match=sentence):
        call()


def test_the_commands_of_a_conditional_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    data = labelled(dim=16)
    arrays = {f"x_{name}": split.x.reshape(-1, 4, 4) for name, split in data.splits.items()}
    np.savez("digits.npz", **arrays, **{f"y_{name}": split.labels for name, split in data.splits.items()})
    line = CommandLine(capsys, monkeypatch)

    def run(*words):
        result = line(*words)
        assert result.code == 0, result.err
        return result.out

    for model, name in (("gaussian-vae", "run"), ("sbn", "net")):
        more = ["latent_dim=2"] if model == "gaussian-vae" else ["layers=[3,2]"]
        run("train", model, "--data", "digits.npz", "condition=labels", "training.steps=5", *more, "--out", name)
        assert Run(name).spec.condition == Condition("labels", ("3", "7"))
    run("evaluate", "net", "--samples", "2")
    assert "the numbers are those of p(x|y)" in (tmp_path / "net" / "report.html").read_text()
    run("sample", "run", "-n", "3", "--given", "7", "--out", "drawn.npz")
    assert np.load("drawn.npz")["x"].shape == (3, 16)
    run("encode", "run", "--out", "codes.npz")
    assert np.load("codes.npz")["codes"].shape == (60, 2)
    run("reconstruct", "run", "-n", "3", "--out", "again.npz")
    assert np.load("again.npz")["reconstruction"].shape == np.load("again.npz")["x"].shape == (3, 16)
    run("train", "gaussian-vae", "--data", "digits.npz", "training.steps=5", "--out", "plain")
    assert "differ in condition" in line.refused("compare", "run", "plain")
    assert "given: expected a label (3, 7)" in line.refused("sample", "run", "--out", "more.npz")
    assert "given: expected one of the classes 3, 7; got x" in line.refused("sample", "run", "--given", "x")
    assert "given: expected None" in line.refused("sample", "plain", "--given", "3", "--out", "more.npz")


def test_a_training_takes_the_condition_of_the_data_and_refuses_another(tmp_path):
    data = labelled().with_condition("labels")
    settings = resolve("gaussian-vae", {"training": {"steps": 3}, "condition": ["0"]})
    with pytest.raises(InputError, match=r"condition: the settings say \['0'\] and the data set .* has labels"):
        train(settings, tmp_path / "run", data=data)
    run, _ = train(resolve("gaussian-vae", {"training": {"steps": 3}}), tmp_path / "run", data=data)
    assert run.settings.condition == "labels"
    model = run.load_model()
    for other in (labelled(), labelled((3, 8)).with_condition("labels")):
        with pytest.raises(InputError, match="expected labels, for which the model was built; the data have"):
            fit(model, other, steps=1)
        with pytest.raises(InputError, match="condition: expected labels, for which the model was built"):
            evaluate(model, other, samples=2)

"""Room: training. A prior that is fitted to the codes of a trained model: what changes, what stays, what is refused."""

import pytest
import torch

import vaelab
from tests.commands import CommandLine
from tests.laws.models import binary_data
from vaelab.errors import InputError

MODELS = {
    "gaussian_vae": {"latent_dim": 3, "hidden_dims": [4]},
    "bernoulli_vae": {"latent_dim": 3, "hidden_dims": [4]},
    "deep_gaussian_vae": {"layers": [3, 2], "hidden_dims": [[4], [4]]},
}
CASES = [
    *(("gaussian_vae", prior) for prior in ("mixture", "vamp", "flow")),
    *(("bernoulli_vae", prior) for prior in ("learned", "mixture", "autoregressive")),
    *(("deep_gaussian_vae", prior) for prior in ("mixture", "vamp")),
]


@pytest.fixture(scope="module")
def data():
    return binary_data(rows=(600, 100, 100))


@pytest.fixture(scope="module")
def trained(data):
    """A short training of each model, whose codes are not distributed like its prior yet."""
    models = {}
    for name, options in MODELS.items():
        models[name] = getattr(vaelab, name)(data, **options, seed=0)
        vaelab.fit(models[name], data, steps=60, seed=0, device="cpu")
    return models


@pytest.fixture
def command(capsys, monkeypatch):
    return CommandLine(capsys, monkeypatch)


def bound_of(model, data):
    return vaelab.evaluate(model, data, split="train", samples=5, bounds=("elbo",))["elbo"].value


@pytest.mark.parametrize(("name", "prior"), CASES)
def test_the_prior_is_fitted_and_nothing_else_changes(name, prior, data, trained, tmp_path):
    model, steps = trained[name], {} if prior == "mixture" else {"steps": 60, "device": "cpu"}
    before = {key: weight.clone() for key, weight in model.state_dict().items()}
    fitted = vaelab.fit_prior(model, data, prior, 4 if prior == "vamp" else None, **steps)
    for key, weight in model.state_dict().items():
        assert torch.equal(weight, before[key]), key
    of_prior = "prior.top." if name == "deep_gaussian_vae" else "prior."
    kept = [key for key in before if not key.startswith(of_prior)]
    assert all(torch.equal(fitted.model.state_dict()[key], before[key]) for key in kept)
    assert fitted.words.startswith(prior)
    assert bound_of(fitted.model, data) > bound_of(model, data)
    fitted.model.save(tmp_path / "m")
    again = vaelab.load(tmp_path / "m")
    assert torch.equal(again.sample(5, seed=1), fitted.model.sample(5, seed=1))
    assert again.built_with.options["prior"] == prior


def test_one_component_has_the_moments_of_the_codes(data, trained):
    model = trained["gaussian_vae"]
    prior = vaelab.fit_prior(model, data, "mixture", 1, seed=3).model.prior()
    q = model.posterior(data.train.observations().bits(slice(None)))
    mean, variance = q.mean.mean(0), q.variance.mean(0) + q.mean.var(0, unbiased=False)  # of the aggregate posterior
    assert torch.allclose(prior.mean, mean, atol=0.2)  # 5 standard errors of 600 codes
    assert torch.allclose(prior.variance, variance, rtol=0.3)


@pytest.mark.parametrize(
    ("name", "arguments", "sentence"),
    [
        (
            "autoencoder",
            {},
            r"model: expected one with the option prior \(gaussian-vae, bernoulli-vae, deep-gauss.*\); got",
        ),
        ("gaussian_vae", {"prior": "normal"}, "prior: expected one of mixture, vamp, flow; got 'normal'"),
        (
            "bernoulli_vae",
            {"prior": "uniform"},
            "prior: expected one of learned, mixture, autoregressive; got 'uniform'",
        ),
        ("gaussian_vae", {"prior_components": 0}, "prior_components: expected an integer of at least 1; got 0"),
        ("gaussian_vae", {"steps": 5}, "steps: goes with a prior that is trained in steps; a mixture is not"),
        ("gaussian_vae", {"prior": "flow", "prior_components": 5}, "prior_components: goes with prior=mixture or vamp"),
    ],
)
def test_what_cannot_be_fitted_is_refused(name, arguments, sentence, data):
    model = getattr(vaelab, name)(data, 2, hidden_dims=[4], seed=0)
    with pytest.raises(InputError, match=sentence):
        vaelab.fit_prior(model, data, **arguments)


def test_the_command_saves_the_model_and_prints_both_bounds(command, data, trained, tmp_path):
    trained["gaussian_vae"].save(tmp_path / "m")
    rows = torch.cat([data.split(name).observations().bits(slice(None)) for name in ("train", "validation", "test")])
    (tmp_path / "rows.csv").write_text("\n".join(",".join(str(int(bit)) for bit in row) for row in rows))
    words = ("fit-prior", tmp_path / "m", "--data", tmp_path / "rows.csv", "--out", tmp_path / "fitted")
    printed = command(*words).out
    assert "prior of the training: elbo -" in printed
    assert "ex-post prior (mixture): elbo -" in printed
    assert vaelab.load(tmp_path / "fitted").built_with.options["prior"] == "mixture"
    assert "--overwrite replaces it" in command.refused(*words)

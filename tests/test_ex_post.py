"""Room: training. A prior that is fitted to the codes of a trained model: what changes, what stays, what is refused."""

import signal

import numpy as np
import pytest
import torch

import vaelab
import vaelab.training.prior
from tests.commands import CommandLine
from tests.laws.models import binary_data
from vaelab.errors import InputError
from vaelab.models.card import write_card
from vaelab.networks import Dropout
from vaelab.objectives import IWAE
from vaelab.priors import BIT_PRIORS, POINT_PRIORS, REAL_PRIORS, FlowPrior, GaussianPrior, StandardisedFlowPrior

MODELS = {
    "gaussian_vae": {"latent_dim": 3, "hidden_dims": [4]},
    "bernoulli_vae": {"latent_dim": 3, "hidden_dims": [4]},
    "deep_gaussian_vae": {"layers": [3, 2], "hidden_dims": [[4], [4]]},
    "autoencoder": {"latent_dim": 2, "hidden_dims": [4], "components": 1},
}
CASES = [
    *(("gaussian_vae", prior) for prior in ("mixture", "vamp", "flow")),
    *(("bernoulli_vae", prior) for prior in ("learned", "mixture", "autoregressive")),
    *(("deep_gaussian_vae", prior) for prior in ("mixture", "vamp")),
    *(("autoencoder", prior) for prior in POINT_PRIORS),
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
    """The ELBO; of an auto-encoder, which has none, the log-density of the codes."""
    bounds, name = (None, "code-log-density") if model.code == "point" else (("elbo",), "elbo")
    return vaelab.evaluate(model, data, split="train", samples=5, bounds=bounds)[name].value


@pytest.mark.parametrize(("name", "prior"), CASES)
def test_the_prior_is_fitted_and_nothing_else_changes(name, prior, data, trained, tmp_path):
    model, steps = trained[name], {} if prior == "mixture" else {"steps": 60, "device": "cpu"}
    before = {key: weight.clone() for key, weight in model.state_dict().items()}
    components = {"vamp": 4, "mixture": 3 if name == "autoencoder" else None}.get(prior)  # more than in the training
    fitted = vaelab.fit_prior(model, data, prior, components, **steps)
    for key, weight in model.state_dict().items():
        assert torch.equal(weight, before[key]), key
    of_prior = "prior.top." if name == "deep_gaussian_vae" else "prior."
    kept = [key for key in before if not key.startswith(of_prior)]
    assert all(torch.equal(fitted.model.state_dict()[key], before[key]) for key in kept)
    assert fitted.description.startswith(prior)
    assert bound_of(fitted.model, data) > bound_of(model, data)
    fitted.model.save(tmp_path / "m")
    again = vaelab.load(tmp_path / "m")
    assert torch.equal(again.sample(5, seed=1), fitted.model.sample(5, seed=1))
    assert again.built_with.options["prior"] == prior
    assert (model.ex_post_prior, again.ex_post_prior) == ("", fitted.description)
    assert f"after the training to the codes of the training rows: {prior}" in write_card(again, "m")


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
        ("logistic_pca", {}, r"model: expected one with the option prior \(gaussian-vae, .*, autoencoder\); got"),
        ("autoencoder", {"prior": "vamp"}, "prior: expected one of mixture, flow; got 'vamp'"),
        (
            "autoencoder",
            {"prior": "flow", "prior_components": 5},
            "prior_components: goes with prior=mixture; got 5 and 'flow'",
        ),
        ("gaussian_vae", {"prior": "normal"}, "prior: expected one of mixture, vamp, flow; got 'normal'"),
        (
            "bernoulli_vae",
            {"prior": "uniform"},
            "prior: expected one of learned, mixture, autoregressive; got 'uniform'",
        ),
        ("gaussian_vae", {"prior_components": 0}, "prior_components: expected an integer of at least 1; got 0"),
        ("gaussian_vae", {"steps": 5}, "steps: goes with a prior that is trained in steps; a mixture is not"),
        (
            "gaussian_vae",
            {"prior_components": 601},
            "prior_components: expected at most 600, the codes of the tr.*; got 601",
        ),
        (
            "bernoulli_vae",
            {"prior_components": 601},
            "prior_components: expected at most 600, the codes of the t.*; got 601",
        ),
        (
            "gaussian_vae",
            {"prior": "vamp", "optimizer": None},
            "optimizer: fit_prior takes none; expected settings of the",
        ),
        (
            "gaussian_vae",
            {"prior": "vamp", "estimator": None},
            "estimator: fit_prior takes none; expected settings of the",
        ),
        (
            "gaussian_vae",
            {"objective": IWAE()},
            "objective: fit_prior takes none; expected settings of the training",
        ),
        ("gaussian_vae", {"prior": "flow", "prior_components": 5}, "prior_components: goes with prior=mixture or vamp"),
    ],
)
def test_what_cannot_be_fitted_is_refused(name, arguments, sentence, data):
    model = getattr(vaelab, name)(data, 2, **({} if name == "logistic_pca" else {"hidden_dims": [4]}), seed=0)
    with pytest.raises(InputError, match=sentence):
        vaelab.fit_prior(model, data, **arguments)


def test_a_flow_of_an_autoencoder_is_the_density_of_its_codes(data):
    """Codes of mean 50: the density has mass 1 by quadrature, its draws have it, and a normal distribution is worse."""
    model = vaelab.autoencoder(data, 1, hidden_dims=[4], seed=0)
    last = [part for part in model.posterior.modules() if isinstance(part, torch.nn.Linear)][-1]
    with torch.no_grad():
        last.weight *= 20
        last.bias += 50
    prior = vaelab.fit_prior(model, data, "flow", steps=100, device="cpu").model.prior.double()
    codes = model.encode(data.train.observations().bits(slice(None))).double()
    z = torch.linspace(-9, 9, 20_001).double().unsqueeze(-1) * prior.scale + prior.shift
    with torch.no_grad():
        below = (prior().log_prob(z).exp() * (z[1] - z[0])).cumsum(0)
        assert float(below[-1]) == pytest.approx(1, abs=1e-3)
        draws = prior().sample((4000,)).sort(0).values
        found, expected = (torch.arange(4000) + 0.5) / 4000, below[torch.searchsorted(z[:, 0], draws[:, 0])]
        assert (found - expected).abs().max() < 2.7 / 4000**0.5 + 1e-3  # Kolmogorov's test at 1e-6
        normal = torch.distributions.Normal(codes.mean(), codes.std())
        assert prior().log_prob(codes).mean() > normal.log_prob(codes).mean()


def test_a_standardised_flow_is_the_flow_of_standardised_codes():
    flow, prior, z = FlowPrior(2).double(), StandardisedFlowPrior(2).double(), 20 + 3 * torch.randn(5, 2).double()
    with torch.no_grad():
        for weight in flow.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    assert prior.load_state_dict(flow.state_dict(), strict=False).missing_keys == ["shift", "scale"]
    prior.standardise(z)
    shift, scale = z.mean(0), z.std(0, correction=0)
    expected = flow().log_prob((z - shift) / scale) - scale.log().sum()
    assert torch.allclose(prior().log_prob(z), expected, rtol=1e-12)
    prior.standardise(torch.ones(5, 2).double())
    assert torch.equal(prior.scale, torch.ones(2).double())  # of constant codes


def test_a_code_that_varies_by_rounding_errors_alone_is_constant():
    prior = StandardisedFlowPrior(2)
    prior.standardise(torch.stack([torch.full((1000,), 0.1), 1e-4 * torch.randn(1000)], 1))
    assert float(prior.scale[0]) == 1
    assert float(prior.scale[1]) == pytest.approx(1e-4, rel=0.2)


def test_standardised_codes_keep_their_digits():
    """log p(z) of codes far from 0 that vary little: the standardised codes are exact, not only z / s - m / s."""
    prior, z = StandardisedFlowPrior(2), 1000 + 0.01 * torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
    prior.standardise(z)
    expected = (z.double() - prior.shift.double()) / prior.scale.double()
    with torch.no_grad():
        standard, _ = prior().transforms[0].call_and_ladj(z)
    assert (standard - expected).abs().max() < 1e-6


def test_an_autoencoder_with_a_flow_is_not_trained_and_takes_no_options_of_a_mixture(data):
    model = vaelab.autoencoder(data, 2, hidden_dims=[4], prior="flow", seed=0)
    assert isinstance(model.prior, StandardisedFlowPrior)
    with pytest.raises(InputError, match=r"density: this auto-encoder has no density .*; vaelab.fit_prior .*flow"):
        vaelab.evaluate(model, data)
    with pytest.raises(
        InputError, match=r"prior: expected mixture, which an auto-encoder gets .*; got flow, which vaelab.fit_prior"
    ):
        vaelab.fit(model, data, steps=1)
    for option, value in (("components", 3), ("covariance", "diag")):
        with pytest.raises(InputError, match=f"{option}: goes with prior=mixture; got {value!r} and 'flow'"):
            vaelab.autoencoder(data, 2, prior="flow", **{option: value})


@pytest.mark.parametrize("prior", POINT_PRIORS)
@pytest.mark.parametrize("components", [3.5, np.array([3, 4]), None, "ten", {3}])
def test_numbers_of_components_that_are_none_are_refused_in_a_sentence(prior, components):
    with pytest.raises(InputError, match=r"^components: expected (an integer or a list of integers|a value)"):
        vaelab.autoencoder(6, 2, prior=prior, components=components)


def test_few_codes_have_a_mixture_of_few_components():
    few = binary_data(rows=(10, 10, 10))
    model = vaelab.autoencoder(few, 2, hidden_dims=[4], seed=0)
    assert vaelab.fit_prior(model, few).description == "mixture of 1 component"
    model = vaelab.autoencoder(few, 2, hidden_dims=[4], components=20, seed=0)
    with pytest.raises(InputError, match="prior_components: expected at most 10, the codes of the training split; got"):
        vaelab.fit_prior(model, few)


def test_a_model_that_cannot_be_built_again_is_refused(data):
    own = vaelab.gaussian_vae(data, 2, hidden_dims=[4], prior=GaussianPrior(2), seed=0)
    with pytest.raises(InputError, match=r"model: expected a gaussian-vae or .* that can be built again"):
        vaelab.fit_prior(own, data)
    changed = vaelab.gaussian_vae(data, 2, hidden_dims=[4], seed=0)
    changed.likelihood = torch.nn.Sequential(changed.likelihood)
    with pytest.raises(InputError, match="model: expected the parts that gaussian-vae has by its options; likelihood"):
        vaelab.fit_prior(changed, data, "vamp", 4)


@pytest.mark.parametrize(
    ("name", "prior", "training"),
    [("gaussian_vae", "vamp", {"steps": 60, "device": "cpu"}), ("bernoulli_vae", "mixture", {})],
)
def test_an_interrupted_fit_has_no_result(name, prior, training, data, trained, monkeypatch):
    fit = vaelab.fit

    def interrupted(*args, **options):
        return fit(*args, **options, callback=lambda row: signal.raise_signal(signal.SIGINT))

    monkeypatch.setattr(vaelab.training.prior, "fit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        vaelab.fit_prior(trained[name], data, prior, 4, **training)


def test_a_fit_in_steps_leaves_out_no_unit_and_moves_the_prior_alone(data, monkeypatch):
    model, fit, seen = vaelab.gaussian_vae(data, 2, hidden_dims=[4], dropout=0.5, seed=0), vaelab.fit, []

    def watched(new, *args, **options):
        seen.extend(part.rate for part in new.modules() if isinstance(part, Dropout))
        assert all(weight.requires_grad == name.startswith("prior.") for name, weight in new.named_parameters())
        assert options["learning_rate"] == 0.01
        return fit(new, *args, **options)

    monkeypatch.setattr(vaelab.training.prior, "fit", watched)
    new = vaelab.fit_prior(model, data, "vamp", 4, steps=2, learning_rate=0.01, device="cpu").model
    assert seen == [0.0, 0.0]
    assert [part.rate for part in new.modules() if isinstance(part, Dropout)] == [0.5, 0.5]
    assert all(weight.requires_grad for weight in new.parameters())


def test_the_new_model_has_numbers_of_the_type_of_the_old(data):
    model = vaelab.gaussian_vae(data, 2, hidden_dims=[4], seed=0).double()
    new = vaelab.fit_prior(model, data, prior_components=1)
    assert {weight.dtype for weight in new.model.parameters()} == {torch.float64}
    assert new.description == "mixture of 1 component"
    with pytest.raises(InputError, match="expected weights of type float32"):
        vaelab.fit_prior(model, data, "vamp", 4)


def test_pseudo_inputs_on_one_layer_start_at_rows(data):
    model = vaelab.deep_gaussian_vae(data, layers=[2], hidden_dims=[[4]], seed=0)
    new = vaelab.fit_prior(model, data, "vamp", 4, steps=1, learning_rate=1e-9, device="cpu").model
    inputs, rows = new.prior.top.inputs.detach(), data.train.observations().bits(slice(None))
    assert torch.cdist(inputs, rows).amin(1).max() < 0.02 * 5 * rows.shape[1] ** 0.5  # noise of 0.01


def test_the_help_names_every_prior_that_can_be_fitted(command):
    text = command("fit-prior", "--help").out
    assert all(name in text for name in [*list(REAL_PRIORS)[1:], *list(BIT_PRIORS)[1:], *POINT_PRIORS, "--device"])


def test_the_command_prints_the_density_of_the_codes_of_an_autoencoder(command, data, trained, tmp_path):
    trained["autoencoder"].save(tmp_path / "m")
    rows = data.split("train").observations().bits(slice(None))
    (tmp_path / "rows.csv").write_text("\n".join(",".join(str(int(bit)) for bit in row) for row in rows))
    words = ("fit-prior", tmp_path / "m", "--data", tmp_path / "rows.csv", "--prior", "flow", "--steps", 5)
    printed = command(*words, "--out", tmp_path / "fitted", "--device", "cpu").out
    assert "prior of the training: code-log-density " in printed
    assert "ex-post prior (flow): code-log-density " in printed


@pytest.mark.parametrize("prior", POINT_PRIORS)
def test_the_command_leaves_out_a_density_that_was_never_fitted(command, data, tmp_path, prior):
    vaelab.autoencoder(data, 2, hidden_dims=[4], prior=prior, seed=0).save(tmp_path / "m")
    rows = data.split("train").observations().bits(slice(None))
    (tmp_path / "rows.csv").write_text("\n".join(",".join(str(int(bit)) for bit in row) for row in rows))
    printed = command(
        "fit-prior",
        tmp_path / "m",
        "--data",
        tmp_path / "rows.csv",
        "--out",
        tmp_path / "fitted",
        "--prior-components",
        1,
    ).out
    assert "ex-post prior (mixture): code-log-density " in printed
    assert "prior of the training" not in printed


def test_the_command_saves_the_model_and_prints_both_bounds(command, data, trained, tmp_path):
    trained["gaussian_vae"].save(tmp_path / "m")
    rows = torch.cat([data.split(name).observations().bits(slice(None)) for name in ("train", "validation", "test")])
    (tmp_path / "rows.csv").write_text("\n".join(",".join(str(int(bit)) for bit in row) for row in rows))
    words = ("fit-prior", tmp_path / "m", "--data", tmp_path / "rows.csv", "--out", tmp_path / "fitted")
    printed = command(*words).out
    assert "prior of the training: elbo -" in printed
    assert "ex-post prior (mixture): elbo -" in printed
    fitted = vaelab.load(tmp_path / "fitted")
    assert fitted.built_with.options["prior"] == "mixture"
    said = f"prior fitted after the training ({fitted.ex_post_prior})"
    again = ("fit-prior", tmp_path / "fitted", "--data", tmp_path / "rows.csv", "--prior-components", 1)
    assert f"earlier prior ({fitted.ex_post_prior}): elbo -" in command(*again, "--out", tmp_path / "again").out
    asked = ("--data", tmp_path / "rows.csv", "--bound", "elbo", "--samples", 1)
    assert said in " ".join(command("evaluate", tmp_path / "fitted", *asked).out.split())
    assert "after the training" not in command("evaluate", tmp_path / "m", *asked).out
    assert said in str(vaelab.evaluate(fitted, data, bounds=("elbo",), samples=1)).replace("\n  ", " ")
    vaelab.fit(fitted, data, steps=1, device="cpu")
    assert fitted.ex_post_prior == ""  # the prior was trained again, with the model
    assert "--overwrite replaces it" in command.refused(*words)

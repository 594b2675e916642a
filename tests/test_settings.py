"""Room: settings. Defaults, layers laid on one another, files and words, refusals in one sentence."""

import json
import math

import pytest

from vaelab.models import MODELS
from vaelab.refusals import Refusal, did_you_mean, require_int, require_number
from vaelab.settings import TrainingSettings, merge, parse_overrides, read_config, resolve


@pytest.mark.parametrize("model", MODELS)
def test_the_defaults_of_every_model_can_be_built(model):
    settings = resolve(model)
    assert settings.training.epochs is not None
    built = settings.build_model(6)
    settings.build_estimator().check(built, settings.build_objective())
    dumped = settings.model_dump(mode="json")
    assert resolve(model, json.loads(json.dumps(dumped))).model_dump(mode="json") == dumped


def test_later_layers_win():
    layers = [{"latent_dim": 5, "hidden_dims": [7]}, {"latent_dim": 6, "estimator": {"samples": 3}}, {"seed": 4}]
    settings = resolve("gaussian-vae", *layers)
    assert (settings.latent_dim, settings.hidden_dims, settings.seed) == (6, [7], 4)
    assert settings.estimator == {"name": "pathwise", "samples": 3}
    assert settings.activation == "relu"


def test_an_estimator_of_another_name_brings_its_own_options():
    settings = resolve("gaussian-vae", {"estimator": {"samples": 9}}, {"estimator": {"name": "score-function"}})
    assert settings.estimator == {"name": "score-function", "samples": 4, "baseline": "leave-one-out"}
    same = resolve("bernoulli-vae", {"estimator": {"samples": 9}}, {"estimator": {"name": "rebar"}})
    assert same.estimator["samples"] == 9
    other = resolve("gaussian-vae", {"objective": {"beta": 2.0}}, {"objective": {"name": "iwae"}})
    assert other.objective == {"name": "iwae"}


@pytest.mark.parametrize(
    ("layers", "epochs", "steps"),
    [
        ([], 20, None),
        ([{"training": {"steps": 5}}], None, 5),
        ([{"training": {"steps": 5}}, {"training": {"epochs": 2}}], 2, None),
        ([{"training": {"epochs": 2}}, {"training": {"clip": 1.0}}], 2, None),
        ([{"training": {"epochs": None, "steps": 5}}], None, 5),
    ],
)
def test_epochs_and_steps_replace_each_other(layers, epochs, steps):
    training = resolve("autoencoder", *layers).training
    assert (training.epochs, training.steps) == (epochs, steps)


def test_options_reach_what_is_built():
    settings = resolve(
        "bernoulli-vae",
        {"latent_dim": 3, "hidden_dims": [4], "prior": "learned", "objective": {"beta": 0.5}},
        {"estimator": {"name": "score-function", "samples": 7, "baseline": "none"}},
    )
    model = settings.build_model(6)
    assert model.prior.logits.requires_grad
    assert model.prior.logits.shape == (3,)
    assert model.likelihood.logits.out_features == 6
    assert settings.build_objective().beta == 0.5
    assert settings.build_estimator().samples == 7
    mixture = resolve("autoencoder", {"components": 4, "covariance": "diag"}).build_model(6).prior
    assert (mixture.candidates, mixture.covariance) == ([4], "diag")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("c.yaml", "latent_dim: 3\ntraining: {steps: 5, learning_rate: 1e-3}\n"),
        ("c.yml", "latent_dim: 3\ntraining:\n  steps: 5\n  learning_rate: 0.001\n"),
        ("c.toml", "latent_dim = 3\n[training]\nsteps = 5\nlearning_rate = 1e-3\n"),
        ("c.json", '{"latent_dim": 3, "training": {"steps": 5, "learning_rate": 1e-3}}'),
        (
            "config.json",
            '{"format_version": 1, "settings": {"latent_dim": 3, "training": {"steps": 5, "learning_rate": 1e-3}}}',
        ),
    ],
)
def test_a_config_file_of_every_format(name, text, tmp_path):
    (tmp_path / name).write_text(text)
    settings = resolve("gaussian-vae", read_config(tmp_path / name))
    assert (settings.latent_dim, settings.training.steps, settings.training.learning_rate) == (3, 5, 1e-3)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("c.yaml", b"a: [1, 2", "not readable as yaml"),
        ("c.toml", b"a: 1", "not readable as toml"),
        ("c.json", b"\xff\xfe\x00", "not readable as json"),
        ("c.yaml", b"- 1\n- 2\n", "to hold keys and values; got list"),
        ("c.yaml", b"", "to hold keys and values; got NoneType"),
        ("c.json", b'{"format_version": 1, "settings": 3}', "to hold keys and values; got int"),
    ],
)
def test_a_config_file_that_is_none_is_refused(name, content, sentence, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(Refusal, match=sentence) as refused:
        read_config(tmp_path / name)
    assert "\n" not in str(refused.value)
    with pytest.raises(Refusal, match=r"config: there is no file 'none\.yaml'"):
        read_config(tmp_path.__class__("none.yaml"))


def test_words_become_nested_settings():
    words = ["a=1", "b.c=relu", "b.d=[1, 2]", "b.c=tanh", "e=null", "f=1e-3", "g=a=b"]
    assert parse_overrides(words) == {"a": 1, "b": {"c": "tanh", "d": [1, 2]}, "e": None, "f": "1e-3", "g": "a=b"}
    for word in ("latent_dim", "=3", "--latent_dim"):
        with pytest.raises(Refusal, match="settings: expected key=value"):
            parse_overrides([word])
    with pytest.raises(Refusal, match=r"hidden_dims: expected a value such as"):
        parse_overrides(["hidden_dims=[200"])


def test_merge_leaves_its_arguments_alone():
    base, over = {"a": {"b": 1}}, {"a": {"c": 2}}
    assert merge(base, over) == {"a": {"b": 1, "c": 2}}
    assert (base, over) == ({"a": {"b": 1}}, {"a": {"c": 2}})


REFUSED = {
    "true for a number": ({"latent_dim": True}, "latent_dim: expected neither true nor false; got True"),
    "true in a list of numbers": ({"hidden_dims": [8, True]}, r"hidden_dims: expected neither .*; got \[8, True\]"),
    "true for a number of an estimator": (
        {"estimator": {"name": "pathwise", "samples": True}},
        "estimator.samples: expected neither true nor false; got True",
    ),
    "unknown key": ({"latentdim": 3}, r"latentdim: no such setting \(did you mean 'latent_dim'\?\)"),
    "key of another model": ({"components": 3}, "components: no such setting"),
    "nested unknown key": ({"training": {"epoch": 3}}, r"did you mean 'training\.epochs'"),
    "key without its table": ({"learning_rate": 3}, r"did you mean 'training\.learning_rate'"),
    "unknown estimator": ({"estimator": {"name": "pathwize"}}, "did you mean 'pathwise'"),
    "unknown option": ({"estimator": {"sample": 3}}, r"estimator\.sample: no such setting .*did you mean 'samples'"),
    "no options": (
        {"objective": {"name": "iwae", "beta": 2}},
        r"objective\.beta: no such setting; there are none here",
    ),
    "unknown objective": ({"objective": {"name": "elbow"}}, "did you mean 'elbo'"),
    "a word for a table": (
        {"estimator": "pathwise"},
        "estimator: expected a table with a name, such as estimator.name=",
    ),
    "a number for a table": ({"training": 5}, "training: .*got 5"),
    "not a number": ({"latent_dim": "many"}, "latent_dim: .*integer.*got 'many'"),
    "not whole": ({"latent_dim": 2.5}, "latent_dim: .*got 2.5"),
    "not a list": ({"hidden_dims": 200}, "hidden_dims: .*got 200"),
    "not a choice": ({"activation": "relux"}, "activation: .*'relu', 'leaky-relu'.*got 'relux'"),
    "epochs and steps": ({"training": {"epochs": 1, "steps": 2}}, "training: expected epochs or steps, one of the two"),
    "no epochs": ({"training": {"epochs": 0}}, r"training\.epochs: .*greater than or equal to 1; got 0"),
    "rate zero": ({"training": {"learning_rate": 0}}, r"training\.learning_rate: .*greater than 0"),
    "rate nan": ({"training": {"learning_rate": math.nan}}, r"training\.learning_rate: .*finite"),
    "rate infinite": ({"training": {"learning_rate": "inf"}}, r"training\.learning_rate: .*finite"),
    "negative seed": ({"seed": -1}, "seed: .*greater than or equal to 0"),
    "beta": ({"objective": {"beta": -1}}, r"objective\.beta: expected a number of at least 0; got -1"),
    "no codes": ({"estimator": {"samples": 0}}, r"estimator\.samples: expected an integer of at least 1"),
    "another model": (
        {"model": "autoencoder"},
        "model: the settings are for 'autoencoder'; the command says 'gaussian-vae'",
    ),
    "binarisation": ({"binarisation": "dynamc"}, "binarisation: .*got 'dynamc'"),
}


@pytest.mark.parametrize(("layer", "sentence"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_is_refused_in_one_sentence(layer, sentence):
    with pytest.raises(Refusal, match=sentence) as refused:
        resolve("gaussian-vae", layer)
    assert "\n" not in str(refused.value)


def test_an_unknown_model_is_refused():
    with pytest.raises(Refusal, match=r"model: expected one of .*\(did you mean 'gaussian-vae'\?\)"):
        resolve("gausian-vae")


def test_training_settings_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        TrainingSettings(steps=3).steps = 4


def test_refusals_of_numbers_and_words():
    assert require_number("a", 0.5, 0, 1) == 0.5
    assert require_int("a", 3, 3) == 3
    for value in (1.5, math.nan, "1", None, True):
        with pytest.raises(Refusal, match=r"a: expected a number in \[0, 1\]; got"):
            require_number("a", value, 0, 1)
    assert did_you_mean("xyz", ["gaussian-vae"]) == ""

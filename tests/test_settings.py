"""Room: settings. Defaults, layers laid on one another, files and words, refusals in one sentence."""

import json
import math
import os
import re
from pathlib import Path
from random import Random

import pytest

from tests.laws import widths_of
from vaelab.errors import InputError, did_you_mean, require_int, require_number
from vaelab.estimators import ESTIMATORS, Sizes
from vaelab.models import MODELS
from vaelab.objectives import OBJECTIVES
from vaelab.settings import TrainingSettings, merge, options_of, parse_overrides, read_config, resolve, words
from vaelab.settings.hints import KEYS, NAMES


@pytest.mark.parametrize("model", MODELS)
def test_the_defaults_of_every_model_can_be_built(model):
    settings = resolve(model)
    assert (settings.training.epochs, settings.training.steps) == (None, None)  # the data decide
    built = settings.build_model(6)
    assert (settings.estimator is None, settings.objective is None) == (not MODELS[model].has_codes,) * 2
    if MODELS[model].has_codes:
        settings.build_estimator(built).check(built, settings.build_objective())
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
        ([], None, None),
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
    assert widths_of(model.likelihood) == [4, 6]
    assert settings.build_objective().beta == 0.5
    assert settings.build_estimator(model).samples == 7
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
        ("c.yaml", b"", "to hold keys and values; got nothing"),
        ("c.yaml", b"seed: 1\nseed: 2\n", "'seed' occurs twice"),
        ("c.json", b'{"seed": 1, "seed": 2}', "'seed' occurs twice"),
        ("c.yaml", b"seed: 1\n---\nseed: 2\n", "expected one document; got several"),
        ("c.yaml", b"1: 2\n", "expected names as keys; got 1"),
        ("c.yaml", b"null: 2\n", "expected names as keys; got None"),
        ("c.yaml", b"'': 2\n", "expected names as keys, .*; got ''"),
        ("c.yaml", b"a: &a [1, 1]\nb: [*a, *a]\n", "anchors and aliases are not read"),
        ("c.yaml", b"a: !!python/object/apply:os.system [ls]\n", "tags such as .* are not read"),
        ("c.yaml", b"seed: " + b"1" * 5000, "a number of 5,000 characters"),
        ("c.json", b'{"seed": ' + b"1" * 5000 + b"}", "not readable as json"),
        ("c.toml", b"seed = " + b"1" * 5000, "not readable as toml"),
        ("c.yaml", b"a: " + b"[" * 4000, "nested too deeply"),
        ("c.json", b'{"a": ' + b"[" * 100000, "nested too deeply"),
        ("c.toml", b"a = " + b"[" * 4000, "not readable as toml"),
        ("c.yaml", b"#" * 300_000, "expected at most 262,144 bytes"),
        ("c.yaml", "seed: 1".encode("utf-16"), "no UTF-8 text"),
        ("c.yaml", b"seed: \x00", "not readable as yaml"),
        ("c.txt", b"seed: 1", "expected a file ending in .yaml, .yml, .toml, .json"),
        ("c.json", b'{"format_version": 1, "settings": 3}', "to hold keys and values; got int"),
    ],
)
def test_a_config_file_that_is_none_is_refused(name, content, sentence, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=sentence) as refused:
        read_config(tmp_path / name)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 600


def test_what_is_no_file_is_no_config(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    for path, sentence in (
        (Path("none.yaml"), r"there is no file 'none\.yaml'; a setting is one word, key=value without spaces"),
        (tmp_path, "is a directory or a device"),
        (tmp_path / "pipe.yaml", "is a directory or a device"),
        (Path("a" * 5000), "cannot be read"),
        (Path("a\0b.yaml"), "there is no file"),
    ):
        with pytest.raises(InputError, match=f"config: .*{sentence}"):
            read_config(path)
    (tmp_path / "BOM.YAML").write_bytes(b"\xef\xbb\xbfseed: 3")
    assert read_config(tmp_path / "BOM.YAML") == {"seed": 3}


def test_words_become_nested_settings():
    said = ["a=1", "b.c=relu", "b.d=[1, 2]", "e=null", "f=1e-3", "g=a=b", "a=1", "h={x: 1}", "b={e: 3}"]
    nested = {"a": 1, "b": {"c": "relu", "d": [1, 2], "e": 3}, "e": None, "f": 1e-3, "g": "a=b", "h": {"x": 1}}
    assert parse_overrides(said) == nested
    for word in ("latent_dim", "=3", "--latent_dim", " =1"):
        with pytest.raises(InputError, match="settings: expected key=value"):
            parse_overrides([word])
    for word in ("a..b=1", ".a=1", "a.=1", ".=1"):
        with pytest.raises(InputError, match="settings: expected names as keys"):
            parse_overrides([word])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("010", 10),
        ("-007", -7),
        ("0o17", 15),
        ("0x10", 16),
        ("1e-3", 0.001),
        ("1E3", 1000.0),
        ("+.5", 0.5),
        ("5.", 5.0),
        ("1e400", math.inf),
        ("-.inf", -math.inf),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("Null", None),
        ("", None),
        # What YAML 1.1 reads as something else:
        ("on", "on"),
        ("no", "no"),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("0b1", "0b1"),
        ("0b_", "0b_"),
        ("2024-01-01", "2024-01-01"),
        ("2024-13-45", "2024-13-45"),
        ("=", "="),
        ("<<", "<<"),
        # What a value without brackets and quotes never is:
        ("*.csv", "*.csv"),
        ("a b #1", "a b #1"),
        ("C:\\x", "C:\\x"),
        ("!!int abc", "!!int abc"),
        # In brackets and quotes:
        ("[010, 1e-3, on, '1', null]", [10, 0.001, "on", "1", None]),
        ("'010'", "010"),
        ('"a\\tb"', "a\tb"),
        ("{a: 010}", {"a": 10}),
    ],
)
def test_a_value_is_read_by_the_core_schema_of_yaml_1_2(text, value, tmp_path):
    found = parse_overrides([f"a={text}"])["a"]
    assert found == value
    assert type(found) is type(value)
    if not text.startswith(("*", "!", "a b #", "=", "<<")):  # in a file these are aliases, tags and comments
        (tmp_path / "c.yaml").write_text(f"a: {text}\n")
        assert read_config(tmp_path / "c.yaml") == {"a": value}


def test_a_value_that_is_no_number_is_read_or_refused_by_its_setting():
    assert resolve("gaussian-vae", parse_overrides(["seed=010"])).seed == 10
    assert resolve("gaussian-vae", parse_overrides(["training.average=off"])).training.average is False
    assert resolve("gaussian-vae", parse_overrides(["training.learning_rate=1e-3"])).training.learning_rate == 1e-3
    for word in ("seed=1:30", "seed=0b1", "seed=2024-01-01", "seed=on", "seed=", "seed=.nan", "seed=1e400"):
        with pytest.raises(InputError, match="seed: expected "):
            resolve("gaussian-vae", parse_overrides([word]))


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("hidden_dims=[200", "hidden_dims: expected a value such as"),
        ("hidden_dims=[1, !!int abc]", "tags such as tag:yaml.org,2002:int are not read"),
        ("hidden_dims=[&a 1, *a]", "anchors and aliases are not read"),
        ("hidden_dims=" + "[" * 4000, "nested too deeply"),
        ("hidden_dims=" + "[" * 4000 + "]" * 4000, "nested too deeply"),
        ("seed=" + "1" * 5000, "seed: expected a value .*a number of 5,000 characters"),
        ("training={steps: 1, steps: 2}", "'steps' occurs twice"),
        ("training={1: 2}", "expected names as keys; got 1"),
        ("training={? [1] : 2}", r"expected names as keys; got \[1\]"),
        ("hidden_dims=[1] --- [2]", "hidden_dims: expected a value such as"),
        ("hidden_dims=[\x00]", "hidden_dims: expected a value such as"),
    ],
)
def test_a_word_that_cannot_be_read_is_refused(word, sentence):
    with pytest.raises(InputError, match=sentence) as refused:
        parse_overrides([word])
    assert len(str(refused.value)) < 500


def test_a_word_chooses_an_objective_and_an_estimator():
    said = parse_overrides(["objective=renyi", "objective.alpha=0.25", "estimator=score-function"])
    settings = resolve("bernoulli-vae", said)
    assert settings.objective == {"name": "renyi", "alpha": 0.25}
    assert settings.estimator["name"] == "score-function"
    assert resolve("bernoulli-vae", {"objective": "iwae"}).objective == {"name": "iwae"}


def test_an_objective_of_several_codes_has_several_unless_the_user_says_otherwise():
    def samples(model, *words):
        return resolve(model, parse_overrides(list(words))).estimator["samples"]

    assert samples("gaussian-vae") == 1
    assert samples("gaussian-vae", "objective=tvo") == samples("gaussian-vae", "objective=iwae") == 8
    assert samples("gaussian-vae", "objective=iwae", "samples=1") == 1
    assert samples("bernoulli-vae", "objective=miwae", "estimator=score-function") == 4  # has several already


def test_settings_of_an_earlier_version_have_their_present_names(tmp_path):
    written = {"objective": {"name": "elbo"}, "training": {"kl_warmup": 3, "steps": 9}}
    (tmp_path / "config.json").write_text(json.dumps({"format_version": 2, "settings": written}))
    settings = resolve("gaussian-vae", read_config(tmp_path / "config.json"))
    assert settings.objective["warm_up"] == 3
    assert settings.training.steps == 9
    (tmp_path / "mine.json").write_text(json.dumps(written))  # a file of the user's is not a run
    with pytest.raises(InputError, match=r'training\.kl_warmup: no such setting; write "warm_up": 1000 in the table'):
        resolve("gaussian-vae", read_config(tmp_path / "mine.json"))


def test_one_setting_with_two_values_is_refused():
    for said in (["seed=1", "seed=2"], ["estimator=pathwise", "estimator.name=rebar"], ["a.b=1", "a={b: 2}"]):
        with pytest.raises(InputError, match="expected one value; got two"):
            parse_overrides(said)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("c.yaml", "training.steps: 10\ntraining: {clip: 1.0}\n"),
        ("c.toml", '"training.steps" = 10\ntraining.clip = 1.0\n'),
        ("c.json", '{"training": {"clip": 1.0}, "training.steps": 10}'),
    ],
)
def test_a_dotted_key_of_a_file_is_read_as_the_word_is(name, text, tmp_path):
    (tmp_path / name).write_text(text)
    assert read_config(tmp_path / name) == parse_overrides(["training.steps=10", "training.clip=1.0"])
    assert resolve("gaussian-vae", {"training.steps": 10}).training.steps == 10
    (tmp_path / name).write_text(text.replace("clip", "steps"))
    with pytest.raises(InputError, match=r"training\.steps: expected one value; got two"):
        read_config(tmp_path / name)


def test_merge_leaves_its_arguments_alone():
    base, over = {"a": {"b": 1}}, {"a": {"c": 2}}
    assert merge(base, over) == {"a": {"b": 1, "c": 2}}
    assert (base, over) == ({"a": {"b": 1}}, {"a": {"c": 2}})


REFUSED = {
    "true for a number": ({"latent_dim": True}, "latent_dim: expected a number, not true or false; got True"),
    "true in a list of numbers": ({"hidden_dims": [8, True]}, r"hidden_dims: expected a number, .*; got \[8, True\]"),
    "true for a number of an estimator": (
        {"estimator": {"name": "pathwise", "samples": True}},
        "estimator.samples: expected a number, not true or false; got True",
    ),
    "unknown key": ({"latentdim": 3}, r"latentdim: no such setting \(did you mean 'latent_dim'\?\)"),
    "key of another model": ({"components": 3}, "components: no such setting"),
    "nested unknown key": (
        {"training": {"epoch": 3}},
        r'training\.epoch: no such setting; write training={"epochs": 20}$',
    ),
    "key without its table": ({"lerning_rate": 3}, r"did you mean 'training\.learning_rate'"),
    "unknown estimator": ({"estimator": {"name": "pathwize"}}, "did you mean 'pathwise'"),
    "unknown option": (
        {"estimator": {"sample": 3}},
        r"estimator\.sample: no such setting \(did you mean 'samples'\?\)",
    ),
    "no options": (
        {"objective": {"name": "iwae", "beta": 2}},
        r"objective\.beta: no such setting; this objective has no options",
    ),
    "unknown objective": ({"objective": {"name": "elbow"}}, "did you mean 'elbo'"),
    "a word for a table": (
        {"estimator": 3},
        'estimator: expected a table with a name, such as estimator={"name": "exact"}; got 3',
    ),
    "another word for a table": (
        {"estimator": "vimco"},
        r"estimator\.name: there is no 'vimco'; write estimator={\"name\": \"score-function\", "
        r"\"baseline\": \"leave-one-out\"}, "
        r"objective={\"name\": \"iwae\"}$",
    ),
    "a number for a table": ({"training": 5}, "training: expected a table; got 5"),
    "not a number": ({"latent_dim": "many"}, "latent_dim: expected an integer; got 'many'"),
    "not whole": ({"latent_dim": 2.5}, r"latent_dim: expected an integer; got 2\.5"),
    "not a list": ({"hidden_dims": 200}, r"hidden_dims: expected a list; got 200 \(write hidden_dims=\[200\]\)"),
    "not a choice": ({"activation": "relux"}, "activation: .*'relu', 'leaky-relu'.*got 'relux'"),
    "epochs and steps": ({"training": {"epochs": 1, "steps": 2}}, r"training\.steps: expected epochs or steps, one of"),
    "no epochs": ({"training": {"epochs": 0}}, r"training\.epochs: .*expected at least 1; got 0"),
    "rate zero": ({"training": {"learning_rate": 0}}, r"training\.learning_rate: expected more than 0; got 0"),
    "rate nan": ({"training": {"learning_rate": math.nan}}, r"training\.learning_rate: .*finite"),
    "rate infinite": ({"training": {"learning_rate": "inf"}}, r"training\.learning_rate: .*finite"),
    "negative seed": ({"seed": -1}, "seed: expected at least 0; got -1"),
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
    with pytest.raises(InputError, match=sentence) as refused:
        resolve("gaussian-vae", layer)
    assert "\n" not in str(refused.value)


def _accepted(model: str, words: list[str]) -> bool:
    """Whether a model takes the words, and its estimator and objective go with it."""
    try:
        settings = resolve(model, parse_overrides(words))
        built = settings.build_model(6)
        if settings.estimator is not None:
            settings.build_estimator(built).check(built, settings.build_objective())
    except InputError:
        return False
    return True


HINTS = [
    (f"{key}={name}", words)
    for key in ("estimator.name", "objective.name")
    for words, names in NAMES[key].items()
    for name in names.split()
]
HINTS += [(f"{name}=1", words) for words, names in KEYS.items() for name in names.split()]


@pytest.mark.parametrize(("word", "hint"), HINTS)
def test_every_hint_is_given_and_is_accepted(word, hint):
    given = {}
    for model in MODELS:
        try:
            resolve(model, parse_overrides([word]))
        except InputError as refusal:
            given[model] = str(refusal).partition("; write ")[2]
    assert hint in given.values()
    if hint.startswith(("estimator", "objective")):  # which do not suit every model
        assert any(_accepted(model, hint.split()) for model in MODELS)
    else:
        assert all(_accepted(model, said.split()) for model, said in given.items())


@pytest.mark.parametrize(
    ("name", "hint"), [(name, hint) for hint, names in NAMES["model"].items() for name in names.split()]
)
def test_every_hint_for_a_model_is_given_and_is_accepted(name, hint):
    with pytest.raises(InputError, match=f"model: there is no '{name}'; .*{re.escape(hint)}$"):
        resolve(name)
    model, *words = hint.split()
    assert _accepted(model, words)


@pytest.mark.parametrize(
    "key", ["lr", "training.lr", "training.LR", "optimizer.lr", "training.optimizer", "estimator.lr"]
)
def test_a_hint_looks_at_the_last_part_of_a_key(key):
    with pytest.raises(InputError, match=r"no such setting; .*training\.learning_rate=1e-3"):
        resolve("bernoulli-vae", parse_overrides([f"{key}=1e-3"]))


def test_a_typo_is_answered_with_what_is_close_and_not_with_every_setting():
    with pytest.raises(InputError) as refused:
        resolve("gaussian-vae", {"training": {"warmups": 3}})
    message = str(refused.value)
    assert message == "training.warmups: no such setting (did you mean 'warmup'?)"
    with pytest.raises(InputError, match="xyzzy: no such setting; vaelab settings MODEL lists all"):
        resolve("gaussian-vae", {"xyzzy": 3})


ODD = [
    *("010", "1_0", "0x10", "0b1", "1:30", "1e-3", "1e400", "-.inf", ".nan", "on", "null", "~", "=", "<<", "*a", "&a"),
    *("!x", "2024-13-45", "0b_", "'", "é", "±", "-1", "0", "-0.0", "5.", "", "\0", "\udcff", '"', "!!int abc"),
    *("{a: 1}", "{1: 2}", "9" * 5000, "1" * 300, "[" * 40, "{" * 40, "[1, [2, [3]]]", "[1, 2", "10000000000000"),
    *("[true]", "[null]", "a" * 9000, "{name: pathwise}", "{name: [1]}", "[[200], [200]]"),
]  # fmt: skip
REAL = [word for model in MODELS for word in words(resolve(model))]


def _odd_word(random):
    """A setting that there is, its key or its value changed."""
    key, _, value = random.choice(REAL).partition("=")
    if random.random() < 0.2:
        at = random.randrange(len(key))
        key = key[:at] + random.choice(["", ".", "..", "\0", "é", "-", "A", " "]) + key[at + 1 :]
    if random.random() < 0.2:
        key = random.choice(["seed", "device", "data", "scale", "training", "estimator", "objective", "model"])
    if random.random() < 0.7:
        value = (
            random.choice(ODD)[:4000] if random.random() < 0.8 else random.choice(ODD)[:20] + random.choice(ODD)[:20]
        )
    return f"{key}={value}"


def test_odd_words_and_files_give_settings_or_one_sentence(tmp_path):
    random = Random(0)
    refusals, accepted = [], 0
    for number in range(800):
        said = [_odd_word(random) for _ in range(random.choice([1, 1, 1, 2, 3]))]
        path = tmp_path / random.choice(["c.yaml", "c.json", "c.toml"])
        lines = "\n".join(word.replace("=", random.choice([": ", " = "]), 1) for word in said)
        path.write_bytes(lines.encode("utf-8", "surrogateescape"))
        try:
            resolve(random.choice(list(MODELS)), parse_overrides(said) if number % 3 else read_config(path))
            accepted += 1
        except InputError as refusal:
            refusals.append(str(refusal))
    assert min(accepted, len(refusals)) > 50
    assert [refusal for refusal in refusals if "\n" in refusal or not 10 < len(refusal) < 1000] == []


def test_an_unknown_model_is_refused():
    with pytest.raises(InputError, match=r"model: expected one of .*\(did you mean 'gaussian-vae'\?\)"):
        resolve("gausian-vae")


TABLES = {"objective": OBJECTIVES, "estimator": ESTIMATORS}
WRONG = {int: (0, -1, 0.5, "no such"), float: (-1.0, math.nan, math.inf, 3.0), str: ("no such", 1)}
OPTIONS = [
    (key, name, option, type(default))
    for key, table in TABLES.items()
    for name, kind in table.items()
    for option, (_, default) in options_of(kind).items()
    if default is not None and not isinstance(default, bool)
]


@pytest.mark.parametrize(("key", "name", "option", "kind"), OPTIONS, ids=lambda part: str(part))
def test_an_option_is_named_as_it_was_written(key, name, option, kind):
    sizes = (Sizes(5, 2),) if key == "estimator" else ()
    refused = {}
    for value in WRONG[kind]:
        try:
            TABLES[key][name](*sizes, **{option: value})
        except InputError as refusal:
            refused[value] = str(refusal)
    assert refused
    for value, sentence in refused.items():
        assert sentence.startswith(f"{option}: ")
        assert f"{key}." not in sentence
        with pytest.raises(InputError, match=rf"^{key}\.{option}: "):
            resolve("bernoulli-vae", {key: {"name": name, option: value}})


def test_training_settings_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        TrainingSettings(steps=3).steps = 4


def test_refusals_of_numbers_and_words():
    assert require_number("a", 0.5, 0, 1) == 0.5
    assert require_int("a", 3, 3) == 3
    for value in (1.5, math.nan, "1", None, True):
        with pytest.raises(InputError, match=r"a: expected a number in \[0, 1\]; got"):
            require_number("a", value, 0, 1)
    for value in (2**31, 10**5000):
        with pytest.raises(InputError, match=r"a: expected an integer of at most 2,147,483,647; got .{1,40}$"):
            require_int("a", value, 3)
    assert did_you_mean("xyz", ["gaussian-vae"]) == ""


# ---------------------------------------------------------------- short names


def _leaf_settings(model):
    values = resolve(model).model_dump(mode="json")
    return [f"{table}.{key}" for table, part in values.items() if isinstance(part, dict) for key in part]


@pytest.mark.parametrize("model", MODELS)
def test_every_setting_in_a_table_has_its_last_word_as_a_name_or_is_ambiguous(model):
    for name in _leaf_settings(model):
        table, _, word = name.partition(".")
        value = getattr(resolve(model), table)
        value = value[word] if isinstance(value, dict) else getattr(value, word)
        if word == "name":
            with pytest.raises(InputError, match=r"^name: expected the full name of a setting, objective.name or est"):
                resolve(model, {word: value})
        else:
            assert resolve(model, {word: value}) == resolve(model, {table: {word: value}})


@pytest.mark.parametrize(
    ("model", "word", "sentence"),
    [
        ("bernoulli-mixture", "components=zwei", "components: expected an integer or 'auto'; got 'zwei'"),
        ("bernoulli-mixture", "components=2.5", "components: expected an integer or 'auto'; got 2.5"),
        ("tree-mixture", "smoothing=[1]", "smoothing: expected a number or 'auto'; got [1]"),
        ("gaussian-vae", "condition=3", "condition: expected a word or a list; got 3"),
    ],
)
def test_a_value_of_several_types_is_told_all_of_them(model, word, sentence):
    with pytest.raises(InputError, match=re.escape(sentence)):
        resolve(model, parse_overrides([word]))


@pytest.mark.parametrize("layer", [{"steps": 7}, {"training.steps": 7}, {"training": {"steps": 7}}])
def test_a_short_name_means_the_full_one_in_words_and_files(layer, tmp_path):
    (tmp_path / "a.yaml").write_text(json.dumps(layer))
    assert resolve("gaussian-vae", read_config(tmp_path / "a.yaml")).training.steps == 7
    assert resolve("gaussian-vae", {"training": {"steps": 3}}, layer).training.steps == 7


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["steps=5", "training.steps=6"], "training.steps: expected one value; got two, 5 and 6"),
        (["steps=few"], "training.steps: expected an integer; got 'few'"),
        (["steps=-1"], "training.steps: expected at least 1; got -1"),
        (["temperature=2"], "estimator.temperature: no such setting"),
        (["stps=5"], "stps: no such setting (did you mean 'training.steps'?)"),
    ],
)
def test_a_fault_under_a_short_name_is_told_of_the_full_one(words, sentence):
    with pytest.raises(InputError, match=re.escape(sentence)):
        resolve("gaussian-vae", parse_overrides(words))


def test_a_setting_of_the_model_comes_before_those_of_tables():
    """``latent_dim`` or ``prior`` is the model's, whatever an estimator calls its options."""
    from vaelab.settings import short_names

    def build(*, samples: int = 3):
        """A model with an option that estimators have too."""

    assert short_names.with_full_names(build, {"samples": 8}) == {"samples": 8}
    assert short_names.with_full_names(MODELS["gaussian-vae"].build, {"samples": 8}) == {"estimator": {"samples": 8}}

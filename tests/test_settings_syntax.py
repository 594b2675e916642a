"""What an error says to write is in the syntax of the place of the mistake: words, a file, Python."""

import json
import tomllib

import pytest
import yaml

from tests.laws import binary_data
from vaelab.errors import InputError
from vaelab.models import gaussian_vae, made
from vaelab.objectives import ELBO
from vaelab.settings import Layer, parse_overrides, read_config, resolve, written
from vaelab.settings.hints import KEYS, NAMES
from vaelab.settings.layers import nested
from vaelab.settings.syntax import pairs_of
from vaelab.training import fit

WORDS = [*KEYS, *NAMES["estimator.name"], *NAMES["objective.name"], "training.compile=true seed=2"]
NEXT_LINE = " and in the next line "
READERS = {
    "words": lambda text: parse_overrides(text.split(" ")),
    "yaml": lambda text: yaml.safe_load(text.replace(NEXT_LINE, "\n").replace("1e-3", "1.0e-3")),
    "toml": lambda text: tomllib.loads(text.replace(NEXT_LINE, "\n")),
    "json": lambda text: json.loads(f"{{{text}}}"),
    "python": lambda text: eval(f"dict({text})"),
}


@pytest.mark.parametrize("syntax", READERS)
def test_what_is_written_is_read_as_the_words_are(syntax):
    for words in WORDS:
        text = written(pairs_of(words), syntax)
        assert nested(READERS[syntax](text).items()) == parse_overrides(words.split(" ")), text


FILES = {"c.yaml": "{}: {}", "c.toml": "{} = {}", "c.json": '{{"{}": {}}}'}
SAID = {
    "c.yaml": "write training.learning_rate: 1e-3",
    "c.toml": "write training.learning_rate = 1e-3",
    "c.json": 'write "training.learning_rate": 1e-3',
}


@pytest.mark.parametrize("name", FILES)
def test_a_mistake_in_a_file_is_told_in_the_syntax_of_the_file_and_one_in_words_in_theirs(name, tmp_path):
    wrong, right = (tmp_path / f"{kind}-{name}" for kind in ("wrong", "right"))
    wrong.write_text(FILES[name].format("lr", 1))
    right.write_text(FILES[name].format("training.steps", 7))
    with pytest.raises(InputError) as in_file:
        resolve("gaussian-vae", read_config(wrong), parse_overrides(["training.steps=3"]))
    with pytest.raises(InputError) as in_words:
        resolve("gaussian-vae", read_config(right), parse_overrides(["lr=3"]), {"seed": 1})
    assert str(in_file.value) == f"lr: no such setting; {SAID[name]}"
    assert str(in_words.value) == "lr: no such setting; write training.learning_rate=1e-3"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("hidden_dims: 200", "hidden_dims: expected a list; got 200 (write hidden_dims: [200])"),
        ("estimator: 3", "estimator: expected a table with a name, such as estimator.name: exact; got 3"),
        (
            "optimizer: sgd",
            "optimizer: no such setting; vaelab always uses Adam; training.learning_rate: 1e-3 sets its",
        ),
        ("estimator: reinforce", "estimator.name: there is no 'reinforce'; write name: score-function in the"),
        (
            "layers: [3]\ninference: wake-sleep\nestimator: rebar",
            "inference: 'wake-sleep' goes with name: wake-sleep in the table estimator; got 'rebar'",
        ),
    ],
)
def test_every_kind_of_advice_has_the_syntax_of_the_file(text, sentence, tmp_path):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(InputError) as refusal:
        resolve("sbn" if "layers" in text else "gaussian-vae", read_config(tmp_path / "c.yaml"))
    assert str(refusal.value).startswith(sentence)


IN_TABLES = {  # the same two mistakes in each syntax, as dotted keys and as tables
    "yaml": ["{}: 3", "training:\n  {}: 3", "training.{}: 3"],
    "toml": ["{} = 3", "[training]\n{} = 3", "training.{} = 3"],
    "json": ['{{"{}": 3}}', '{{"training": {{"{}": 3}}}}', '{{"training.{}": 3}}'],
}
ADVICE = {
    "yaml": ("learning_rate: 1e-3", "objective.warm_up: 1000"),
    "toml": ("learning_rate = 1e-3", "objective.warm_up = 1000"),
    "json": ('"learning_rate": 1e-3', '"objective.warm_up": 1000'),
}


@pytest.mark.parametrize("kind", IN_TABLES)
def test_a_mistake_in_a_table_of_a_file_is_told_where_the_lines_belong(kind, tmp_path):
    inside, elsewhere = ADVICE[kind]
    for number, form in enumerate(IN_TABLES[kind]):
        for key, advice in (("lr", f"{inside} in the table training"), ("kl_warmup", f"{elsewhere} at the top level")):
            (tmp_path / f"c.{kind}").write_text(form.format(key))
            with pytest.raises(InputError) as refusal:
                resolve("gaussian-vae", read_config(tmp_path / f"c.{kind}"))
            at_top = elsewhere if key == "kl_warmup" else inside.replace("learning", "training.learning")
            start = f"{'training.' if number else ''}{key}: no such setting; write "
            assert str(refusal.value).startswith(start + (advice if number else at_top))


@pytest.mark.parametrize(
    "value",
    ["200, lr=3", "200 hidden_dims=3", 'a "b"', "x" * 200, float("nan"), 7],
    ids=["comma", "space", "quotes", "long", "nan", "number"],
)
@pytest.mark.parametrize("syntax", [*READERS, "fit"])
def test_a_value_in_the_place_of_a_list_changes_no_hint(value, syntax):
    """Its list can be read in every syntax; a value that is long or no number is not repeated."""
    with pytest.raises(InputError) as refusal:
        resolve("gaussian-vae", Layer({"hidden_dims": value}, syntax))
    said = str(refusal.value)
    assert said.startswith("hidden_dims: expected a list; got ")
    if value in ("200, lr=3", 'a "b"', "200 hidden_dims=3", 7):
        text = said.partition(" (write ")[2].removesuffix(" where the model is built)").removesuffix(")")
        read = yaml.safe_load(text.partition("=")[2]) if syntax in ("words", "fit") else READERS[syntax](text)
        assert read == ([value] if syntax in ("words", "fit") else {"hidden_dims": [value]})
    else:
        assert "(write" not in said


SAYS = {"words": "null", "yaml": "null", "json": "null", "python": "None", "fit": "None", "toml": "leave the line out"}


@pytest.mark.parametrize("syntax", SAYS)
def test_the_word_for_a_setting_that_is_left_out_is_that_of_the_place(syntax):
    with pytest.raises(InputError, match=rf"latent_dim: .*; got 'none' \({SAYS[syntax]} "):
        resolve("gaussian-vae", Layer({"latent_dim": "none"}, syntax))
    with pytest.raises(InputError) as refusal:
        resolve("gaussian-vae", Layer({"columns": "kinds.yaml"}, syntax))
    assert ("--columns" in str(refusal.value)) == (syntax == "words")


OF_FIT = {
    "lr": "learning_rate=1e-3",
    "kl_warmup": r"objective=ELBO\(warm_up=1000\)",
    "k": "samples=4 where the estimator is made",
    "temperature": r"estimator=Rebar\(model, temperature=0.5\)",
    "z_dim": "latent_dim=20 where the model is built",
    "rng": "seed=1",
}


@pytest.mark.parametrize("name", OF_FIT)
def test_fit_says_what_it_takes(name):
    data = binary_data(rows=(20, 20, 20))
    with pytest.raises(InputError, match=rf"{name}: no such setting; write {OF_FIT[name]}$"):
        fit(gaussian_vae(data), data, **{name: 3})


def test_fit_names_no_objective_to_a_model_without_one():
    data = binary_data(rows=(20, 20, 20))
    with pytest.raises(InputError, match="kl_warmup: no such setting") as refusal:
        fit(made(data), data, kl_warmup=3)
    assert "objective" not in str(refusal.value)


@pytest.mark.parametrize("objective", [{"warm_up": 10}, "iwae", ELBO])
def test_fit_refuses_what_is_no_objective(objective):
    data = binary_data(rows=(20, 20, 20))
    with pytest.raises(InputError, match=r"^objective: expected an objective, such as ELBO\(warm_up=1000\); got "):
        fit(gaussian_vae(data), data, objective=objective)


@pytest.mark.parametrize("build", [gaussian_vae, made])
def test_fit_says_its_own_argument(build):
    data = binary_data(rows=(20, 20, 20))
    with pytest.raises(InputError, match=r"lr: no such setting; write learning_rate=1e-3$"):
        fit(build(data), data, lr=1e-3)

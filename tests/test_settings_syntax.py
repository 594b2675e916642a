"""What an error says to write is in the syntax of the place of the mistake: words, a file, Python."""

import json
import tomllib

import pytest
import yaml

from tests.laws import binary_data
from vaelab.errors import InputError
from vaelab.models import gaussian_vae, made
from vaelab.settings import parse_overrides, read_config, resolve, written
from vaelab.settings.hints import KEYS, NAMES
from vaelab.settings.layers import nested
from vaelab.training import fit

WORDS = [*KEYS, *NAMES["estimator.name"], *NAMES["objective.name"], "training.compile=true seed=2"]
READERS = {
    "words": lambda text: parse_overrides(text.split(" ")),
    "yaml": lambda text: yaml.safe_load(text.replace(" and ", "\n").replace("1e-3", "1.0e-3")),
    "toml": lambda text: tomllib.loads(text.replace(" and ", "\n")),
    "json": lambda text: json.loads(f"{{{text.replace(' and ', ', ')}}}"),
    "python": lambda text: eval(f"dict({text})"),
}


@pytest.mark.parametrize("syntax", READERS)
def test_what_is_written_is_read_as_the_words_are(syntax):
    for words in WORDS:
        text = written(words, syntax)
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
        ("estimator: reinforce", "estimator.name: there is no 'reinforce'; write estimator.name: score-function"),
        (
            "layers: [3]\ninference: wake-sleep\nestimator: rebar",
            "inference: 'wake-sleep' goes with estimator.name: wake-sleep; got 'rebar'",
        ),
    ],
)
def test_every_kind_of_advice_has_the_syntax_of_the_file(text, sentence, tmp_path):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(InputError) as refusal:
        resolve("sbn" if "layers" in text else "gaussian-vae", read_config(tmp_path / "c.yaml"))
    assert str(refusal.value).startswith(sentence)


@pytest.mark.parametrize("build", [gaussian_vae, made])
def test_fit_says_its_own_argument(build):
    data = binary_data(rows=(20, 20, 20))
    with pytest.raises(InputError, match=r"lr: no such setting; write learning_rate=1e-3$"):
        fit(build(data), data, lr=1e-3)

"""What an error says to write is in the syntax of the place of the mistake: words, a file, Python."""

import json
import math
import tomllib

import pytest
import yaml

from tests.laws import binary_data
from vaelab.errors import InputError
from vaelab.models import gaussian_vae, made
from vaelab.objectives import ELBO
from vaelab.settings import Layer, Place, Settings, TrainingSettings, parse_overrides, read_config, resolve, written
from vaelab.settings.hints import KEYS, NAMES
from vaelab.settings.layers import nested
from vaelab.settings.syntax import pairs_of
from vaelab.sklearn import GaussianVAE
from vaelab.studies.lab import Entry, Study
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
        text = written(pairs_of(words), Place(syntax))
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


FILES_WITH_TABLES = {  # how a top level and a table are written, with keys with dots and as a table
    "yaml": ("{}\n", "training:\n{}\n", "training."),
    "toml": ("{}\n", "[training]\n{}\n", "training."),
    "json": ("{}", '"training": {{\n{}\n}}', '"training.'),
}
LINES = {"yaml": "{}: {}", "toml": "{} = {}", "json": '"{}": {}'}
MISTAKES = {  # what is written at the top level and in the table: the mistake and what is there besides
    "at the top level beside a table": ([("lr", 3)], [("epochs", 7)]),
    "in a table": ([], [("lr", 3), ("epochs", 7)]),
    "that belongs elsewhere": ([("latent_dim", 5)], [("kl_warmup", 3)]),
    "like a key of the table": ([("learning_rat", 3)], [("epochs", 7)]),
    "like a key beside it": ([], [("learning_rat", 3), ("epochs", 7)]),
}


def content_of(kind, top, table):
    """Return the text of a file with lines at the top level, above those of the table ``training``."""
    start, form, _ = FILES_WITH_TABLES[kind]
    comma = "," if kind == "json" else ""
    lines = [f"{comma}\n".join(top)] if top else []
    if table:
        indented = f"{comma}\n".join("  " + line for line in table)
        lines.append(form.format(indented))
    return f"{{{','.join(lines)}}}" if kind == "json" else "".join(start.format(line) for line in lines)


def followed(said, kind, top, table):
    """Return the lines of a file after the advice of a refusal is followed to the letter."""
    if "did you mean" in said:
        name = said.partition("did you mean ")[2].partition("'")[2].partition("'")[0]
        advice, place = LINES[kind].format(name, "1e-3"), said.partition(name)[2]
    else:
        advice, _, place = said.partition("; write ")[2].partition(" in the table ")
        advice, _, at_top = advice.partition(" at the top level of the settings")
        place = " in the table " + place if place else at_top
    wrong = ("lr", "kl_warmup", "learning_rat")
    stood = "top" if any(word in line for line in top for word in wrong) else "table"
    where = "table" if "in the table training" in place else "top" if "at the top" in said else stood
    kept = [
        [line for line in lines if not any(f"{word}{end}" in line for word in wrong for end in (":", " =", '"'))]
        for lines in (top, table)
    ]
    kept[where == "table"].insert(0, advice)
    return kept


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize("kind", FILES_WITH_TABLES)
def test_what_is_said_about_a_mistake_in_a_file_works_when_it_is_followed_to_the_letter(kind, mistake, tmp_path):
    top, table = ([LINES[kind].format(*pair) for pair in pairs] for pairs in MISTAKES[mistake])
    file = tmp_path / f"c.{kind}"
    file.write_text(content_of(kind, top, table))
    with pytest.raises(InputError) as refusal:
        resolve("gaussian-vae", read_config(file))
    file.write_text(content_of(kind, *followed(str(refusal.value), kind, top, table)).replace("1e-3", "1.0e-3"))
    settings = resolve("gaussian-vae", read_config(file))
    assert (settings.objective["warm_up"] == 1000) == (mistake == "that belongs elsewhere")
    assert (settings.training.learning_rate == 1e-3) != (mistake == "that belongs elsewhere")


DOTTED = {
    "yaml": "training.epochs: 7\n{}: 3",
    "toml": "training.epochs = 7\n{} = 3",
    "json": '{{"training.epochs": 7, "{}": 3}}',
}


@pytest.mark.parametrize("kind", DOTTED)
@pytest.mark.parametrize("key", ["lr", "training.lr"])
def test_beside_keys_with_dots_the_advice_has_a_key_with_dots(kind, key, tmp_path):
    file = tmp_path / f"c.{kind}"
    file.write_text(DOTTED[kind].format(key))
    with pytest.raises(InputError) as refusal:
        resolve("gaussian-vae", read_config(file))
    assert str(refusal.value) == f"{key}: no such setting; write {LINES[kind].format('training.learning_rate', '1e-3')}"


def test_lines_for_two_tables_are_told_apart():
    place = Place("toml", frozenset({"estimator"}))
    said = written(
        pairs_of("estimator.name=score-function estimator.baseline=leave-one-out objective.name=iwae"), place
    )
    assert said == (
        'name = "score-function" and in the next line baseline = "leave-one-out" in the table estimator, and '
        'objective.name = "iwae" at the top level of the settings, above its tables'
    )


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
    with pytest.raises(InputError, match=rf"^{name}: no such setting; write {OF_FIT[name]}$"):
        fit(gaussian_vae(data), data, **{name: 3})


def test_fit_names_no_objective_to_a_model_without_one():
    data = binary_data(rows=(20, 20, 20))
    with pytest.raises(InputError, match=r"^kl_warmup: no such setting") as refusal:
        fit(made(data), data, kl_warmup=3)
    assert "objective" not in str(refusal.value)


@pytest.mark.parametrize("objective", [{"warm_up": 10}, "iwae", ELBO])
def test_fit_refuses_what_is_no_objective(objective):
    data = binary_data(rows=(20, 20, 20))
    with pytest.raises(InputError, match=r"^objective: expected an objective, such as ELBO\(warm_up=1000\); got "):
        fit(gaussian_vae(data), data, objective=objective)


OF_ARGUMENTS = {
    "of the wrong size": ({"batch_size": 0}, "batch_size: expected at least 1; got 0"),
    "of the wrong type": ({"epochs": "none"}, "epochs: expected an integer; got 'none' (None is the word for"),
    "like another": ({"learnin_rate": 1}, "learnin_rate: no such setting (did you mean 'learning_rate'?)"),
    "like none": ({"qqq": 1}, "qqq: no such setting; help(vaelab.training.TrainingSettings) lists all"),
    "two lengths": ({"epochs": 1, "steps": 2}, "steps: expected epochs or steps, one of the two; got 1 and 2"),
    "no settings": ({"settings": {"steps": 2}}, "settings: expected TrainingSettings, such as TrainingSettings(epochs"),
}


@pytest.mark.parametrize("argument", OF_ARGUMENTS)
@pytest.mark.parametrize("build", [gaussian_vae, made])
def test_fit_names_its_arguments_as_the_caller_wrote_them(build, argument):
    options, sentence = OF_ARGUMENTS[argument]
    data = binary_data(rows=(20, 20, 20))
    with pytest.raises(InputError) as refusal:
        fit(build(data), data, **options)
    assert str(refusal.value).startswith(sentence)


@pytest.mark.parametrize("argument", [name for name in OF_ARGUMENTS if name != "no settings"])
def test_settings_of_a_training_refuse_an_argument_as_fit_does(argument):
    options, sentence = OF_ARGUMENTS[argument]
    with pytest.raises(InputError) as refusal:
        TrainingSettings(**options)
    assert str(refusal.value).startswith(sentence)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("kind", [TrainingSettings, Settings, Entry, Study])
def test_every_class_of_settings_refuses_in_a_sentence(kind):
    name = next(iter(kind.model_fields))
    for options in ({name: object()}, {"no_such": 1}, {"title": math.nan}):
        with pytest.raises(InputError, match=r"^\w+: (expected|no such setting)[^\n]*$"):
            kind(**options)


IN_PYTHON = {
    "a number": (
        lambda: TrainingSettings(3),
        "TrainingSettings: expected settings by name, TrainingSettings(name=value)",
    ),
    "a table": (
        lambda: Settings({"model": "made"}),
        "Settings: expected settings by name, Settings(name=value); got {",
    ),
    "no model": (lambda: Settings(), "model: expected a value, as there is no default; got none"),
    "frozen": (
        lambda: setattr(TrainingSettings(), "steps", 3),
        "steps: settings are frozen; TrainingSettings(steps=...)",
    ),
    "not there": (lambda: setattr(TrainingSettings(), "stepz", 3), "stepz: TrainingSettings has no such setting"),
    "of a table": (lambda: Settings(model="made", training={"steps": 0}), "training.steps: expected at least 1; got 0"),
}


@pytest.mark.parametrize("mistake", IN_PYTHON)
def test_a_mistake_with_a_class_of_settings_is_refused_in_a_sentence(mistake):
    make, sentence = IN_PYTHON[mistake]
    with pytest.raises(InputError) as refusal:
        make()
    assert str(refusal.value).startswith(sentence)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("argument", ["of the wrong size", "of the wrong type", "two lengths"])
def test_an_estimator_of_scikit_learn_names_its_parameters_as_the_caller_wrote_them(argument):
    options, sentence = OF_ARGUMENTS[argument]
    with pytest.raises(InputError) as refusal:
        GaussianVAE(**options).fit(binary_data(rows=(20, 20, 20)).train.x)
    assert str(refusal.value).startswith(sentence)


IN_TABLES = {
    "estimator": ({"estimator": {"sample": 3}}, "estimator.sample: no such setting (did you mean 'estimator.samples'"),
    "objective": ({"objective": {"bet": 1}}, "objective.bet: no such setting (did you mean 'objective.beta'"),
}


@pytest.mark.parametrize("table", IN_TABLES)
def test_an_estimator_of_scikit_learn_names_the_setting_of_a_table_that_was_meant(table):
    options, sentence = IN_TABLES[table]
    with pytest.raises(InputError) as refusal:
        GaussianVAE(**options).fit(binary_data(rows=(20, 20, 20)).train.x)
    assert str(refusal.value).startswith(sentence)


def test_fit_names_no_table_where_a_model_has_no_encoder():
    data = binary_data(rows=(20, 20, 20))
    with pytest.raises(InputError, match=r"^log_gradient_variance: expected false"):
        fit(made(data), data, steps=1, log_gradient_variance=True)


@pytest.mark.parametrize("build", [gaussian_vae, made])
def test_fit_says_its_own_argument(build):
    data = binary_data(rows=(20, 20, 20))
    with pytest.raises(InputError, match=r"^lr: no such setting; write learning_rate=1e-3$"):
        fit(build(data), data, lr=1e-3)

"""Room: sweep. What varies, which combinations are tried, and by which bound they are compared; no training here."""

import json

import numpy as np
import pytest

from vaelab.errors import InputError
from vaelab.settings import Layer, parse_overrides, resolve, words
from vaelab.studies.sweep import Result, read_space, ready_space, run_sweep, sweep_table
from vaelab.studies.sweep.results import metric_of, write_results
from vaelab.studies.sweep.search import OptunaSearch, drawn, grid
from vaelab.studies.sweep.space import Range, name_of


def space_of(model, *said, **flags):
    return read_space(model, parse_overrides(list(said)), flags)


def test_a_grid_is_every_combination_in_the_order_of_the_command():
    space = space_of("gaussian-vae", "latent_dim=[2,10]", "training.learning_rate=[1e-3,3e-3]")
    assert [name_of(values) for values in grid(space)] == [
        "latent_dim=2,learning_rate=0.001",
        "latent_dim=2,learning_rate=0.003",
        "latent_dim=10,learning_rate=0.001",
        "latent_dim=10,learning_rate=0.003",
    ]
    settings = space.resolve(grid(space)[1])
    assert (settings.latent_dim, settings.training.learning_rate) == (2, 0.003)


def test_the_space_for_tables_is_eight_trainings_and_the_command_overrides_it():
    ready = ready_space("table", "gaussian-vae")
    whole = read_space("gaussian-vae", ready)
    combinations = [whole.resolve(values) for values in grid(whole)]
    assert {(s.likelihood, tuple(s.hidden_dims), s.objective["name"]) for s in combinations} == {
        (likelihood, widths, objective)
        for likelihood in ("bernoulli", "tree")
        for widths in ((200,), (400,))
        for objective in ("elbo", "iwae")
    }
    less = read_space("gaussian-vae", ready, parse_overrides(["likelihood=tree", "objective=elbo"]))
    assert less.varied == {"hidden_dims": ([200], [400])}


@pytest.mark.parametrize(
    ("name", "model", "sentence"),
    [
        ("tabel", "gaussian-vae", "space: expected one of table; got 'tabel'"),
        ("table", "sbn", "space: table is for gaussian-vae; for sbn give settings with alternatives"),
        ("table", "vae", "model: "),
    ],
)
def test_another_space_is_refused(name, model, sentence):
    with pytest.raises(InputError, match=sentence):
        ready_space(name, model)


LISTS = {  # model, word -> its alternatives, or None where the list is one value
    "numbers": ("gaussian-vae", "latent_dim=[2,10]", (2, 10)),
    "one layer a number": ("gaussian-vae", "hidden_dims=[200,400]", None),
    "lists of layers": ("gaussian-vae", "hidden_dims=[[200],[400,400]]", ([200], [400, 400])),
    "no layer": ("gaussian-vae", "hidden_dims=[[],[200]]", ([], [200])),
    "layers of bits": ("sbn", "layers=[200,200]", None),
    "optional list": ("sbn", "encoder_dims=[[100],[200]]", ([100], [200])),
    "list of lists": ("deep-gaussian-vae", "hidden_dims=[[200,200],[100,100]]", None),
    "alternatives of it": ("deep-gaussian-vae", "hidden_dims=[[[9],[8]],[[7],[6]]]", ([[9], [8]], [[7], [6]])),
    "number or list": ("autoencoder", "components=[10,20]", None),
    "either": ("autoencoder", "components=[10,[20,30]]", (10, [20, 30])),
    "nothing or a number": ("gaussian-vae", "training.clip=[null,10]", (None, 10)),
    "names": ("bernoulli-vae", "estimator.name=[rebar,disarm]", ("rebar", "disarm")),
    "an option of an estimator": ("bernoulli-vae", "estimator.samples=[2,4]", (2, 4)),
    "seeds": ("gaussian-vae", "seed=[0,1]", (0, 1)),
    "an unknown setting, refused later": ("gaussian-vae", "latent_dmi=[2,3]", (2, 3)),
}


@pytest.mark.parametrize("case", LISTS)
def test_a_list_is_alternatives_unless_the_setting_is_a_list(case):
    model, word, expected = LISTS[case]
    if expected is None:
        key = word.partition("=")[0]
        with pytest.raises(InputError, match=rf"got none \({key}=.* is one value; alternatives are {key}=\[\["):
            space_of(model, word)
    else:
        assert list(space_of(model, word).varied.values()) == [expected]


@pytest.mark.parametrize(
    ("syntax", "example"),
    [("words", "latent_dim=[2,10]"), ("yaml", "latent_dim: [2,10]"), ("toml", "latent_dim = [2,10]")],
)
def test_a_sweep_without_alternatives_is_told_in_the_syntax_of_its_settings(syntax, example):
    with pytest.raises(InputError) as refusal:
        read_space("gaussian-vae", Layer({"latent_dim": 3}, syntax), Layer({}, "words"))
    assert str(refusal.value).endswith(f"such as {example}; got none")


def test_a_list_that_is_one_value_is_said_to_be_one():
    space = space_of("gaussian-vae", "latent_dim=[2,3]", "hidden_dims=[9,8]")
    assert space.notes == ("hidden_dims=[9,8] is one value; alternatives are hidden_dims=[[9,8],...]",)
    assert {tuple(space.resolve(values).hidden_dims) for values in grid(space)} == {(9, 8)}


def test_what_comes_later_wins():
    file = {"latent_dim": [2, 3], "training": {"epochs": 3, "learning_rate": 1e-3}}
    space = read_space("gaussian-vae", file, {"latent_dim": 5, "training": {"steps": [10, 20]}})
    assert space.varied == {"training.steps": (10, 20)}
    settings = space.resolve({"training.steps": 20})
    assert (settings.latent_dim, settings.training.steps, settings.training.epochs) == (5, 20, None)


def test_options_stay_with_an_estimator_that_varies():
    space = space_of("bernoulli-vae", "estimator.name=[rebar,disarm]", "estimator.samples=4")
    assert [space.resolve(values).estimator["samples"] for values in grid(space)] == [4, 4]


def test_ranges():
    space = space_of("gaussian-vae", "latent_dim=2..5", "training.learning_rate=log:1e-4..1e-2", "training.clip=1..2")
    assert space.varied == {
        "latent_dim": Range(2, 5, log=False, whole=True),
        "training.learning_rate": Range(1e-4, 1e-2, log=True, whole=False),
        "training.clip": Range(1, 2, log=False, whole=False),
    }
    found = drawn(space, 400, seed=0)
    assert {values["latent_dim"] for values in found} == {2, 3, 4, 5}
    rates = np.array([values["training.learning_rate"] for values in found])
    assert rates.min() >= 1e-4
    assert rates.max() <= 1e-2
    # Even on the log scale: 400 draws fall below the middle 200 ± 50 times (5 standard errors; false alarm 6e-7).
    assert abs((rates < 1e-3).sum() - 200) < 50
    assert len({name_of(values) for values in found}) == 400


def test_draws_are_seeded_different_and_the_first_of_more():
    space = space_of("gaussian-vae", "latent_dim=[1,2,3,4]", "seed=[0,1,2]")
    twelve = drawn(space, 12, seed=0)
    assert sorted(map(name_of, twelve)) == sorted(map(name_of, grid(space)))
    assert drawn(space, 5, seed=0) == twelve[:5] != drawn(space, 5, seed=1)


REFUSED = {
    "nothing varies": (("latent_dim=2",), "expected a setting with alternatives"),
    "twice": (("latent_dim=[2,2]",), "latent_dim: 2 is listed twice"),
    "twice, written otherwise": (("training.learning_rate=[1e-3,0.001]",), "is listed twice"),
    "twice, as an integer and not": (("latent_dim=[1,1.0]",), "latent_dim: 1 is listed twice"),
    "empty": (("latent_dim=[]",), "got an empty list"),
    "tables": (("estimator=[{name: rebar}]",), "expected alternatives that are values"),
    "data": (("data=[mnist,other.npz]",), "data: bounds on different data are not comparable"),
    "scales": (("scale=[1,2]",), "scale: bounds on different data are not comparable"),
    "readings": (("values=[bits,unit]",), "values: bounds on different data are not comparable"),
    "columns of labels": (("label_column=[a,b]",), "label_column: bounds on different data are not comparable"),
    "protocols": (("binarisation=[static,dynamic]",), "binarisation: bounds on different data are not comparable"),
    "backwards": (("latent_dim=5..2",), "expected a range from low to high"),
    "log of zero": (("training.learning_rate=log:0..1",), "above 0 on a log scale"),
    "half a unit": (("latent_dim=2..5.5",), "expected a range of integers"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_space_that_makes_no_sense_is_refused(case):
    said, expected = REFUSED[case]
    with pytest.raises(InputError, match=expected):
        space_of("gaussian-vae", *said)


COMBINATIONS = {
    "unknown setting": ("gaussian-vae", ("latent_dmi=[2,3]",), r"^latent_dmi=2: .*did you mean 'latent_dim'"),
    "value out of range": ("gaussian-vae", ("latent_dim=[2,0]",), r"^latent_dim=0: latent_dim"),
    "pair that cannot work": (
        "bernoulli-vae",
        ("estimator.name=[rebar,pathwise]", "latent_dim=[2,3]"),
        r"^estimator\.name=pathwise latent_dim=2: .*needs codes of kind",
    ),
    "option of another estimator": (
        "bernoulli-vae",
        ("estimator.name=[rebar,disarm]", "estimator.temperature=0.5"),
        r"^estimator\.name=disarm: .*temperature",
    ),
    "a model": ("gaussian-vae", ("model=[gaussian-vae,sbn]",), r"^model=sbn: .*the command says 'gaussian-vae'"),
    "a range in a grid": ("gaussian-vae", ("latent_dim=2..5",), "--random N or --guided N"),
    "no warm-up of iwae": (
        "gaussian-vae",
        ("objective.name=[elbo,iwae]", "objective.warm_up=5", "estimator.samples=2"),
        r"^objective\.name=iwae: objective\.warm_up",
    ),
}


@pytest.mark.parametrize("case", COMBINATIONS)
def test_all_combinations_are_checked_before_anything_is_written(case, tmp_path):
    model, said, expected = COMBINATIONS[case]
    with pytest.raises(InputError, match=expected):
        run_sweep(space_of(model, *said), tmp_path / "s")
    assert list(tmp_path.iterdir()) == []


def test_more_combinations_than_there_are_are_refused(tmp_path):
    space = space_of("gaussian-vae", "latent_dim=[2,3]", "seed=0..1")
    for how in ("random", "guided"):
        with pytest.raises(InputError, match=f"{how}: expected at most 4"):
            run_sweep(space, tmp_path / "s", **{how: 5})
        with pytest.raises(InputError, match=f"{how}: expected an integer of at least 1"):
            run_sweep(space, tmp_path / "s", **{how: 0})
    with pytest.raises(InputError, match="one of the two"):
        run_sweep(space, tmp_path / "s", random=2, guided=2)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("model", ["gaussian-vae", "bernoulli-vae", "sbn", "deep-gaussian-vae", "autoencoder"])
def test_the_words_of_settings_give_the_same_settings(model):
    settings = resolve(model, {"training": {"steps": 7, "learning_rate": 1e-5, "clip": 2}, "activation": "silu"})
    again = resolve(model, parse_overrides(words(settings)))
    assert again.model_dump(mode="json") == settings.model_dump(mode="json")


def test_one_yardstick_for_all():
    elbo, iwae = resolve("gaussian-vae"), resolve("gaussian-vae", {"objective": {"name": "iwae"}})
    assert metric_of([elbo, elbo]).record == "elbo"
    assert metric_of([elbo, iwae]).record == "iwae-100"
    assert metric_of([resolve("autoencoder")]).record == "reconstruction-error"


def test_the_table_and_its_files(tmp_path):
    space = space_of("gaussian-vae", "hidden_dims=[[9],[8,8]]", "training.clip=[null,2]")
    measure = metric_of([resolve("gaussian-vae")])
    results = [
        Result("a", {"hidden_dims": [8, 8], "training.clip": None}, -100.125, 0.25, 12.34),
        Result("b", {"hidden_dims": [9], "training.clip": 2}, failure="training: not finite; try less"),
    ]
    header, rows = sweep_table(results, space, measure)
    assert header == ["hidden_dims", "clip", "validation ELBO", "seconds"]
    assert rows == [["[8,8]", "null", "-100.12 ± 0.25", "12.3"], ["[9]", "2", "failed: training: not finite", "-"]]
    content = write_results(tmp_path, results, space, measure, {"search": "grid"})
    assert content.items() <= json.loads((tmp_path / "sweep.json").read_text()).items()
    assert (tmp_path / "sweep.csv").read_text().splitlines()[1:] == [
        'a,"[8,8]",null,-100.125,0.25,12.34,',
        "b,[9],2,,,,training: not finite; try less",
    ]
    assert not (tmp_path / "sweep.png").exists(), "one point is no figure"


def bound_of(values):
    """A bound with its best at 12 units and a rate of 0.01."""
    return -((values["latent_dim"] - 12) ** 2) - 30 * np.log10(values["training.learning_rate"] / 0.01) ** 2


def searched(space, folder, count, stop=None):
    """Follow a guided search, one proposal at a time; leave it in the middle of proposal ``stop``."""
    found = []
    search = OptunaSearch(space, count, 0, folder)
    for values in search:
        found.append(values)
        if len(found) - 1 == stop:
            break
        search.tell(values, bound_of(values))
    return found


@pytest.fixture
def valley():
    return space_of("gaussian-vae", "latent_dim=2..40", "training.learning_rate=log:1e-4..1", "activation=[relu,tanh]")


def test_a_guided_search_finds_more_than_chance(valley, tmp_path):
    guided = searched(valley, tmp_path, 30)
    assert len({name_of(values) for values in guided}) == 30
    late = np.mean([bound_of(values) for values in guided[15:]])
    chance = np.mean([bound_of(values) for values in drawn(valley, 200, seed=0)])
    assert late > chance / 3


def test_a_guided_search_that_is_killed_goes_on_as_if_it_had_not_been(valley, tmp_path):
    for folder in ("whole", "killed"):
        (tmp_path / folder).mkdir()
    whole = searched(valley, tmp_path / "whole", 12)
    assert searched(valley, tmp_path / "killed", 12, stop=7) == whole[:8]
    journal = tmp_path / "killed" / "optuna.jsonl"
    journal.with_name("optuna.jsonl.lock").symlink_to(journal)  # as a kill while it was written to leaves it
    journal.write_bytes(journal.read_bytes() + b'{"op_code":5,"wor')
    assert searched(valley, tmp_path / "killed", 12) == whole
    assert searched(valley, tmp_path / "killed", 13)[:12] == whole


def test_a_guided_search_learns_from_what_failed_once_and_then_came_right(valley, tmp_path):
    for bounds in ([None, -3.0], [-2.0, -3.0], [-2.0, -3.0]):
        search = OptunaSearch(valley, 2, 0, tmp_path)
        for values, bound in zip(search, bounds, strict=True):
            search.tell(values, bound)
    assert sorted(trial.value for trial in search.study.trials if trial.value is not None) == [-3.0, -2.0]
    assert search.study.best_value == -2.0


def test_a_guided_search_exhausts_a_small_space_without_repeating(tmp_path):
    space = space_of("gaussian-vae", "latent_dim=[2,12,40]", "training.learning_rate=[1e-3,1e-2]")
    found = searched(space, tmp_path, 6)
    assert sorted(map(name_of, found)) == sorted(map(name_of, grid(space)))


def test_a_journal_of_another_space_is_refused(valley, tmp_path):
    searched(valley, tmp_path, 2)
    with pytest.raises(InputError, match=r"resume: .* holds a search over latent_dim="):
        searched(space_of("gaussian-vae", "latent_dim=[2,3]"), tmp_path, 2)


def test_without_optuna_one_sentence_says_how_to_install_it(valley, tmp_path, monkeypatch):
    monkeypatch.setattr("vaelab.studies.sweep.search.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'vaelab\[sweep\]'"):
        run_sweep(valley, tmp_path / "s", guided=3)
    assert list(tmp_path.iterdir()) == []


def test_a_short_name_varies_the_setting_it_means():
    space = read_space("gaussian-vae", {"learning_rate": [1e-3, 1e-2], "steps": 5})
    assert space.varied == {"training.learning_rate": (1e-3, 1e-2)}
    assert space.resolve({"training.learning_rate": 1e-2}).training.learning_rate == 1e-2
    with pytest.raises(InputError, match=r"expected the full name of a setting, objective\.name or estimator\.name"):
        read_space("gaussian-vae", {"name": ["elbo", "iwae"]})

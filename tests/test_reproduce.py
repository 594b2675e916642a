"""benchmarks/reproduce: every recipe can be trained, and a result replaces an earlier one of the same training."""

from __future__ import annotations

import json
import runpy
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from benchmarks.reproduce.recipes import RECIPES
from benchmarks.reproduce.records import add_record, read_records

from vaelab.estimators import Sizes
from vaelab.runs import Run
from vaelab.settings import resolve

ROOM = Path(__file__).parents[1] / "benchmarks" / "reproduce"


@pytest.mark.parametrize("row", RECIPES)
def test_the_settings_of_a_recipe_are_settings(row):
    recipe = RECIPES[row]
    settings = resolve(recipe.model, recipe.settings)
    assert settings.training.steps >= 10_000
    assert settings.build_objective().name in ("elbo", "iwae")
    assert settings.build_estimator(Sizes(784, 40)).samples >= 1
    assert recipe.training_rows in (50_000, 59_600)


def test_the_table_has_no_training_of_another_objective_than_its_row():
    same_bound = runpy.run_path(str(ROOM.parents[1] / "docs" / "reproduce_table.py"))["_bound_of"]
    for changes, equal in {"objective.warm_up=0": True, "objective.name=iwae": False, "seed=1": True}.items():
        assert (same_bound(RECIPES["vae"], [changes]) == same_bound(RECIPES["vae"], [])) == equal
    assert same_bound(RECIPES["iwae-5"], ["estimator.samples=50"]) != same_bound(RECIPES["iwae-5"], [])


def test_a_record_replaces_that_of_the_same_training(tmp_path):
    path = tmp_path / "results.json"
    assert read_records(path) == []
    first = {"row": "vae", "changes": [], "seed": 0, "steps_planned": 180_000, "hardware": "gpu", "validation": 1.0}
    others = [
        {"seed": 1},
        {"changes": ["latent_dim=20"]},
        {"steps_planned": 100},
        {"hardware": "processor"},
        {"batch_size": 100},
        {"start": "iwae-5"},
    ]
    for record in (first, *(first | other for other in others), first | {"validation": 3.0}):
        add_record(record, path)
    assert read_records(path) == [*(first | other for other in others), first | {"validation": 3.0}]


@pytest.fixture
def command(monkeypatch, tmp_path):
    """Return the command with recipes that take a second."""
    monkeypatch.syspath_prepend(str(ROOM))
    for name in ("recipes", "records", "training"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    main = runpy.run_path(str(ROOM / "__main__.py"))["main"]
    recipes = sys.modules["recipes"].RECIPES
    for name in ("iwae-5", "iwae-50"):
        length = {"steps": 6, "batch_size": 10, "learning_rate": 1e-3, "warmup": 1, "validate_every": 3, "log_every": 3}
        settings = recipes[name].settings | {"latent_dim": 2, "hidden_dims": [3], "training": length}
        settings["estimator"] = {"name": "pathwise", "samples": 2}
        monkeypatch.setitem(recipes, name, replace(recipes[name], settings=settings, samples=2))

    def run(*words):
        places = ("--out", str(tmp_path / "runs"), "--results", str(tmp_path / "results.json"), "--device", "cpu")
        monkeypatch.setattr(sys, "argv", ["reproduce", *words, *places])
        main()
        return json.loads((tmp_path / "results.json").read_text())

    yield run
    for name in ("recipes", "records", "training"):
        sys.modules.pop(name, None)


def test_a_row_starts_from_the_weights_of_another_which_is_trained_first(command, tmp_path, capsys):
    (record,) = command("iwae-50")
    assert (record["row"], record["start"], record["steps"]) == ("iwae-50", "iwae-5", 6)
    first = Run(tmp_path / "runs" / "iwae-5-0")
    assert first.finished
    weights = first.weights()
    longer = command("iwae-50", "--steps", "1")[-1]
    assert first.weights() == weights  # a finished run is not trained again
    start, after = first.load_model(), Run(tmp_path / "runs" / "iwae-50-from-iwae-5-steps-1-0").load_model()
    weights, moved = (dict(model.state_dict()) for model in (start, after))
    distance = max(float((moved[name] - weight).abs().max()) for name, weight in weights.items())
    assert 0 < distance < 1.1e-3  # one step of Adam: the learning rate
    assert longer["steps_planned"] == 1
    with pytest.raises(SystemExit):
        command("iwae-50", "activation=relu")
    assert "activation: expected 'tanh', as in" in capsys.readouterr().err


def test_a_row_does_not_start_from_a_run_of_another_recipe_nor_from_an_unfinished_one(command, capsys, monkeypatch):
    recipes = sys.modules["recipes"].RECIPES
    now = recipes["iwae-5"]
    other = now.settings | {"training": now.settings["training"] | {"batch_size": 20}}
    with monkeypatch.context() as patch:
        patch.setitem(recipes, "iwae-5", replace(now, settings=other))
        command("iwae-5")
    with pytest.raises(SystemExit):
        command("iwae-50")
    assert "training.batch_size is 20" in capsys.readouterr().err
    stopped = SimpleNamespace(finished=False, settings=resolve("gaussian-vae", {"training": {"steps": 9}}))
    monkeypatch.setattr(sys.modules["training"], "train", lambda *_, **__: (stopped, SimpleNamespace(steps=2)))
    with pytest.raises(SystemExit):
        command("iwae-50")
    assert "iwae-5 was stopped at step 2 of 9; the same command goes on" in capsys.readouterr().err

"""benchmarks/reproduce: every recipe can be trained, and a result replaces an earlier one of the same training."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
from benchmarks.reproduce.recipes import RECIPES
from benchmarks.reproduce.records import add_record, read_records

from vaelab.estimators import Sizes
from vaelab.settings import resolve


@pytest.mark.parametrize("row", RECIPES)
def test_the_settings_of_a_recipe_are_settings(row):
    recipe = RECIPES[row]
    settings = resolve(recipe.model, recipe.settings)
    assert settings.training.steps >= 10_000
    assert settings.build_objective().name in ("elbo", "iwae")
    assert settings.build_estimator(Sizes(784, 40)).samples >= 1
    assert recipe.training_rows in (50_000, 59_600)


def test_the_table_has_no_training_of_another_objective_than_its_row():
    same_bound = runpy.run_path(str(Path(__file__).parents[1] / "docs" / "reproduce_table.py"))["_bound_of"]
    for changes, equal in {"objective.warm_up=0": True, "objective.name=iwae": False, "seed=1": True}.items():
        assert (same_bound(RECIPES["vae"], [changes]) == same_bound(RECIPES["vae"], [])) == equal
    assert same_bound(RECIPES["iwae-5"], ["estimator.samples=50"]) != same_bound(RECIPES["iwae-5"], [])


def test_a_record_replaces_that_of_the_same_training(tmp_path):
    path = tmp_path / "results.json"
    assert read_records(path) == []
    first = {"row": "vae", "changes": [], "seed": 0, "steps_planned": 180_000, "hardware": "gpu", "validation": 1.0}
    others = [{"seed": 1}, {"changes": ["latent_dim=20"]}, {"steps_planned": 100}, {"hardware": "processor"}]
    for record in (first, *(first | other for other in others), first | {"validation": 3.0}):
        add_record(record, path)
    assert read_records(path) == [*(first | other for other in others), first | {"validation": 3.0}]

"""The published rows of MNIST beside what `benchmarks/reproduce` measured; the page `reproduce.md` takes it in.

`python docs/reproduce_table.py` prints it in a terminal.
"""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

from vaelab.settings import parse_overrides, resolve

ROOM = Path(__file__).parents[1] / "benchmarks" / "reproduce"
_HEAD = "| row | published | here (−bound) | −ELBO | active units | steps × batch | minutes |"


def markdown() -> str:
    """Return the table: of each row that was trained, the training with the best validation bound.

    Trainings with another objective than that of the recipe are left out, because their bounds do not compare.
    """
    recipes = runpy.run_path(str(ROOM / "recipes.py"))["RECIPES"]
    records = runpy.run_path(str(ROOM / "records.py"))["read_records"]()
    lines = [_HEAD, "|---|---|---|---|---|---|---|"]
    for name, recipe in recipes.items():
        of_row = [record for record in records if record["row"] == name]
        found = [record for record in of_row if _bound_of(recipe, record["changes"]) == _bound_of(recipe, [])]
        if found:
            lines.append(_line(name, recipe, max(found, key=lambda record: record["validation"])))
    machines = sorted({f"{record['hardware']}, torch {record['torch']}" for record in records})
    seeds = ", ".join(str(seed) for seed in sorted({record["seed"] for record in records}))
    return "\n".join([*lines, "", f"*Hardware: {'; '.join(machines)}. Seed: {seeds}.*"])


def _bound_of(recipe: Any, changes: list[str]) -> tuple[Any, ...]:
    """Return what the validation bound of a training depends on beside the weights; its end has no warm-up."""
    settings = resolve(recipe.model, recipe.settings, parse_overrides(changes))
    return settings.objective | {"warm_up": 0}, settings.estimator["samples"], settings.binarisation


def _line(name: str, recipe: Any, record: dict[str, Any]) -> str:
    bound = max((name for name in record["test"] if name.startswith("iwae")), key=lambda name: int(name[5:]))
    here, error = record["test"][bound]
    elbo, elbo_error = record["test"]["elbo"]
    figure = "" if recipe.published is None else f"{recipe.published:.2f} ({recipe.published_bound}) "
    others = f"; others {recipe.others}" if recipe.others else ""
    changed = "".join(f" `{word}`" for word in record["changes"])
    stopped = "" if record["steps"] == record["steps_planned"] else f" of {record['steps_planned']:,}"
    start = f" from the weights of `{record['start']}`" if record.get("start") else ""
    cells = [
        f"`{name}`{changed}{start}: {recipe.title}; {recipe.training_rows:,} images, {recipe.binarisation}",
        f"{figure}{recipe.source}{others}",
        f"**{-here:.2f} ± {error:.2f}** ({bound})",
        f"{-elbo:.2f} ± {elbo_error:.2f}",
        f"{record['active_units']:.0f}",
        f"{record['steps']:,}{stopped} × {record['batch_size']}",
        f"{record['seconds'] / 60:.1f}",
    ]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    print(markdown())

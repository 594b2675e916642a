"""Published rows of the literature on MNIST, trained again: one command a row.

    python benchmarks/reproduce ROW [SETTING=VALUE ...] [--device cuda] [--steps N] [--minutes M] [--out DIR]

A row is trained into a run directory, DIR/ROW-SEED, and evaluated on the test split; the result is added to
benchmarks/results/reproduce.json, where it replaces that of the same training on the same hardware alone. The same
command goes on with a training that was stopped: by Ctrl-C, by SIGTERM, or after --minutes. Settings after the row
replace those of the recipe. A row that starts from the weights of another trains that one first, with the recipe as it
is and without a result of its own, unless its finished run is in DIR. Without a row, the rows are listed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from recipes import RECIPES
from records import RESULTS, add_record
from training import Unfinished, reproduce

from vaelab.errors import InputError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("row", nargs="?", choices=RECIPES, metavar="ROW", help=", ".join(RECIPES))
    parser.add_argument("words", nargs="*", metavar="SETTING=VALUE")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, help="another length, of this row alone")
    parser.add_argument("--minutes", type=float, help="the training stops after so many, and saves a checkpoint")
    parser.add_argument("--out", type=Path, default=Path("runs/reproduce"), help="the folder of the run directories")
    parser.add_argument("--results", type=Path, default=RESULTS)
    asked = parser.parse_intermixed_args()
    if asked.row is None:
        for name, recipe in RECIPES.items():
            figure = "" if recipe.published is None else f", published {recipe.published:.2f}"
            print(f"{name:20} {recipe.title}{figure}")
        return
    try:
        record = reproduce(asked.row, asked.words, asked.out, asked.device, asked.seed, asked.steps, asked.minutes)
    except InputError as refusal:
        parser.error(str(refusal))
    except Unfinished as stop:
        parser.exit(1, f"{stop}\n")
    add_record(record, asked.results)
    print(record)


if __name__ == "__main__":
    main()

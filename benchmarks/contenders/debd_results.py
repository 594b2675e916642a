"""The results of the benchmark of the binary tables: those that were just measured, and those that are committed."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["KINDS", "NAMES", "Measured", "Summary", "committed", "keep", "measured", "renewed"]

# By the number of columns.
NAMES = (
    *("nltcs", "plants", "baudio", "jester", "bnetflix", "accidents", "mushrooms"),
    *("pumsb_star", "dna", "nips", "moviereview", "bbc", "voting"),
)
KINDS = {
    "simple": "counts: no gradient",
    "network": "networks without codes",
    "deep": "models with codes",
    "peer": "other libraries",
}
_NUMBERS, _ROWS = "debd.json", "debd_rows.npz"
_UNIT = 100  # log p(x) of a row is committed in hundredths of a nat


@dataclass(frozen=True)
class Measured:
    """A model on a table: means over its seeds.

    Attributes:
        table: the name of the table.
        model: the name of the model.
        kind: a key of ``KINDS``.
        bound: what the number is: ``exact``, ``iwae-1000``, ``ais-2000``.
        seeds: how many trainings.
        test: mean log p(x) of the test rows.
        standard_error: of this mean, over the test rows.
        range_of_seeds: the largest mean of a seed less the smallest.
        validation: log p(x) of the validation rows.
        processor_seconds: of a training on one thread; None on another device.
        torch: the version of torch; empty where it was not kept.
        values: log p(x) of each test row, (N,); None where only the mean was kept.
        below_best: what was kept beside such a mean: how far it was below the best of its table.
        below_best_error: the standard error of that, paired over the rows.
    """

    table: str
    model: str
    kind: str
    bound: str
    seeds: int
    test: float
    standard_error: float
    range_of_seeds: float
    validation: float
    processor_seconds: float | None
    torch: str = ""
    values: NDArray[np.float64] | None = None
    below_best: float | None = None
    below_best_error: float | None = None

    def behind(self, other: Measured) -> tuple[float, float | None]:
        """Return how far this is below another one, and the standard error, paired over the rows if these are kept."""
        if self.values is None or other.values is None:
            was_best = other.values is None and other.below_best == 0
            is_kept = self.values is None and self.below_best is not None and was_best
            return (self.below_best or 0.0, self.below_best_error) if is_kept else (other.test - self.test, None)
        difference = other.values - self.values
        return float(difference.mean()), float(difference.std(ddof=1) / math.sqrt(len(difference)))


@dataclass(frozen=True)
class Summary:
    """Everything that was measured, and what is best where.

    Attributes:
        models: all of them.
    """

    models: list[Measured]

    @property
    def tables(self) -> list[str]:
        """The tables, by the number of columns."""
        found = dict.fromkeys(each.table for each in self.models)
        return sorted(found, key=lambda table: NAMES.index(table) if table in NAMES else len(NAMES))

    def of(self, table: str, *kinds: str) -> list[Measured]:
        """Return the models of some kinds on a table, or all of them."""
        return [each for each in self.models if each.table == table and (not kinds or each.kind in kinds)]

    def best(self, table: str) -> Measured:
        """Return what has the largest log p(x) of the test rows, of all that was measured."""
        return max(self.of(table), key=lambda each: each.test)

    def chosen(self, table: str, *kinds: str) -> Measured | None:
        """Return what is best on the validation rows, of some kinds."""
        return max(self.of(table, *kinds), key=lambda each: each.validation, default=None)

    def names(self, *kinds: str) -> list[str]:
        """Return the names of the models of some kinds, in the order of ``KINDS`` and then of the alphabet."""
        return [name for kind in kinds for name in sorted({each.model for each in self.models if each.kind == kind})]


def measured(results: Iterable[dict[str, Any]]) -> list[Measured]:
    """Return the models of the tables, of the results of their seeds; failures are left out."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for result in results:
        if "test" in result:
            groups.setdefault((result["table"], result["model"]), []).append(result)
    return [_of_seeds(group) for group in groups.values()]


def _of_seeds(group: list[dict[str, Any]]) -> Measured:
    """Return a model on a table, of the results of its seeds."""
    first, tests = group[0], [result["test"] for result in group]
    seconds = [result["processor_seconds"] for result in group if result["processor_seconds"] is not None]
    values = np.mean([result["values"] for result in group], axis=0)
    return Measured(
        table=first["table"],
        model=first["model"],
        kind=first["kind"],
        bound=first["bound"],
        seeds=len(group),
        test=float(np.mean(tests)),
        standard_error=float(values.std(ddof=1) / math.sqrt(len(values))),
        range_of_seeds=max(tests) - min(tests),
        validation=float(np.mean([result["validation"] for result in group])),
        processor_seconds=float(np.mean(seconds)) if seconds else None,
        torch=first.get("torch", ""),
        values=values,
    )


def committed(folder: Path) -> list[Measured]:
    """Return what a folder of results has."""
    if not (folder / _NUMBERS).exists():
        return []
    rows = json.loads((folder / _NUMBERS).read_text())["models"]
    known = np.load(folder / _ROWS) if (folder / _ROWS).exists() else {}
    names = set(Measured.__dataclass_fields__)
    found = [Measured(**{name: value for name, value in row.items() if name in names}) for row in rows]
    return [replace(each, values=known[_key(each)] / _UNIT if _key(each) in known else None) for each in found]


def renewed(old: list[Measured], new: list[Measured]) -> list[Measured]:
    """Return the new results, the old ones of other tables and models; missing seconds are those of the old ones."""
    before, after = ({_key(each): each for each in results} for results in (old, new))
    for key, each in after.items():
        if each.processor_seconds is None and key in before:
            after[key] = replace(each, processor_seconds=before[key].processor_seconds)
    return list((before | after).values())


def keep(summary: Summary, failures: list[dict[str, Any]], folder: Path) -> None:
    """Write everything into a folder: the means, and log p(x) of each test row."""
    folder.mkdir(parents=True, exist_ok=True)
    models = sorted(summary.models, key=lambda each: (each.table, each.model))
    content = {"models": [_row(summary, each) for each in models], "failures": failures}
    (folder / _NUMBERS).write_text(json.dumps(content, indent=1) + "\n")
    rows = {_key(each): np.rint(each.values * _UNIT).astype(np.int32) for each in models if each.values is not None}
    np.savez_compressed(folder / _ROWS, allow_pickle=False, **rows)


def _key(each: Measured) -> str:
    return f"{each.table}: {each.model}"


def _row(summary: Summary, each: Measured) -> dict[str, Any]:
    found = asdict(replace(each, values=None))
    found.pop("values")
    behind, error = each.behind(summary.best(each.table))
    found |= {"below_best": behind, "below_best_error": error}
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in found.items()}

"""What the benchmark of the binary tables shows: numbers in JSON, tables in Markdown, a figure."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contenders.jobs import finished

__all__ = ["KINDS", "NAMES", "Measured", "Summary", "write_summary"]

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
# Test log p(x) in print, as remembered: none was looked up again, and "dna" of MADE and NADE has another split.
PUBLISHED: dict[str, dict[str, float]] = {
    "LearnSPN (Gens & Domingos, 2013)": {
        **{"nltcs": -6.11, "plants": -12.98, "baudio": -40.50, "jester": -53.48, "bnetflix": -57.33},
        **{"accidents": -30.04, "pumsb_star": -24.78, "dna": -82.52, "bbc": -250.69},
    },
    "ID-SPN (Rooshenas & Lowd, 2014)": {
        **{"nltcs": -6.02, "plants": -12.54, "baudio": -39.79, "jester": -52.86, "bnetflix": -56.36},
        **{"accidents": -26.98, "pumsb_star": -22.41, "dna": -81.21, "bbc": -248.93},
    },
    "MADE (Germain et al., 2015)": {"mushrooms": -9.68, "nips": -277.28},
}


@dataclass(frozen=True)
class Measured:
    """A model on a table: means over its seeds.

    Attributes:
        table: the name of the table.
        model: the name of the model.
        kind: a key of ``KINDS``.
        bound: what the number is: ``exact``, ``iwae-1000``, ``ais-2000``.
        seeds: how many trainings.
        spread: the largest mean of a seed less the smallest.
        validation: log p(x) of the validation rows.
        values: log p(x) of each test row, (N,).
        processor_seconds: of a training.
    """

    table: str
    model: str
    kind: str
    bound: str
    seeds: int
    spread: float
    validation: float
    values: NDArray[np.float64]
    processor_seconds: float

    @property
    def test(self) -> float:
        """Mean log p(x) of the test rows."""
        return float(self.values.mean())

    @property
    def error(self) -> float:
        """Standard error of the mean over the test rows."""
        return float(self.values.std(ddof=1) / math.sqrt(len(self.values)))

    def behind(self, other: Measured) -> tuple[float, float]:
        """Return how far this is below another one, paired over the rows, and the standard error of that."""
        difference = other.values - self.values
        return float(difference.mean()), float(difference.std(ddof=1) / math.sqrt(len(difference)))


def measured(results: Iterable[dict[str, Any]]) -> list[Measured]:
    """Return the models of the tables, of the results of their seeds; failures are left out."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for result in results:
        if "test" in result:
            groups.setdefault((result["table"], result["model"]), []).append(result)
    return [
        Measured(
            table,
            model,
            group[0]["kind"],
            group[0]["bound"],
            len(group),
            max(r["test"] for r in group) - min(r["test"] for r in group),
            float(np.mean([r["validation"] for r in group])),
            np.mean([r["values"] for r in group], axis=0),
            float(np.mean([r["processor_seconds"] for r in group])),
        )
        for (table, model), group in groups.items()
    ]


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
        """Return the names of the models of some kinds, in the order of the results."""
        return list(dict.fromkeys(each.model for each in self.models if each.kind in kinds))


def write_summary(parts: Path, out: Path) -> None:
    """Write debd.json, debd.md and debd.png of all results in a folder."""
    results = finished(parts)
    summary = Summary(measured(results))
    out.mkdir(parents=True, exist_ok=True)
    failures = [{key: r[key] for key in ("table", "model", "seed", "failure")} for r in results if "failure" in r]
    content = {"models": [_row(summary, each) for each in summary.models], "failures": failures}
    (out / "debd.json").write_text(json.dumps(content, indent=1) + "\n")
    (out / "debd.md").write_text(markdown(summary))
    from vaelab.plots.style import png

    (out / "debd.png").write_bytes(png(figure_of(summary)))
    print(markdown(summary))


def _row(summary: Summary, each: Measured) -> dict[str, Any]:
    behind, error = each.behind(summary.best(each.table))
    return {
        "table": each.table,
        "model": each.model,
        "kind": each.kind,
        "bound": each.bound,
        "seeds": each.seeds,
        "test": round(each.test, 4),
        "standard_error": round(each.error, 4),
        "range_of_seeds": round(each.spread, 4),
        "validation": round(each.validation, 4),
        "below_best": round(behind, 4),
        "below_best_error": round(error, 4),
        "processor_seconds": round(each.processor_seconds, 1),
    }


def markdown(summary: Summary) -> str:
    """Return the verdict, and the numbers of each kind of model."""
    parts = [_sentence(summary), _coverage(summary), _verdict(summary)]
    for kinds, title in (
        (("simple", "network"), "Models without codes"),
        (("deep",), "Models with codes"),
        (("peer",), "Other libraries"),
    ):
        if summary.names(*kinds):
            parts.append(f"**{title}**\n\n{_numbers(summary, summary.names(*kinds))}")
    if repeated := [each for each in summary.models if each.seeds > 1]:
        parts.append(f"**Range of the seeds**: the largest mean of a training less the smallest\n\n{_ranges(repeated)}")
    parts.append(f"**In print** (from memory, unverified)\n\n{_published(summary)}")
    parts.append(f"**Processor seconds of a training, one thread**\n\n{_seconds(summary)}")
    return "\n\n".join(parts) + "\n"


def _sentence(summary: Summary) -> str:
    """Return on how many tables vaelab is level with the best: chosen on the validation rows, and with hindsight."""
    level = {"chosen": 0, "best": 0}
    tables = summary.tables
    for table in tables:
        own = summary.of(table, "simple", "network", "deep")
        if not own:
            continue
        for way, each in (
            ("chosen", max(own, key=lambda each: each.validation)),
            ("best", max(own, key=lambda each: each.test)),
        ):
            gap, error = each.behind(summary.best(table))
            level[way] += gap <= error
    return (
        "The model of vaelab with the largest log p(x) of the validation rows is the best of all that was measured, "
        f"or within one standard error of the paired difference, on {level['chosen']} of {len(tables)} tables. "
        f"The best of vaelab's models on the test rows is so on {level['best']}."
    )


def _coverage(summary: Summary) -> str:
    """Return how much was measured: an empty cell of a table is a training that was not made."""
    tables, own = summary.tables, summary.names("simple", "network", "deep")
    count = sum(each.kind != "peer" for each in summary.models)
    with_peer = sum(bool(summary.of(table, "peer")) for table in tables)
    repeated = sum(each.seeds > 1 for each in summary.models)
    alone = "; where none was, the best is the best of vaelab alone" if with_peer < len(tables) else ""
    return (
        f"Of vaelab, {count} of {len(own) * len(tables)} pairs of model and table were measured; other cells "
        f"are empty. Another library was measured on {with_peer} of {len(tables)} tables{alone}. "
        f"{repeated} of {len(summary.models)} pairs have more than one seed."
    )


def _ranges(repeated: list[Measured]) -> str:
    """Return how far apart the trainings of a model are that differ in their seed alone."""

    def cell(table: str, name: str) -> str:
        found = [each for each in repeated if (each.table, each.model) == (table, name)]
        return f"{found[0].spread:.2f} ({found[0].seeds} seeds)" if found else ""

    tables, names = ({getattr(each, key): None for each in repeated} for key in ("table", "model"))
    return _table(sorted(tables, key=NAMES.index), list(names), cell)


def _seconds(summary: Summary) -> str:
    lines = ["| model | median of the tables | smallest | largest |", "|---|---|---|---|"]
    for name in summary.names(*KINDS):
        found = [each.processor_seconds for each in summary.models if each.model == name]
        lines.append(f"| {name} | {np.median(found):.1f} | {min(found):.1f} | {max(found):.1f} |")
    return "\n".join(lines)


def _verdict(summary: Summary) -> str:
    lines = [
        "| table | simple | network without codes | with codes | networks gain | other library | vaelab's choice "
        "| below the best |",
        "|---" * 8 + "|",
    ]
    for table in summary.tables:
        simple, network, deep, peer = (summary.chosen(table, kind) for kind in KINDS)
        choice = summary.chosen(table, "simple", "network", "deep")
        cells = [_cell(simple), _cell(network), _cell(deep), _gap(simple, summary.chosen(table, "network", "deep"))]
        cells += [_cell(peer), choice.model if choice else "", _gap(choice, summary.best(table))]
        lines.append(f"| {table} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _gap(lower: Measured | None, upper: Measured | None) -> str:
    """Return how far one is below another, paired over the rows, with the standard error; nothing for itself."""
    return "" if lower is None or upper is None or lower is upper else "{:.2f} ± {:.2f}".format(*lower.behind(upper))


def _cell(each: Measured | None) -> str:
    return "" if each is None else f"{each.test:.2f} ± {each.error:.2f} ({each.model})"


def _numbers(summary: Summary, names: list[str]) -> str:
    def cell(table: str, name: str) -> str:
        found = next((each for each in summary.of(table) if each.model == name), None)
        if found is None:
            return ""
        text = f"{found.test:.2f}"
        return f"**{text}**" if found is summary.best(table) else text

    return _table(summary.tables, names, cell)


def _published(summary: Summary) -> str:
    def cell(table: str, name: str) -> str:
        value = PUBLISHED[name].get(table)
        return "" if value is None else f"{value:.2f}"

    return _table(summary.tables, list(PUBLISHED), cell)


def _table(tables: list[str], names: list[str], cell: Callable[[str, str], str]) -> str:
    lines = ["| table | " + " | ".join(names) + " |", "|---" * (1 + len(names)) + "|"]
    lines += [f"| {table} | " + " | ".join(cell(table, name) for name in names) + " |" for table in tables]
    return "\n".join(lines)


def figure_of(summary: Summary) -> Any:
    """Return a figure of every model on every table: its share of what the best gains over independent columns."""
    from matplotlib.figure import Figure

    from vaelab.plots.style import INK, LINE_COLOURS, plain

    tables = summary.tables
    figure = Figure(figsize=(7.6, 1.6 + 0.42 * len(tables)), layout="constrained")
    axes = figure.subplots()
    plain(axes)
    shown: set[str] = set()
    for index, table in enumerate(tables):
        of_table = {each.model: each.test for each in summary.of(table)}
        worst, best = of_table.get("independent", min(of_table.values())), summary.best(table).test
        for number, (kind, words) in enumerate(KINDS.items()):
            x = [max(0.0, (each.test - worst) / (best - worst or 1)) for each in summary.of(table, kind)]
            height = -index + 0.24 - 0.16 * number
            label = words if kind not in shown and x else None
            shown |= {kind} if x else set()
            colour, marker = LINE_COLOURS[number], "osD^"[number]
            axes.plot(x, [height] * len(x), marker, color=colour, markersize=5.5, alpha=0.85, label=label)
        axes.annotate(
            f"{summary.best(table).model}", (1.015, -index), xycoords=("axes fraction", "data"), va="center", fontsize=8
        )
    axes.set_yticks([-index for index in range(len(tables))], tables)
    axes.set_ylim(-len(tables) + 0.5, 0.5)
    axes.set_xlim(-0.02, 1.02)
    axes.tick_params(axis="y", length=0)
    for index in range(1, len(tables)):
        axes.axhline(0.5 - index, color="#dddddd", linewidth=0.7, zorder=0)
    axes.set_xlabel("test log p(x): 0 is independent columns, 1 the best that was measured", fontsize=9.5, color=INK)
    axes.set_title("Every model on every table; right: the best", fontsize=10.5, loc="left")
    figure.legend(loc="outside lower center", ncols=len(shown), fontsize=8.5, frameon=False)
    return figure

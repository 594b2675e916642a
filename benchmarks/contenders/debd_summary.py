"""What the benchmark of the binary tables shows: tables in Markdown, a figure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from contenders.debd_results import KINDS, NAMES, Measured, Summary, committed, keep, measured, renewed
from contenders.jobs import finished

__all__ = ["write_summary"]

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


def write_summary(parts: Path, out: Path) -> None:
    """Write debd.json, debd_rows.npz, debd.md and debd.png: of the results in a folder, and of the cells it has not."""
    results = finished(parts)
    summary = Summary(renewed(committed(out), measured(results)))
    failures = [{key: r[key] for key in ("table", "model", "seed", "failure")} for r in results if "failure" in r]
    keep(summary, failures, out)
    (out / "debd.md").write_text(markdown(summary))
    from vaelab.plots.style import png

    (out / "debd.png").write_bytes(png(figure_of(summary)))
    print(markdown(summary))


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
            level[way] += gap <= (error or 0)
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
        return f"{found[0].range_of_seeds:.2f} ({found[0].seeds} seeds)" if found else ""

    tables, names = ({getattr(each, key): None for each in repeated} for key in ("table", "model"))
    return _table(sorted(tables, key=NAMES.index), list(names), cell)


def _seconds(summary: Summary) -> str:
    lines = ["| model | median of the tables | smallest | largest |", "|---|---|---|---|"]
    for name in summary.names(*KINDS):
        found = [each.processor_seconds for each in summary.models if each.model == name]
        if found := [seconds for seconds in found if seconds is not None]:
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
    """Return how far one is below another, with the standard error if the rows are known; nothing for itself."""
    if lower is None or upper is None or lower is upper:
        return ""
    gap, error = lower.behind(upper)
    return f"{gap:.2f}" if error is None else f"{gap:.2f} ± {error:.2f}"


def _cell(each: Measured | None) -> str:
    return "" if each is None else f"{each.test:.2f} ± {each.standard_error:.2f} ({each.model})"


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

"""Figures of diagnostics about gaps: of inference, between splits, and between predictions and frequencies."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vaelab.plots.diagnostics import Arrays
from vaelab.plots.style import INK, LINE_COLOURS, legible, plain

__all__ = ["inference_gaps"]

_PARTS = (  # array, label, colour
    ("amortisation_gap", "amortisation gap, of the encoder", LINE_COLOURS[0]),
    ("approximation_gap", "approximation gap, of the family of q", LINE_COLOURS[1]),
    ("gap", "not split", "#bbbbbb"),
)


def inference_gaps(runs: Mapping[str, Arrays]) -> Figure:
    """Show the gap of each run as a bar: its amortisation part, then its approximation part; grey where not split.

    Each array of a run is a mean with its standard error, (2,).
    """
    figure, axes = _lines(list(runs), "nats by which the ELBO is below log p(x), ± two standard errors")
    widest = max(arrays["gap"][0] for arrays in runs.values())
    labels = set()
    for place, arrays in enumerate(runs.values()):
        left = 0.0
        for name, label, colour in _PARTS:
            if name not in arrays or (name == "gap" and "amortisation_gap" in arrays):
                continue
            value = float(arrays[name][0])
            axes.barh(place, value, left=left, color=colour, height=0.6, label=None if label in labels else label)
            labels.add(label)
            if value > 0.06 * widest:
                ink = INK if name == "gap" else "white"
                axes.text(left + value / 2, place, f"{value:.1f}", ha="center", va="center", color=ink, fontsize=9)
            left += value
        gap, error = map(float, arrays["gap"])
        axes.errorbar(gap, place + 0.38, xerr=2 * error, fmt="none", ecolor=INK, elinewidth=1, capsize=2.5)
    axes.legend(frameon=False, fontsize=9, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3, borderaxespad=0.2)
    return figure


def _lines(names: list[str], xlabel: str) -> tuple[Figure, Axes]:
    """Return a figure with a line for each run, the first at the top."""
    figure = Figure(figsize=(9.0, 0.44 * len(names) + 1.3), layout="constrained")
    axes = figure.subplots()
    axes.set_yticks(range(len(names)), [legible(name, 40) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlabel(xlabel)
    axes.grid(axis="x", alpha=0.25)
    axes.set_axisbelow(True)
    plain(axes)
    return figure, axes

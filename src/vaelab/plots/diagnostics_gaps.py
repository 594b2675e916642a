"""Figures of diagnostics about gaps: of inference, between splits, and between predictions and frequencies."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vaelab.plots.diagnostics import Arrays
from vaelab.plots.style import INK, LINE_COLOURS, legible, plain

__all__ = ["inference_gaps", "train_and_held_out"]

_PARTS = (  # array, label, colour
    ("amortisation_gap", "amortisation (encoder)", LINE_COLOURS[0]),
    ("approximation_gap", "approximation (family of q)", LINE_COLOURS[1]),
    ("gap", "not split", "#bbbbbb"),
)


def inference_gaps(runs: Mapping[str, Arrays]) -> Figure:
    """Show the gap of each run as a bar: its amortisation part, then its approximation part; grey where not split.

    Each array of a run is a mean with its standard error, (2,).
    """
    figure = Figure(figsize=(7.4, 0.42 * len(runs) + 1.2), layout="constrained")
    axes = figure.subplots()
    _lines(axes, list(runs), "log p(x) − ELBO in nats, ± two standard errors")
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
    figure.legend(loc="outside upper left", frameon=False, fontsize=9, ncols=3)
    return figure


def train_and_held_out(runs: Mapping[str, Arrays]) -> Figure:
    """Show the means on training rows and on others side by side, and their difference.

    Each array of a run is a mean with its standard error, (2,).
    """
    figure = Figure(figsize=(8.4, 0.42 * len(runs) + 1.2), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.25, 1), sharey=True)
    _lines(left, list(runs), "nats for each row, ± two standard errors")
    _lines(right, list(runs), "training minus not trained on, in nats")
    series = (("train", "training rows", LINE_COLOURS[0], "o"), ("held_out", "not trained on", LINE_COLOURS[1], "D"))
    for shift, (name, label, colour, mark) in zip((-0.13, 0.13), series, strict=True):
        means, errors = np.array([arrays[name] for arrays in runs.values()]).T
        places = np.arange(len(runs)) + shift
        left.errorbar(means, places, xerr=2 * errors, fmt=mark, color=colour, capsize=3, markersize=5, label=label)
    gaps, errors = np.array([arrays["gap"] for arrays in runs.values()]).T
    right.axvline(0, color="#888888", linewidth=1)
    right.errorbar(gaps, np.arange(len(runs)), xerr=2 * errors, fmt="o", color=INK, capsize=3, markersize=5)
    for place, (gap, error) in enumerate(zip(gaps, errors, strict=True)):
        offset = 0.0 if math.isnan(error) else 2 * error
        right.annotate(
            f"{gap:+.2f}".replace("-", "−"), (gap + offset, place), (6, -3), textcoords="offset points", fontsize=9
        )
    right.margins(x=0.25)
    left.margins(x=0.08)
    left.legend(frameon=False, fontsize=9, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2, borderaxespad=0.2)
    return figure


def _lines(axes: Axes, names: list[str], xlabel: str) -> None:
    """Give the axes a line for each run, the first at the top."""
    axes.set_yticks(range(len(names)), [legible(name, 40) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlabel(xlabel)
    axes.grid(axis="x", alpha=0.25)
    axes.set_axisbelow(True)
    plain(axes)

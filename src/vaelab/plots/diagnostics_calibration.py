"""The figure of calibration: predicted probabilities against frequencies, and ranks among draws."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from vaelab.plots.diagnostics import Arrays
from vaelab.plots.style import INK, LINE_COLOURS, Array, legible, plain

__all__ = ["calibration_curves"]

Stack = tuple[Axes, Axes, Axes]  # of one panel, from the top
_ACROSS = 4  # panels in a row
_HEIGHTS = [3.4, 2.0, 0.9]  # of the curve, of its distance from the diagonal, of the histogram
_HIDDEN, _SEEN, _CHANCE = "hidden from the model", "reconstructed, which the encoder saw", "range of a calibrated model"
_LEAST = 1e-3  # share of the predictions at which the histogram begins
_QUARTERS, _NAMES = [0, 0.25, 0.5, 0.75, 1], ["0", "", "0.5", "", "1"]


def calibration_curves(runs: Mapping[str, Arrays]) -> Figure:
    """Show for each run a reliability curve, its distance from the diagonal and a histogram; of numbers their ranks."""
    shown = [(title, arrays, kind) for title, arrays in runs.items() for kind in _kinds(arrays)]
    across = min(_ACROSS, len(shown))
    down = math.ceil(len(shown) / across)
    figure = Figure(figsize=(2.8 * across + 0.8 * (across == 1), 5.2 * down + 0.5), layout="constrained")
    places = figure.subplots(3 * down, across, squeeze=False, height_ratios=_HEIGHTS * down)
    stacks = [tuple(places[3 * row : 3 * row + 3, column]) for row in range(down) for column in range(across)]
    reach = max(map(_reach, runs.values()))
    for stack, (title, arrays, kind) in zip(stacks, shown, strict=False):
        stack[0].set_title(legible(title, 28), fontsize=11, color=INK)
        for axes in stack:
            plain(axes)
        if kind == "events":
            _reliability(stack, arrays, reach)
        else:
            _ranks(stack, arrays)
    for stack in stacks[len(shown) :]:
        for axes in stack:
            axes.set_visible(False)
    handles: dict[str, Any] = {}
    for stack in stacks[: len(shown)]:
        drawn, labels = stack[1].get_legend_handles_labels()
        handles |= {label: handle for label, handle in zip(labels, drawn, strict=True) if label not in handles}
    order = [label for label in (_HIDDEN, _CHANCE, _SEEN) if label in handles]
    if order:
        figure.legend(
            [handles[label] for label in order],
            order,
            loc="outside upper left",
            ncols=3 if across > 2 else 1,
            frameon=False,
            fontsize=9,
        )
    return figure


def _kinds(arrays: Arrays) -> list[str]:
    """Return what the arrays of a run show."""
    found = ["events"] if "reconstruction_predicted" in arrays else []
    return found + (["ranks"] if "ranks" in arrays else [])


def _reliability(stack: Stack, arrays: Arrays, reach: float) -> None:
    curve, apart, histogram = stack
    curve.plot([0, 1], [0, 1], color="#888888", linewidth=1, zorder=1)
    apart.axhline(0, color="#888888", linewidth=1, zorder=1)
    seen: dict[str, Any] = {"color": LINE_COLOURS[1], "markerfacecolor": "white", "markersize": 4.5, "linewidth": 1}
    p, happened = arrays["reconstruction_predicted"], arrays["reconstruction_happened"]
    curve.plot(p, happened, "o-", **seen)
    apart.plot(p, 100 * (happened - p), "o-", label=_SEEN, zorder=2, **seen)
    if "predicted" in arrays:
        p, happened = arrays["predicted"], arrays["happened"]
        curve.plot(p, happened, "o", color=LINE_COLOURS[0], markersize=5, zorder=3)
        low, high = 100 * (arrays["low"] - p), 100 * (arrays["high"] - p)
        apart.vlines(p, low, high, color="#c9c9d2", linewidth=6, zorder=0, label=_CHANCE)
        apart.plot(p, 100 * (happened - p), "o", color=LINE_COLOURS[0], markersize=5, zorder=3, label=_HIDDEN)
    _share(histogram, arrays)
    apart.set_ylim(-reach, reach)
    curve.set_ylabel("frequency")
    apart.set_ylabel("frequency − prediction\n(percentage points)", fontsize=9)
    curve.set_ylim(-0.03, 1.03)
    curve.set_yticks(_QUARTERS, _NAMES)
    for axes in (curve, apart, histogram):
        axes.set_xlim(-0.03, 1.03)
        axes.set_xticks(_QUARTERS, _NAMES if axes is histogram else [])
    histogram.set_xlabel("predicted probability")


def _reach(arrays: Arrays) -> float:
    """Return how far from 0 the distances from the diagonal are drawn: all points, but not every wide range."""
    pairs = [("predicted", "happened"), ("reconstruction_predicted", "reconstruction_happened")]
    far = [100 * float(np.abs(arrays[y] - arrays[x]).max()) for x, y in pairs if x in arrays]
    return max(5.0, *(1.15 * distance for distance in far)) if far else 5.0


def _share(axes: Axes, arrays: Arrays) -> None:
    """Draw the histogram of the predictions, of hidden values if there are some."""
    is_hidden = "histogram" in arrays
    counts: Array = arrays["histogram" if is_hidden else "reconstruction_histogram"]
    edges = np.linspace(0, 1, len(counts) + 1)
    colour = LINE_COLOURS[0 if is_hidden else 1]
    axes.bar(edges[:-1], counts, width=np.diff(edges), align="edge", color=colour, edgecolor="white", linewidth=0.5)
    axes.set_yscale("log")
    axes.set_ylim(_LEAST, 1)
    axes.minorticks_off()
    axes.set_yticks([0.01, 1])
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
    axes.set_ylabel("share", fontsize=9)


def _ranks(stack: Stack, arrays: Arrays) -> None:
    axes, *others = stack
    for other in others:
        other.set_visible(False)
    counts = arrays["ranks"].reshape(10, -1).sum(1)
    axes.bar(np.arange(10) / 10, counts, width=0.1, align="edge", color=LINE_COLOURS[0], edgecolor="white")
    axes.axhline(0.1, color="#888888", linewidth=1)
    axes.set_xlabel("rank among draws of the model")
    axes.set_ylabel("share of hidden numbers")
    axes.set_xticks([0, 0.5, 1], ["lowest", "middle", "highest"])

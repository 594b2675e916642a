"""The figure of a sweep: a bound against each setting that varied."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from vaelab.plots.style import INK, LINE_COLOURS, Array, legible, plain

__all__ = ["settings_and_bounds"]

_FAR = 10  # times the median's distance from the best: points further below would flatten all the others


def settings_and_bounds(
    panels: Mapping[str, Sequence[Any]], bounds: Sequence[tuple[float, float]], ylabel: str
) -> Figure:
    """Show (bound, standard error) of N trainings against each of their settings, one panel per setting."""
    across = 2 if len(panels) == 4 else min(3, len(panels))
    rows = math.ceil(len(panels) / across)
    figure = Figure(figsize=(3.9 * across + 0.8, 3.3 * rows + 0.9), layout="constrained")
    places = figure.subplots(rows, across, squeeze=False, sharey=True).flatten()
    values, errors = np.array(bounds, dtype=float).T
    best = int(values.argmax())
    far = values < values[best] - _FAR * (values[best] - np.median(values))
    shown = np.where(far, values[~far].min() - 0.12 * np.ptp(values[~far]), values)
    joined = False
    for axes, (name, settings) in zip(places, panels.items(), strict=False):
        x = _places(axes, settings)
        joined |= _join(axes, x, shown, [column for key, column in panels.items() if key != name], best)
        for mask, mark in ((~far & (np.arange(len(x)) != best), "o"), (np.arange(len(x)) == best, "*")):
            style: dict[str, Any] = {"color": LINE_COLOURS[0], "markersize": 5}
            if mark == "*":
                style = {"color": LINE_COLOURS[1], "markersize": 14, "markeredgecolor": "white"}
            axes.errorbar(x[mask], values[mask], yerr=2 * errors[mask], fmt=mark, elinewidth=1, zorder=3, **style)
        axes.plot(x[far], shown[far], "v", color=LINE_COLOURS[0], markerfacecolor="white", zorder=3)
        axes.set_xlabel(legible(name))
        axes.grid(axis="y", alpha=0.25)
        plain(axes)
    for axes in places[len(panels) :]:
        axes.set_visible(False)
    for axes in places[::across]:
        axes.set_ylabel(ylabel, fontsize=9)
    parts = [f"★ best: {values[best]:.2f} ± {errors[best]:.2f}"]
    parts += ["lines join trainings that differ in this setting alone"] * (joined and len(panels) > 1)
    parts += [f"▽ {far.sum()} far below, down to {values.min():.0f}"] * int(far.any())
    title = textwrap.fill("; ".join(parts).replace("-", "−"), int(13 * figure.get_figwidth()))
    figure.suptitle(title, fontsize=10, color=INK)
    return figure


def _join(axes: Axes, x: Array, y: Array, others: Sequence[Sequence[Any]], best: int) -> bool:
    """Join points that agree in all other settings, unless only few do, by chance, as in a random search."""
    alike: dict[str, list[int]] = {}
    for index in np.argsort(x, kind="stable"):
        alike.setdefault(str([column[index] for column in others]), []).append(int(index))
    lines = [indices for indices in alike.values() if len(indices) > 1]
    if 2 * sum(map(len, lines)) < len(x):
        return False
    for indices in lines:
        strong = best in indices
        colour, width = (LINE_COLOURS[1], 1.8) if strong else ("#aaaaaa", 0.9)
        axes.plot(x[indices], y[indices], color=colour, linewidth=width, zorder=2 if strong else 1)
    return True


def _places(axes: Axes, settings: Sequence[Any]) -> Array:
    """Return the positions of settings on the x axis, and label it: numbers to scale, other values equally spaced."""
    distinct = list({str(value): value for value in settings}.values())
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in settings):
        names = [str(value) for value in distinct]
        tilted: dict[str, Any] = {"rotation": 25, "ha": "right"} if sum(map(len, names)) > 32 else {}
        axes.set_xticks(range(len(names)), [legible(name.replace(" ", ""), 40) for name in names], **tilted)
        axes.set_xlim(-0.5, len(names) - 0.5)
        return np.array([names.index(str(value)) for value in settings])
    if min(settings) > 0 and max(settings) >= 10 * min(settings):
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    if len(distinct) <= 6:
        axes.set_xticks(distinct, [f"{value:g}" for value in distinct])
        axes.minorticks_off()
    axes.margins(x=0.1)
    return np.array(settings, dtype=float)

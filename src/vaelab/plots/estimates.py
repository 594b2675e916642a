"""The K-curves: an importance-weighted bound against its number of codes, with its limit and log p(x) where known."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from vaelab.plots.style import INK, LINE_COLOURS, legible, plain

__all__ = ["BoundCurve", "bound_curves"]


@dataclass(frozen=True)
class BoundCurve:
    """The bounds of one model from the same weights.

    Attributes:
        samples: numbers of codes, ascending.
        values: the mean bound of each, in nats.
        limit: where they tend to, its error and the exponent of the gap; None where it is not known.
        quotable: whether the limit may be quoted.
        others: estimates of log p(x) of the same observations, by name.
    """

    samples: Sequence[int]
    values: Sequence[float]
    limit: tuple[float, float, float] | None = None
    quotable: bool = True
    others: Mapping[str, float] = field(default_factory=dict)


def bound_curves(curves: Mapping[str, BoundCurve]) -> Figure:
    """Show the curve of each model on a panel of its own, to its own scale."""
    across = min(3, len(curves))
    down = math.ceil(len(curves) / across)
    figure = Figure(figsize=(max(5.0, 3.7 * across), 3.1 * down + 0.3), layout="constrained")
    panels = figure.subplots(down, across, squeeze=False).flatten()
    for axes, (title, curve) in zip(panels, curves.items(), strict=False):
        _draw(axes, curve)
        axes.set_title(legible(title, 42), fontsize=10, color=INK)
    for axes in panels[len(curves) :]:
        axes.set_visible(False)
    for axes in panels[::across]:
        axes.set_ylabel("nats per observation", fontsize=9)
    return figure


def _draw(axes: Axes, curve: BoundCurve) -> None:
    colour, truth = LINE_COLOURS[0], LINE_COLOURS[1]
    last = curve.samples[-1]
    axes.set_xscale("log")
    axes.plot(curve.samples, curve.values, "o-", color=colour, markersize=5, linewidth=1.6, zorder=3)
    end = last * 30
    if curve.limit is not None:
        value, error, exponent = curve.limit
        k = np.geomspace(last, end, 40)
        fitted = value - (value - curve.values[-1]) * (k / last) ** -exponent
        style = "--" if curve.quotable else ":"
        axes.plot(k, fitted, style, color=colour, linewidth=1.2)
        face = colour if curve.quotable else "white"
        axes.errorbar(end * 2.5, value, yerr=2 * error, fmt="s", color=colour, markerfacecolor=face, capsize=3)
        words = "limit" if curve.quotable else "limit, do not quote"
        axes.annotate(words, (end * 2.5, value + 2 * error), (8, 3), **_ABOVE)
    for index, (name, value) in enumerate(curve.others.items()):
        axes.axhline(value, color=truth, linewidth=1.3, linestyle=("-", "-.")[index % 2], zorder=2)
        words = f"{legible(name)} {value:.2f}".replace(" -", " \N{MINUS SIGN}")
        axes.annotate(words, (1, value), (0, 3), textcoords="offset points", fontsize=8, color=truth)
    axes.set_xlim(0.7, end * 5)
    axes.xaxis.set_major_locator(LogLocator(numticks=8))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda k, _: f"{k:,.0f}" if k <= last else ""))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("codes K", fontsize=9)
    axes.margins(y=0.12)
    axes.grid(axis="y", alpha=0.25)
    plain(axes)


_ABOVE: dict[str, Any] = {"textcoords": "offset points", "ha": "right", "va": "bottom", "fontsize": 8, "color": INK}

"""Figures of diagnostics: from the arrays of each run, by title, to small multiples."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vaelab.plots.style import INK, LINE_COLOURS, Array, legible, plain

__all__ = ["unit_nats"]

Arrays = Mapping[str, Array]  # of one run
_ACROSS = 3  # panels in a row
_QUIET = "#bbbbbb"


def panels(titles: list[str], height: float = 2.5, width: float = 4.0) -> tuple[Figure, list[Axes]]:
    """Return a figure with a panel for each run, at most three in a row, each under its title."""
    across = min(_ACROSS, len(titles))
    down = math.ceil(len(titles) / across)
    figure = Figure(figsize=(max(6.0, width * across), (height + 0.4) * down + 0.3), layout="constrained")
    places = list(figure.subplots(down, across, squeeze=False).flatten())
    for axes, title in zip(places, titles, strict=False):
        axes.set_title(legible(title, 48), fontsize=11, color=INK)
        plain(axes)
    for axes in places[len(titles) :]:
        axes.set_visible(False)
    return figure, places[: len(titles)]


def unit_nats(runs: Mapping[str, Arrays]) -> Figure:
    """Show the nats of each unit as bars in falling order, the active ones in colour."""
    shown = {title: arrays for title, arrays in runs.items() if "nats" in arrays}
    figure, places = panels(list(shown))
    for axes, arrays in zip(places, shown.values(), strict=True):
        order = np.argsort(-arrays["nats"], kind="stable")
        colours = np.where(arrays["active"][order] > 0, LINE_COLOURS[0], _QUIET)
        axes.bar(
            np.arange(1, len(order) + 1), arrays["nats"][order], color=colours, width=1.0 if len(order) > 40 else 0.8
        )
        axes.set_xlabel("units, in falling order")
        axes.set_ylabel("nats")
        axes.set_ylim(bottom=0)
    return figure

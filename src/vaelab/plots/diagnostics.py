"""Figures of diagnostics of codes: from the arrays of each run, by title, to small multiples."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from vaelab.plots.style import INK, LINE_COLOURS, Array, legible, plain

__all__ = ["aggregate_and_prior", "bit_use", "panels", "unit_nats", "unit_states"]

Arrays = Mapping[str, Array]  # of one run
_ACROSS = 3  # panels in a row
_QUIET, _PALE, _STRONG, _SECOND = "#bbbbbb", "#c9c3e0", LINE_COLOURS[0], LINE_COLOURS[1]
_STATES = ("collapsed", "constant", "weak", "used")
_OF_STATE = ("#CC6677", "#DDCC77", _PALE, _STRONG)
_FEW = 8  # a figure of fewer bars has as much space
_MANY = 40  # bars without gaps between them


def panels(titles: Sequence[str], down: int = 1, height: float = 2.0) -> tuple[Figure, list[list[Axes]]]:
    """Return a figure with ``down`` axes, one below the other, for each title, at most three titles in a row."""
    across = min(_ACROSS, len(titles))
    rows = math.ceil(len(titles) / across)
    figure = Figure(
        figsize=(max(5.4, 4.1 * across), (height * down + 0.45) * rows + 0.2),
        layout=ConstrainedLayoutEngine(h_pad=0.07),
    )
    grid = figure.subplots(rows * down, across, squeeze=False)
    found = []
    for index in range(rows * across):
        column = [grid[(index // across) * down + line, index % across] for line in range(down)]
        if index < len(titles):
            column[0].set_title(legible(titles[index], 36), fontsize=10.5, color=INK)
            found.append(column)
        for axes in column:
            axes.set_visible(index < len(titles))
            plain(axes)
    return figure, found


def _layers(title: str, arrays: Arrays) -> list[tuple[str, slice]]:
    """Return the units of each layer of a run, with its title."""
    ends = np.cumsum(arrays["layers"]).tolist()
    starts = [0, *ends[:-1]]
    several = len(ends) > 1
    return [
        (f"{title}, layer {number}" if several else title, slice(start, end))
        for number, (start, end) in enumerate(zip(starts, ends, strict=True), 1)
    ]


def unit_nats(runs: Mapping[str, Arrays]) -> Figure:
    """Show the nats of each unit as bars in falling order, the active ones in colour; a line is the most of a bit."""
    shown = [
        (name, arrays["nats"][part], arrays["active"][part], arrays.get("most"))
        for title, arrays in runs.items()
        if "nats" in arrays
        for name, part in _layers(title, arrays)
    ]
    figure, places = panels([name for name, *_ in shown])
    for (axes,), (_, nats, active, most) in zip(places, shown, strict=True):
        order = np.argsort(-nats, kind="stable")
        _bars(axes, nats[order], active[order] > 0)
        if most is not None:
            axes.axhline(float(most), color=INK, linewidth=0.8, linestyle=":")
            axes.annotate("log 2", (1, float(most)), (0, -9), xycoords=("axes fraction", "data"),
                textcoords="offset points", ha="right", fontsize=8.5)  # fmt: skip
        axes.set_ylim(0, None if most is None else 1.04 * float(most))
        axes.set_xlim(0.4, max(len(order), _FEW) + 0.6)
        axes.set_xlabel(f"{len(order):,} units, in falling order", fontsize=9.5)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        if len(order) <= _FEW:
            axes.set_xticks(range(1, len(order) + 1))
        axes.set_ylabel("nats", fontsize=9.5)
    return figure


def _bars(axes: Axes, heights: Array, coloured: Array) -> None:
    """Draw bars at 1, 2, ..., some in colour and the others grey; many of them as one surface, which is faster."""
    places = np.arange(1, len(heights) + 1)
    if len(heights) <= _MANY:
        axes.bar(places, heights, color=np.where(coloured, _STRONG, _QUIET), width=0.8)
        return
    edges = np.arange(len(heights) + 1) + 0.5
    for chosen, colour in ((coloured, _STRONG), (~coloured, _QUIET)):
        axes.stairs(np.where(chosen, heights, 0), edges, fill=True, color=colour)


def unit_states(runs: Mapping[str, Arrays]) -> Figure:
    """Show how many units of each layer are collapsed, constant, weak and used, as parts of a bar."""
    shown = [(name, arrays["state"][part]) for title, arrays in runs.items() for name, part in _layers(title, arrays)]
    figure = Figure(figsize=(9, 0.46 * len(shown) + 1.2), layout="constrained")
    axes = figure.subplots()
    for row, (_, states) in enumerate(shown):
        left = 0.0
        for state, colour in enumerate(_OF_STATE):
            count = int((states == state).sum())
            share = count / len(states)
            axes.barh(row, share, left=left, color=colour, height=0.7, label=_STATES[state] if row == 0 else None)
            if share > 0.03:
                ink = "white" if colour == _STRONG else INK
                axes.text(left + share / 2, row, f"{count:,}", ha="center", va="center", fontsize=9, color=ink)
            left += share
    axes.set_yticks(range(len(shown)), [legible(name, 44) for name, _ in shown], fontsize=9.5)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    axes.set_xlabel("share of the units; their number inside", fontsize=9.5)
    plain(axes)
    figure.legend(loc="outside upper right", ncols=4, frameon=False, fontsize=9.5)
    return figure


def aggregate_and_prior(runs: Mapping[str, Arrays]) -> Figure:
    """Show for each run its units under q(z) and under p(z), and below the joint test with its null distribution."""
    figure, places = panels(list(runs), down=2, height=1.9)
    for (units, test), arrays in zip(places, runs.values(), strict=True):
        if "ones" in arrays:
            _ones(units, arrays)
        else:
            _densities(units, arrays)
        _null(test, arrays)
    return figure


def _ones(axes: Axes, arrays: Arrays) -> None:
    """Show the probability of a one of each bit, in rising order, with that under the prior."""
    order = np.argsort(arrays["ones"], kind="stable")
    place = np.arange(1, len(order) + 1)
    size = 10 if len(order) > _MANY else 22
    axes.scatter(place, arrays["prior_ones"][order], s=size, color=_QUIET, linewidths=0, label="under the prior")
    axes.scatter(place, arrays["ones"][order], s=size, color=_STRONG, linewidths=0, label="over the data")
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel(f"{len(order):,} bits, in rising order", fontsize=9.5)
    axes.set_ylabel("probability of a one", fontsize=9.5)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.legend(frameon=False, fontsize=8.5, loc="upper left", handletextpad=0.2)


def _densities(axes: Axes, arrays: Arrays) -> None:
    """Show the density of each unit under q(z), one line each, over the mean of those under the prior."""
    edges = arrays["edges"]
    middle = (edges[1:] + edges[:-1]) / 2
    prior = arrays["prior_density"]
    axes.fill_between(middle, prior.mean(0), color=_QUIET, alpha=0.6, linewidth=0, label="prior, mean\nover units")
    for number, density in enumerate(arrays["density"]):
        label = f"{len(prior)} of {len(arrays['distance'])} units" if number == 0 else None
        axes.plot(middle, density, color=_STRONG, linewidth=1.0, alpha=max(0.35, 1 / len(prior)), label=label)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("value of a unit", fontsize=9.5)
    axes.set_ylabel("density", fontsize=9.5)
    axes.legend(frameon=False, fontsize=8.5, loc="upper left", handlelength=1.2)


def _null(axes: Axes, arrays: Arrays) -> None:
    """Show the discrepancy of the true division, and those of random ones."""
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    if "mmd" not in arrays:
        axes.text(0.5, 0.5, "too few rows for the joint test", ha="center", transform=axes.transAxes, fontsize=9)
        return
    value, null = float(arrays["mmd"]), arrays["null"]
    axes.hist(null, bins=15, color=_QUIET, label="random divisions")
    axes.axvline(value, color=_SECOND, linewidth=2, label="data against prior")
    axes.set_xlabel("squared maximum mean discrepancy", fontsize=9.5)
    axes.locator_params(axis="x", nbins=5)
    axes.legend(frameon=False, fontsize=8.5, loc="upper center")


def bit_use(runs: Mapping[str, Arrays]) -> Figure:
    """Show for each layer of bits the noise of each bit against its use, and the correlations of all pairs."""
    shown = []
    for title, arrays in runs.items():
        numbers = sorted(int(name.split()[1]) for name in arrays if name.startswith("use "))
        for number in numbers:
            name = f"{title}, layer {number}" if len(numbers) > 1 else title
            shown.append((name, [arrays[f"{what} {number}"] for what in ("use", "noise", "correlation")]))
    figure, places = panels([name for name, _ in shown], down=2, height=2.5)
    for (scatter, matrix), (_, (use, noise, correlation)) in zip(places, shown, strict=True):
        _noise_against_use(scatter, use, noise)
        _correlations(figure, matrix, correlation)
    return figure


def _noise_against_use(axes: Axes, use: Array, noise: Array) -> None:
    """Show each bit below the curve of the entropy: its distance from the curve is its information about x."""
    p = np.linspace(1e-6, 1 - 1e-6, 201)
    axes.plot(p, -p * np.log(p) - (1 - p) * np.log(1 - p), color=INK, linewidth=1.2)
    axes.scatter(use, noise, s=12 if len(use) > _MANY else 24, color=_STRONG, alpha=0.6, linewidths=0)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 0.75)
    axes.set_xlabel("probability of a one over the data", fontsize=9.5)
    axes.set_ylabel("entropy given x (nats)", fontsize=9.5)


def _correlations(figure: Figure, axes: Axes, correlation: Array) -> None:
    """Show the correlations of all pairs, bits that are alike side by side; white where there is none."""
    order = _order(correlation)
    shown = correlation[np.ix_(order, order)].copy()
    np.fill_diagonal(shown, np.nan)
    largest = float(np.nanmax(np.abs(shown))) if len(shown) > 1 else 0.0
    scale = max(0.05, largest)
    picture = axes.imshow(shown, cmap="RdBu_r", vmin=-scale, vmax=scale, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(True)
    axes.spines[:].set_color("#cccccc")
    axes.set_xlabel(f"{len(order):,} bits, similar ones side by side", fontsize=9.5)
    bar = figure.colorbar(picture, ax=axes, shrink=0.85, pad=0.02)
    bar.set_label("correlation", fontsize=9.5)
    bar.ax.tick_params(labelsize=8.5)
    bar.outline.set_visible(False)


def _order(correlation: Array) -> Array:
    """Return an order of the bits in which those with a large correlation, of either sign, stand side by side."""
    if len(correlation) < 3:
        return np.arange(len(correlation))
    distance = np.clip(1 - np.abs(correlation.astype(np.float64)), 0, None)
    np.fill_diagonal(distance, 0)
    order: Array = leaves_list(linkage(squareform(distance, checks=False), "average", optimal_ordering=True))
    return order

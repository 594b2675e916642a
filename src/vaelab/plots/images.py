"""Figures of images: sheets, reconstructions, planes, weights."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vaelab.plots.style import INK, Array, legible

__all__ = ["image_grids", "plane", "receptive_fields", "reconstructions", "tile"]


def tile(images: Array, columns: int, gap: int = 1) -> Array:
    """Lay images (N, H, W) out in rows of ``columns`` with blank lines between: one array (rows, columns)."""
    count, height, width = images.shape
    rows = math.ceil(count / columns)
    sheet = np.zeros((rows * (height + gap) - gap, columns * (width + gap) - gap))
    for index, image in enumerate(images):
        top, left = (index // columns) * (height + gap), (index % columns) * (width + gap)
        sheet[top : top + height, left : left + width] = image
    return sheet


def _show(axes: Axes, sheet: Array, title: str = "", longest: int = 60) -> None:
    axes.imshow(sheet, cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_color("#cccccc")
    axes.set_title(legible(title, longest), fontsize=11, color=INK)


def image_grids(panels: Mapping[str, Array], columns: int) -> Figure:
    """Show sets of images (N, H, W) side by side, three in a row, each under its title."""
    count, height, width = next(iter(panels.values())).shape
    tall = 4.1 * math.ceil(count / columns) * (height + 1) / (min(columns, count) * (width + 1))
    across = min(3, len(panels))
    rows = math.ceil(len(panels) / across)
    figure = Figure(figsize=(4.2 * across, (tall + 0.35) * rows), layout="constrained")
    places = figure.subplots(rows, across, squeeze=False).flatten()
    for axes, (title, images) in zip(places, panels.items(), strict=False):
        _show(axes, tile(images, columns), title, 48)
    for axes in places[len(panels) :]:
        axes.set_visible(False)
    return figure


def reconstructions(rows: Mapping[str, Array]) -> Figure:
    """Show rows of images (N, H, W), the first usually the originals, each with its name."""
    count = len(next(iter(rows.values())))
    labels = [legible(name, 40) for name in rows]
    names = 0.085 * max(map(len, labels)) + 0.2  # inches that the names need
    width = 0.75 * count + names
    figure = Figure(figsize=(width, 0.82 * len(rows)))
    figure.subplots_adjust(left=names / width, right=0.995, top=0.99, bottom=0.01, hspace=0.08)
    places = figure.subplots(len(rows), 1, squeeze=False)[:, 0]
    for axes, name, images in zip(places, labels, rows.values(), strict=True):
        _show(axes, tile(images, count))
        axes.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=10, color=INK)
    return figure


def plane(images: Array, side: int, title: str) -> Figure:
    """Show side x side decoded images (N, H, W): first code coordinate rightwards, second upwards."""
    figure = Figure(figsize=(7.4, 7.6), layout="constrained")
    axes = figure.subplots()
    height, width = images.shape[1:]
    upwards = images.reshape(side, side, height, width)[::-1].reshape(-1, height, width)
    _show(axes, tile(upwards, side, gap=0), title)
    sheet = np.array([0.05, 0.25, 0.5, 0.75, 0.95])
    axes.set_xticks(sheet * side * width, [f"{100 * q:.0f} %" for q in sheet], fontsize=9)
    axes.set_yticks((1 - sheet) * side * height, [f"{100 * q:.0f} %" for q in sheet], fontsize=9)
    axes.set_xlabel("quantile of z₁ under N(0, 1)")
    axes.set_ylabel("quantile of z₂ under N(0, 1)")
    return figure


def receptive_fields(panels: Mapping[str, Array], columns: int) -> Figure:
    """Show sets of weights (N, H, W) side by side: red above zero, blue below, each panel with its own scale."""
    across = [columns if len(images) > 2 * columns else math.ceil(len(images) / 2) for images in panels.values()]
    tall = [math.ceil(len(images) / wide) / wide for images, wide in zip(panels.values(), across, strict=True)]
    figure = Figure(figsize=(5.6 * len(panels), 5.4 * max(tall) + 0.5), layout="constrained")
    places = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, wide, (title, images) in zip(places, across, panels.items(), strict=True):
        scale = float(np.quantile(np.abs(images), 0.995))
        axes.imshow(tile(images, wide), cmap="RdBu_r", vmin=-scale, vmax=scale, interpolation="nearest")
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_color("#cccccc")
        axes.set_title(legible(title), fontsize=11, color=INK)
    return figure

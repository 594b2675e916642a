"""Figures of two-dimensional codes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse
from matplotlib.patheffects import withStroke

from vaelab.plots.style import CLASS_COLOURS, INK, Array, legible, plain

__all__ = ["CodesAndPrior", "codes_and_mixture", "codes_and_priors", "latent_map"]

_SHARES = (0.5, 0.8, 0.95)  # of the mass of a density that its shades contain
_NAME = 14  # points, of the name of a class
_ROUNDS = 200  # at most, of moving names apart
_SHADES = ("#dcd8ee", "#a49ccf", "#6a5eac")  # from the largest share to the smallest


def _class_names(axes: Axes, points: Array, labels: Array) -> None:
    """Write each class at the median of its points, so that readers do not depend on colours alone.

    Names that would overlap are moved apart. The limits of the axes have to be set before.
    """
    classes = np.unique(labels)
    medians = np.array([np.median(points[labels == index], axis=0) for index in classes])
    least = _NAME * (1 + 0.6 * (len(str(classes.max())) - 1)) * axes.figure.dpi / 72  # pixels
    axes.apply_aspect()
    places = axes.transData.inverted().transform(moved_apart(axes.transData.transform(medians), least))
    for index, (x, y) in zip(classes, places, strict=True):
        outline = [withStroke(linewidth=3, foreground="white")]
        axes.text(x, y, str(index), fontsize=_NAME, weight="bold", ha="center", va="center", path_effects=outline)


def moved_apart(places: Array, least: float) -> Array:
    """Return places (N, 2), moved until any two of them have about a least distance; far ones stay where they are."""
    angle = np.arange(len(places))
    places = places + 1e-3 * least * np.stack([np.cos(angle), np.sin(angle)], 1)  # two at one point get a direction
    for _ in range(_ROUNDS):
        apart = places[:, None] - places  # (N, N, 2)
        distance = np.linalg.norm(apart, axis=-1) + np.eye(len(places)) * least
        lack = np.maximum(least - distance, 0)
        if lack.max() < 0.02 * least:
            break
        steps = 0.5 * ((lack / distance)[..., None] * apart).sum(1)
        places = places + steps / np.maximum((lack > 0).sum(1, keepdims=True), 1)  # the mean over those too near
    return places


def _scatter(axes: Axes, points: Array, labels: Array | None, limits: float = 0.0) -> None:
    colours: Any = "#777777"
    if labels is not None:
        colours = np.array(CLASS_COLOURS)[labels % len(CLASS_COLOURS)]
    size = min(30.0, max(4.0, 8000 / len(points)))  # few points are drawn larger
    axes.scatter(points[:, 0], points[:, 1], s=size, c=colours, alpha=0.5, linewidths=0, rasterized=True)
    axes.set_xlabel("z₁")
    axes.set_ylabel("z₂")
    plain(axes)


def latent_map(codes: Array, labels: Array | None, title: str) -> Figure:
    """Show 2-D codes (N, 2), coloured by integer class if ``labels`` (N,) are given."""
    figure = Figure(figsize=(7, 6.4), layout="constrained")
    axes = figure.subplots()
    _scatter(axes, codes, labels)
    axes.set_aspect("equal", adjustable="datalim")
    if labels is not None:
        _class_names(axes, codes, labels)
    axes.set_title(legible(title, 90), fontsize=11, color=INK)
    return figure


def _ellipses(axes: Axes, means: Array, covariances: Array) -> None:
    """Draw each component's ellipse of two standard deviations."""
    for mean, covariance in zip(means, covariances, strict=True):
        values, vectors = np.linalg.eigh(covariance)
        width, height = 4 * np.sqrt(np.maximum(values, 0))
        angle = math.degrees(math.atan2(vectors[1, 0], vectors[0, 0]))
        axes.add_patch(Ellipse(tuple(mean), width, height, angle=angle, fill=False, edgecolor=INK, linewidth=0.8))


def codes_and_mixture(
    codes: Array, labels: Array | None, samples: Array, means: Array, covariances: Array, titles: tuple[str, str]
) -> Figure:
    """Show 2-D codes and as many samples of their mixture side by side, with the components' 2-sigma ellipses."""
    figure = Figure(figsize=(12, 5.8), layout="constrained")
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    _scatter(left, codes, labels)
    _scatter(right, samples, None)
    reach = 2 * np.sqrt(np.diagonal(covariances, axis1=1, axis2=2))  # half-widths of the ellipses
    low = np.minimum(np.quantile(codes, 0.001, axis=0), (means - reach).min(0))
    high = np.maximum(np.quantile(codes, 0.999, axis=0), (means + reach).max(0))
    margin = np.maximum(0.03 * (high - low), 1e-6)
    for axes, title in zip((left, right), titles, strict=True):
        _ellipses(axes, means, covariances)
        axes.set_title(legible(title, 90), fontsize=11, color=INK)
        axes.set_xlim(low[0] - margin[0], high[0] + margin[0])
        axes.set_ylim(low[1] - margin[1], high[1] + margin[1])
    if labels is not None:
        _class_names(left, codes, labels)
    return figure


@dataclass(frozen=True)
class CodesAndPrior:
    """2-D codes (N, 2), their classes (N,) if they have any, and a density (G, G) on the grid of an axis (G,).

    Rows of the density are the second coordinate; both axes have the same points.
    """

    codes: Array
    labels: Array | None
    axis: Array
    density: Array


def codes_and_priors(runs: Mapping[str, CodesAndPrior]) -> Figure:
    """Show for each run its codes above, and below on the same axes the density of its prior."""
    figure = Figure(figsize=(3.3 * max(2, len(runs)), 6.6), layout="constrained")
    grid = figure.subplots(2, len(runs), squeeze=False)
    for (above, below), (title, run) in zip(grid.T, runs.items(), strict=True):
        _scatter(above, run.codes, run.labels)
        above.set_title(legible(title, 34), fontsize=10.5, color=INK)
        levels = _heights(run.density)
        below.contourf(run.axis, run.axis, run.density, [*levels, np.inf], colors=_SHADES, extend="neither")
        below.set_xlabel("z₁")
        below.set_ylabel("z₂")
        plain(below)
        for axes in (above, below):
            axes.set_xlim(run.axis[0], run.axis[-1])
            axes.set_ylim(run.axis[0], run.axis[-1])
            axes.set_aspect("equal")
        if run.labels is not None:
            _class_names(above, run.codes, run.labels)
    return figure


def _heights(density: Array) -> Array:
    """Return the heights, in rising order, above which a density on a grid has each share of its mass."""
    falling = np.sort(density.ravel())[::-1]
    mass = np.cumsum(falling) / falling.sum()
    return np.unique([falling[np.searchsorted(mass, share)] for share in _SHARES])

"""Figures: arrays in, matplotlib ``Figure`` out. Nothing here sees a model, a file or global state."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from matplotlib.transforms import Bbox

__all__ = [
    "bounds",
    "codes_and_mixture",
    "curves",
    "gaps",
    "gradient_costs",
    "image_grids",
    "latent_map",
    "plane",
    "png",
    "receptive_fields",
    "reconstructions",
    "tile",
]

Array = npt.NDArray[Any]

# Paul Tol's muted scheme and a dark grey: ten colours told apart with any common colour vision.
CLASS_COLOURS = (
    *("#332288", "#CC6677", "#117733", "#DDCC77", "#88CCEE"),
    *("#882255", "#44AA99", "#999933", "#AA4499", "#555555"),
)
# The same scheme without its pale colours, for lines.
LINE_COLOURS = ("#332288", "#CC6677", "#117733", "#882255", "#44AA99", "#999933", "#AA4499", "#555555")
_INK = "#222222"


def png(figure: Figure, dpi: int = 130) -> bytes:
    """Return the figure as PNG bytes, the same for the same figure."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def tile(images: Array, columns: int, gap: int = 1) -> Array:
    """Lay images (N, H, W) out in rows of ``columns`` with blank lines between: one array (rows, columns)."""
    count, height, width = images.shape
    rows = math.ceil(count / columns)
    sheet = np.zeros((rows * (height + gap) - gap, columns * (width + gap) - gap))
    for index, image in enumerate(images):
        top, left = (index // columns) * (height + gap), (index % columns) * (width + gap)
        sheet[top : top + height, left : left + width] = image
    return sheet


def _show(axes: Axes, sheet: Array, title: str = "") -> None:
    axes.imshow(sheet, cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_color("#cccccc")
    axes.set_title(title, fontsize=11, color=_INK)


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9, colors=_INK)


def image_grids(panels: Mapping[str, Array], columns: int) -> Figure:
    """Show sets of images (N, H, W) side by side, three in a row, each under its title."""
    count, height, width = next(iter(panels.values())).shape
    tall = 4.1 * math.ceil(count / columns) * (height + 1) / (min(columns, count) * (width + 1))
    across = min(3, len(panels))
    rows = math.ceil(len(panels) / across)
    figure = Figure(figsize=(4.2 * across, (tall + 0.35) * rows), layout="constrained")
    places = figure.subplots(rows, across, squeeze=False).flatten()
    for axes, (title, images) in zip(places, panels.items(), strict=False):
        _show(axes, tile(images, columns), title)
    for axes in places[len(panels) :]:
        axes.set_visible(False)
    return figure


def _class_names(axes: Axes, points: Array, labels: Array) -> None:
    """Write each class at the median of its points, so that colour is not the only key."""
    for index in np.unique(labels):
        x, y = np.median(points[labels == index], axis=0)
        outline = [withStroke(linewidth=3, foreground="white")]
        axes.text(x, y, str(index), fontsize=14, weight="bold", ha="center", va="center", path_effects=outline)


def _scatter(axes: Axes, points: Array, labels: Array | None, limits: float = 0.0) -> None:
    colours: Any = "#777777"
    if labels is not None:
        colours = np.array(CLASS_COLOURS)[labels % len(CLASS_COLOURS)]
    axes.scatter(points[:, 0], points[:, 1], s=4, c=colours, alpha=0.5, linewidths=0, rasterized=True)
    axes.set_xlabel("z₁")
    axes.set_ylabel("z₂")
    _plain(axes)


def latent_map(codes: Array, labels: Array | None, title: str) -> Figure:
    """Show 2-D codes (N, 2), coloured by integer class if ``labels`` (N,) are given."""
    figure = Figure(figsize=(7, 6.4), layout="constrained")
    axes = figure.subplots()
    _scatter(axes, codes, labels)
    axes.set_aspect("equal", adjustable="datalim")
    if labels is not None:
        _class_names(axes, codes, labels)
    axes.set_title(title, fontsize=11, color=_INK)
    return figure


def _ellipses(axes: Axes, means: Array, covariances: Array) -> None:
    """Draw each component's ellipse of two standard deviations."""
    for mean, covariance in zip(means, covariances, strict=True):
        values, vectors = np.linalg.eigh(covariance)
        width, height = 4 * np.sqrt(np.maximum(values, 0))
        angle = math.degrees(math.atan2(vectors[1, 0], vectors[0, 0]))
        axes.add_patch(Ellipse(tuple(mean), width, height, angle=angle, fill=False, edgecolor=_INK, linewidth=0.8))


def codes_and_mixture(
    codes: Array, labels: Array | None, samples: Array, means: Array, covariances: Array, titles: tuple[str, str]
) -> Figure:
    """Show 2-D codes beside as many samples of their mixture, with the components' 2-sigma ellipses."""
    figure = Figure(figsize=(12, 5.8), layout="constrained")
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    _scatter(left, codes, labels)
    if labels is not None:
        _class_names(left, codes, labels)
    _scatter(right, samples, None)
    reach = 2 * np.sqrt(np.diagonal(covariances, axis1=1, axis2=2))  # what the ellipses span
    low = np.minimum(np.quantile(codes, 0.001, axis=0), (means - reach).min(0))
    high = np.maximum(np.quantile(codes, 0.999, axis=0), (means + reach).max(0))
    margin = 0.03 * (high - low)
    for axes, title in zip((left, right), titles, strict=True):
        _ellipses(axes, means, covariances)
        axes.set_title(title, fontsize=11, color=_INK)
        axes.set_xlim(low[0] - margin[0], high[0] + margin[0])
        axes.set_ylim(low[1] - margin[1], high[1] + margin[1])
    return figure


def curves(histories: Mapping[str, Sequence[Mapping[str, Any]]], keys: Sequence[str], ylabel: str) -> Figure:
    """Show logged values against training seconds, one line a run; ``keys`` are tried in turn."""
    figure = Figure(figsize=(10, 4.6), layout="constrained")
    axes = figure.subplots()
    styles = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)))
    lowest = []
    for index, (name, rows) in enumerate(histories.items()):
        points = [(row["seconds"], row[key]) for row in rows for key in keys if key in row]
        if not points:
            continue
        seconds, values = zip(*points, strict=True)
        colour = LINE_COLOURS[index % len(LINE_COLOURS)]
        axes.plot(seconds, values, label=name, color=colour, linestyle=styles[index % len(styles)], linewidth=1.8)
        lowest.append(values[min(1, len(values) - 1)])  # the first validation would flatten all the others
    if lowest:
        axes.set_ylim(bottom=min(lowest))
    axes.set_xlabel("training time (s)")
    axes.set_ylabel(ylabel)
    axes.grid(alpha=0.25)
    _plain(axes)
    axes.legend(frameon=False, fontsize=9, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def reconstructions(rows: Mapping[str, Array]) -> Figure:
    """Show rows of images (N, H, W), the first usually the originals, each with its name."""
    count = len(next(iter(rows.values())))
    names = 0.085 * max(map(len, rows)) + 0.2  # inches that the names need
    width = 0.75 * count + names
    figure = Figure(figsize=(width, 0.82 * len(rows)))
    figure.subplots_adjust(left=names / width, right=0.995, top=0.99, bottom=0.01, hspace=0.08)
    for axes, (name, images) in zip(figure.subplots(len(rows), 1, squeeze=False)[:, 0], rows.items(), strict=True):
        _show(axes, tile(images, count))
        axes.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=10, color=_INK)
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


def bounds(values: Mapping[str, tuple[float, float]], xlabel: str) -> Figure:
    """Show a value with its standard error for each run, one line a run."""
    figure = Figure(figsize=(8, 0.6 * len(values) + 1.2), layout="constrained")
    axes = figure.subplots()
    for position, (value, error) in enumerate(values.values()):
        axes.errorbar(value, position, xerr=2 * error, fmt="o", color=CLASS_COLOURS[0], capsize=4)
        axes.annotate(f"{value:.2f}", (value, position), xytext=(0, 8), textcoords="offset points", ha="center")
    axes.set_yticks(range(len(values)), list(values))
    axes.set_ylim(len(values) - 0.4, -0.6)
    axes.margins(x=0.15)
    axes.set_xlabel(xlabel)
    axes.grid(axis="x", alpha=0.25)
    _plain(axes)
    return figure


def gaps(values: Mapping[str, tuple[float, float, bool]], xlabel: str, title: str) -> Figure:
    """Show (value, standard error, filled) of each name on a line of its own; to a log scale where all are above 0."""
    figure = Figure(figsize=(8.4, 0.36 * len(values) + 1.3), layout="constrained")
    axes = figure.subplots()
    for position, (value, error, filled) in enumerate(values.values()):
        colour = LINE_COLOURS[0]
        face = colour if filled else "white"
        axes.errorbar(value, position, xerr=2 * error, fmt="o", color=colour, markerfacecolor=face, capsize=3)
        axes.annotate(f"{value:.2f}", (value + 2 * error, position), (6, -3), textcoords="offset points", fontsize=9)
    axes.set_yticks(range(len(values)), list(values), fontsize=9.5)
    axes.set_ylim(len(values) - 0.4, -0.6)
    if min(value - 2 * error for value, error, _ in values.values()) > 0:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.margins(x=0.12)
    axes.set_xlabel(xlabel)
    axes.set_title(title, fontsize=11, color=_INK)
    axes.grid(axis="x", alpha=0.25)
    _plain(axes)
    return figure


def receptive_fields(panels: Mapping[str, Array], columns: int) -> Figure:
    """Show sets of weights (N, H, W) side by side: red above zero, blue below, each panel to a scale of its own."""
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
        axes.set_title(title, fontsize=11, color=_INK)
    return figure


def gradient_costs(points: Mapping[str, tuple[float, float, bool]], title: str) -> Figure:
    """Show (milliseconds a step, variance, biased) of each estimator, log-log, with lines of equal efficiency."""
    figure = Figure(figsize=(9, 6.2))
    figure.subplots_adjust(left=0.09, right=0.985, top=0.93, bottom=0.1)
    axes = figure.subplots()
    axes.set_xscale("log")
    axes.set_yscale("log")
    for biased, name, colour, marker in (
        (False, "unbiased", LINE_COLOURS[0], "o"),
        (True, "biased", LINE_COLOURS[1], "s"),
    ):
        shown = [(point[0], point[1]) for point in points.values() if point[2] == biased]
        if shown:
            face = "white" if biased else colour
            axes.plot(*zip(*shown, strict=True), marker, color=colour, markerfacecolor=face, markersize=6.5, label=name)
    costs, variances = np.array([point[0] for point in points.values()]), [point[1] for point in points.values()]
    axes.set_xlim(costs.min() / 1.6, costs.max() * 2.2)  # room for the labels, most of them to the right
    axes.set_ylim(min(variances) / 2, max(variances) * 2)
    axes.set_xlabel("milliseconds a step, forward and backward")
    axes.set_ylabel("variance of the gradient, averaged over encoder parameters")
    axes.set_title(title, fontsize=11, color=_INK)
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    for axis in (axes.xaxis, axes.yaxis):  # plain numbers: powers of ten would want fonts for mathematics
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())
    _equal_efficiency(axes)
    _plain(axes)
    axes.legend(frameon=False, fontsize=9, loc="best")
    _label_apart(figure, axes, points)
    return figure


def _equal_efficiency(axes: Axes) -> None:
    """Draw lines of equal variance x time, ten times apart."""
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    name: str | None = "equal efficiency, a factor of ten apart"
    for power in range(math.floor(math.log10(left * low)), math.ceil(math.log10(right * high)) + 1):
        ends = [10**power / left, 10**power / right]
        axes.plot([left, right], ends, color="#cccccc", linewidth=0.8, zorder=0, label=name, scalex=False, scaley=False)
        name = None


def _label_apart(figure: Figure, axes: Axes, points: Mapping[str, tuple[float, float, bool]]) -> None:
    """Write each point's name beside it, at the first place where it covers no other point or name."""
    canvas = FigureCanvasAgg(figure)
    renderer = canvas.get_renderer()  # type: ignore[no-untyped-call]
    at = axes.transData.transform([(point[0], point[1]) for point in points.values()])
    frame = axes.get_window_extent(renderer)
    unit = figure.dpi / 72
    legend = axes.get_legend()
    taken = [] if legend is None else [legend.get_window_extent(renderer)]
    taken += [Bbox.from_extents(x - 5 * unit, y - 5 * unit, x + 5 * unit, y + 5 * unit) for x, y in at]
    places = [(side * (7 + abs(rise) / 3), rise) for rise in _rises() for side in (1, -1)]
    for (x, y), (name, (milliseconds, variance, _)) in sorted(
        zip(at, points.items(), strict=True), key=lambda pair: -pair[0][1]
    ):
        text = axes.annotate(name, (milliseconds, variance), fontsize=8.5, color=_INK, va="center")
        text.set_path_effects([withStroke(linewidth=2.5, foreground="white")])
        size = text.get_window_extent(renderer)
        for right, up in places:
            start = x + right * unit - (0 if right > 0 else size.width)
            box = Bbox.from_bounds(start, y + up * unit - size.height / 2, size.width, size.height)
            inside = box.x0 >= frame.x0 and box.x1 <= frame.x1 and box.y0 >= frame.y0 and box.y1 <= frame.y1
            if inside and not any(box.overlaps(other) for other in taken):
                break
        else:
            right, up, box = 7, 0, size
        taken.append(box)
        text.set_position((right, up))
        text.set_anncoords("offset points")
        text.set_horizontalalignment("left" if right > 0 else "right")
        if abs(up) > 9:  # far enough to want a line
            ends = axes.transData.inverted().transform([(x, y), (x + right * unit, y + up * unit)])
            axes.plot(*ends.T, color="#999999", linewidth=0.6, zorder=1)


def _rises() -> list[int]:
    return [0, *(sign * rise for rise in range(6, 121, 3) for sign in (1, -1))]

"""The figure of gradient estimators: variance against time."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from matplotlib.transforms import Bbox

from vaelab.plots.style import INK, LINE_COLOURS, plain

__all__ = ["gradient_costs"]


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
    axes.set_title(title, fontsize=11, color=INK)
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    for axis in (axes.xaxis, axes.yaxis):  # plain numbers: powers of ten would need a mathematical font
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())
    _equal_efficiency(axes)
    plain(axes)
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
    """Write each point's name next to it, at the first place where it covers no other point or name."""
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
        text = axes.annotate(name, (milliseconds, variance), fontsize=8.5, color=INK, va="center")
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
        if abs(up) > 9:  # far enough to need a line
            ends = axes.transData.inverted().transform([(x, y), (x + right * unit, y + up * unit)])
            axes.plot(*ends.T, color="#999999", linewidth=0.6, zorder=1)


def _rises() -> list[int]:
    return [0, *(sign * rise for rise in range(6, 121, 3) for sign in (1, -1))]

"""Figures of values: along a training, and of several runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from vaelab.plots.style import CLASS_COLOURS, INK, LINE_COLOURS, legible, plain

__all__ = ["bounds", "curves", "gaps"]

_FEW = 5  # so few validations are all shown


def curves(histories: Mapping[str, Sequence[Mapping[str, Any]]], keys: Sequence[str], ylabel: str) -> Figure:
    """Show logged values against training seconds, one line per run; the first of ``keys`` in a row is used."""
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
        axes.plot(
            seconds, values, label=legible(name), color=colour, linestyle=styles[index % len(styles)], linewidth=1.8
        )
        lowest.append(values[1 if len(values) > _FEW else 0])  # the first of many would flatten all the others
    if lowest and min(lowest) < axes.get_ylim()[1]:
        axes.set_ylim(bottom=min(lowest))
    axes.set_xlabel("training time (s)")
    axes.set_ylabel(ylabel)
    axes.grid(alpha=0.25)
    plain(axes)
    axes.legend(frameon=False, fontsize=9, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def bounds(values: Mapping[str, tuple[float, float]], xlabel: str) -> Figure:
    """Show a value with its standard error for each run, one line per run."""
    figure = Figure(figsize=(8, 0.6 * len(values) + 1.2), layout="constrained")
    axes = figure.subplots()
    for position, (value, error) in enumerate(values.values()):
        axes.errorbar(value, position, xerr=2 * error, fmt="o", color=CLASS_COLOURS[0], capsize=4)
        axes.annotate(f"{value:.2f}", (value, position), xytext=(0, 8), textcoords="offset points", ha="center")
    axes.set_yticks(range(len(values)), [legible(name) for name in values])
    axes.set_ylim(len(values) - 0.4, -0.6)
    axes.margins(x=0.15)
    axes.set_xlabel(xlabel)
    axes.grid(axis="x", alpha=0.25)
    plain(axes)
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
    axes.set_yticks(range(len(values)), [legible(name) for name in values], fontsize=9.5)
    axes.set_ylim(len(values) - 0.4, -0.6)
    if min(value - 2 * error for value, error, _ in values.values()) > 0:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.margins(x=0.12)
    axes.set_xlabel(xlabel)
    axes.set_title(legible(title, 90), fontsize=11, color=INK)
    axes.grid(axis="x", alpha=0.25)
    plain(axes)
    return figure

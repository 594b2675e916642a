"""A panel of reports for test_new_things: the mean of each column of the samples."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from vaelab.plots import png
from vaelab.report.member import ReportedRun
from vaelab.report.section import Section

__all__ = ["column_means"]


def column_means(runs: Sequence[ReportedRun]) -> Section | None:
    """Draw the mean of each column of 100 samples of the first run."""
    figure = Figure()
    means = runs[0].samples(100, "mean").mean(0)
    figure.add_subplot().bar(range(len(means)), means.numpy())
    return Section("column-means", "Means of the columns", "Bars near 1/2 say little.", "", png(figure))

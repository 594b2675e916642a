"""The section on the columns of a table: their means in the test data and in the samples of a model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from vaelab import plots
from vaelab.report.member import ReportedRun
from vaelab.report.section import Live, Section

__all__ = ["columns_drawn"]

_DRAWN, _SHOWN, _NAMED = 2000, 30, 3
_NUMBERS = 2 * 10**7  # of the samples that are drawn at once


def columns_drawn(members: Sequence[ReportedRun]) -> Section | None:
    """The means of named columns over samples of a generative run, beside those of the test data.

    It is the first run with codes, if there is one: independent columns have the right means by construction.
    """
    tables = [m for m in members if m.is_generative and m.run.spec.columns and not m.data.image_shape]
    if not tables:
        return None
    member = next((m for m in tables if m.has_codes), tables[0])
    spec, names = member.data.spec, list(member.run.spec.columns or ())
    count = max(100, min(_DRAWN, _NUMBERS // spec.dim))
    data = member.test.mean().double().numpy()
    drawn = member.samples(count, "mean")[:, : spec.dim].double().mean(0).cpu().numpy()
    deviation = _deviations(member, data)
    (varying,) = np.nonzero(deviation > 0)
    difference = (drawn[varying] - data[varying]) / deviation[varying]
    largest = np.argsort(-np.abs(difference), kind="stable")
    shown = np.sort(largest[:_SHOWN])
    error = float(np.sqrt(1 / len(member.test) + 1 / count))
    values = {names[varying[place]]: (float(difference[place]), error, True) for place in shown}
    if not values:
        return None
    title = f"{member.title}: the {len(values)} of {len(names)} columns that differ most"
    figure = plots.gaps(values, "mean of samples - mean of test data (standard deviations), ± 2 standard errors", title)
    guide = (
        "For each column, how far the mean of samples lies from that of the test data, in standard deviations of the "
        "column. A model that fits has differences within the error bars. A column name=level is the share of a level."
    )
    named = [
        f"{names[place]}: {data[place]:.4g} in the test data, {drawn[place]:.4g} in the samples"
        for place in varying[largest[:_NAMED]]
    ]
    finding = f"Most different: {'; '.join(named)}."
    live = Live("sample", member, "Draw samples of the columns in the explorer")
    return Section("columns", "Columns of the data and of samples", guide, finding, plots.png(figure), live)


def _deviations(member: ReportedRun, means: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the standard deviation of each column: of the training data for numbers, of the share for levels."""
    spec = member.data.spec
    deviations = np.zeros(spec.dim) if spec.deviation is None else spec.deviation.double().numpy().copy()
    for kind, start, stop in spec.groups:
        if kind in ("binary", "categorical"):
            shares = means[start:stop]
            deviations[start:stop] = np.sqrt(shares * (1 - shares))
    return deviations

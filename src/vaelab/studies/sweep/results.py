"""The results of a sweep: a row for each combination, as a table and as files."""

from __future__ import annotations

import csv
import io
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vaelab import plots
from vaelab.errors import InputError
from vaelab.objectives import OBJECTIVES
from vaelab.runs import Run
from vaelab.settings import Settings
from vaelab.storage import Schema, seal, unseal, write_file
from vaelab.studies.sweep.space import Combination, Space, short_names, words_of

__all__ = ["Metric", "Result", "metric_of", "read_result", "require_sweep", "sweep_table", "write_results"]

_SAMPLES = 10  # codes per observation: enough for a mean over the validation split


@dataclass(frozen=True)
class Metric:
    """The evaluation on the validation split by which all combinations are compared: its name and its ``samples``."""

    record: str
    title: str
    options: tuple[str, ...] = ()
    samples: int | None = None
    sign: int = 1


def metric_of(settings: Sequence[Settings]) -> Metric:
    """Return the bound by which all combinations can be compared.

    This is the ELBO, or the importance-weighted bound with K = 100 if one of them maximises a function of several
    codes. Auto-encoders have no bound and are compared by their reconstruction, density models by log p(x) itself.
    """
    objectives = {each.objective["name"] for each in settings if each.objective is not None}
    if "reconstruction" in objectives:
        return Metric("reconstruction-error", "reconstruction", ("--samples", "1"), sign=-1)
    if not objectives:
        return Metric("exact", "log p(x)", ("--bound", "exact"))
    if any(OBJECTIVES[name].combination != "mean" for name in objectives):
        return Metric("iwae-100", "IWAE (K = 100)", ("--bound", "iwae", "--samples", "100"), 100)
    return Metric("elbo", "ELBO", ("--bound", "elbo", "--samples", str(_SAMPLES)), _SAMPLES)


@dataclass(frozen=True)
class Result:
    """A combination with its bound and standard error (nats), or with the reason why it has none."""

    name: str
    values: Combination
    bound: float | None = None
    standard_error: float | None = None
    seconds: float | None = None
    failure: str | None = None


def read_result(name: str, values: Combination, run: Run, measure: Metric) -> Result | None:
    """Return the result of a run that is finished and evaluated, or None."""
    if not run.finished:
        return None
    wanted = {"name": measure.record, "samples": measure.samples, "split": "validation", "seed": 0}
    records = [record for record in run.evaluations() if all(getattr(record, key) == wanted[key] for key in wanted)]
    if not records:
        return None
    value, error = measure.sign * records[-1].value, records[-1].standard_error
    return Result(name, values, value, error, max(row["seconds"] for row in run.metrics()))


def sweep_table(results: Sequence[Result], space: Space, measure: Metric) -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows, in the order given: settings, bound ± standard error, seconds of training."""
    header = [*short_names(list(space.varied)).values(), f"validation {measure.title}", "seconds"]
    rows = []
    for result in results:
        settings = [words_of({"": result.values[key]})[1:] for key in space.varied]
        if result.bound is None:
            rows.append([*settings, f"failed: {(result.failure or '').partition(';')[0]}", "-"])
        else:
            error = f" ± {result.standard_error:.2f}" if result.standard_error is not None else ""
            rows.append([*settings, f"{result.bound:.2f}{error}", f"{result.seconds:.1f}"])
    return header, rows


def write_results(
    out: Path, results: Sequence[Result], space: Space, measure: Metric, search: dict[str, Any]
) -> dict[str, Any]:
    """Write ``sweep.json``, ``sweep.csv`` and, for two or more results, ``sweep.png``; return the JSON's content."""
    content = {
        "model": space.model,
        **search,
        "varied": {key: str(part) if not isinstance(part, tuple) else list(part) for key, part in space.varied.items()},
        "bound": measure.record,
        "split": "validation",
        "combinations": [{"run": str(out / result.name), **result.__dict__} for result in results],
    }
    write_file(out / "sweep.json", seal(content))
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    numbers = ("bound", "standard_error", "seconds", "failure")
    writer.writerow(["run", *space.varied, *numbers])
    for result in results:
        values = (words_of({"": result.values[key]})[1:] for key in space.varied)
        writer.writerow([result.name, *values, *(getattr(result, number) for number in numbers)])
    write_file(out / "sweep.csv", table.getvalue())
    try:
        _draw(out, results, space, measure)
    except Exception as error:  # numbers are kept even if the figure fails
        logging.getLogger("vaelab").warning("%s was not written: %s", out / "sweep.png", error)
    return content


def _draw(out: Path, results: Sequence[Result], space: Space, measure: Metric) -> None:
    """Write ``sweep.png``."""
    reached = [result for result in results if result.bound is not None]
    if len(reached) > 1:
        short = short_names(list(space.varied))
        panels = {short[key]: [result.values[key] for result in reached] for key in space.varied}
        bounds = [(result.bound or 0.0, result.standard_error or 0.0) for result in reached]
        figure = plots.settings_and_bounds(panels, bounds, f"validation {measure.title} (nats), ± 2 standard errors")
        write_file(out / "sweep.png", plots.png(figure))


class SweepFile(Schema):
    """The required content of ``sweep.json``."""

    model: str
    bound: str
    combinations: list[dict[str, Any]]


def require_sweep(out: Path) -> None:
    """Refuse a directory with a ``sweep.json``, ``sweep.csv`` or ``sweep.png`` that no sweep of vaelab wrote.

    Raises:
        InputError: such a file, or a ``sweep.json`` that is damaged.
    """
    existing = [out / f"sweep.{kind}" for kind in ("json", "csv", "png") if os.path.lexists(out / f"sweep.{kind}")]
    if existing and existing[0].suffix != ".json":
        raise InputError(
            f"out: {str(existing[0])!r} is not from a sweep of vaelab (there is no sweep.json); it is kept"
        )
    if existing:
        unseal(existing[0], SweepFile)

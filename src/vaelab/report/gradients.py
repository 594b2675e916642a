"""The measured gradient estimators of a run: its table, its figure and its section of a report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vaelab import plots
from vaelab.report.member import Member
from vaelab.report.section import Section

__all__ = ["GRADIENT_HEADER", "gradient_figure", "gradient_notes", "gradient_table", "gradient_variance"]

GRADIENT_HEADER = ["estimator", "K", "bias |z|", "variance", "SNR", "ms/step", "decoder", "1/(var × s)"]


def gradient_table(result: dict[str, Any]) -> list[list[str]]:
    """Return a row for each estimator of a ``gradients.json``, the most efficient first."""
    rows = []
    for row in result["estimators"]:
        error = row["variance_error"]
        spread = f" ± {error / row['variance']:.0%}" if error is not None and row["variance"] else ""
        rows.append(
            [
                row["estimator"],
                str(row["samples"]),
                _bias(row, result["bias_limit"]),
                f"{row['variance']:.3g}{spread}",
                _number(row["signal_to_noise"]),
                f"{row['milliseconds']:.2f}",
                f"{row['decoder_evaluations']:,}",
                _number(row["efficiency"]),
            ]
        )
    return rows


def _bias(row: dict[str, Any], limit: float) -> str:
    if row["bias_z"] is None:
        return "exact"
    found = f"{row['bias_z']:.1f}" + (" (over)" if row["bias_z"] > limit else "")
    return f"{found} biased" if row["biased"] else found


def _number(value: float | None) -> str:
    return "∞" if value is None else f"{value:.3g}"


def gradient_notes(result: dict[str, Any]) -> list[str]:
    """Return the sentences below the table: what was measured, how bias is judged, what was refused."""
    reference = result["reference"]
    against = "the exact gradient"
    if reference["name"] != "exact":
        against = f"the mean of {reference['draws']:,} draws of {reference['name']}"
    refused = [f"not applicable: {entry['estimator']}: {entry['reason']}" for entry in result["refused"]]
    left_out = [f"left out: {', '.join(result['left_out'])}"] if result["left_out"] else []
    return [
        f"{result['draws']} draws on one batch of {result['observations']} observations, objective "
        f"{result['objective']}; variance averaged over {result['encoder_parameters']:,} encoder parameters; "
        f"up to {result['warmup']} warm-up steps; {result['threads']} threads",
        f"bias against {against}: an unbiased estimator exceeds |z| = {result['bias_limit']:.2f} in "
        f"{result['false_alarm']:.1%} of cases (largest of {result['directions']} projections)",
        *refused,
        *left_out,
    ]


def gradient_figure(result: dict[str, Any]) -> bytes:
    """Return the figure of a ``gradients.json`` as PNG: variance against time."""
    points = {
        f"{row['estimator']} (K = {row['samples']})" if row["samples"] != result["samples"] else row["estimator"]: (
            row["milliseconds"],
            row["variance"],
            row["biased"],
        )
        for row in result["estimators"]
        if row["variance"] > 0
    }
    title = f"{result['objective']}, K = {result['samples']}, one batch of {result['observations']}, model frozen"
    return plots.png(plots.gradient_costs(points, title))


def gradient_variance(members: Sequence[Member]) -> Section | None:
    """Variance against time of the estimators measured on the first run that has been measured."""
    for member in members:
        result = member.run.gradients()
        if result is None or not any(row["variance"] > 0 for row in result["estimators"]):
            continue
        look = (
            "Each point is a gradient estimator on the same frozen model and the same batch: how much its estimates "
            "scatter against what a step costs. Down and to the left is better; along a grey line the two trade "
            "evenly, as if one estimator were averaged over more steps. Hollow squares are biased: their small "
            "variance is no merit of its own."
        )
        return Section(
            "gradient-variance", "Gradient estimators", look, _found(member, result), gradient_figure(result)
        )
    return None


def _found(member: Member, result: dict[str, Any]) -> str:
    unbiased = [row for row in result["estimators"] if not row["biased"] and row["variance"] > 0]
    text = f"On {member.title}, {result['draws']} draws on {result['observations']} training observations"
    if unbiased:
        best = max(unbiased, key=lambda row: row["efficiency"])
        lowest = min(unbiased, key=lambda row: row["variance"])
        text += f", the most efficient unbiased estimator is {best['estimator']} ({best['milliseconds']:.1f} ms a step)"
        if lowest is not best:
            text += f"; the lowest variance has {lowest['estimator']}, at {lowest['milliseconds']:.1f} ms"
        named = {row["estimator"]: row for row in unbiased}
        average, others = named.get("score-function, running-average"), named.get("score-function, leave-one-out")
        if average and others:
            ratio = average["variance"] / others["variance"]
            text += f"; the running average has {ratio:.1f} times the variance of leave-one-out"
    over = [row["estimator"] for row in result["estimators"] if (row["bias_z"] or 0.0) > result["bias_limit"]]
    text += f". Found biased beyond |z| = {result['bias_limit']:.2f}: {', '.join(over) if over else 'none'}."
    if result["left_out"]:
        text += f" Left out: {', '.join(result['left_out'])}."
    return text

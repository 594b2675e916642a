"""The measured gradient estimators of a run: its table, its figure and its section of a report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vaelab import plots
from vaelab.report.member import ReportedRun
from vaelab.report.section import Section

__all__ = ["GRADIENT_HEADER", "gradient_figure", "gradient_notes", "gradient_table", "gradient_variance"]

GRADIENT_HEADER = ["estimator", "K", "proven", "bias |z|", "variance", "SNR", "ms/step", "decoder", "1/(var × s)"]


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
                "exact" if row["bias_z"] is None else "biased" if row["biased"] else "unbiased",
                _bias(row, result),
                f"{row['variance']:.3g}{spread}",
                _number(row["signal_to_noise"]),
                f"{row['milliseconds']:.2f}",
                f"{row['decoder_evaluations']:,}",
                _number(row["efficiency"]),
            ]
        )
    return rows


def _bias(row: dict[str, Any], result: dict[str, Any]) -> str:
    """Return the deviate of each look, and which are over their limit."""
    if row["bias_z"] is None:
        return "0"
    found = f"{row['bias_z']:.1f}" + (" (over)" if row["bias_z"] > result["bias_limit"] else "")
    second = row.get("bias_z_again")
    if second is None:
        return found
    return f"{found}, again {second:.1f}" + (" (over)" if second > result["bias_limit_again"] else "")


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
        "proven: what the tests find of the estimator's mean, every outcome enumerated or integrated",
        f"bias against {against}: |z| is the largest of {result['directions']} projections of the error; any unbiased "
        f"estimator exceeds {result['bias_limit']:.2f} in at most {result['false_alarm']:.0%} of reports, and is then "
        f"measured again with fresh draws: over both limits in at most {result['false_alarm_of_report']:.2%} of them",
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


def gradient_variance(members: Sequence[ReportedRun]) -> Section | None:
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


def _found(member: ReportedRun, result: dict[str, Any]) -> str:
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
    text += f". {_bias_found(result)}"
    if result["left_out"]:
        text += f" Left out: {', '.join(result['left_out'])}."
    return text


def _bias_found(result: dict[str, Any]) -> str:
    """Return the sentences on bias: of those that have one by construction, and of those proven to have none."""
    limit, rows = result["bias_limit"], [row for row in result["estimators"] if row["bias_z"] is not None]
    biased = [row for row in rows if row["biased"]]
    shown = [row["estimator"] for row in biased if row["bias_z"] > limit]
    hidden = [row["estimator"] for row in biased if row["bias_z"] <= limit]
    text = []
    if shown:
        text.append(f"Biased by construction, and measured so beyond |z| = {limit:.2f}: {', '.join(shown)}.")
    if hidden:
        text.append(f"Biased by construction, too little for these draws to show it: {', '.join(hidden)}.")
    over = [row for row in rows if not row["biased"] and row["bias_z"] > limit]
    if len(biased) < len(rows):
        none = "" if over else f"; none exceeds |z| = {limit:.2f}"
        text.append(f"The others are proven unbiased by enumeration or quadrature{none}.")
    for row in over:
        again = row.get("bias_z_again")
        once = f"{row['estimator']} exceeded |z| = {limit:.2f} at first ({row['bias_z']:.2f})"
        if again is None or again <= result["bias_limit_again"]:
            after = "" if again is None else f" and not with fresh draws ({again:.2f})"
            text.append(f"{once}{after}: chance.")
        else:
            text.append(
                f"{once} and again with fresh draws ({again:.2f}), which chance does in at most "
                f"{result['false_alarm_of_report']:.2%} of reports: a fault of the measurement or of the code."
            )
    return " ".join(text)

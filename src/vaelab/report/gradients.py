"""The measured gradient estimators of a run: table, figure and section of a report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vaelab import plots
from vaelab.report.member import ReportedRun
from vaelab.report.section import Live, Section

__all__ = ["GRADIENT_HEADER", "gradient_figure", "gradient_notes", "gradient_table", "gradient_variance"]

GRADIENT_HEADER = ["estimator", "K", "proven", "bias |z|", "variance", "SNR", "ms/step", "decoder", "1/(var × s)"]


def gradient_table(result: dict[str, Any]) -> list[list[str]]:
    """Return a row for each estimator of a ``gradients.json``; the most efficient comes first."""
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
    """Return the deviate of each test, marked if it exceeds its limit."""
    if row["bias_z"] is None:
        return "0"
    first = f"{row['bias_z']:.1f}" + (" (over)" if row["bias_z"] > result["bias_limit"] else "")
    second = row.get("bias_z_again")
    if second is None:
        return first
    return f"{first}, again {second:.1f}" + (" (over)" if second > result["bias_limit_again"] else "")


def _number(value: float | None) -> str:
    return "∞" if value is None else f"{value:.3g}"


def gradient_notes(result: dict[str, Any]) -> list[str]:
    """Return the sentences below the table: the measurement, the test for bias, and the refused estimators."""
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
        "proven: whether the tests show that the estimator is unbiased, by enumeration or integration of every outcome",
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
        guide = (
            "Each point is a gradient estimator on the same frozen model and the same batch: the variance of its "
            "estimates against the time of a step. Lower and further left is better. On a grey line, variance times "
            "time is constant, as if one estimator were averaged over more steps. Hollow squares are biased: a small "
            "variance alone does not make them accurate."
        )
        live = Live("estimators", member, "Watch the estimators on a small model in the explorer")
        figure = gradient_figure(result)
        return Section("gradient-variance", "Gradient estimators", guide, _finding(member, result), figure, live)
    return None


def _finding(member: ReportedRun, result: dict[str, Any]) -> str:
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
    text += f".\n{_bias_finding(result)}"
    if result["left_out"]:
        text += f"\nLeft out: {', '.join(result['left_out'])}."
    return text


def _bias_finding(result: dict[str, Any]) -> str:
    """Return the sentences on bias: of estimators biased by construction, and of those proven to be unbiased."""
    limit, rows = result["bias_limit"], [row for row in result["estimators"] if row["bias_z"] is not None]
    biased = [row for row in rows if row["biased"]]
    shown = [row["estimator"] for row in biased if row["bias_z"] > limit]
    hidden = [row["estimator"] for row in biased if row["bias_z"] <= limit]
    text = []
    if shown:
        text.append(f"Biased by construction, and measured so beyond |z| = {limit:.2f}: {', '.join(shown)}.")
    if hidden:
        text.append(f"Biased by construction, by too little to be significant with these draws: {', '.join(hidden)}.")
    over = [row for row in rows if not row["biased"] and row["bias_z"] > limit]
    if len(biased) < len(rows):
        none = "" if over else f"; none exceeds |z| = {limit:.2f}"
        text.append(f"The others are proven unbiased by enumeration or quadrature{none}.")
    for row in over:
        again = row.get("bias_z_again")
        once = f"{row['estimator']} exceeded |z| = {limit:.2f} at first ({row['bias_z']:.2f})"
        if again is None or again <= result["bias_limit_again"]:
            after = "" if again is None else f" and not with fresh draws ({again:.2f})"
            text.append(f"{once}{after}: this is chance.")
        else:
            text.append(
                f"{once} and again with fresh draws ({again:.2f}), which happens by chance in at most "
                f"{result['false_alarm_of_report']:.2%} of reports: the measurement or the code is wrong."
            )
    return " ".join(text)

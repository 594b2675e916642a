"""What the studies of the estimators show, computed from their results; the page `choosing.md` takes it in.

`python docs/choosing_table.py` prints it in a terminal.
"""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

from vaelab.estimators import ESTIMATORS

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results" / "estimators_study.json"
LONG = RESULTS.with_name("estimators_study_long.json")
TABLES = RESULTS.with_name("estimators_tables.json")
# estimator -> bounds of its papers on MNIST, linear and non-linear 200 bits; None where there is none.
TRAIN = "training ELBO, static, 2 million steps of 24"
PUBLISHED: list[tuple[str, float | None, float | None, str]] = [
    ("score-function, network", -112.5, -101.5, f"NVIL; {TRAIN}; RELAX paper, table 1"),
    ("muprop", -111.7, -101.1, f"{TRAIN}; RELAX paper, table 1"),
    ("rebar", -111.6, -81.01, f"{TRAIN}; RELAX paper, table 1 (validation −114.32 and −111.12)"),
    ("relax", -111.20, -78.13, f"{TRAIN}; RELAX paper, table 1 (validation −113.62 and −119.19)"),
    ("concrete", -111.3, -102.2, f"{TRAIN}; RELAX paper, table 1"),
    ("arm", -107.2, -98.4, "test log-likelihood estimate, static, 1.2 million steps of 50; ARM paper"),
]


def _rows(results: list[dict[str, Any]], net: str) -> list[dict[str, Any]]:
    """Return a row for each estimator of a net: means over its seeds, best ELBO first."""
    rows = []
    for label in dict.fromkeys(result["estimator"] for result in results):
        found = [r for r in results if (r["net"], r["estimator"]) == (net, label) and "test" in r]
        if not found:
            continue
        elbos = [r["test"]["elbo"][0] for r in found]
        seconds = [r["curve"][-1]["seconds"] for r in found if r["machine"] == results[0]["machine"]]
        kind = ESTIMATORS[found[0]["settings"]["estimator"]["name"]]
        rows.append(
            {
                "label": label,
                "samples": found[0]["samples"],
                "steps": found[0]["steps"],
                "seeds": len(found),
                "elbo": statistics.mean(elbos),
                "spread": max(elbos) - min(elbos),
                "iwae": statistics.mean(r["test"]["iwae-100"][0] for r in found),
                "seconds": statistics.mean(seconds) if seconds else None,
                "unbiased": not kind.biased and "(iwae)" not in label,
                "units": [r["units"] for r in found if "units" in r],
            }
        )
    return sorted(rows, key=lambda row: -row["elbo"])


def _table(rows: list[dict[str, Any]], with_units: bool = False) -> str:
    """Return the rows as a table; the number of active bits, and what each carries, were not kept of all studies."""
    units = ("active bits", "nats an active bit") if with_units else ()
    names = ("estimator", "K", "steps", "seeds", "test ELBO", "IWAE-100", *units, "seconds")
    lines = [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    for row in rows:
        spread = f" (range {row['spread']:.2f})" if row["seeds"] > 1 else ""
        cells = [row["label"], row["samples"], f"{row['steps']:,}", row["seeds"], f"{row['elbo']:.2f}{spread}"]
        cells += [f"{row['iwae']:.2f}"]
        if with_units:
            active = statistics.mean(found["active_units"] for found in row["units"])
            cells += [
                f"{active:.0f}",
                f"{statistics.mean(found['nats_per_active_unit'] for found in row['units']):.2f}",
            ]
        cells += ["" if row["seconds"] is None else f"{row['seconds']:.0f}"]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def long_markdown() -> str:
    """Return the table of the study with the larger budget."""
    study = json.loads(LONG.read_text())
    machines = "; ".join(dict.fromkeys(result["machine"] for result in study["results"]))
    parts = [f"`{study['command']}`; {study['budget']:,} decoder evaluations. Trained on {machines}."]
    for net in dict.fromkeys(result["net"] for result in study["results"]):
        parts += [f"**{net}**", _table(_rows(study["results"], net), with_units=True)]
    return "\n\n".join(parts)


def tables_markdown() -> str:
    """Return the bounds of bernoulli-vaes on binary tables, by estimator, and on how many tables each is the best."""
    study = json.loads(TABLES.read_text())
    rows, labels = study["rows"], list(study["estimators"])
    labels = [label for label in labels if any(row["estimator"] == label for row in rows)]
    names = sorted({row["table"] for row in rows})
    found = {(row["table"], row["estimator"], row["seed"]): row for row in rows}
    lines = [f"| table | {' | '.join(labels)} | seeds |", "|---" * (len(labels) + 2) + "|"]
    bounds = ("elbo", "iwae")
    best: dict[str, list[str]] = {bound: [] for bound in bounds}
    for name in names:
        of_table = [seed for table, _, seed in found if table == name]
        seeds = [seed for seed in sorted(set(of_table)) if of_table.count(seed) == len(labels)]
        if not seeds:
            continue
        means = {
            (label, bound): statistics.mean(found[name, label, seed][bound] for seed in seeds)
            for label in labels
            for bound in bounds
        }
        for bound in bounds:
            best[bound].append(max(labels, key=lambda label: means[label, bound]))
        cells = [f"{means[label, 'elbo']:.2f}, {means[label, 'iwae']:.2f}" for label in labels]
        lines.append(f"| {name} | {' | '.join(cells)} | {len(seeds)} |")
    counts = {bound: ", ".join(f"`{label}` {best[bound].count(label)}" for label in labels) for bound in bounds}
    return "\n\n".join(
        [
            f"`{study['command']}`; validation rows, ELBO and IWAE-300 in nats. Trained on {study['machine']}.",
            "\n".join(lines),
            f"Number of tables, of {len(best['elbo'])}, on which each has the best ELBO: {counts['elbo']}; the best "
            f"IWAE-300: {counts['iwae']}.",
        ]
    )


def _sentences(net: str, rows: list[dict[str, Any]]) -> str:
    unbiased = [row for row in rows if row["unbiased"]]
    best, plain = unbiased[0], next(row for row in rows if row["label"] == "score-function, leave-one-out")
    average = next(row for row in rows if row["label"] == "score-function, running-average")
    frugal = [row for row in unbiased if row["seconds"] and row["seconds"] <= 1.25 * plain["seconds"]]
    iwae = max(rows, key=lambda row: row["iwae"])
    close = [row["label"] for row in unbiased if best["elbo"] - row["elbo"] < 1]
    ratio, behind = best["seconds"] / plain["seconds"], plain["elbo"] - average["elbo"]
    return (
        f"On the network {net}, at equal decoder evaluations, the best unbiased estimator of the ELBO's gradient is "
        f"`{best['label']}` ({best['elbo']:.2f}); within one nat of it are: {', '.join(close)}. It takes {ratio:.1f} "
        f"times the processor time of leave-one-out ({plain['elbo']:.2f}). Among the estimators that cost at most a "
        f"quarter more than leave-one-out, the best is `{frugal[0]['label']}` ({frugal[0]['elbo']:.2f}). The running "
        f"average of the study is {behind:.1f} nats behind leave-one-out. The best importance-weighted bound is that "
        f"of `{iwae['label']}` ({iwae['iwae']:.2f})."
    )


def _beside_published(results: list[dict[str, Any]]) -> str:
    """Return the published bounds and those of this study, for the estimators that have published ones."""
    lines = [
        "| estimator | linear: here | published | non-linear: here | published | what was published |",
        "|---|---|---|---|---|---|",
    ]
    nets = list(dict.fromkeys(result["net"] for result in results))
    ours = {net: {row["label"]: row["elbo"] for row in _rows(results, net)} for net in nets}
    for label, linear, deep, what in PUBLISHED:
        here = [f"{ours[net][label]:.2f}" if label in ours[net] else "" for net in nets]
        there = ["" if value is None else f"{value:.2f}" for value in (linear, deep)]
        lines.append(f"| {label} | {here[0]} | {there[0]} | {here[1]} | {there[1]} | {what} |")
    return "\n".join(lines)


def markdown() -> str:
    """Return the tables and the conclusions from them."""
    study = json.loads(RESULTS.read_text())
    machines = "; ".join(dict.fromkeys(result["machine"] for result in study["results"]))
    parts = [
        f"`{study['command']}`; {study['protocol']}; Adam at {study['learning_rate']}, cosine. Trained on {machines}."
    ]
    for net in dict.fromkeys(result["net"] for result in study["results"]):
        rows = _rows(study["results"], net)
        parts += [f"**{net}**", _sentences(net, rows), _table(rows)]
    parts += ["**Comparison with published figures**", _beside_published(study["results"])]
    return "\n\n".join(parts)


if __name__ == "__main__":
    print(markdown())

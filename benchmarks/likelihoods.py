"""Estimates of log p(x) against the truth, and side by side on the runs of the study.

    python benchmarks/likelihoods.py validate [--rows 300]
    python benchmarks/likelihoods.py runs [--runs lab/runs] [--rows 100] [--temperatures 200] [--device cpu]

`validate` compares every method with the truth on small models whose q(z|x) is not the posterior: sums over all codes
of bits, a grid for real codes, the closed form of probabilistic principal components, layers, missing values. The rows
are drawn from each model. A method is right if the mean of its weights, relative to p(x), is 1 (of the upper bound: the
mean of their inverses): z is the distance in standard errors. A large negative z of importance sampling is its known
fault: the largest weights are so rare that they were not drawn. It takes about a minute.

`runs` evaluates the first test images of each run of `vaelab lab`, with the seconds of each number: those of the
processor, or with `--device cuda` those on the clock. Finished numbers are kept, so a stopped command goes on.
OUT/likelihoods*.json hold the numbers, OUT/likelihoods*.md the tables and OUT/likelihoods.png the figure of the runs.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

import vaelab
from contenders.machine import machine
from vaelab.data import DataSpec
from vaelab.errors import InputError
from vaelab.likelihood import BOUNDS, Start, bracket, exact, importance_weighted, prior_average, quadrature
from vaelab.models import LatentVariableModel, require_latent
from vaelab.plots.style import INK, LINE_COLOURS, plain, png
from vaelab.runs import Run

X = 10
RUNS = ("gaussian-2", "gaussian-20", "bernoulli-rebar", "bernoulli-running-average", "sbn-12", "sbn-200-200")
FROM_PRIOR = "ais from the prior"
# Of the figure, with their markers.
SERIES = ((("elbo",), "o"), (("iwae",), "s"), ((FROM_PRIOR,), "^"), (("exact", "quadrature"), "D"))
STARTS: tuple[tuple[Start, str], ...] = (("posterior", "q"), ("prior", "the prior"))
Method = Callable[[LatentVariableModel, Tensor], Tensor]


def sharpened(model: LatentVariableModel, factor: float = 2.0) -> LatentVariableModel:
    """Return a model in float64 with larger weights of p(x, z): its posteriors are not close to the prior, nor to q."""
    with torch.no_grad():
        for weight in [*model.prior.parameters(), *model.likelihood.parameters()]:
            weight.mul_(factor)
    return model.double()


def principal_components() -> LatentVariableModel:
    """Return probabilistic principal components: a linear decoder with noise of one variance for each column."""
    spec = DataSpec((X,), kind="real")
    model = vaelab.gaussian_vae(spec, 5, hidden_dims=[], likelihood="gaussian", seed=0).double()
    decoder, encoder = (linear_layer(part) for part in (model.likelihood, model.posterior))
    with torch.no_grad():
        p = model.likelihood(torch.zeros(1, 5, dtype=torch.float64))
        decoder.weight.mul_(2)
        W, variance = decoder.weight, p.variance[0]
        covariance = torch.linalg.inv(torch.eye(5).double() + (W.T / variance) @ W)  # of p(z|x)
        encoder.weight.zero_()
        encoder.weight[:5] = covariance @ (W.T / variance)  # q has the exact means,
        encoder.bias[:5] = -encoder.weight[:5] @ p.mean[0]
        encoder.bias[5:] = (0.8 * covariance.diagonal().sqrt()).log()  # and deviations a fifth too small
    return model


def linear_layer(part: nn.Module) -> nn.Linear:
    """Return the only layer of a part of a model."""
    return next(layer for layer in part.modules() if isinstance(layer, nn.Linear))


def incomplete(model: LatentVariableModel) -> LatentVariableModel:
    """Return the model for rows whose values may be missing."""
    return model.allow_missing()


def closed_form(model: LatentVariableModel, x: Tensor) -> Tensor:
    """Return `log N(x; b, W W' + s^2 I)` (Tipping & Bishop, 1999, https://doi.org/10.1111/1467-9868.00196)."""
    with torch.no_grad():
        p = model.likelihood(torch.zeros(1, 5, dtype=torch.float64))
        W = linear_layer(model.likelihood).weight
        law = torch.distributions.MultivariateNormal(p.mean[0], W @ W.T + torch.diag(p.variance[0]))
        values: Tensor = law.log_prob(x)
    return values


def grid(model: LatentVariableModel, x: Tensor) -> Tensor:
    """Return `log sum_g h^D p(x, z_g)` over an equidistant grid that reaches beyond the prior: the trapezoidal rule."""
    with torch.no_grad(), vaelab.seeded(0):
        drawn = model.prior().sample((10_000,))
    points = {1: 2001, 2: 301, 3: 71}[model.latent_dim]
    ends = zip(drawn.amin(0).tolist(), drawn.amax(0).tolist(), strict=True)
    axes = [torch.linspace(low - 3, high + 3, points, dtype=torch.float64) for low, high in ends]
    codes = torch.cartesian_prod(*axes).view(-1, 1, model.latent_dim)
    total = torch.full((len(x),), -math.inf, dtype=torch.float64)
    with torch.no_grad():
        for chunk in codes.split(2000):
            joint = model.prior().log_prob(chunk) + model.log_likelihood(x, chunk.expand(-1, len(x), -1))
            total = torch.logaddexp(total, joint.logsumexp(0))
    return total + sum(math.log(float(axis[1] - axis[0])) for axis in axes)


MODELS: dict[str, tuple[Callable[[], LatentVariableModel], Method]] = {
    "8 bits": (
        lambda: sharpened(vaelab.bernoulli_vae(X, 8, hidden_dims=[6], prior="learned", seed=0)),
        lambda model, x: exact(model, x).values,
    ),
    "layers of 5 and 3 bits": (
        lambda: sharpened(vaelab.sbn(X, layers=[5, 3], seed=0)),
        lambda model, x: exact(model, x).values,
    ),
    "8 bits, values missing": (
        lambda: incomplete(sharpened(vaelab.bernoulli_vae(X, 8, hidden_dims=[6], seed=1))),
        lambda model, x: exact(model, x).values,
    ),
    "1 real number": (lambda: sharpened(vaelab.gaussian_vae(X, 1, hidden_dims=[6], seed=0)), grid),
    "2 real numbers": (lambda: sharpened(vaelab.gaussian_vae(X, 2, hidden_dims=[6], seed=0)), grid),
    "3 real numbers": (lambda: sharpened(vaelab.gaussian_vae(X, 3, hidden_dims=[6], seed=0)), grid),
    "layers of 1 and 1 real numbers": (
        lambda: sharpened(vaelab.deep_gaussian_vae(X, layers=[1, 1], hidden_dims=[[6], [4]], seed=1), 1.5),
        grid,
    ),
    "2 real numbers, values missing": (
        lambda: incomplete(sharpened(vaelab.gaussian_vae(X, 2, hidden_dims=[6], seed=1))),
        grid,
    ),
    "principal components, 5 real numbers": (principal_components, closed_form),
}


def observed_of(model: LatentVariableModel, rows: int) -> Tensor:
    """Return rows; where values may be missing, a third of each is."""
    x = model.sample(rows, seed=1)
    if model.may_be_missing:
        x[torch.rand(x.shape, generator=torch.Generator().manual_seed(1)) < 1 / 3] = torch.nan
    return x


def estimates(model: LatentVariableModel, observed: Tensor) -> Iterator[tuple[str, Tensor, Tensor, int, float]]:
    """Yield for each method its values, the rows they are of, s = 1 for a lower bound or -1, and its seconds."""
    for start, place in STARTS:
        begun = time.process_time()
        found = bracket(model, observed, 16, temperatures=50, start=start)
        seconds = (time.process_time() - begun) / 2
        rows = found.rows  # the same for both
        yield f"ais-50 from {place}", found.lower.values, rows, 1, seconds
        yield f"ais-50 backwards to {place}", found.upper.values, rows, -1, seconds
    for name, method in (("iwae-1000", importance_weighted), ("prior-1000", prior_average)):
        begun = time.process_time()
        values = method(model, rows, 1000).values
        seconds = time.process_time() - begun
        yield name, values, rows, 1, seconds
    for name, method in (("exact", exact), ("quadrature", quadrature)):
        try:
            BOUNDS[name].check(model)
        except InputError:
            continue
        begun = time.process_time()
        values = method(model, rows).values
        seconds = time.process_time() - begun
        yield name, values, rows, 0, seconds


def validate(rows: int) -> list[dict[str, Any]]:
    """Compare every method with the truth on every model."""
    table = []
    for name, (build, truth_of) in MODELS.items():
        model = build()
        truth: Tensor | None = None
        for method, values, drawn, sign, seconds in estimates(model, observed_of(model, rows)):
            truth = truth_of(model, drawn) if truth is None else truth
            if method == "exact":  # the truth itself
                continue
            difference = values - truth
            row = {
                "model": name,
                "method": method,
                "estimate": round(float(values.mean()), 4),
                "truth": round(float(truth.mean()), 4),
                "difference": round(float(difference.mean()), 4),
                "z": None,
                "largest": float(f"{float(difference.abs().max()):.1e}"),
                "seconds": round(seconds, 2),
            }
            if sign:
                ratio = (sign * difference).exp()
                row["z"] = round((float(ratio.mean()) - 1) / (float(ratio.std()) / math.sqrt(len(ratio))), 2)
            table.append(row)
            print(row, flush=True)
    return table


def validation_table(rows: list[dict[str, Any]]) -> str:
    """Return the comparison as Markdown."""
    lines = [
        "| model | method | estimate | truth | estimate − truth | z of the mean weight | seconds |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        z = f"{row['z']:+.1f}" if row["z"] is not None else f"largest difference {row['largest']:.0e}"
        numbers = f"{row['estimate']:.3f} | {row['truth']:.3f} | {row['difference']:+.3f} | {z} | {row['seconds']:.1f}"
        lines.append(f"| {row['model']} | {row['method']} | {numbers} |")
    return "\n".join(lines) + "\n"


def bounds_of(model: LatentVariableModel) -> Iterator[str]:
    """Yield the bounds that are computed for a model."""
    yield from ("elbo", "iwae", "ais", "ais-gap", FROM_PRIOR)
    for name in ("exact", "quadrature"):
        try:
            BOUNDS[name].check(model)
        except InputError:
            continue
        yield name


def evaluate_runs(options: argparse.Namespace, path: Path) -> dict[str, Any]:
    """Evaluate every bound of every run that is not in the file yet; write the file after each."""
    size = {key: getattr(options, key) for key in ("rows", "samples", "chains", "temperatures")}
    known: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    if (known.get("size"), known.get("device", "cpu")) != (size, options.device):
        known = {"size": size, "device": options.device, "runs": {}}
    for name in options.names:
        run = Run(options.runs / name)
        model = require_latent(run.load().model, "this benchmark").to(options.device)
        data, done = run.load_data(), known["runs"].setdefault(name, {})
        for bound in bounds_of(model):
            if bound in done:
                continue
            start: Start = "prior" if bound == FROM_PRIOR else "posterior"
            name_of_bound = "ais" if bound == FROM_PRIOR else bound
            begun, processor = time.perf_counter(), time.process_time()
            result = vaelab.evaluate(model, data, bounds=(name_of_bound,), start=start, **size)
            done[bound] = {
                "name": result[0].name,
                "value": result[0].value,
                "standard_error": result[0].standard_error,
                "acceptance": next((record.acceptance for record in result if record.acceptance is not None), None),
                "seconds": round(time.perf_counter() - begun, 1),
                "processor_seconds": round(time.process_time() - processor, 1),
                "values": [round(value, 4) for value in result.values[result[0].name].tolist()],
            }
            if bound == "ais-gap":  # its two parts: forwards and backwards along the path of each row of the model
                both = {end: result[f"ais-{end}-{options.temperatures}"] for end in ("lower", "upper")}
                done[bound] |= {end: [record.value, record.standard_error] for end, record in both.items()}
            print(name, result[0].name, result[0].value, done[bound]["seconds"], flush=True)
            known["machine"] = machine() | {"threads": options.threads}
            if options.device == "cuda":
                known["machine"]["card"] = torch.cuda.get_device_name()
            path.write_text(json.dumps(known) + "\n")
    return known


def runs_table(known: dict[str, Any]) -> str:
    """Return the numbers of the runs as Markdown; the seconds are those of the processor, of a card on the clock."""
    size, clock = known["size"], "processor_seconds" if known.get("device", "cpu") == "cpu" else "seconds"
    names = {
        "elbo": "elbo",
        "iwae": f"iwae-{size['samples']}",
        "ais": f"ais-{size['temperatures']}",
        FROM_PRIOR: f"ais-{size['temperatures']} from the prior",
        "truth": "exact or quadrature",
        "lower": "rows of the model: forwards",
        "upper": "backwards",
        "ais-gap": f"ais-gap-{size['temperatures']}",
    }
    lines = ["| run | " + " | ".join(names.values()) + " |", "|---" * (1 + len(names)) + "|"]
    for run, done in known["runs"].items():
        ends = {end: done.get("ais-gap", {}).get(end) for end in ("lower", "upper")}
        cells = []
        for key in names:
            entry = done.get("exact", done.get("quadrature")) if key == "truth" else done.get(key)
            if ends.get(key):
                cells.append("{:.2f} ± {:.2f}".format(*ends[key]))
            elif entry is None:
                cells.append("–")
            else:
                cells.append(f"{entry['value']:.2f} ± {entry['standard_error']:.2f} ({entry[clock]:.0f} s)")
        lines.append(f"| {run} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=["validate", "runs"])
    parser.add_argument("--rows", type=int, default=None)
    parser.add_argument("--runs", type=Path, default=Path("lab/runs"))
    parser.add_argument("--names", nargs="+", default=list(RUNS))
    parser.add_argument("--samples", type=int, default=5000)
    parser.add_argument("--chains", type=int, default=16)
    parser.add_argument("--temperatures", type=int, default=200)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    if options.part == "validate":
        rows = validate(options.rows or 300)
        content = {"rows": options.rows or 300, "table": rows, "machine": machine() | {"threads": options.threads}}
        (options.out / "likelihoods_validation.json").write_text(json.dumps(content, indent=1) + "\n")
        (options.out / "likelihoods_validation.md").write_text(validation_table(rows))
        return
    options.rows = options.rows or 100
    known = evaluate_runs(options, options.out / "likelihoods.json")
    (options.out / "likelihoods.md").write_text(runs_table(known))
    (options.out / "likelihoods.png").write_bytes(png(figure_of(known)))


def figure_of(known: dict[str, Any]) -> Figure:
    """Return a figure of every run: how far each number lies from that of annealing, over the same images."""
    size, runs = known["size"], known["runs"]
    figure = Figure(figsize=(7.6, 1.7 + 0.48 * len(runs)), layout="constrained")
    axes = figure.subplots()
    plain(axes)
    annealed = f"ais-{size['temperatures']}"
    places = {name: -index for index, name in enumerate(runs)}
    axes.axvline(0, color=INK, linewidth=1.2, zorder=1)
    for index, (titles, marker) in enumerate(SERIES):
        points = [
            (places[name], *paired(done[key], done["ais"]))
            for name, done in runs.items()
            for key in titles
            if key in done and "ais" in done
        ]
        if points:
            y, mean, error = zip(*points, strict=True)
            label = " or ".join(titles).replace("iwae", f"iwae-{size['samples']}")
            axes.errorbar(
                mean,
                y,
                xerr=[2 * each for each in error],
                fmt=marker,
                color=LINE_COLOURS[index],
                markersize=7,
                elinewidth=1.4,
                label=label,
                zorder=3,
            )
    for name, done in runs.items():
        if "ais-gap" in done:
            gap = done["ais-gap"]["value"]
            text = f"gap {gap:.2f}" if abs(gap) >= 0.005 else "gap 0.00"
            axes.annotate(
                text, (1.01, places[name]), xycoords=("axes fraction", "data"), va="center", fontsize=8.5, color=INK
            )
    axes.set_yticks(list(places.values()), list(places))
    axes.set_ylim(-len(runs) + 0.4, 0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#dddddd", linewidth=0.7, zorder=0)
    axes.set_axisbelow(True)
    axes.set_xlabel(
        f"nats above {annealed}, over the same {size['rows']} test images (bars: two standard errors)", fontsize=9.5
    )
    axes.set_title(
        f"How far each number lies from {annealed}; right: its gap on rows of the model", fontsize=10.5, loc="left"
    )
    figure.legend(loc="outside lower center", ncols=len(SERIES), fontsize=8.5, frameon=False)
    return figure


def paired(entry: dict[str, Any], other: dict[str, Any]) -> tuple[float, float]:
    """Return the mean difference of two numbers over the same rows, and its standard error."""
    difference = torch.tensor(entry["values"], dtype=torch.float64) - torch.tensor(other["values"], dtype=torch.float64)
    return float(difference.mean()), float(difference.std() / math.sqrt(len(difference)))


if __name__ == "__main__":
    main()

"""Sections on belief networks: how loose each inference is, what their units draw, what their layers add."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from vaelab import plots
from vaelab.errors import InputError
from vaelab.inference import generative_parts, linear_weights
from vaelab.models import LatentVariableModel
from vaelab.report.member import ReportedRun
from vaelab.report.section import Live, Section
from vaelab.seeds import seeded

__all__ = [
    "TIGHTNESS_HEADER",
    "layer_samples",
    "receptive_fields",
    "tightness",
    "tightness_figure",
    "tightness_notes",
    "tightness_table",
]

TIGHTNESS_HEADER = ["inference", "bound", "nats", "below log p(x)"]
_FIELDS = 60  # receptive fields shown of a network


def tightness_table(result: dict[str, Any]) -> list[list[str]]:
    """Return a row for log p(x) and one for each bound of a ``tightness.json``, the tightest first."""
    exact = result["exact"]
    rows = [["enumeration", "log p(x)", f"{exact['value']:.2f} ± {exact['standard_error']:.2f}", "0"]]
    for row in sorted(result["rows"], key=lambda row: float(row["gap"])):
        value = f"{row['value']:.2f} ± {row['standard_error']:.2f}"
        gap = f"{row['gap']:.3f} ± {row['gap_standard_error']:.3f}"
        rows.append([row["method"], row["bound"] + ("" if row["is_bound"] else " (no bound)"), value, gap])
    return rows


def tightness_notes(result: dict[str, Any]) -> list[str]:
    """Return the sentence below the table."""
    return [
        f"nats per observation on {result['observations']:,} test observations, ± one standard error; {result['bits']} "
        f"bits, every code summed; recognition networks trained for {result['steps']:,} steps on the same weights"
    ]


def tightness_figure(result: dict[str, Any]) -> bytes:
    """Return the figure of a ``tightness.json`` as PNG: how far each bound lies below log p(x)."""
    gaps = {
        f"{row['method']}: {row['bound']}": (row["gap"], row["gap_standard_error"], row["is_bound"])
        for row in sorted(result["rows"], key=lambda row: float(row["gap"]))
    }
    title = f"{result['bits']} bits, {result['observations']:,} test observations, the same weights throughout"
    return plots.png(plots.gaps(gaps, "nats below the exact log p(x), ± 2 standard errors", title))


def tightness(members: Sequence[ReportedRun]) -> Section | None:
    """The gaps of the first run whose inferences were measured."""
    for member in members:
        result = member.run.tightness()
        if result is None:
            continue
        by_name = {(row["method"], row["bound"]): row for row in result["rows"]}
        field, amortised = by_name["mean field, product", "L"], by_name["amortised", "elbo"]
        weighted = by_name["amortised", f"iwae-{result['samples']}"]
        exact = result["exact"]
        guide = (
            "With so few bits, log p(x) is summed over every code, so the gap of each bound is known. The weights are "
            "the same in all rows; only the source of q(z|x) differs. Mean-field inference optimises `q` for each "
            f"{member.noun} by itself. A recognition network computes it in one pass, which costs accuracy. Many codes "
            "(iwae) recover most of it. Hollow points: the value of the Gaussian field, which is not a bound."
        )
        finding = (
            f"{member.title}: log p(x) = {exact['value']:.2f} ± {exact['standard_error']:.2f} nats. The bound `L` of "
            f"the mean field lies {field['gap']:.2f} ± {field['gap_standard_error']:.2f} below it, the amortised "
            f"evidence bound {amortised['gap']:.2f} ± {amortised['gap_standard_error']:.2f}, and with "
            f"{result['samples']} codes {weighted['gap']:.2f} ± {weighted['gap_standard_error']:.2f}. Mean-field "
            f"inference took {1000 * field['seconds'] / result['observations']:.1f} ms per {member.noun}; each "
            f"recognition network was trained for {result['steps']:,} steps."
        )
        return Section("tightness", "How loose is each inference?", guide, finding, tightness_figure(result))
    return None


def _networks(members: Sequence[ReportedRun]) -> list[tuple[ReportedRun, Tensor]]:
    """Return the belief networks whose first layer is linear, with J (X, D)."""
    networks = []
    for member in members:
        if member.run.settings.model == "sbn" and member.data.image_shape and not member.latent.given:
            try:
                networks.append((member, linear_weights(generative_parts(member.latent)[1][0])[0].detach()))
            except InputError:
                continue  # hidden layers between the bits and the observation
    return networks


def receptive_fields(members: Sequence[ReportedRun]) -> Section | None:
    """Columns of J as images: what a unit adds to the logits of the pixels when it is on."""
    networks = _networks(members)
    if not networks:
        return None
    panels, finding = {}, []
    for member, J in networks:
        strength = J.square().sum(0)
        chosen = strength.argsort(descending=True)[:_FIELDS]
        panels[f"{member.title}: {len(chosen)} of {J.shape[1]} units"] = member.images(J[:, chosen].T)
        sizes = J.abs().amax(0)
        local = float((J.abs() > sizes / 2).float().mean())
        finding.append(
            f"{member.title}: the strongest weight of a unit is {float(sizes.median()):.1f} in the median, and "
            f"{local:.1%} of its weights exceed half of its strongest."
        )
    guide = (
        "Each image is a column of `J`: red where an active unit raises the probability of a pixel, blue where it "
        "lowers it, white where it has no effect. With few units, each must draw a large part of an image; "
        "with many, each draws or erases a small part in one place."
    )
    figure = plots.png(plots.receptive_fields(panels, 10))
    live = Live("layers", networks[0][0], "See the weights of any unit in the explorer")
    return Section("receptive-fields", "What each unit draws", guide, "\n".join(finding), figure, live)


def layer_samples(members: Sequence[ReportedRun], count: int = 10, draws: int = 100) -> Section | None:
    """The mean image given the draw of each layer, the layers below averaged out, from the top downwards."""
    for member in members:
        if member.latent.code != "bits" or len(member.latent.layers) < 2 or not member.data.image_shape:
            continue
        if member.latent.given:
            continue
        with torch.no_grad(), seeded(member.seed, "layers"):
            means = _means_given_layers(member.latent, count, draws)
        sizes = member.latent.layers
        names = [f"given layer {len(sizes) - index} ({size} bits)" for index, size in enumerate(sizes[::-1])]
        rows = {name: member.images(mean) for name, mean in zip(names, means, strict=True)}
        spread = [float(mean.var(0).mean().sqrt()) for mean in means]
        doubt = [float(((mean > 0.1) & (mean < 0.9)).float().mean()) for mean in means]
        guide = (
            "Each column is one draw from the prior. Each row is the mean image given one layer, averaged over the "
            "layers below it. The top layer decides the main features, the lower layers decide the details."
        )
        finding = "\n".join(
            f"{member.title}, {name}: {unsure:.0%} of the pixels are uncertain and the mean of a pixel has standard "
            f"deviation {varies:.2f} over draws."
            for name, unsure, varies in zip(names, doubt, spread, strict=True)
        )
        live = Live("layers", member, "Climb the layers of an image, and draw each of them again, in the explorer")
        figure = plots.png(plots.reconstructions(rows))
        return Section("layers", "What each layer adds", guide, finding, figure, live)
    return None


def _means_given_layers(model: LatentVariableModel, count: int, draws: int) -> list[Tensor]:
    """Return E[x|y_l] for ``count`` ancestral draws, (count, X) each, the top layer first; by ``draws`` draws below."""
    prior = model.prior()
    drawn = prior.split(prior.sample((count,)))  # y_L, ..., y_1
    means = []
    for known in range(1, len(drawn) + 1):
        layers = [layer.expand(draws, *layer.shape) for layer in drawn[:known]]
        while len(layers) < len(drawn):
            layers.append(prior.factor(len(layers), layers).sample())
        means.append(model.likelihood(prior.join(layers)).mean.mean(0))
    return means

"""The section on priors: the codes of the data, and below them the prior of the model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from vaelab import plots
from vaelab.report.classes import not_classes
from vaelab.report.member import ReportedRun
from vaelab.report.section import Live, Section
from vaelab.seeds import seeded

__all__ = ["priors_compared"]

_POINTS = 181  # of the grid on each axis
_MOST = 10_000  # codes
_RARE = 0.001  # share of the codes beyond each end of an axis


def priors_compared(members: Sequence[ReportedRun]) -> Section | None:
    """Codes of two numbers over the data beside the prior of each run, the first run of each prior."""
    shown = {name: member for member in reversed(members) if (name := _prior(member)) is not None}
    runs = list(reversed(shown.values()))
    if len(runs) < 2:
        return None
    figure = plots.png(plots.codes_and_priors({member.title: _panel(member) for member in runs}))
    guide = (
        "Above: the aggregate posterior, one code drawn from q(z|x) for each test observation. Below, on the same "
        "axes: the prior p(z); its shades contain 50, 80 and 95 % of its mass. A draw of the model starts below, so "
        "where there is mass below and no code above, the decoder gets codes that it was not trained on. The ELBO "
        "is the reconstruction less the KL. For the same codes a learned prior lowers the KL; a training may use this "
        "for a better reconstruction, so compare both terms."
    )
    live = Live("map", runs[-1], "Walk through the codes of each prior in the explorer")
    return Section("priors", "Priors", guide, "\n".join(_finding(runs)), figure, live)


def _prior(member: ReportedRun) -> str | None:
    """Return the name of the prior of a run whose code is two real numbers, else None."""
    model = member.latent
    if (
        model.code != "real"
        or model.latent_dim != 2
        or len(model.layers) > 1
        or model.given
        or model.built_with is None
    ):
        return None
    name = model.built_with.options.get("prior")
    return name if isinstance(name, str) else None


def _panel(member: ReportedRun) -> plots.CodesAndPrior:
    """Return the codes of the first test rows and the density of the prior on a square around both."""
    model, x = member.latent, member.test.bits(slice(_MOST))
    labels = member.labels
    with torch.no_grad(), seeded(member.seed, "priors"):
        p = model.prior_of(model.posterior(x))
        codes = model.posterior(x).sample()  # (N, 2)
        axis = _axis(torch.cat([codes, p.sample((len(codes),))]))
        second, first = torch.meshgrid(axis, axis, indexing="ij")
        density = p.log_prob(torch.stack([first, second], -1).flatten(0, 1)).view_as(first).exp()
    colours = None if labels is None or not_classes(labels) else labels[: len(codes)]
    return plots.CodesAndPrior(codes.numpy(), colours, axis.numpy(), density.double().numpy())


def _axis(codes: Tensor) -> Tensor:
    """Return the points of both axes: equal steps between values that nearly all codes lie between."""
    low, high = (float(np.quantile(codes.numpy(), share)) for share in (_RARE, 1 - _RARE))
    margin = max(0.04 * (high - low), 1e-3)
    return torch.linspace(low - margin, high + margin, _POINTS).to(codes)


def _finding(runs: Sequence[ReportedRun]) -> list[str]:
    """Return a line for each run with its bounds, reconstruction and KL, in nats."""
    lines = []
    for member in runs:
        elbo, reconstruction, kl, bound = (member.evaluation(name) for name in ("elbo", "reconstruction", "kl", "iwae"))
        parts = [] if elbo is None else [f"ELBO {elbo.value:.2f} ± {elbo.standard_error or 0:.2f}"]
        if reconstruction is not None and kl is not None:
            parts.append(f"which is a reconstruction of {reconstruction.value:.2f} less a KL of {kl.value:.2f}")
        parts += [] if bound is None else [f"the bound of {bound.samples:,} codes {bound.value:.2f}"]
        lines.append(f"{member.title}: {', '.join(parts) if parts else 'no bound on the test split'}.")
    return lines

"""Figures: arrays in, matplotlib ``Figure`` out. This room uses no models, files or global state."""

from __future__ import annotations

from vaelab.plots.codes import CodesAndPrior, codes_and_mixture, codes_and_priors, latent_map
from vaelab.plots.costs import gradient_costs
from vaelab.plots.diagnostics import aggregate_and_prior, bit_use, unit_nats, unit_states
from vaelab.plots.diagnostics_calibration import calibration_curves
from vaelab.plots.diagnostics_gaps import inference_gaps, train_and_held_out
from vaelab.plots.estimates import BoundCurve, bound_curves
from vaelab.plots.images import image_grids, plane, receptive_fields, reconstructions, tile
from vaelab.plots.style import CLASS_COLOURS, LINE_COLOURS, png
from vaelab.plots.sweep import settings_and_bounds
from vaelab.plots.values import bounds, curves, gaps

__all__ = [
    "CLASS_COLOURS",
    "LINE_COLOURS",
    "BoundCurve",
    "CodesAndPrior",
    "aggregate_and_prior",
    "bit_use",
    "bound_curves",
    "bounds",
    "calibration_curves",
    "codes_and_mixture",
    "codes_and_priors",
    "curves",
    "gaps",
    "gradient_costs",
    "image_grids",
    "inference_gaps",
    "latent_map",
    "plane",
    "png",
    "receptive_fields",
    "reconstructions",
    "settings_and_bounds",
    "tile",
    "train_and_held_out",
    "unit_nats",
    "unit_states",
]

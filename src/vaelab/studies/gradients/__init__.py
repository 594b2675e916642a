"""Gradient estimators measured on one fixed batch of a frozen model: bias, variance, cost."""

from __future__ import annotations

from vaelab.studies.gradients.measure import measure_gradients
from vaelab.studies.gradients.rows import gradient_rows

__all__ = ["gradient_rows", "measure_gradients"]

"""Studies: many trainings or measurements, side by side."""

from vaelab.studies.gradients import measure_gradients
from vaelab.studies.tightness import measure_tightness

__all__ = ["measure_gradients", "measure_tightness"]

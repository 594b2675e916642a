"""Studies: many trainings or measurements, side by side."""

from vaelab.studies.gradients import measure_gradients
from vaelab.studies.suggestion import Suggestion, suggest
from vaelab.studies.tightness import measure_tightness

__all__ = ["Suggestion", "measure_gradients", "measure_tightness", "suggest"]

"""Evaluation: a model on a split as a table of numbers, the active units of its code, and its codes."""

from __future__ import annotations

from vaelab.evaluation.active_units import active_units
from vaelab.evaluation.encode import encode, encode_means
from vaelab.evaluation.evaluate import SAMPLES, evaluate
from vaelab.evaluation.result import Evaluation, EvaluationRecord

__all__ = ["SAMPLES", "Evaluation", "EvaluationRecord", "active_units", "encode", "encode_means", "evaluate"]

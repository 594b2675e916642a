"""Inference without a recognition network: exact sums over codes of bits, mean fields, completion."""

from __future__ import annotations

from vaelab.inference.completion import complete
from vaelab.inference.contract import InferenceModel
from vaelab.inference.enumeration import MAX_BITS, Enumeration
from vaelab.inference.fields import FieldName
from vaelab.inference.mean_field import (
    MeanField,
    MeanFieldBernoulli,
    MeanFieldPosterior,
    State,
    generative_parts,
    linear_weights,
)

__all__ = [
    "MAX_BITS",
    "Enumeration",
    "FieldName",
    "InferenceModel",
    "MeanField",
    "MeanFieldBernoulli",
    "MeanFieldPosterior",
    "State",
    "complete",
    "generative_parts",
    "linear_weights",
]

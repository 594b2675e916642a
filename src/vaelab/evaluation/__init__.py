"""Evaluation: a model on a split as a table of numbers, diagnosed in words, its codes, and its imputations."""

from __future__ import annotations

from vaelab.evaluation.active_units import active_units
from vaelab.evaluation.advice import has_quotable_limit
from vaelab.evaluation.diagnostics import DIAGNOSTICS, Diagnosis, DiagnosticName, Diagnostics, diagnose
from vaelab.evaluation.encode import encode, encode_means
from vaelab.evaluation.evaluate import SAMPLES, evaluate
from vaelab.evaluation.impute import Imputation, ImputeKind, impute
from vaelab.evaluation.protocol import PROTOCOL
from vaelab.evaluation.result import Evaluation, EvaluationRecord

__all__ = [
    "DIAGNOSTICS",
    "PROTOCOL",
    "SAMPLES",
    "Diagnosis",
    "DiagnosticName",
    "Diagnostics",
    "Evaluation",
    "EvaluationRecord",
    "Imputation",
    "ImputeKind",
    "active_units",
    "diagnose",
    "encode",
    "encode_means",
    "evaluate",
    "has_quotable_limit",
    "impute",
]
